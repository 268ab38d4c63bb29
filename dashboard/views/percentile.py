"""Page: what percentile is this value, given sex, age and BMI?

Belongs here: the questions, the answer in words, the curves around it, the centiles, the definition.
Does not belong here: the formulas (percentiles.py), marks and colours (charts.py).

Selections live in the URL; what is entered about a person never does.
"""

from dataclasses import dataclass
from statistics import NormalDist

import pandas as pd
import streamlit as st

from dashboard import charts, percentiles, snapshot, tables, wording

FIRST_MEASURE = "csa_psoas_total_cm2"
Z90 = NormalDist().inv_cdf(0.9)
FAR = 5
BY_BMI, BY_HEIGHT = "BMI", "Height and weight"

NORMED = """
SELECT measure, sex, bool_or(bmi_kg_m2 IS NOT NULL) AS has_bmi
FROM norms.lms
JOIN ref.measure USING (measure)
WHERE kind <> 'covariate' AND m IS NOT NULL
GROUP BY ALL
ORDER BY measure, sex
"""
LMS = """
SELECT age_years, bmi_kg_m2, l, m, s
FROM norms.lms
WHERE measure = $measure AND sex = $sex AND m IS NOT NULL
"""
RANGE = """
SELECT min(bmi_kg_m2) AS low, max(bmi_kg_m2) AS high
FROM norms.lms
WHERE measure = $measure AND sex = $sex AND age_years = round($age) AND m IS NOT NULL
"""
NEAR = """
WITH near AS (
    SELECT *, 1 - abs(age_years - $age) AS near_age, coalesce(1 - abs(bmi_kg_m2 - $bmi::DOUBLE), 1) AS near_bmi
    FROM norms.centile
    WHERE measure = $measure AND sex = $sex AND (bmi_kg_m2 IS NULL) = ($bmi::DOUBLE IS NULL) AND value IS NOT NULL
)
"""
BY_AGE_CURVES = f"""
{NEAR}
SELECT age_years AS x, centile, exp(sum(near_bmi * ln(value))) AS value
FROM near
WHERE near_bmi > 0
GROUP BY ALL
HAVING sum(near_bmi) > {percentiles.WHOLE}
"""
BY_BMI_CURVES = f"""
{NEAR}
SELECT bmi_kg_m2 AS x, centile, exp(sum(near_age * ln(value))) AS value
FROM near
WHERE near_age > 0
GROUP BY ALL
HAVING sum(near_age) > {percentiles.WHOLE}
"""
CENTILES = f"""
{NEAR}
SELECT
    centile,
    exp(sum(near_age * near_bmi * ln(value))) AS value,
    exp(sum(near_age * near_bmi * ln(ci_low))) AS ci_low,
    exp(sum(near_age * near_bmi * ln(ci_high))) AS ci_high
FROM near
WHERE near_age > 0 AND near_bmi > 0
GROUP BY centile
HAVING sum(near_age * near_bmi) > {percentiles.WHOLE}
ORDER BY centile
"""


@dataclass(frozen=True)
class Question:
    """What is asked: a measure and a person; `bmi_kg_m2` is None for norms by age alone, `value` where none is entered."""

    measure: str
    sex: str
    age_years: float
    bmi_kg_m2: float | None
    value: float | None

    @property
    def params(self) -> dict[str, object]:
        """Return the parameters of the queries."""
        return {"measure": self.measure, "sex": self.sex, "age": self.age_years, "bmi": self.bmi_kg_m2}

    @property
    def everyone(self) -> str:
        """Return for example `women of 54 years`."""
        return f"{wording.SEX[self.sex].lower()} of {wording.plain(self.age_years)} years"

    @property
    def peers(self) -> str:
        """Return for example `women of 54 years with a BMI of 27 kg/m²`."""
        if self.bmi_kg_m2 is None:
            return self.everyone
        return f"{self.everyone} with a BMI of {wording.plain(self.bmi_kg_m2)} kg/m²"


def main() -> None:
    """Show the page."""
    normed = snapshot.query(NORMED)
    if normed.empty:
        st.title("No norms yet", anchor=False)
        st.markdown(
            "This snapshot has too few analysed participants for percentiles. See the cohort page for what it has."
        )
        return
    registry = snapshot.measures()
    asked, answered = st.columns([1, 3.2], gap="large")
    with asked:
        question = ask(normed, registry)
    measure = registry.loc[question.measure]
    with answered:
        answer(question, measure["unit"])
        show_curves(question, f"{measure['label']}, {measure['unit']}")
        centiles, explanation = st.columns([1, 1.2], gap="large")
        with centiles:
            show_centiles(question, measure["unit"])
        with explanation:
            explain(measure)


