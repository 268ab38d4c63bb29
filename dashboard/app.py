"""The dashboard: page set-up, navigation, language, the ribbon over synthetic data and the footer.

Belongs here: what every page shares. Does not belong here: queries of a page, charts, numbers.
Run with: streamlit run dashboard/app.py
"""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import access, language, links, snapshot
from dashboard.language import say

HERE = Path(__file__).parent
# One line a page: file, message of its title, icon.
PUBLIC_PAGES = [
    ("percentile", "page.percentile", ":material/person:"),
    ("population", "page.population", ":material/groups:"),
    ("distribution", "page.distribution", ":material/show_chart:"),
    ("segmentation", "page.segmentation", ":material/verified:"),
    ("flow", "page.flow", ":material/account_tree:"),
    ("data", "page.data", ":material/menu_book:"),
]
RESEARCH_PAGES = [
    ("review", "page.review", ":material/fact_check:"),
    ("participant", "page.participant", ":material/badge:"),
    ("sql", "page.sql", ":material/terminal:"),
]


def main() -> None:
    """Show the chosen page between ribbon and footer, or why there is none."""
    # Before the navigation: a page's own icon would be fetched from a font server for the browser's tab.
    st.set_page_config(page_title="Myonorm", page_icon=str(HERE / "logo.svg"), layout="wide")
    language.use(_requested_language())
    st.logo(HERE / "logo.svg", size="large")
    st.html(HERE / "style.css")
    st.html(f"<script>document.documentElement.lang = '{language.current()}'</script>", unsafe_allow_javascript=True)
    files = PUBLIC_PAGES + (RESEARCH_PAGES if snapshot.is_research() else [])
    page = st.navigation([_page(*file) for file in files], position="top")
    st.set_page_config(page_title=f"{page.title} – Myonorm")
    links.enter(page.url_path)
    try:
        snapshot.open_newest()
        analysis_set = snapshot.analysis_set()
    except snapshot.SnapshotMissing:
        show_welcome(say("welcome.no_snapshot"), say("welcome.no_snapshot_advice"))
        return
    if analysis_set is None:
        show_welcome(say("welcome.no_results"), say("welcome.no_results_advice"))
        return
    show_top(bool(analysis_set["is_synthetic"]))
    if page.url_path in {name for name, *_ in RESEARCH_PAGES} and not access.is_admitted():
        access.show_sign_in()
    else:
        page.run()
    show_footer(analysis_set)


def _requested_language() -> str:
    """Return the language of the URL, else the one chosen before."""
    asked = links.requested("lang", _browser_language())
    return asked if asked in language.LANGUAGES else "en"


def _browser_language() -> str:
    """Return the language of the reader's browser where it is one of ours, else English."""
    browser = (st.context.locale or "en")[:2]
    return browser if browser in language.LANGUAGES else "en"


def _page(name: str, title: str, icon: str) -> st.Page:
    return st.Page(
        HERE / "views" / f"{name}.py", title=say(title), icon=icon, url_path=name, default=name == PUBLIC_PAGES[0][0]
    )


def show_top(is_synthetic: bool) -> None:
    """Show the mark of synthetic data, and the choice of the language."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="top"):
        if is_synthetic:
            st.html(f'<div class="ribbon" role="note">{say("top.synthetic")}</div>', width="content")
        access.show_sign_out()
        shown = language.current()
        chosen = st.segmented_control(
            say("top.language"),
            list(language.LANGUAGES),
            default=shown,
            format_func=language.LANGUAGES.get,
            required=True,
            key=f"lang {shown}",
            label_visibility="collapsed",
        )
    links.remember("lang", chosen, _browser_language())
    if chosen != shown:
        st.rerun()


def show_welcome(title: str, advice: str) -> None:
    """Show a page in place of results that do not exist."""
    st.title(title, anchor=False)
    st.markdown(f"{advice}  \n{say('welcome.what')}")


def show_footer(analysis_set: pd.Series) -> None:
    """Show what the numbers may be used for, whom they describe, and where they come from."""
    st.divider()
    st.caption(
        f"{say('footer.research_use')}  \n"
        f"**{say('footer.population')}** {snapshot.reference_population(analysis_set)}  \n"
        f"**{say('footer.analysis_set')}** {analysis_set['analysis_set']}  \n"
        f"**{say('footer.snapshot')}** {snapshot.stamp()}"
    )


main()
