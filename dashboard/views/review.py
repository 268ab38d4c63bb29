"""Page: human quality control, one case after the other, by keyboard (research mode only).

Belongs here: who reads, which cases, the reading desk and what it sends. Does not belong here: the order of the queue
(reading_queue.py), the log (verdicts.py), what happens between a key and the picture (reader/).
"""

import base64
import io
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import median

import pandas as pd
import streamlit as st
from PIL import Image

from dashboard import reading_queue, snapshot, tables, verdicts, wording
from dashboard.reading_queue import CASE, MUSCLES, Turn
from dashboard.verdicts import Reading

N_AHEAD = 6  # cases that the browser has ready
RECENT = 20  # readings behind the pace
LONGEST_S = 120.0  # a longer look was a break
READER = Path(__file__).parents[1] / "reader"

# Uniform numbers in [0, 1) from hashes of the mask: the same for every reader and after every restart.
CASES = """
WITH judged AS (
    SELECT
        study, participant_id, visit, model_version, mask_sha256, any_value(release) AS release,
        count(*) FILTER (verdict = 'fail') AS n_fail, count(*) FILTER (verdict = 'warn') AS n_warn,
        coalesce(max(abs(value - coalesce(warn_limit, fail_limit)) / greatest(abs(coalesce(warn_limit, fail_limit)), 1))
            FILTER (verdict <> 'pass'), 0) AS excess,
        list(check_name ORDER BY check_name) FILTER (verdict <> 'pass') AS checks
    FROM imaging.quality
    JOIN meta.model USING (model_version)
    WHERE is_current
    GROUP BY ALL
)
SELECT
    left(sha256(concat_ws('/', study, participant_id, visit, model_version)), 12) AS key,
    judged.* REPLACE (coalesce(checks, []) AS checks),
    centre,
    ('0x' || left(sha256('share/' || mask_sha256 || participant_id), 8))::BIGINT / 4294967296 AS share_draw,
    ('0x' || left(sha256('second/' || mask_sha256 || participant_id), 8))::BIGINT / 4294967296 AS second_draw,
    ('0x' || left(sha256('place/' || mask_sha256 || participant_id), 8))::BIGINT / 4294967296 AS place_draw
FROM judged
LEFT JOIN raw.current_participant USING (study, participant_id, visit)
"""
LINES = """
SELECT quality.verdict, label, unit, value, if(quality.verdict = 'fail', quality.fail_limit, quality.warn_limit) AS "limit", detail
FROM imaging.quality AS quality
JOIN ref.threshold USING (check_name)
WHERE study = $study AND participant_id = $participant_id AND visit = $visit AND model_version = $model_version
    AND quality.verdict <> 'pass'
ORDER BY quality.verdict, check_name
"""
PROFILE = """
SELECT compartment, side, list(z_mm ORDER BY slice_index) AS z_mm, list(csa_cm2 ORDER BY slice_index) AS csa_cm2
FROM imaging.csa_profile
WHERE study = $study AND participant_id = $participant_id AND visit = $visit AND model_version = $model_version
GROUP BY compartment, side
ORDER BY ALL
"""
AGREEMENT = """
SELECT muscle, n, observed_pct, ac1, ac1_low, ac1_high, pabak
FROM stats.review_agreement
JOIN meta.model USING (model_version)
WHERE is_current
ORDER BY muscle <> 'case', split_part(muscle, ' ', 2) DESC, muscle
"""
RATE = """
SELECT n_cases, n, n_rejected, rejected_pct, ci_low, ci_high
FROM marts.review_rate
JOIN meta.model USING (model_version)
WHERE is_current AND grouping = 'all' AND n > 0
"""
REASONS = "SELECT reason, label FROM ref.review_reason ORDER BY position"


@dataclass
class Session:
    """What one reader's look at one queue has come to: turns offered, cases put off and taken back, what is on disk."""

    queue: str
    turns: dict[str, Turn] = field(default_factory=dict)
    put_off: list[str] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    have: set[str] = field(default_factory=set)
    is_link_open: bool = True
    failure: str | None = None


