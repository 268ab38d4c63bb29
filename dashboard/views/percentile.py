"""Page: what percentile is this value, given sex, age and BMI?

Belongs here: the questions, the answer in words, the curves around it, the reverse look-up, the definition.
Does not belong here: the formulas (percentiles.py), marks and colours (charts.py), several people at once (batch.py), the
printed report (report.py).

Selections live in the URL; what is entered about a person never does, and no query on it is cached.
"""

from dataclasses import dataclass
from html import escape
from statistics import NormalDist

import pandas as pd
import streamlit as st

from dashboard import batch, charts, language, links, parts, percentiles, report, snapshot, wording
from dashboard.language import name, say

# The measure divided by height squared, where height is entered.
INDEX_OF = {
    "csa_psoas_total_cm2": "csa_psoas_total_per_height2_cm2_m2",
    "volume_gluteus_total_l": "volume_gluteus_total_per_height2_l_m2",
}
Z90 = NormalDist().inv_cdf(0.9)
FAR = 5

NORMED = """
SELECT measure, sex, bool_or(bmi_kg_m2 IS NOT NULL) AS has_bmi
FROM norms.lms
JOIN ref.measure USING (measure)
WHERE kind <> 'covariate' AND m IS NOT NULL
GROUP BY ALL
ORDER BY measure, sex
"""
LMS = """
SELECT age_years, bmi_kg_m2, l, m, s, n_near
FROM norms.lms
WHERE measure = $measure AND sex = $sex AND m IS NOT NULL
"""
LIMITS = """
SELECT limits.ci_low AS low, limits.ci_high AS high
FROM (SELECT percentile_limits($measure, $sex, $age, $bmi, $value) AS limits)
"""
COLUMNS = """
    exp(sum(weight * ln(value))) AS value,
    exp(sum(weight * ln(ci_low))) AS ci_low,
    exp(sum(weight * ln(ci_high))) AS ci_high,
    arg_max(n_near, weight) AS n
"""
NEAR = """
WITH near AS (
    SELECT
        centile.age_years, centile.bmi_kg_m2, centile, value, ci_low, ci_high, n_near,
        1 - abs(centile.age_years - $age) AS near_age,
        coalesce(1 - abs(centile.bmi_kg_m2 - $bmi::DOUBLE), 1) AS near_bmi
    FROM norms.centile
    JOIN norms.lms
        ON (lms.measure, lms.sex, lms.age_years) = (centile.measure, centile.sex, centile.age_years)
        AND lms.bmi_kg_m2 IS NOT DISTINCT FROM centile.bmi_kg_m2
    WHERE centile.measure = $measure AND centile.sex = $sex AND value IS NOT NULL
        AND (centile.bmi_kg_m2 IS NULL) = ($bmi::DOUBLE IS NULL)
)
"""
AGAINST_AGE = f"""
{NEAR}
SELECT age_years AS x, centile, {COLUMNS.replace("weight", "near_bmi")}
FROM near
WHERE near_bmi > 0
GROUP BY ALL
HAVING sum(near_bmi) > {percentiles.WHOLE}
"""
AGAINST_BMI = f"""
{NEAR}
SELECT bmi_kg_m2 AS x, centile, {COLUMNS.replace("weight", "near_age")}
FROM near
WHERE near_age > 0
GROUP BY ALL
HAVING sum(near_age) > {percentiles.WHOLE}
"""
CENTILES = f"""
{NEAR}
SELECT centile, {COLUMNS.replace("weight", "near_age * near_bmi")}
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
    def by_age(self) -> "Question":
        """Return the same question among all BMI."""
        return Question(self.measure, self.sex, self.age_years, None, self.value)

    @property
    def peers(self) -> str:
        """Return for example `women of 54 years with a BMI of 27`."""
        everyone = say(f"peers.{self.sex}", age=wording.plain(self.age_years))
        if self.bmi_kg_m2 is None:
            return everyone
        return say("peers.with_bmi", everyone=everyone, bmi=wording.plain(self.bmi_kg_m2))


@dataclass(frozen=True)
class Answer:
    """A question, the norms at its age and BMI, the percentile of the value with its limits, persons near; percents."""

    question: Question
    lms: percentiles.Lms
    percentile: float | None
    low: float | None
    high: float | None
    persons: float


def main() -> None:
    """Show the page."""
    normed = snapshot.query(NORMED)
    st.html(f'<h1 class="page">{escape(say("percentile.title"))}</h1>')
    if normed.empty:
        parts.show_nothing(say("percentile.no_norms"))
        return
    registry = snapshot.measures()
    people = links.choose(
        say("percentile.people"),
        ["one", "several"],
        "people",
        lambda code: say(f"people.{code}"),
        label_visibility="collapsed",
    )
    if people == "several":
        batch.show(normed, registry)
        return
    asked, answered = st.columns([1, 2.6], gap="large")
    with asked:
        question, height_cm = ask(normed, registry)
    with answered:
        show_answer(question, height_cm, registry)


def ask(normed: pd.DataFrame, registry: pd.DataFrame) -> tuple[Question, float | None]:
    """Ask for measure, person and value; also return the height in cm, where it is entered."""
    measures = [code for code in registry.index if code in set(normed["measure"])]
    measure = links.choose(
        say("field.measure"),
        measures,
        "measure",
        lambda code: wording.measure(registry, code),
        default=snapshot.FIRST_MEASURE,
        is_list=True,
    )
    of_measure = normed[normed["measure"] == measure]
    sex = links.choose(say("field.sex"), of_measure["sex"].tolist(), "sex", wording.sex)
    age = st.number_input(
        f"{say('field.age')}, {say('unit.of_years')}", 0.0, 120.0, 50.0, step=1.0, format="%g", key="age"
    )
    bmi, height_cm = ask_body() if of_measure["has_bmi"].any() else (None, None)
    value = st.number_input(
        f"{say('field.value')}, {registry.loc[measure, 'unit']}",
        min_value=0.001,
        value=None,
        step=0.1,
        format="%g",
        placeholder=say("field.optional"),
        key=f"value of {measure}",
        help=definition(registry.loc[measure], measure),
    )
    st.caption(definition(registry.loc[measure], measure))
    return Question(measure, sex, age, bmi, value), height_cm


def ask_body() -> tuple[float, float | None]:
    """Ask for the BMI, or for height and weight, from which it is computed; return BMI in kg/m2 and height in cm."""
    body = links.choose(say("field.body"), ["bmi", "height_weight"], "body", lambda code: say(f"body.{code}"))
    if body == "bmi":
        return st.number_input("BMI, kg/m²", 5.0, 100.0, 26.0, step=1.0, format="%g", key="bmi"), None
    left, right = st.columns(2)
    height_cm = left.number_input(
        f"{say('field.height')}, cm", 100.0, 250.0, 170.0, step=1.0, format="%g", key="height"
    )
    weight_kg = right.number_input(f"{say('field.weight')}, kg", 20.0, 400.0, 75.0, step=1.0, format="%g", key="weight")
    bmi = weight_kg / (height_cm / 100) ** 2
    st.caption(f"BMI {wording.number(bmi, 1)} kg/m²")
    return bmi, height_cm


def definition(measure: pd.Series, code: str) -> str:
    """Return what exactly is measured, and what it is not to be mistaken for."""
    parts_of_text = [name("definition", code, measure["definition"] if pd.notna(measure["definition"]) else "")]
    if measure["kind"] == "muscle":
        parts_of_text.append(say("percentile.on_mri"))
    if code.startswith("csa"):
        parts_of_text.append(say("percentile.not_ct"))
    return " ".join(f"{text.rstrip('.')}." for text in parts_of_text if text)


def show_answer(question: Question, height_cm: float | None, registry: pd.DataFrame) -> None:
    """Show the answer in words, then the curves, then what else can be asked of the same norms."""
    unit = registry.loc[question.measure, "unit"]
    questions = [question.by_age] if question.bmi_kg_m2 is None else [question.by_age, question]
    answers = {asked: solve(asked) for asked in questions}
    st.html(
        f'<div class="answers" role="status">{"".join(card(asked, answers[asked], unit) for asked in questions)}</div>'
    )
    known = [answer for answer in answers.values() if answer]
    if any(answer.percentile is not None and is_far(answer) for answer in known):
        st.warning(say("percentile.far", unit=unit), icon=":material/straighten:")
    if height_cm and question.value and question.measure in INDEX_OF and INDEX_OF[question.measure] in registry.index:
        show_index(question, height_cm, registry)
    st.caption(
        f"{say('footer.research_use')} {say('footer.population')} {snapshot.reference_population(snapshot.analysis_set())}"
    )
    y_title = wording.measure_with_unit(registry, question.measure)
    show_curves(question, y_title)
    if not known:
        return
    left, right = st.columns(2, gap="large")
    with left:
        show_centiles(known[-1].question, unit)
    with right:
        show_reverse(known, unit)
    show_report(known, registry)
    with st.expander(say("percentile.how")):
        st.markdown(say("percentile.how_text"))


def solve(question: Question) -> Answer | None:
    """Return the answer, or None outside the reference range."""
    grid = snapshot.query(LMS, {"measure": question.measure, "sex": question.sex})
    grid = grid[grid["bmi_kg_m2"].isna() if question.bmi_kg_m2 is None else grid["bmi_kg_m2"].notna()]
    lms = percentiles.interpolate(grid, question.age_years, question.bmi_kg_m2)
    if lms is None:
        return None
    persons = percentiles.nearest(grid, question.age_years, question.bmi_kg_m2)["n_near"]
    if question.value is None:
        return Answer(question, lms, None, None, None, persons)
    limits = snapshot.compute(LIMITS, question.params | {"value": question.value}).iloc[0]
    percentile = percentiles.percentile(percentiles.z_score(question.value, lms))
    return Answer(question, lms, percentile, limits["low"], limits["high"], persons)


def card(question: Question, answer: Answer | None, unit: str) -> str:
    """Return one answer as HTML: large what, below it among whom, its limits, and where it lies between 0 and 100."""
    peers, unit = escape(say("percentile.among", peers=question.peers)), escape(unit)
    if answer is None:
        return (
            f'<section class="answer"><p class="headline outside">{say("percentile.outside")}</p>'
            f'<p class="among">{peers}</p><p class="detail">{escape(covered(question))}</p></section>'
        )
    median, p10, p90 = (quantile(answer.lms, z) for z in (0, -Z90, Z90))
    near = "percentile.persons" if question.bmi_kg_m2 is not None else "percentile.persons_by_age"
    persons = say(near, n=wording.count(answer.persons))
    if answer.percentile is None:
        return (
            f'<section class="answer"><p class="headline">{say("percentile.median", value=median, unit=unit)}</p>'
            f'<p class="among">{peers}</p>'
            f'<p class="detail">{say("percentile.range", low=p10, high=p90, unit=unit)}<br>{persons}</p></section>'
        )
    z = percentiles.z_score(question.value, answer.lms)
    limits = ""
    if pd.notna(answer.low):
        limits = f"{limits_of(answer)} · "
    return (
        f'<section class="answer"><p class="headline">{wording.ordinal_percentile(answer.percentile)}</p>'
        f'<p class="among">{peers}</p>{strip(answer)}'
        f'<p class="detail">{limits}z {wording.number(z, 2)}<br>'
        f"{say('percentile.median_and_range', median=median, low=p10, high=p90, unit=unit)}<br>{persons}</p></section>"
    )


def limits_of(answer: Answer) -> str:
    """Return the limits of a percentile in words; one number where both are the same as text."""
    low, high = wording.rank(answer.low), wording.rank(answer.high)
    return say("percentile.limits", limits=low if low == high else f"{low}–{high}")


def strip(answer: Answer) -> str:
    """Return a bar from 0 to 100 with the percentile and its limits, for the eye only."""
    low, high = (limit if pd.notna(limit) else answer.percentile for limit in (answer.low, answer.high))
    return (
        f'<div class="strip {answer.question.sex}" aria-hidden="true"><span class="limits" '
        f'style="left:{low:.1f}%;width:{max(high - low, 0.5):.1f}%"></span>'
        f'<span class="point" style="left:{answer.percentile:.1f}%"></span></div>'
    )


def covered(question: Question) -> str:
    """Return where there are norms instead."""
    grid = snapshot.query(LMS, {"measure": question.measure, "sex": question.sex})
    grid = grid[grid["bmi_kg_m2"].isna() if question.bmi_kg_m2 is None else grid["bmi_kg_m2"].notna()]
    at_age = grid[(grid["age_years"] - question.age_years).abs() < 1]
    if question.bmi_kg_m2 is not None and len(at_age):
        low, high = at_age["bmi_kg_m2"].min(), at_age["bmi_kg_m2"].max()
        return say("percentile.covered_bmi", low=f"{low:.0f}", high=f"{high:.0f}")
    return say("percentile.covered_age", low=grid["age_years"].min(), high=grid["age_years"].max())


def is_far(answer: Answer) -> bool:
    """Return whether the value is so far from everyone's that its unit is in doubt."""
    return abs(percentiles.z_score(answer.question.value, answer.lms)) > FAR


