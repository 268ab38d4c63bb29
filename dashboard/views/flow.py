"""Page: what became of every participant, and what quality control looks at.

Belongs here: the STROBE diagram, exclusions by reason and group, whether exclusion depends on who one is, the checks.
Does not belong here: single cases (the review page), counting.

The public page reads aggregates; in research mode it reads the research file, where small cells are shown.
"""

import pandas as pd
import streamlit as st

from dashboard import access, charts, links, parts, snapshot, strobe, wording
from dashboard.language import name, say

GROUPINGS = ("sex", "age_band", "bmi_band", "centre", "release")

SETS = """
SELECT DISTINCT study || ' / ' || source || ' / ' || model_version AS analysis_set
FROM stats.participant_flow
WHERE model_version <> 'none' OR n > 0
ORDER BY analysis_set NOT IN (SELECT analysis_set FROM ref.analysis_set), analysis_set
"""
FLOW = """
SELECT position, step, reason, n, suppression
FROM stats.participant_flow
WHERE study || ' / ' || source || ' / ' || model_version = $analysis_set
ORDER BY position, reason NULLS LAST
"""
EXCLUSIONS = """
SELECT reason, coalesce(threshold.label, reason) AS label, exclusion.subject, grouping, category, n, pct
FROM stats.exclusion
LEFT JOIN ref.threshold AS threshold ON check_name = reason
WHERE analysis_set = $analysis_set
ORDER BY reason <> 'any', n DESC NULLS LAST, reason, category
"""
REGRESSION = "FROM stats.exclusion_regression WHERE analysis_set = $analysis_set ORDER BY term"
CHECKS = "SELECT * FROM ref.threshold ORDER BY rowid"


def main() -> None:
    """Show the page."""
    st.title(say("page.flow"), anchor=False)
    sets = snapshot.query(SETS)["analysis_set"].tolist()
    if not sets:
        parts.show_nothing()
        return
    with st.container(horizontal=True, gap="large", vertical_alignment="bottom"):
        chosen = links.choose(say("flow.set"), sets, "set", lambda code: code, is_list=True, width=420)
        part = links.choose(
            say("population.part"),
            ["diagram", "exclusions", "checks"],
            "part",
            lambda code: say(f"flow.{code}"),
            label_visibility="collapsed",
        )
    parts.mark_research()
    {"diagram": show_diagram, "exclusions": show_exclusions, "checks": show_checks}[part](chosen)


def show_diagram(analysis_set: str) -> None:
    """Show the STROBE diagram; its counts add up."""
    rows = snapshot.query(FLOW, {"analysis_set": analysis_set}, research=access.is_admitted())
    steps = [
        strobe.Step(
            step_name(step),
            next(count(row) for row in of_step[of_step["reason"].isna()].itertuples()),
            [(reason_name(row.reason), count(row)) for row in of_step.dropna(subset=["reason"]).itertuples()],
        )
        for (_, step), of_step in rows.groupby(["position", "step"], sort=False)
    ]
    st.html(strobe.to_html(steps, say("flow.diagram"), say("flow.excluded")))
    parts.offer(rows, "participant flow")
    st.caption(say("flow.note"))
    if rows["n"].isna().any():
        st.caption(say("cell.hidden_note"))


def count(row: tuple) -> str:
    """Return how many persons, or why that is not shown."""
    return wording.count(row.n, row.suppression)


def step_name(step: str) -> str:
    """Return the name of a step."""
    return name("step", step.replace(" ", "_"), step[0].upper() + step[1:])


def reason_name(reason: str) -> str:
    """Return a reason as shown to people."""
    return name("reason", reason.replace(" ", "_"), reason.replace("_", " "))