def main() -> None:
    """Show the page."""
    st.html("<style>.block-container { max-width: 1800px; padding-top: 4rem; padding-bottom: 1rem; }</style>")
    cases = load_cases(snapshot.stamp())
    reader, mode, filters = choose(cases)
    if not verdicts.READER.fullmatch(reader):
        show_start(cases)
        return
    is_shown = pd.Series(True, index=cases.index)
    for column in ("release", "centre"):
        if filters[column]:
            is_shown &= cases[column] == filters[column]
    if filters["check"]:
        is_shown &= cases["checks"].map(lambda names: filters["check"] in names).astype(bool)
    link = st.query_params.get("case")
    queue = "/".join(map(str, [snapshot.stamp(), reader, mode, *filters.values(), link]))
    show_desk(cases, is_shown, reader, mode, link, queue)


@st.cache_resource(max_entries=2, show_spinner=False)
def load_cases(stamp: str) -> pd.DataFrame:
    """Return the judged cases of the current model by key; the frame is shared and never changed."""
    return snapshot.query(CASES, research=True).set_index("key")


def choose(cases: pd.DataFrame) -> tuple[str, str, dict[str, str | None]]:
    """Show who reads and which cases; return reader, mode and filters."""
    columns = st.columns([1, 2, 1.3, 2, 1.3], vertical_alignment="bottom")
    reader = columns[0].text_input("Reader code", key="reader", bind="query-params", max_chars=16)
    mode = columns[1].selectbox("Cases", reading_queue.MODES, key="cases", bind="query-params")
    names = dict(snapshot.query("SELECT check_name, label FROM ref.threshold").itertuples(index=False))
    options = {
        "release": sorted(cases["release"].unique()),
        "check": sorted(set(cases["checks"].explode().dropna()), key=names.get),
        "centre": sorted(cases["centre"].dropna().unique()),
    }
    filters = {
        name: column.selectbox(
            name.capitalize(),
            options[name],
            index=None,
            placeholder="all",
            format_func=lambda value: names.get(value, value),
            key=name,
            bind="query-params",
        )
        for name, column in zip(options, columns[2:], strict=True)
    }
    return reader or "", mode, filters


def show_start(cases: pd.DataFrame) -> None:
    """Show what there is to do, before anyone says who reads."""
    st.title("Review", anchor=False)
    if cases.empty:
        st.markdown("The published snapshot holds no case that was judged automatically.")
        return
    n_suspicious = int((cases["n_fail"] + cases["n_warn"] > 0).sum())
    st.markdown(
        f"**{n_suspicious:,}** of {len(cases):,} cases have a failed or warned check.  \n"
        "Enter your reader code to begin: 1 to 16 letters and digits, a code and not a name."
    )
    show_results()


def show_results() -> None:
    """Show what the verdicts in the published snapshot say: how much would be rejected, how far readers agree."""
    for row in snapshot.query(RATE, research=True).itertuples():
        st.markdown(
            f"Of **{row.n:,}** drawn cases read so far **{row.n_rejected:,}** were rejected at least in part, which makes"
            f" **{wording.with_interval(row.rejected_pct, row.ci_low, row.ci_high, 1)} %** of all {row.n_cases:,} cases."
        )
    agreement = snapshot.query(AGREEMENT, research=True)
    if len(agreement):
        texts = pd.DataFrame(
            {
                "Read twice": agreement["n"].map("{:,.0f}".format),
                "Agreement, %": agreement["observed_pct"].map(lambda value: wording.number(value, 1)),
                "Gwet’s AC1 (95 % CI)": [
                    wording.with_interval(row.ac1, row.ac1_low, row.ac1_high, 2) for row in agreement.itertuples()
                ],
                "PABAK": agreement["pabak"].map(lambda value: wording.number(value, 2)),
            }
        )
        st.html(
            tables.to_html(texts.set_index(pd.Index(agreement["muscle"].str.capitalize(), name="Readers agree on")))
        )


@st.fragment
def show_desk(cases: pd.DataFrame, is_shown: pd.Series, reader: str, mode: str, link: str | None, queue: str) -> None:
    """Show the reading desk; each of its messages reruns this part of the page alone."""
    session = st.session_state.get("session")
    if session is None or session.queue != queue:
        session = st.session_state["session"] = Session(queue)
    readings = verdicts.standing(load_readings())
    by_case = reading_queue.group(readings)
    own = [reading for reading in readings if reading.reader == reader]
    turns = list_turns(cases, is_shown, by_case, reader, mode, link, session)
    ahead = turns[:N_AHEAD]
    last = find_last(own, cases)
    offered = [*ahead, *([last[0]] if last else [])]
    session.turns |= {turn.key: turn for turn in offered}
    data = {
        "queue": queue,
        "order": [turn.key for turn in ahead],
        "cases": [describe(cases, turn, by_case, turn.key not in session.have) for turn in offered],
        "last": {"key": last[0].key, "id": last[1]} if last else None,
        "acknowledged": session.acknowledged[-100:],
        "failure": session.failure,
        "muscles": MUSCLES,
        "reasons": snapshot.query(REASONS).to_dict("records"),
        "n_done": len(own),
        "n_open": len(turns),
        "pace": describe_pace(own),
    }
    key = f"desk-{reader}"
    reading_desk()(key=key, data=data, on_message_change=lambda: receive(st.session_state[key].message, reader, cases))


