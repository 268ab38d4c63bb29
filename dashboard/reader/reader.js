// The reading desk: shows a case, takes verdicts by keyboard, has the next cases ready.
//
// Belongs here: what happens between a key and the picture. What a case is, in which order cases come, and every file is the server's.
// The server sends the next cases with their pictures; this keeps them decoded, so that a key shows the next one at once. Verdicts wait in
// `outbox` until the server has acknowledged that they are on disk; each has an id of its own, so that sending one twice is harmless.

const RETRY_MS = 4000;
const LEAST_LOOK_MS = 250; // nobody judges a case sooner: the second half of a double click or a key pressed twice
const VERDICT = { accept: "accepted", reject: "rejected", unsure: "unsure" };

export default function (component) {
  const host = component.parentElement;
  const root = host.querySelector(".reader");
  const desk = (root.desk ??= new Desk(root));
  desk.receive(component.data, (message) => component.setTriggerValue("message", message));
  return () => setTimeout(() => root.isConnected || desk.close()); // called before every update too
}

class Desk {
  constructor(root) {
    this.root = root;
    this.cases = new Map();
    this.order = [];
    this.judged = new Set();
    this.history = [];
    this.outbox = [];
    this.onKey = (event) => this.handleKey(event);
    this.onLeave = (event) => this.outbox.length && event.preventDefault(); // the browser asks
    this.onVisible = () => this.pauseClock();
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("visibilitychange", this.onVisible);
    window.addEventListener("beforeunload", this.onLeave);
    this.at(".figure").onclick = () => this.root.classList.toggle("large");
    this.at("textarea").addEventListener("keydown", (event) => event.key === "Escape" && event.target.blur());
  }

  close() {
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("visibilitychange", this.onVisible);
    window.removeEventListener("beforeunload", this.onLeave);
    clearTimeout(this.retry);
    delete this.root.desk;
  }

  at(selector) {
    return this.root.querySelector(selector);
  }

  // ---- server

  receive(data, send) {
    this.send = send;
    this.data = data;
    const acknowledged = new Set(data.acknowledged);
    this.outbox = this.outbox.filter((event) => !acknowledged.has(event.id));
    if (data.queue !== this.queue) {
      this.queue = data.queue;
      this.current = null;
      this.judged = new Set();
      this.history = [];
    }
    for (const item of data.cases) {
      const known = this.cases.get(item.key);
      if (!known || known.reading !== item.reading || known.is_blinded !== item.is_blinded) this.cases.set(item.key, { ...item, picture: null });
      const kept = this.cases.get(item.key);
      if (item.image && !kept.picture) {
        kept.picture = new Image();
        kept.picture.alt = "Water contrast with the four compartments";
        kept.picture.src = `data:image/webp;base64,${item.image}`;
        kept.picture.decode().catch(() => {});
      }
    }
    if (data.last && !this.history.length && !this.outbox.length) this.history = [{ key: data.last.key, id: data.last.id }];
    const offered = data.order.filter((key) => !this.judged.has(key));
    this.order = this.current ? [this.current, ...offered.filter((key) => key !== this.current)] : offered;
    if (!this.current) this.show(this.order[0]);
    else this.draw();
    if (data.order.some((key) => !this.hasPicture(key)) && this.asked !== String(data.order)) {
      this.asked = String(data.order);
      this.tell();
    }
  }

  hasPicture(key) {
    const item = this.cases.get(key);
    return Boolean(item && (item.picture || item.is_missing));
  }

  // Everything not yet acknowledged goes along each time, and again after a while: a message may be lost.
  tell() {
    clearTimeout(this.retry);
    this.send({ events: this.outbox, have: [...this.cases.keys()].filter((key) => this.cases.get(key).picture) });
    this.retry = setTimeout(() => this.outbox.length && this.tell(), RETRY_MS);
  }

  // ---- one case

  show(key) {
    this.current = key ?? null;
    this.marks = {};
    this.selected = new Set();
    this.choosing = false;
    this.at("textarea").value = "";
    this.shownAt = performance.now();
    this.hiddenFor = 0;
    this.draw();
    this.root.dataset.case = this.current ?? "";
  }

  pauseClock() {
    if (document.hidden) this.leftAt = performance.now();
    else if (this.leftAt) this.hiddenFor += performance.now() - this.leftAt;
  }

  mark(verdict, reason = null) {
    const targets = this.selected.size ? [...this.selected] : this.data.muscles;
    const isWhole = !this.selected.size;
    for (const muscle of targets) this.marks[muscle] = { verdict, reason };
    this.selected = new Set();
    this.choosing = false;
    if (isWhole && verdict === "reject") return this.submit([{ muscle: null, verdict, reason }]);
    if (this.data.muscles.every((muscle) => this.marks[muscle])) return this.submit();
    this.draw();
  }

