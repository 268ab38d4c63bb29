"""Page: one participant, all there is of them (research mode only).

Belongs here: images, area profile, values over visits against the centiles, scores.
Does not belong here: judging (the review page), statistics of groups.

The pseudonym is entered, so it never goes into the URL.
"""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import charts, links, parts, snapshot, wording
from dashboard.language import name, say

MATCHES = """
SELECT participant_id, min(study) AS study, count(DISTINCT visit) AS n_visits
FROM marts.muscle_phenotype
WHERE starts_with(participant_id, $start)
GROUP BY participant_id
ORDER BY bool_or(source = 'measured') DESC, participant_id
LIMIT 12
"""
VISITS = """
SELECT study, visit, source, model_version, sex, age_years, height_cm, weight_kg, bmi_kg_m2, centre, is_first_visit
FROM marts.muscle_phenotype
WHERE participant_id = $participant
ORDER BY study, source DESC, model_version, age_years, visit
"""
VALUES = """
SELECT value.study, value.visit, value.source, value.model_version, measure, value, z, percentile_pct, percentile_by_age_pct, reason
FROM marts.phenotype_value AS value
JOIN ref.measure AS registry USING (measure)
LEFT JOIN scores.phenotype_z AS score USING (study, participant_id, visit, source, model_version, measure)
WHERE participant_id = $participant AND registry.kind <> 'covariate'
ORDER BY registry.rowid, value.visit
"""
PROFILE = """
SELECT compartment, side, position_pct, csa_cm2
FROM imaging.csa_profile
WHERE participant_id = $participant AND study = $study AND visit = $visit AND model_version = $model
ORDER BY compartment DESC, side, slice_index
"""
CURVES = """
SELECT age_years AS x, centile, value, ci_low, ci_high, n_near AS n
FROM norms.centile
JOIN norms.lms USING (measure, sex, age_years)
WHERE measure = $measure AND sex = $sex AND value IS NOT NULL AND centile.bmi_kg_m2 IS NULL AND lms.bmi_kg_m2 IS NULL
"""
CHECKS = """
SELECT check_name, label, unit, value, verdict
FROM imaging.quality
JOIN ref.threshold USING (check_name)
WHERE participant_id = $participant AND study = $study AND visit = $visit AND model_version = $model AND verdict <> 'pass'
ORDER BY verdict, check_name
"""


def main() -> None:
    """Show the page."""
    st.title(say("page.participant"), anchor=False)
    start = st.text_input(
        say("participant.ask"), key="participant", max_chars=64, placeholder=say("participant.example")
    )
    matches = snapshot.query(MATCHES, {"start": start.strip()}, research=True)
    if matches.empty:
        parts.show_nothing(say("participant.none"))
        return
    options = matches["participant_id"].tolist()
    participant = st.pills(say("participant.choose"), options, default=options[0], required=True, key=f"pill {start}")
    visits = snapshot.query(VISITS, {"participant": participant}, research=True)
    values = snapshot.query(VALUES, {"participant": participant}, research=True)
    registry = snapshot.measures()
    show_visits(visits)
    left, right = st.columns([1, 1], gap="large")
    with left:
        show_over_visits(visits, values, registry)
    with right:
        shown = choose_visit(visits)
        show_profile(participant, shown)
    show_values(values, registry)
    show_images(participant, shown)


def show_visits(visits: pd.DataFrame) -> None:
    """Show who it is, visit by visit."""
    texts = pd.DataFrame(
        {
            say("participant.visit"): [
                f"{row.visit} ({row.study}, {row.model_version})" for row in visits.itertuples()
            ],
            say("field.sex"): [wording.sex(code) if pd.notna(code) else wording.ABSENT for code in visits["sex"]],
            say("field.age"): [wording.number(value, 1) for value in visits["age_years"]],
            f"{say('field.height')}, cm": [wording.number(value, 0) for value in visits["height_cm"]],
            f"{say('field.weight')}, kg": [wording.number(value, 1) for value in visits["weight_kg"]],
            "BMI, kg/m²": [wording.number(value, 1) for value in visits["bmi_kg_m2"]],
            say("grouping.centre"): visits["centre"].fillna(wording.ABSENT),
        }
    )
    parts.show_table(texts.set_index(say("participant.visit")), caption=say("participant.visits"))


def choose_visit(visits: pd.DataFrame) -> pd.Series:
    """Ask for one of several visits; measured ones come first."""
    names = [f"{row.visit}, {row.model_version}" for row in visits.itertuples()]
    chosen = st.selectbox(say("participant.visit"), names, key="visit") if len(names) > 1 else names[0]
    return visits.iloc[names.index(chosen)]