def ask(normed: pd.DataFrame, registry: pd.DataFrame) -> Question:
    """Ask for measure, person and value."""
    measures = [name for name in registry.index if name in set(normed["measure"])]
    measure = st.selectbox(
        "Measure",
        measures,
        index=measures.index(FIRST_MEASURE) if FIRST_MEASURE in measures else 0,
        format_func=registry["label"].get,
        key="measure",
        bind="query-params",
    )
    of_measure = normed[normed["measure"] == measure]
    sexes = of_measure["sex"].tolist()
    sex = st.segmented_control(
        "Sex", sexes, default=sexes[0], required=True, format_func=wording.SEX.get, key="sex", bind="query-params"
    )
    age = st.number_input("Age, years", 0.0, 120.0, 50.0, step=1.0, format="%g")
    bmi = ask_bmi() if of_measure["has_bmi"].any() else None
    value = st.number_input(
        f"Measured value, {registry.loc[measure, 'unit']}",
        min_value=0.001,
        value=None,
        step=0.1,
        format="%g",
        placeholder="optional",
        key=f"value of {measure}",
    )
    return Question(measure, sex, age, bmi, value)


def ask_bmi() -> float:
    """Ask for the BMI, or for what it is computed from."""
    body = st.segmented_control(
        "Body size", [BY_BMI, BY_HEIGHT], default=BY_BMI, required=True, key="body", bind="query-params"
    )
    if body == BY_BMI:
        return st.number_input("BMI, kg/m²", 5.0, 100.0, 26.0, step=1.0, format="%g")
    height_cm = st.number_input("Height, cm", 100.0, 250.0, 170.0, step=1.0, format="%g")
    weight_kg = st.number_input("Weight, kg", 20.0, 400.0, 75.0, step=1.0, format="%g")
    bmi = weight_kg / (height_cm / 100) ** 2
    st.caption(f"BMI {bmi:.1f} kg/m²")
    return bmi


def answer(question: Question, unit: str) -> None:
    """Say what percentile the value is, first among peers of the same BMI, then among everyone of the age."""
    grid = snapshot.query(LMS, {"measure": question.measure, "sex": question.sex})
    has_bmi = grid["bmi_kg_m2"].notna()
    all_bmi = percentiles.interpolate(grid[~has_bmi], question.age_years)
    if question.bmi_kg_m2 is None:
        lms = all_bmi
    else:
        lms = percentiles.interpolate(grid[has_bmi], question.age_years, question.bmi_kg_m2)
    if lms is None:
        say_outside(question)
    elif question.value is None:
        say_reference(question, lms, unit)
    else:
        say_percentile(question, lms, unit)
    if question.bmi_kg_m2 is not None and all_bmi is not None:
        st.markdown(among_everyone(question, all_bmi, unit))


def say_percentile(question: Question, lms: percentiles.Lms, unit: str) -> None:
    """Say the percentile of the value."""
    z = percentiles.z_score(question.value, lms)
    st.title(wording.ordinal_percentile(percentiles.percentile(z)), anchor=False)
    st.subheader(f"for {question.peers}", anchor=False)
    if abs(z) > FAR:
        st.warning(f"This value is far from everyone's: is it in {unit}?")
    st.markdown(f"{question.value:g} {unit} is a z-score of {wording.number(z, 2)}. {median_and_range(lms, unit)}")


def say_reference(question: Question, lms: percentiles.Lms, unit: str) -> None:
    """Say the median and the middle 80 %, where no value is entered."""
    st.title(f"Median {quantile(0, lms)} {unit}", anchor=False)
    st.subheader(f"for {question.peers}", anchor=False)
    st.markdown(
        f"Eight in ten lie between {quantile(-Z90, lms)} and {quantile(Z90, lms)} {unit} (P10–P90). Enter a measured value to see its percentile."
    )