@st.cache_resource(show_spinner=False)
def reading_desk():
    """Return the component of reader/; registered once, or the browser would build it anew with every rerun."""
    html, css, js = ((READER / f"reader.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component("myonorm_reading_desk", html=html, css=css, js=js)


def list_turns(
    cases: pd.DataFrame,
    is_shown: pd.Series,
    by_case: dict[tuple[str, ...], list[Reading]],
    reader: str,
    mode: str,
    link: str | None,
    session: Session,
) -> list[Turn]:
    """Return what the reader is to read: what was taken back, then the linked case, the queue, what was put off."""
    turns = reading_queue.build(cases[is_shown], by_case, reader, mode)
    first = [session.turns[key] for key in reversed(session.taken_back)]
    if session.is_link_open and link in cases.index:
        row = cases.loc[link]
        first.append(reading_queue.turn_for_link(link, row, by_case.get(tuple(row[CASE]), []), reader))
    keys = [turn.key for turn in first]
    queued = [turn for turn in turns if turn.key not in keys]
    return first + sorted(
        queued, key=lambda turn: 1 + session.put_off.index(turn.key) if turn.key in session.put_off else 0
    )


def find_last(own: list[Reading], cases: pd.DataFrame) -> tuple[Turn, str] | None:
    """Return the last line of the reader's file as a turn, and its id: what undo takes back after the page was loaded anew."""
    if not own:
        return None
    last = own[-1]
    found = cases.index[cases["mask_sha256"] == last.mask_sha256]
    found = [key for key in found if tuple(cases.loc[key, CASE]) == last.case]
    if not found:
        return None
    return Turn(found[0], last.reading, last.is_blinded, last.sampling_probability), last.reading_id


def receive(message: dict, reader: str, cases: pd.DataFrame) -> None:
    """Write what the desk sends: readings and undoings, each once; cases put off are only remembered."""
    session: Session = st.session_state["session"]
    session.have = set(message["have"])
    readings = []
    for event in message["events"]:
        key = event.get("skipped") or event["key"]
        if key not in session.turns:
            continue
        if "verdicts" in event or "undoes" in event:
            readings.append(to_reading(event, session.turns[key], cases.loc[key], reader))
    try:
        verdicts.append(snapshot.home() / "reviews", reader, readings)
        session.failure = None
    except OSError as error:
        session.failure = f"Not saved: {error.strerror}. Your verdicts are kept in this window; it tries again."
        return
    for event in message["events"]:
        note(event, session)


def note(event: dict, session: Session) -> None:
    """Remember what an event means for the queue, once."""
    if event["id"] in session.acknowledged:
        return
    session.acknowledged.append(event["id"])
    key = event.get("skipped") or event["key"]
    if "skipped" in event:
        session.put_off = [*(name for name in session.put_off if name != key), key]
    elif "undoes" in event:
        session.taken_back.append(key)
        return
    session.taken_back = [name for name in session.taken_back if name != key]
    session.is_link_open = session.is_link_open and key != st.query_params.get("case")


def to_reading(event: dict, turn: Turn, row: pd.Series, reader: str) -> Reading:
    """Return an event of the desk as a line of the log."""
    rows = []
    for given in event.get("verdicts", []):
        side, compartment = given["muscle"].split() if given["muscle"] in MUSCLES else (None, None)
        if given["verdict"] in verdicts.VERDICTS:
            rows.append(
                {"compartment": compartment, "side": side, "verdict": given["verdict"], "reason": given["reason"]}
            )
    return Reading(
        reader=reader,
        reading_id=event["id"],
        **row[CASE].to_dict(),
        reading=turn.reading,
        is_blinded=turn.is_blinded,
        sampling_probability=turn.sampling_probability,
        verdicts=tuple(rows),
        comment=verdicts.clean_comment(event.get("comment")),
        seconds=event.get("seconds"),
        reviewed_at=verdicts.now(),
        undoes=event.get("undoes"),
    )


def load_readings() -> list[Reading]:
    """Return the readings of all readers; files that have not changed are not read again."""
    files = sorted((snapshot.home() / "reviews").glob("*.jsonl"))
    return [reading for path in files for reading in read_file(path, path.stat().st_size, path.stat().st_mtime_ns)]


@lru_cache(maxsize=64)
def read_file(path: Path, size: int, changed: int) -> list[Reading]:
    """Return the readings of a file in this state."""
    return verdicts.read(path)


def describe(
    cases: pd.DataFrame, turn: Turn, by_case: dict[tuple[str, ...], list[Reading]], has_image: bool
) -> dict[str, object]:
    """Return a case as the desk shows it; of a blinded one nothing that says what checks or readers found."""
    row = cases.loc[turn.key]
    params = {name: row[name] for name in CASE[:4]}
    image, missing = read_figure(row) if has_image else (None, None)
    earlier = [] if turn.is_blinded else by_case.get(tuple(row[CASE]), [])
    lines = (
        [] if turn.is_blinded else [describe_line(line) for line in snapshot.query(LINES, params, True).itertuples()]
    )
    profile = snapshot.query(PROFILE, params, True)
    kind = " · consensus" if turn.reading == "consensus" else ""  # first and second look alike
    return {
        "key": turn.key,
        "title": f"{row['participant_id']}, visit {row['visit']}",
        "subtitle": f"{row['release']}{kind} · make correct CASE={'/'.join(row[CASE[:3]])}",
        "reading": turn.reading,
        "is_blinded": turn.is_blinded,
        "image": image,
        "is_missing": missing,
        "lines": lines,
        "earlier": [describe_reading(reading) for reading in earlier],
        "profile": [
            {
                **line,
                "z_mm": [round(float(z), 1) for z in line["z_mm"]],
                "csa_cm2": [round(float(a), 2) for a in line["csa_cm2"]],
            }
            for line in profile.to_dict("records")
        ],
    }


def describe_line(line) -> dict[str, str]:
    """Return a failed or warned check in words."""
    unit = "" if line.unit == "1" else f" {snapshot.readable_unit(line.unit)}"
    where = f": {line.detail}" if pd.notna(line.detail) else ""
    return {"verdict": line.verdict, "text": f"{line.label} {line.value:.3g}{unit} (limit {line.limit:g}){where}"}


def describe_reading(reading: Reading) -> str:
    """Return an earlier reading in words."""
    found = sorted(
        {
            f"{row['side'] + ' ' + row['compartment'] if row['compartment'] else 'whole case'} {row['verdict']}"
            for row in reading.verdicts
            if row["verdict"] != "accept"
        }
    )
    comment = f" “{reading.comment}”" if reading.comment else ""
    return f"{reading.reader}, {reading.reading} reading: {', '.join(found) or 'all accepted'}.{comment}"


def describe_pace(own: list[Reading]) -> str:
    """Return the time a case took lately."""
    seconds = [reading.seconds for reading in own[-RECENT:] if reading.seconds and reading.seconds < LONGEST_S]
    if not seconds:
        return ""
    return f"{median(seconds):.1f} s a case, {3600 / median(seconds):,.0f} an hour"


def read_figure(row: pd.Series) -> tuple[str | None, str | None]:
    """Return the pictures of the overlay figure as base64, or why there are none; the words below them are the page's."""
    folder = snapshot.home() / "derivatives" / row["study"] / row["participant_id"] / row["visit"]
    path = folder / f"{row['model_version']}_overlay.webp"
    sidecar = path.with_suffix(".json")
    if not path.is_file() or not sidecar.is_file():
        return None, "The figure of this case is missing. Put it off (S), and run the update of its release again."
    facts = json.loads(sidecar.read_bytes())
    if facts["mask_sha256"] != row["mask_sha256"]:
        return (
            None,
            "The figure shows a newer mask than the published snapshot. Put it off (S) until the next publication.",
        )
    return encode_pictures(path, facts["pictures_height_px"]), None


@lru_cache(maxsize=32)
def encode_pictures(path: Path, height_px: int) -> str:
    """Return the upper part of a figure as base64 of a WebP."""
    buffer = io.BytesIO()
    with Image.open(path) as figure:
        figure.crop((0, 0, figure.width, height_px)).save(buffer, "WEBP", quality=80, method=0)
    return base64.b64encode(buffer.getvalue()).decode()


main()
