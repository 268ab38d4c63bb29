"""The dashboard: page set-up, navigation, the ribbon over synthetic data and the footer.

Belongs here: what every page shares. Does not belong here: queries of a page, charts, numbers.
Run with: streamlit run dashboard/app.py
"""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import snapshot

HERE = Path(__file__).parent
SYNTHETIC = "Invented data, modelled on the published means of the German National Cohort (NAKO)."
GENERAL_POPULATION = "General population of Germany (NAKO), not selected for health; use elsewhere with caution."


def main() -> None:
    """Show the chosen page between ribbon and footer, or why there is none."""
    st.set_page_config(page_title="Myonorm", page_icon=":material/monitoring:", layout="wide")
    st.logo(HERE / "logo.svg", size="large")
    st.html(HERE / "style.css")
    pages = [
        st.Page(HERE / "views" / "percentile.py", title="Percentile", icon=":material/person:", default=True),
        st.Page(HERE / "views" / "cohort.py", title="Cohort", icon=":material/groups:"),
    ]
    if snapshot.is_research():
        pages.append(st.Page(HERE / "views" / "review.py", title="Review", icon=":material/fact_check:"))
    page = st.navigation(pages, position="top")
    try:
        snapshot.open_newest()
    except snapshot.SnapshotMissing:
        show_welcome(
            "No published snapshot yet",
            "Run `make demo` for a synthetic cohort, or `make update` for a release of yours.",
        )
        return
    analysis_set = snapshot.analysis_set()
    if analysis_set is None:
        show_welcome("No results yet", "The published snapshot holds no analysed participants.")
        return
    if analysis_set["is_synthetic"]:
        st.html('<div class="ribbon">Synthetic data – not real people</div>')
    page.run()
    show_footer(analysis_set)


def show_welcome(title: str, advice: str) -> None:
    """Show a page in place of results that do not exist."""
    st.title(title, anchor=False)
    st.markdown(f"{advice}  \nMyonorm shows percentiles of psoas area and gluteus volume by sex, age and BMI.")


def show_footer(analysis_set: pd.Series) -> None:
    """Show what the numbers may be used for, whom they describe, and where they come from."""
    st.divider()
    st.caption(
        f"**For research use only**, not for diagnosis or treatment.  \n"
        f"**Reference population.** {reference_population(analysis_set)}  \n"
        f"**Analysis set.** {analysis_set['analysis_set']}  \n"
        f"**Snapshot.** {snapshot.stamp()}"
    )


def reference_population(analysis_set: pd.Series) -> str:
    """Return whom the numbers describe."""
    if analysis_set["is_synthetic"]:
        return SYNTHETIC
    if "nako" in analysis_set["study"].lower():
        return GENERAL_POPULATION
    return f"The participants of the study {analysis_set['study']}."


main()