  acceptRest() {
    if (!this.current || this.cases.get(this.current).is_missing) return;
    for (const muscle of this.data.muscles) this.marks[muscle] ??= { verdict: "accept", reason: null };
    this.submit();
  }

  submit(verdicts = this.data.muscles.map((muscle) => ({ muscle, ...this.marks[muscle] }))) {
    if (!this.current || performance.now() - this.shownAt < LEAST_LOOK_MS) return this.forgetMarks();
    const seconds = (performance.now() - this.shownAt - this.hiddenFor) / 1000;
    const id = newId();
    this.outbox.push({ id, key: this.current, verdicts, comment: this.at("textarea").value, seconds: Math.round(seconds * 100) / 100 });
    this.history.push({ key: this.current, id });
    this.judged.add(this.current);
    this.advance();
  }

  forgetMarks() {
    this.marks = {};
    this.draw();
  }

  advance() {
    this.order = this.order.filter((key) => key !== this.current);
    const ready = this.order.find((key) => this.hasPicture(key));
    this.show(ready);
    this.tell();
  }

  skip() {
    if (!this.current) return;
    this.outbox.push({ id: newId(), skipped: this.current });
    this.judged.add(this.current);
    this.advance();
  }

  undo() {
    const last = this.history.pop();
    if (!last) return;
    this.judged.delete(last.key);
    this.outbox.push({ id: newId(), undoes: last.id, key: last.key });
    this.order = [last.key, ...this.order.filter((key) => key !== last.key)];
    this.show(this.hasPicture(last.key) ? last.key : null);
    this.tell();
  }

  // ---- keys

  handleKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
    const target = event.composedPath()[0];
    if (isTyping(target)) return;
    const isControl = target instanceof Element && target.closest("button, a, [role=tab], [role=option], summary");
    if (isControl && ["Enter", " "].includes(event.key)) return;
    const action = this.choosing ? this.reasonKey(event.key) : this.key(event.key.toLowerCase());
    if (!action) return;
    event.preventDefault();
    action();
  }

  reasonKey(key) {
    if (key === "Escape") return () => ((this.choosing = false), this.draw());
    const reason = this.data.reasons[Number(key) - 1];
    return reason && (() => this.mark("reject", reason.reason));
  }

  key(key) {
    if (key === "z" || key === "backspace") return () => this.undo();
    if (!this.current) return null;
    const muscle = this.data.muscles[Number(key) - 1];
    if (muscle) return () => (this.selected.delete(muscle) || this.selected.add(muscle), this.draw());
    const keys = {
      enter: () => this.acceptRest(),
      a: () => (this.selected.size ? this.mark("accept") : this.acceptRest()),
      r: () => ((this.choosing = true), this.draw()),
      u: () => this.mark("unsure"),
      s: () => this.skip(),
      c: () => this.at("textarea").focus(),
      f: () => this.root.classList.toggle("large"),
      escape: () => ((this.selected = new Set()), this.root.classList.remove("large"), this.draw()),
    };
    return Object.hasOwn(keys, key) ? keys[key] : null;
  }

  // ---- drawing

  draw() {
    const item = this.current ? this.cases.get(this.current) : null;
    const done = this.data.n_done + this.outbox.filter((event) => event.verdicts).length - this.outbox.filter((event) => event.undoes).length;
    this.root.classList.toggle("done", !item);
    this.at(".count").textContent = `${done.toLocaleString("en")} read, ${Math.max(this.data.n_open + this.data.n_done - done, 0).toLocaleString("en")} to go`;
    this.at(".bar i").style.width = `${(100 * done) / Math.max(this.data.n_open + this.data.n_done, 1)}%`;
    this.at(".pace").textContent = this.data.pace;
    this.at(".failure").textContent = this.data.failure ?? "";
    const empty = this.at(".empty");
    empty.hidden = Boolean(item);
    if (!item) {
      const isWaiting = this.order.length > 0;
      empty.replaceChildren(isWaiting ? "Loading the next case …" : this.data.n_done ? "Nothing is left to read here." : "There is nothing to read here.");
      this.at(".actions").replaceChildren(...(this.history.length ? [action("Undo", "Z", () => this.undo())] : []));
      this.at(".figure").replaceChildren();
      return;
    }
    this.drawFigure(item);
    const link = element("a", "link to this case");
    link.href = `${location.pathname}?case=${item.key}`;
    this.at(".case").replaceChildren(element("b", item.title), `${item.subtitle} · `, link);
    this.drawMuscles();
    this.drawActions();
    this.drawChecks(item);
    this.at(".profile").replaceChildren(element("h3", "Area along the body"), drawProfile(item.profile));
  }

  drawFigure(item) {
    const parts = [item.picture ?? element("div", item.is_missing ?? "The picture is on its way.", "missing")];
    if (item.is_blinded) parts.push(element("span", "blinded", "tag"));
    const figure = this.at(".figure");
    if (figure.firstChild !== parts[0] || figure.childNodes.length !== parts.length) figure.replaceChildren(...parts);
  }

  drawMuscles() {
    const tiles = this.data.muscles.map((muscle, index) => {
      const mark = this.marks[muscle];
      const tile = element("button", "", `muscle ${mark?.verdict ?? ""}`);
      const reason = mark?.reason && this.data.reasons.find((row) => row.reason === mark.reason).label;
      tile.append(keyed(muscle, index + 1), element("span", mark ? (reason ?? VERDICT[mark.verdict]) : "not yet", "verdict"));
      tile.setAttribute("aria-pressed", this.selected.has(muscle));
      tile.onclick = () => (this.selected.delete(muscle) || this.selected.add(muscle), this.draw());
      return tile;
    });
    this.at(".muscles").replaceChildren(...tiles);
  }

  drawActions() {
    const whose = this.selected.size ? "selected" : "all";
    const buttons = [
      this.selected.size ? action("Accept selected", "A", () => this.mark("accept")) : action("Accept the rest, next", "Enter", () => this.acceptRest(), "main"),
      action(`Reject ${whose}`, "R", () => ((this.choosing = true), this.draw())),
      action(`Unsure of ${whose}`, "U", () => this.mark("unsure")),
    ];
    if (this.history.length) buttons.push(action("Undo", "Z", () => this.undo()));
    this.at(".actions").replaceChildren(...buttons);
    const reasons = this.at(".reasons");
    reasons.hidden = !this.choosing;
    reasons.replaceChildren(
      element("p", `Why is ${this.selected.size ? [...this.selected].join(", ") : "the whole case"} rejected?`),
      ...this.data.reasons.map((row, index) => action(row.label, index + 1, () => this.mark("reject", row.reason))),
    );
    const keys = [["1–4", "choose muscles"], ["C", "comment, Esc leaves it"], ["S", "later"], ["F", "large figure"]];
    this.at(".keys").replaceChildren(...keys.map(([key, text]) => keyed(text, key)));
  }

  drawChecks(item) {
    const section = this.at(".checks");
    const lines = element("ul");
    for (const line of item.lines) {
      const entry = element("li", "", line.verdict);
      entry.append(element("b", line.verdict.toUpperCase()), line.text);
      lines.append(entry);
    }
    const note = item.is_blinded ? "Hidden: this case is read without knowing what the checks or another reader say." : item.lines.length ? "" : "Every automatic check passed.";
    section.replaceChildren(element("h3", "Automatic checks"), lines, element("p", note));
    for (const earlier of item.earlier) section.append(element("p", earlier));
  }
}