def show_exclusions(analysis_set: str) -> None:
    """Show who was excluded for what: in all, and by one grouping at a time."""
    rows = snapshot.query(EXCLUSIONS, {"analysis_set": analysis_set}, research=access.is_admitted())
    if rows.empty:
        parts.show_nothing(say("flow.no_exclusions"))
        return
    whole = rows[(rows["grouping"] == "all") & (rows["reason"] != "any")]
    parts.heading(say("flow.by_reason"))
    texts = pd.DataFrame(
        {
            say("flow.reason"): [name("check", row.reason, reason_name(row.label)) for row in whole.itertuples()],
            say("flow.subject"): [say(f"subject.{code}") if pd.notna(code) else "" for code in whole["subject"]],
            say("column.persons"): whole["n"].map(wording.count),
            say("column.share"): [wording.number(pct, 1) for pct in whole["pct"]],
        }
    )
    parts.show_table(texts.set_index(say("flow.reason")), rows, "exclusions", say("flow.by_reason"))
    groupings = [code for code in GROUPINGS if code in set(rows["grouping"])]
    if groupings:
        grouping = links.choose(say("flow.by"), groupings, "by", lambda code: say(f"grouping.{code}"))
        show_rates(rows[(rows["grouping"] == grouping) & (rows["reason"] == "any")], grouping)
    show_dependence(analysis_set)


def show_rates(rates: pd.DataFrame, grouping: str) -> None:
    """Show the share of excluded persons by category."""
    known = rates[rates["pct"].notna()]
    if known.empty:
        parts.show_nothing(say("cell.all_suppressed"))
        return
    shown = known.assign(
        category=[category_name(grouping, code) for code in known["category"]],
        text=[f"{wording.number(row.pct, 1)} % ({wording.count(row.n)})" for row in known.itertuples()],
    )
    chart = charts.exclusion_rates(shown, say("flow.share"), parts.look())
    description = say("flow.rates_description", by=say(f"grouping.{grouping}"))
    parts.show_chart(chart, description, known, f"exclusions by {grouping}", 80 + 44 * len(shown))


def category_name(grouping: str, code: str | None) -> str:
    """Return a category as shown to people."""
    if pd.isna(code):
        return say("flow.not_known")
    if grouping == "sex":
        return wording.sex(code)
    return wording.band(code) if grouping.endswith("band") else code


def show_dependence(analysis_set: str) -> None:
    """Show whether being excluded depends on sex, age, BMI or centre."""
    rows = snapshot.query(REGRESSION, {"analysis_set": analysis_set}, research=access.is_admitted())
    rows = rows[rows["odds_ratio"].notna()]
    if rows.empty:
        return
    parts.heading(say("flow.dependence"), say("flow.dependence_note"))
    texts = pd.DataFrame(
        {
            say("flow.term"): [name("term", term, term) for term in rows["term"]],
            say("flow.odds_ratio"): [
                wording.with_interval(row.odds_ratio, row.ci_low, row.ci_high, 2) for row in rows.itertuples()
            ],
            "p": [wording.number(p, 3) for p in rows["p"]],
        }
    )
    parts.show_table(texts.set_index(say("flow.term")), rows, "exclusion regression", say("flow.dependence"))


def show_checks(analysis_set: str) -> None:
    """Show the automatic checks with their limits and where these come from."""
    parts.heading(say("flow.checks"), say("flow.checks_note"))
    rows = snapshot.query(CHECKS)
    texts = pd.DataFrame(
        {
            "subject": [say(f"subject.{code}") for code in rows["subject"]],
            say("flow.check"): [name("check", row.check_name, row.label) for row in rows.itertuples()],
            say("flow.warns"): [limit(row, row.warn_limit) for row in rows.itertuples()],
            say("flow.fails"): [limit(row, row.fail_limit) for row in rows.itertuples()],
            say("flow.source"): rows["source"],
        }
    )
    table = texts.set_index(["subject", say("flow.check")]).rename_axis(["", say("flow.check")])
    parts.show_table(table, rows, "quality checks", say("flow.checks"))


def limit(row: tuple, value: float) -> str:
    """Return a limit with its direction and unit, or that there is none."""
    if pd.isna(value):
        return wording.ABSENT
    unit = "" if row.unit == "1" else f" {snapshot.readable_unit(row.unit)}"
    return f"{'>' if row.direction == 'above' else '<'} {wording.signs(f'{value:g}')}{unit}"


main()
