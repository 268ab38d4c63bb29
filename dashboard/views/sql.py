"""Page: questions in SQL (research mode only).

Belongs here: the editor, examples, history, the result to look at and take away.
Does not belong here: running SQL (sandbox.py confines it), who may open the page (access.py).
"""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import links, parts, sandbox, snapshot, wording
from dashboard.language import say

EXAMPLES = Path(__file__).parents[2] / "sql" / "examples"
HISTORY, LAST = "history of queries", "last result"
LONGEST_HISTORY = 20
FIRST_QUERY = "SELECT measure, sex, n, mean, sd\nFROM stats.descriptive\nWHERE age_band IS NULL AND bmi_band IS NULL"
FILES = {"research": snapshot.RESEARCH_FILE, "aggregates": snapshot.FILE}


def main() -> None:
    """Show the page."""
    st.title(say("page.sql"), anchor=False)
    st.caption(say("sql.what", seconds=sandbox.SECONDS, rows=wording.number(sandbox.MOST_ROWS, 0)))
    st.session_state.setdefault("sql", FIRST_QUERY)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        file = links.choose(say("sql.file"), list(FILES), "file", lambda code: say(f"sql.{code}"))
        choose_example()
        choose_earlier()
    st.text_area(say("sql.query"), key="sql", height=210, max_chars=sandbox.LONGEST_SQL)
    if st.button(say("sql.run"), type="primary", icon=":material/play_arrow:", shortcut="ctrl+enter"):
        run(FILES[file], st.session_state["sql"])
        st.rerun()
    show_result()


def choose_example() -> None:
    """Offer the questions of sql/examples; the first comment of each is its title."""
    files = {question(path): path for path in sorted(EXAMPLES.glob("*.sql"))}
    chosen = st.selectbox(
        say("sql.examples"), sorted(files), index=None, placeholder=say("sql.choose"), key="example", width=420
    )
    take(chosen and files[chosen].read_text(encoding="utf-8"), "example")


def question(path: Path) -> str:
    """Return what an example asks."""
    with path.open(encoding="utf-8") as lines:
        return lines.readline().removeprefix("--").strip()


def choose_earlier() -> None:
    """Offer what was run in this session; it is forgotten with it."""
    earlier = st.session_state.setdefault(HISTORY, [])
    chosen = st.selectbox(
        say("sql.history"), earlier, index=None, format_func=lambda sql: " ".join(sql.split())[:80],
        placeholder=say("sql.choose") if earlier else say("sql.no_history"), disabled=not earlier, key="earlier", width=320,
    )  # fmt: skip
    take(chosen, "earlier")


def take(sql: str | None, source: str) -> None:
    """Put a query into the editor once, when it was newly chosen."""
    if sql and st.session_state.get(f"taken from {source}") != sql:
        st.session_state["sql"] = sql.strip()
    st.session_state[f"taken from {source}"] = sql


def run(file: str, sql: str) -> None:
    """Run a query in the sandbox and keep its result, or why there is none, for this session."""
    with st.spinner(say("sql.running")):
        try:
            result = sandbox.run(snapshot.folder() / file, sql)
        except sandbox.Refused as refusal:
            st.session_state[LAST] = str(refusal)
            return
    st.session_state[LAST] = result
    earlier = [sql, *(one for one in st.session_state[HISTORY] if one != sql)]
    st.session_state[HISTORY] = earlier[:LONGEST_HISTORY]


def show_result() -> None:
    """Show the last result."""
    result = st.session_state.get(LAST)
    if result is None:
        return
    if isinstance(result, str):
        st.error(
            say(f"sql.exceeded_{result}") if result in ("time", "memory", "size", "length") else f"```\n{result}\n```"
        )
        return
    rows = pd.DataFrame(result.rows, columns=unique(result.columns))
    st.caption(say("sql.cut" if result.is_cut else "sql.rows", n=wording.number(len(rows), 0)))
    st.dataframe(rows, hide_index=True)
    parts.offer(rows, "result", say("sql.download"))


def unique(columns: list[str]) -> list[str]:
    """Return column names, the second of the same name numbered.

    >>> unique(["n", "n"])
    ['n', 'n_2']
    """
    return [
        column if columns[:i].count(column) == 0 else f"{column}_{columns[:i].count(column) + 1}"
        for i, column in enumerate(columns)
    ]


main()