def say_outside(question: Question) -> None:
    """Say that there are no norms for this person, and where there are."""
    st.title("Outside the reference range", anchor=False)
    st.subheader(f"Too few {question.peers} were measured", anchor=False)
    covered = snapshot.query(RANGE, {"measure": question.measure, "sex": question.sex, "age": question.age_years}).iloc[
        0
    ]
    if question.bmi_kg_m2 is not None and pd.notna(covered["low"]):
        st.markdown(
            f"For {question.everyone} the norms cover a BMI of {covered['low']:.0f} to {covered['high']:.0f} kg/m²."
        )


def among_everyone(question: Question, lms: percentiles.Lms, unit: str) -> str:
    """Return the answer by age alone."""
    among = f"among all {question.everyone}, whatever their BMI"
    if question.value is None:
        return f"**Median {quantile(0, lms)} {unit}** {among}."
    z = percentiles.z_score(question.value, lms)
    return f"**{wording.ordinal_percentile(percentiles.percentile(z))}** {among}."


def median_and_range(lms: percentiles.Lms, unit: str) -> str:
    """Return median, P10 and P90 as a sentence."""
    low, median, high = (quantile(z, lms) for z in (-Z90, 0, Z90))
    return f"The median is {median} {unit}; eight in ten lie between {low} and {high} {unit} (P10–P90)."


def quantile(z: float, lms: percentiles.Lms) -> str:
    """Return the value at a z-score as text."""
    return wording.number(percentiles.value_at(z, lms), wording.decimals(lms.m))


def show_curves(question: Question, y_title: str) -> None:
    """Show the centile curves through the person's age and BMI."""
    by_age = snapshot.query(BY_AGE_CURVES, question.params)
    if question.bmi_kg_m2 is None:
        show_curve(question, by_age, "age_years", question.age_years, y_title, "By age")
        return
    left, right = st.columns(2, gap="large")
    with left:
        title = f"By age, at a BMI of {wording.plain(question.bmi_kg_m2)} kg/m²"
        show_curve(question, by_age, "age_years", question.age_years, y_title, title)
    with right:
        by_bmi = snapshot.query(BY_BMI_CURVES, question.params)
        title = f"By BMI, at {wording.plain(question.age_years)} years"
        show_curve(question, by_bmi, "bmi_kg_m2", question.bmi_kg_m2, y_title, title)


def show_curve(question: Question, curves: pd.DataFrame, column: str, at: float, y_title: str, title: str) -> None:
    """Show one chart of centile curves under its title."""
    st.markdown(f"**{title}**")
    if curves.empty:
        st.caption("Outside the reference range.")
        return
    x_title = f"{snapshot.label('norms.centile', column)}, {snapshot.unit('norms.centile', column)}"
    description = f"Centile curves P3 to P97 of {y_title} for {wording.SEX[question.sex].lower()}. {title}."
    chart = charts.centile_curves(curves, question.sex, x_title, y_title, at, question.value, description)
    st.altair_chart(chart, theme=None, width="stretch")


def show_centiles(question: Question, unit: str) -> None:
    """Show the centiles at the person's age and BMI with their limits."""
    rows = snapshot.query(CENTILES, question.params)
    if rows.empty:
        return
    places = wording.decimals(rows["value"].median())
    table = pd.DataFrame(
        {
            f"Value, {unit}": [wording.number(value, places) for value in rows["value"]],
            "95 % limits": [
                wording.interval(low, high, places) for low, high in zip(rows["ci_low"], rows["ci_high"], strict=True)
            ],
        },
        index=pd.Index("P" + rows["centile"].astype(str), name="Centile"),
    )
    st.markdown(f"**Centiles at this age{' and BMI' if question.bmi_kg_m2 else ''}**")
    st.html(tables.to_html(table))


def explain(measure: pd.Series) -> None:
    """Say what exactly is measured, and how the percentile is computed."""
    st.markdown("**What is measured**")
    if pd.notna(measure["definition"]):
        st.markdown(f"{measure['label']}, in {measure['unit']}. {measure['definition']}.")
    if measure["kind"] == "muscle":
        st.markdown(
            "Measured on MRI. An area from CT or from a single slice at L3 is another measure: do not read it here."
        )
    with st.expander("How the percentile is computed"):
        st.markdown(
            "z = ((y/M)^L − 1) / (L·S), and its place in the standard normal distribution (Cole & Green 1992). "
            "L, M and S are smooth in age and BMI, fitted to each sex on its own, published for whole years and "
            "whole kg/m², and interpolated between these. There is no extrapolation: where too few persons of that sex, age "
            "and BMI were measured, there is no percentile."
        )


main()