const isTyping = (target) => target instanceof Element && (target.isContentEditable || target.matches("input, textarea, select, [role=combobox], [role=textbox]"));

const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = kind;
  return made;
}

function keyed(text, key) {
  const made = element("span");
  made.append(element("kbd", key), ` ${text}`);
  return made;
}

function action(text, key, run, kind = "") {
  const button = element("button", "", kind);
  button.append(`${text} `, element("kbd", key));
  button.onclick = () => {
    button.blur();
    run();
  };
  return button;
}

const COLOUR = { psoas: "#b8690b", gluteus: "#0f766e" };

// Area against height, head up; each compartment to its own maximum, as in the figure.
function drawProfile(profile) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const [width, height, foot] = [230, 260, 40];
  svg.setAttribute("viewBox", `0 0 ${width} ${height + foot}`);
  const heights = profile.flatMap((line) => line.z_mm);
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const largest = (compartment) => Math.max(...profile.filter((line) => line.compartment === compartment).flatMap((line) => line.csa_cm2), 0);
  const add = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text ?? "";
    svg.append(node);
  };
  add("line", { x1: 0.5, x2: 0.5, y1: 0, y2: height, stroke: "#cfd9d7" });
  for (const line of profile) {
    const most = largest(line.compartment) || 1;
    const points = line.z_mm.map((z, i) => `${((width - 4) * line.csa_cm2[i]) / most + 1},${2 + ((height - 4) * (high - z)) / (high - low || 1)}`);
    add("polyline", { points: points.join(" "), fill: "none", stroke: COLOUR[line.compartment], "stroke-width": line.side === "left" ? 2.4 : 1.1 });
  }
  Object.entries(COLOUR).forEach(([compartment, colour], row) => {
    const most = largest(compartment);
    add("text", { x: 0, y: height + 16 + 18 * row, style: `fill:${colour};font-weight:600` }, most ? `${compartment}: 0 to ${most.toFixed(0)} cm²` : `${compartment}: none`);
  });
  add("text", { x: width, y: height + 16, "text-anchor": "end" }, "left thick");
  add("text", { x: width, y: height + 34, "text-anchor": "end" }, "right thin");
  return svg;
}