def show_over_visits(visits: pd.DataFrame, values: pd.DataFrame, registry: pd.DataFrame) -> None:
    """Show the values of one measure over visits against the centiles of their sex."""
    measures = [code for code in registry.index if code in set(values["measure"])]
    if not measures:
        parts.show_nothing()
        return
    measure = links.choose(
        say("field.measure"),
        measures,
        "measure",
        lambda code: wording.measure(registry, code),
        snapshot.FIRST_MEASURE,
        True,
    )
    key = ["study", "visit", "source", "model_version"]
    points = values[values["measure"] == measure].merge(visits, on=key).dropna(subset=["age_years"])
    sexes = points["sex"].dropna()
    curves = snapshot.query(CURVES, {"measure": measure, "sex": sexes.iloc[0] if len(sexes) else None})
    if curves.empty or points.empty:
        parts.show_nothing(say("percentile.no_norms"))
        return
    x_title = f"{say('field.age')}, {say('unit.of_years')}"
    y_title = wording.measure_with_unit(registry, measure)
    look = parts.look()
    chart = charts.centile_curves(curves, sexes.iloc[0], x_title, y_title, None, None, look)
    points = points.rename(columns={"age_years": "x"})[["x", "value", "visit", "model_version"]]
    description = say("participant.curves_description", measure=y_title, n=len(points))
    parts.show_chart(charts.visits_on_curves(chart, points, look), description, points, f"visits {measure}")


def show_profile(participant: str, visit: pd.Series) -> None:
    """Show the area along each muscle."""
    asked = {
        "participant": participant,
        "study": visit["study"],
        "visit": visit["visit"],
        "model": visit["model_version"],
    }
    rows = snapshot.query(PROFILE, asked, research=True)
    if rows.empty:
        parts.show_nothing(say("distribution.none"))
        return
    rows = rows.assign(
        label=[f"{say(f'compartment.{row.compartment}')}, {say(f'side.{row.side}')}" for row in rows.itertuples()]
    )
    y_title = f"{say('participant.area')}, cm²"
    chart = charts.area_profile(rows, say("distribution.position"), y_title, parts.look())
    parts.show_chart(chart, say("participant.profile_description"), rows, "profile")


def show_values(values: pd.DataFrame, registry: pd.DataFrame) -> None:
    """Show every value with its percentiles, or why there is none."""
    texts = pd.DataFrame(
        {
            say("field.measure"): [wording.measure_with_unit(registry, code) for code in values["measure"]],
            say("participant.visit"): values["visit"] + ", " + values["model_version"],
            say("column.value"): [wording.number(value, wording.decimals(value)) for value in values["value"]],
            say("batch.by_age"): [percentile(value) for value in values["percentile_by_age_pct"]],
            say("batch.by_age_and_bmi"): [percentile(value) for value in values["percentile_pct"]],
            say("column.remark"): values["reason"].fillna(""),
        }
    )
    keys = [say("field.measure"), say("participant.visit")]
    parts.show_table(texts.set_index(keys), values, "values", say("participant.values"))


def percentile(value: float) -> str:
    """Return a percentile as text; a dash where missing."""
    return wording.ABSENT if pd.isna(value) else wording.rank(value)


def show_images(participant: str, visit: pd.Series) -> None:
    """Show the figure of the automatic quality control and what the checks had to say."""
    if visit["source"] != "measured":
        return
    parts.heading(say("participant.images"), say("participant.images_note"))
    file = overlay(visit["study"], participant, visit["visit"], visit["model_version"])
    if file is None:
        parts.show_nothing(say("participant.no_image"))
    else:
        st.image(file.read_bytes(), caption=say("participant.image_alt"))
    asked = {
        "participant": participant,
        "study": visit["study"],
        "visit": visit["visit"],
        "model": visit["model_version"],
    }
    rows = snapshot.query(CHECKS, asked, research=True)
    if rows.empty:
        st.caption(say("participant.all_passed"))
        return
    texts = pd.DataFrame(
        {
            say("flow.check"): [name("check", row.check_name, row.label) for row in rows.itertuples()],
            say("participant.verdict"): [say(f"verdict.{code}") for code in rows["verdict"]],
            say("column.value"): [
                f"{wording.number(row.value, wording.decimals(row.value))} {snapshot.readable_unit(row.unit) if row.unit != '1' else ''}"
                for row in rows.itertuples()
            ],
        }
    )
    parts.show_table(texts.set_index(say("flow.check")), caption=say("flow.checks"))


def overlay(study: str, participant: str, visit: str, model: str) -> Path | None:
    """Return the overlay of a case; None where there is none, or the path would leave the derivatives."""
    derivatives = (snapshot.home() / "derivatives").resolve()
    file = (derivatives / study / participant / visit / f"{model}_overlay.webp").resolve()
    return file if file.is_file() and file.is_relative_to(derivatives) else None


main()
