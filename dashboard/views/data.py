"""Page: what every number means, where it comes from, how to cite it, and how to take it away.

Belongs here: dictionary with search, methods and formulas, releases, citation, downloads of the aggregate file.
Does not belong here: anything at participant level; docs of the pipeline (docs/).
"""

import io

import pandas as pd
import streamlit as st

from dashboard import links, parts, snapshot, wording
from dashboard.language import say

MOST_COLUMNS_SHOWN = 40
SCHEMAS = ("stats", "norms", "ref", "meta")

DICTIONARY = f"""
FROM meta.data_dictionary
ORDER BY list_position({list(SCHEMAS)}, split_part(table_name, '.', 1)), table_name, position
"""
TABLES = f"""
SELECT schema_name || '.' || table_name AS table_name, comment, estimated_size AS n_rows
FROM duckdb_tables()
WHERE NOT internal AND schema_name IN {SCHEMAS} AND comment IS NOT NULL AND database_name = current_database()
ORDER BY list_position({list(SCHEMAS)}, schema_name), table_name
"""
FORMULAS = "FROM ref.formula"
RELEASES = "FROM meta.release_log ORDER BY snapshot DESC, release"
SHIFTS = """
SELECT former, measure, sex, covariates, mean_shift_points, largest_shift_points, age_years, bmi_kg_m2, centile
FROM norms.shift
WHERE comparison = 'last publication'
ORDER BY abs(largest_shift_points) DESC NULLS LAST
"""


def main() -> None:
    """Show the page."""
    st.title(say("page.data"), anchor=False)
    shows = {
        "dictionary": show_dictionary,
        "methods": show_methods,
        "releases": show_releases,
        "downloads": show_downloads,
        "citation": show_citation,
    }
    part = links.choose(
        say("population.part"), list(shows), "part", lambda code: say(f"data.{code}"), label_visibility="collapsed"
    )
    shows[part]()


def show_dictionary() -> None:
    """Show all tables and columns, searched by words."""
    rows = snapshot.query(DICTIONARY)
    words = st.text_input(say("data.search"), placeholder=say("data.search_example"), key="search", max_chars=80)
    found = search(rows, words)
    st.caption(say("data.found", n=wording.number(len(found), 0), all=wording.number(len(rows), 0)))
    shown = found.head(MOST_COLUMNS_SHOWN)
    texts = pd.DataFrame(
        {
            say("data.table"): shown["table_name"],
            say("data.column"): shown["column_name"],
            say("data.label"): shown["label"],
            say("data.unit"): shown["unit"].fillna("").map(snapshot.readable_unit),
            say("data.details"): shown["details"].fillna(""),
        }
    )
    parts.show_table(
        texts.set_index([say("data.table"), say("data.column")]), rows, "dictionary", say("data.dictionary")
    )
    if len(found) > len(shown):
        st.caption(say("data.more", n=len(shown)))


def search(rows: pd.DataFrame, words: str) -> pd.DataFrame:
    """Return the rows that hold every word, in whatever column and case."""
    text = (
        rows[["table_name", "column_name", "label", "details", "unit"]]
        .fillna("")
        .agg(" ".join, axis="columns")
        .str.lower()
    )
    is_found = pd.Series(True, index=rows.index)
    for word in words.lower().split():
        is_found &= text.str.contains(word, regex=False)
    return rows[is_found]


def show_methods() -> None:
    """Show the methods of this snapshot, limits of use, and the formulas."""
    file = snapshot.folder() / "methods.md"
    if file.is_file():
        text = file.read_text(encoding="utf-8")
        st.markdown("\n".join(f"##{line}" if line.startswith("#") else line for line in text.splitlines()))
    parts.heading(say("data.limits"))
    st.markdown(say("data.limits_text"))
    parts.heading(say("data.formulas"))
    rows = snapshot.query(FORMULAS)
    texts = pd.DataFrame(
        {say("data.quantity"): rows["name"], say("data.formula"): rows["formula"], say("flow.source"): rows["source"]}
    )
    parts.show_table(texts.set_index(say("data.quantity")), rows, "formulas", say("data.formulas"))


def show_releases() -> None:
    """Show what each publication was made of, and how far the norms moved since the last."""
    rows = snapshot.query(RELEASES)
    texts = pd.DataFrame(
        {
            say("data.snapshot"): rows["snapshot"],
            say("data.published"): rows["published_at"].dt.strftime("%Y-%m-%d %H:%M"),
            say("data.release"): rows["release"],
            say("data.study"): rows["study"],
            say("segmentation.version"): rows["model_version"],
            say("data.fingerprint"): rows["fingerprint"].str[:12],
            say("data.code"): rows["code_version"].str[:12],
        }
    )
    parts.show_table(
        texts.set_index([say("data.snapshot"), say("data.release")]), rows, "releases", say("data.releases")
    )
    parts.heading(say("data.shift"), say("data.shift_note"))
    shifts = snapshot.query(SHIFTS)
    if shifts.empty:
        parts.show_nothing(say("data.first_publication"))
        return
    registry = snapshot.measures()
    texts = pd.DataFrame(
        {
            say("field.measure"): [wording.measure(registry, code) for code in shifts["measure"]],
            say("field.sex"): shifts["sex"].map(wording.sex),
            say("data.given"): [say(f"given.{code.replace(',', '_')}") for code in shifts["covariates"]],
            say("data.mean_shift"): [wording.number(value, 2) for value in shifts["mean_shift_points"]],
            say("data.largest_shift"): [wording.number(value, 2) for value in shifts["largest_shift_points"]],
        }
    )
    parts.show_table(texts.set_index([say("field.measure"), say("field.sex")]), shifts, "shifts", say("data.shift"))


def show_downloads() -> None:
    """Offer every published table as CSV and Parquet, and the whole file."""
    st.markdown(say("data.downloads_what"))
    tables = snapshot.query(TABLES).set_index("table_name")
    table = links.choose(
        say("data.table"), tables.index.tolist(), "table", lambda code: code, "stats.descriptive", True, width=420
    )
    st.caption(tables.loc[table, "comment"])
    # The name comes from the list of the file's own tables, so it is no entered text.
    rows = snapshot.query(f"FROM {table}")
    with st.container(horizontal=True):
        download(f"{table}.csv", parts.as_csv(rows), "text/csv")
        download(f"{table}.parquet", lambda: as_parquet(rows), "application/vnd.apache.parquet")
        download("normative.duckdb", (snapshot.folder() / snapshot.FILE).read_bytes, "application/octet-stream")
    st.dataframe(rows.head(100), hide_index=True)
    st.caption(say("data.preview", n=wording.number(len(rows), 0)))
    st.markdown(say("data.charts"))


def download(file: str, content: object, mime: str) -> None:
    """Offer a file that is made when asked for."""
    st.download_button(file, content, file, mime, icon=":material/download:", on_click="ignore")


def as_parquet(rows: pd.DataFrame) -> bytes:
    """Return the rows as Parquet."""
    file = io.BytesIO()
    rows.to_parquet(file, index=False)
    return file.getvalue()


def show_citation() -> None:
    """Say how to cite study, software and snapshot."""
    st.markdown(say("data.cite_what"))
    st.code(say("data.cite_study"), language=None, wrap_lines=True)
    st.code(
        say("data.cite_snapshot", snapshot=snapshot.stamp(), analysis_set=snapshot.analysis_set()["analysis_set"]),
        language=None,
        wrap_lines=True,
    )


main()