def quantile(lms: percentiles.Lms, z: float) -> str:
    """Return the value at a z-score as text; a dash where the distribution ends before it."""
    try:
        return wording.number(percentiles.value_at(z, lms), wording.decimals(lms.m))
    except ValueError:
        return wording.ABSENT


def show_index(question: Question, height_cm: float, registry: pd.DataFrame) -> None:
    """Say the percentile of the value divided by height squared."""
    index = INDEX_OF[question.measure]
    value = question.value / (height_cm / 100) ** 2
    answer = solve(Question(index, question.sex, question.age_years, None, value))
    if answer:
        st.markdown(
            say(
                "percentile.index",
                label=wording.measure(registry, index),
                value=wording.number(value, 2),
                unit=registry.loc[index, "unit"],
                rank=wording.ordinal_percentile(answer.percentile),
                peers=answer.question.peers,
            )
        )


def show_curves(question: Question, y_title: str) -> None:
    """Show the centile curves against age or BMI, with the person on them."""
    views = ["age"] if question.bmi_kg_m2 is None else ["age", "age_bmi", "bmi"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = links.choose(say("percentile.curves"), views, "curves", lambda code: say(f"curves.{code}"))
        has_limits = st.toggle(say("percentile.show_limits"), key="limits")
    asked = question.by_age if view == "age" else question
    sql, column, at = (
        (AGAINST_BMI, "bmi_kg_m2", asked.bmi_kg_m2) if view == "bmi" else (AGAINST_AGE, "age_years", asked.age_years)
    )
    curves = snapshot.compute(sql, asked.params)
    title = {
        "age": say("curves.title_age", sex=wording.sex(asked.sex)),
        "age_bmi": say("curves.title_age_bmi", sex=wording.sex(asked.sex), bmi=wording.plain(asked.bmi_kg_m2 or 0)),
        "bmi": say("curves.title_bmi", sex=wording.sex(asked.sex), age=wording.plain(asked.age_years)),
    }[view]
    st.markdown(f"**{title}**")
    if curves.empty:
        parts.show_nothing(say("percentile.outside"))
        return
    x_title = (
        f"{snapshot.label('norms.centile', column)}, {name('unit', column, snapshot.unit('norms.centile', column))}"
    )
    chart = charts.centile_curves(
        curves, asked.sex, x_title, y_title, at, asked.value, parts.look(), has_limits, say("column.persons_near")
    )
    description = say("curves.description", measure=y_title, title=title, x=x_title)
    parts.show_chart(
        chart, description, curves.sort_values(["centile", "x"]).rename(columns={"x": column}), "centiles", 420
    )


def show_centiles(question: Question, unit: str) -> None:
    """Show the centiles at the person's age and BMI with their limits."""
    rows = snapshot.compute(CENTILES, question.params)
    places = wording.decimals(rows["value"].median())
    table = pd.DataFrame(
        {
            f"{say('column.value')}, {unit}": [wording.number(value, places) for value in rows["value"]],
            say("column.limits"): [
                wording.interval(low, high, places) for low, high in zip(rows["ci_low"], rows["ci_high"], strict=True)
            ],
        },
        index=pd.Index("P" + rows["centile"].astype(str), name=say("column.centile")),
    )
    title = say("percentile.centiles_of", peers=question.peers)
    parts.heading(title)
    parts.show_table(table, caption=title)


def show_reverse(answers: list[Answer], unit: str) -> None:
    """Answer the other way round: which value has a given percentile."""
    parts.heading(say("percentile.reverse"))
    rank = st.number_input(say("percentile.reverse_ask"), 0.1, 99.9, 10.0, step=5.0, format="%g", key="reverse")
    z = NormalDist().inv_cdf(rank / 100)
    for answer in answers:
        value = quantile(answer.lms, z)
        st.markdown(say("percentile.reverse_answer", value=value, unit=unit, peers=answer.question.peers))


def show_report(answers: list[Answer], registry: pd.DataFrame) -> None:
    """Offer the printable page, made when asked for."""
    question = answers[-1].question
    measure = registry.loc[question.measure]
    curves = snapshot.compute(AGAINST_AGE, question.params)
    unit = measure["unit"]
    lines = [
        (say("field.measure"), wording.measure(registry, question.measure)),
        (say("field.sex"), wording.sex(question.sex)),
        (say("field.age"), f"{wording.plain(question.age_years)} {say('unit.of_years')}"),
    ]
    if question.bmi_kg_m2 is not None:
        lines.append(("BMI", f"{wording.plain(question.bmi_kg_m2)} kg/m²"))
    if question.value is not None:
        lines.append((say("field.value"), f"{wording.signs(f'{question.value:g}')} {unit}"))
    page = report.Page(
        entered=lines,
        answers=[sentence(answer, unit) for answer in answers],
        curves=curves,
        curves_title=say("curves.title_age_bmi", sex=wording.sex(question.sex), bmi=wording.plain(question.bmi_kg_m2))
        if question.bmi_kg_m2 is not None
        else say("curves.title_age", sex=wording.sex(question.sex)),
        x_title=f"{say('field.age')}, {say('unit.of_years')}",
        y_title=wording.measure_with_unit(registry, question.measure),
        at=question.age_years,
        value=question.value,
        hue=charts.LIGHT.hue[question.sex],
        notes=[
            definition(measure, question.measure),
            f"{say('footer.population')} {snapshot.reference_population(snapshot.analysis_set())}",
            say("footer.research_use").replace("*", ""),
            f"{say('footer.analysis_set')} {snapshot.analysis_set()['analysis_set']}. {say('footer.snapshot')} {snapshot.stamp()}",
        ],
        ribbon=say("top.synthetic") if snapshot.analysis_set()["is_synthetic"] else "",
    )
    spoken = language.current()
    st.download_button(
        say("percentile.report"),
        data=lambda: report.as_pdf(page, spoken),
        file_name="myonorm-report.pdf",
        mime="application/pdf",
        icon=":material/print:",
        on_click="ignore",
    )


def sentence(answer: Answer, unit: str) -> tuple[str, str]:
    """Return an answer as headline and explanation in plain text."""
    peers = say("percentile.among", peers=answer.question.peers)
    median, p10, p90 = (quantile(answer.lms, z) for z in (0, -Z90, Z90))
    norm = say("percentile.median_and_range", median=median, low=p10, high=p90, unit=unit)
    if answer.percentile is None:
        return say("percentile.median", value=median, unit=unit), f"{peers}. {norm}."
    limits = limits_of(answer) if pd.notna(answer.low) else ""
    return wording.ordinal_percentile(answer.percentile), f"{peers}. {limits}. {norm}."


main()
