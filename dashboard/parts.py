"""Parts that several pages share: a chart or table with its data to take away, headings, empty states.

Belongs here: how a chart or table is put on a page.
Does not belong here: marks (charts.py), markup (tables.py), queries.
"""

from collections.abc import Callable

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import access, charts, language, tables, wording
from dashboard.language import say

BOM = "\ufeff"


def look() -> charts.Look:
    """Return the colours for the reader's light or dark theme."""
    return charts.DARK if st.context.theme.type == "dark" else charts.LIGHT


def show_chart(
    chart: alt.Chart | alt.LayerChart, description: str, data: pd.DataFrame, name: str, height: int = charts.HEIGHT
) -> None:
    """Show a chart with its text alternative; its data can be taken away as `name`.csv."""
    decimal = "," if language.current() == "de" else "."
    spec = charts.finish(chart, look(), decimal, height)
    st.vega_lite_chart(spec, theme=None, width="stretch", alt=description)
    offer(data, name)


def show_table(texts: pd.DataFrame, data: pd.DataFrame | None = None, name: str = "", caption: str = "") -> None:
    """Show a table of texts, or that there is none; its numbers can be taken away as `name`.csv."""
    if texts.empty:
        show_nothing()
        return
    st.html(tables.to_html(texts, caption))
    if texts.map(lambda text: wording.is_suppressed(str(text))).any(axis=None):
        st.caption(say("cell.hidden_note"))
    if data is not None:
        offer(data, name)


def show_nothing(reason: str | None = None) -> None:
    """Say that this snapshot has nothing to show here, and why."""
    st.info(reason or say("cell.nothing"), icon=":material/hourglass_empty:")


def mark_research() -> None:
    """Say that small cells are shown, where the reader may see them."""
    if access.is_admitted():
        st.caption(f":material/lock_open: {say('access.small_cells')}")


def offer(data: pd.DataFrame, name: str, label: str | None = None) -> None:
    """Offer the numbers as CSV, written only when asked for."""
    st.download_button(
        label or say("download.csv"),
        data=as_csv(data),
        file_name=f"{name}.csv",
        mime="text/csv",
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
        key=f"csv {name}",
    )


def as_csv(data: pd.DataFrame) -> Callable[[], bytes]:
    """Return what writes the data as CSV in UTF-8, marked so that spreadsheets read it as such."""
    return lambda: (BOM + data.to_csv(index=False)).encode()


def heading(text: str, note: str = "") -> None:
    """Show a heading of a part of a page, and a note below it."""
    st.subheader(text, anchor=False)
    if note:
        st.caption(note)
