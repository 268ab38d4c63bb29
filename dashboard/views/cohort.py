"""Page: the cohort behind the norms, as the study's tables and figures show it.

Belongs here: characteristics, percentiles by band, associations, spatial distribution, participant flow, all aggregated already.
Does not belong here: statistics (models/statistics), suppression (it happened before publication), one person's percentile.
"""

import pandas as pd
import streamlit as st

from dashboard import charts, snapshot, tables, wording

FIRST_MEASURE = "csa_psoas_total_cm2"
BANDS = {"age": ("By age", "Age, years"), "bmi": ("By BMI class", "BMI, kg/m²")}
GROUPS = {"age": "Age group", "bmi_group": "BMI group"}
SIDES = ("left", "right")

CHARACTERISTICS = """
SELECT measure, sex, n, mean, sd, ci_low, ci_high
FROM stats.descriptive
JOIN ref.measure AS registry USING (measure)
WHERE sex IS NOT NULL AND age_band IS NULL AND bmi_band IS NULL
ORDER BY kind <> 'covariate', registry.rowid, sex
"""
COMPOSITION = """
SELECT kind, band, sex, n, pct
FROM stats.descriptive
JOIN ref.band ON (kind = 'age' AND measure = 'age_years' AND bmi_band IS NULL AND age_band = band)
    OR (kind = 'bmi' AND measure = 'bmi_kg_m2' AND age_band IS NULL AND bmi_band = band)
WHERE sex IS NOT NULL
ORDER BY kind, position, sex
"""
BAND_PERCENTILES = """
SELECT band, sex, n, p10, p25, p50, p50_low, p50_high, p75, p90
FROM stats.band_percentile
JOIN ref.band ON (kind = 'age' AND bmi_band IS NULL AND age_band = band)
    OR (kind = 'bmi' AND age_band IS NULL AND bmi_band = band)
WHERE kind = $kind AND measure = $measure AND sex IS NOT NULL
ORDER BY sex, position
"""
CORRELATIONS = """
SELECT measure, covariate, sex, n, r, ci_low, ci_high, strength
FROM stats.correlation
JOIN ref.measure AS registry USING (measure)
WHERE sex IS NOT NULL AND kind <> 'covariate'
ORDER BY sex, registry.rowid, list_position(['age_years', 'height_cm', 'weight_kg', 'bmi_kg_m2'], covariate)
"""
REGRESSION = """
SELECT measure, sex, term, n, estimate, ci_low, ci_high, r_squared
FROM stats.regression
JOIN ref.measure AS registry USING (measure)
WHERE model = $model AND kind <> 'covariate'
ORDER BY sex, registry.rowid, term <> 'Intercept', regression.rowid
"""
PROFILE = """
SELECT sex, 5 * (bin // 5) + 2.5 AS position_pct, band AS "group", sum(mean_share_pct) AS share_pct
FROM stats.profile
JOIN ref.band ON (kind = 'age' AND bmi_group IS NULL AND age_band = band)
    OR (kind = 'bmi_group' AND age_band IS NULL AND bmi_group = band)
WHERE kind = $kind AND compartment = $compartment AND side = $side AND sex IS NOT NULL AND mean_share_pct IS NOT NULL
GROUP BY sex, bin // 5, band, position
ORDER BY position, position_pct
"""
FLOW = """
SELECT step, reason, n
FROM stats.participant_flow
JOIN ref.analysis_set USING (study, source, model_version)
ORDER BY position, reason NULLS LAST
"""


def main() -> None:
    """Show the page."""
    st.title("The cohort", anchor=False)
    registry = snapshot.measures()
    characteristics, percentiles, associations, distribution, flow = st.tabs(
        ["Characteristics", "Percentiles", "Associations", "Spatial distribution", "Participant flow"],
        key="part",
        bind="query-params",
    )
    with characteristics:
        show_characteristics(registry)
        show_composition()
    with percentiles:
        show_percentiles(registry)
    with associations:
        show_correlations(registry)
        show_regressions(registry)
    with distribution:
        show_spatial_distribution()
    with flow:
        show_flow()


def show_characteristics(registry: pd.DataFrame) -> None:
    """Show persons, means and SDs of covariates and measures by sex: the study's Table 1."""
    rows = snapshot.query(CHARACTERISTICS)
    texts = pd.DataFrame(
        {
            "Characteristic": [measure_name(registry, row.measure) for row in rows.itertuples()],
            "sex": rows["sex"],
            "Persons": [wording.count(row.n) for row in rows.itertuples()],
            "Mean": [wording.number(row.mean, wording.decimals(row.sd)) for row in rows.itertuples()],
            "SD": [wording.number(row.sd, wording.decimals(row.sd)) for row in rows.itertuples()],
            "95 % CI of the mean": [
                wording.interval(row.ci_low, row.ci_high, wording.decimals(row.sd)) for row in rows.itertuples()
            ],
        }
    )
    show_table(by_sex(texts, "Characteristic"))


def show_composition() -> None:
    """Show how many persons are in each age band and BMI class."""
    rows = snapshot.query(COMPOSITION)
    for column, (kind, (_, title)) in zip(st.columns(2, gap="large"), BANDS.items(), strict=True):
        of_kind = rows[rows["kind"] == kind]
        texts = pd.DataFrame(
            {
                title: of_kind["band"].map(wording.band),
                "sex": of_kind["sex"],
                "Persons": [wording.count(n) for n in of_kind["n"]],
                "Share, %": [wording.number(pct, 1) for pct in of_kind["pct"]],
            }
        )
        with column:
            show_table(by_sex(texts, title))


def show_percentiles(registry: pd.DataFrame) -> None:
    """Show the percentiles of one measure by age band and by BMI class: the study's Figures 5 and 6."""
    measures = registry.index[registry["kind"] != "covariate"].tolist()
    measure = st.selectbox(
        "Measure",
        measures,
        index=measures.index(FIRST_MEASURE),
        format_func=registry["label"].get,
        key="measure",
        bind="query-params",
        width=360,
    )
    for column, kind in zip(st.columns(2, gap="large"), BANDS, strict=True):
        with column:
            show_bands(kind, measure, measure_name(registry, measure))


def show_bands(kind: str, measure: str, y_title: str) -> None:
    """Show chart and table of one measure by the bands of one kind."""
    title, x_title = BANDS[kind]
    st.markdown(f"**{title}**")
    rows = snapshot.query(BAND_PERCENTILES, {"kind": kind, "measure": measure})
    rows["band"] = rows["band"].map(wording.band)
    if rows["p50"].notna().any():
        description = f"P10, P25, P50, P75 and P90 of {y_title}. {title} and sex."
        st.altair_chart(charts.banded_percentiles(rows, x_title, y_title, description), theme=None, width="stretch")
    places = wording.decimals(rows["p50"].median())
    texts = pd.DataFrame(
        {
            "sex": rows["sex"].map(wording.SEX),
            x_title: rows["band"],
            "Persons": rows["n"].map(wording.count),
            "P10": [wording.number(value, places) for value in rows["p10"]],
            "P50 (95 % CI)": [
                wording.with_interval(row.p50, row.p50_low, row.p50_high, places) for row in rows.itertuples()
            ],
            "P90": [wording.number(value, places) for value in rows["p90"]],
        }
    )
    show_table(texts.set_index(["sex", x_title]).rename_axis(["", x_title]))


def show_correlations(registry: pd.DataFrame) -> None:
    """Show Pearson's r of the measures with age and body size: the study's Table 4."""
    st.markdown("**Correlation**, Pearson's r (95 % CI)")
    rows = snapshot.query(CORRELATIONS)
    texts = pd.DataFrame(
        {
            "sex": rows["sex"].map(wording.SEX),
            "measure": rows["measure"].map(registry["label"]),
            "covariate": rows["covariate"].map(registry["label"]),
            "text": [correlation_text(row) for row in rows.itertuples()],
        }
    )
    show_table(
        texts.set_index(["sex", "measure", "covariate"])["text"].unstack(sort=False).rename_axis(["", "Measure"])
    )


def correlation_text(row: tuple) -> str:
    """Return for example `strong 0.62 (0.60–0.63)`."""
    if pd.isna(row.r):
        return wording.SUPPRESSED
    return f"{row.strength} {wording.with_interval(row.r, row.ci_low, row.ci_high, 2)}"


def show_regressions(registry: pd.DataFrame) -> None:
    """Show one linear model for all measures."""
    models = snapshot.query("FROM ref.regression_model").set_index("model")["label"]
    model = st.selectbox(
        "Linear regression on",
        models.index.tolist(),
        index=len(models) - 1,
        format_func=models.get,
        key="model",
        bind="query-params",
        width=360,
    )
    rows = snapshot.query(REGRESSION, {"model": model})
    rows = rows.assign(
        sex=rows["sex"].map(wording.SEX).fillna(wording.POOLED), measure=rows["measure"].map(registry["label"])
    )
    texts = pd.DataFrame(
        {
            "sex": rows["sex"],
            "measure": rows["measure"],
            "term": rows["term"].map(term_names(registry)),
            "text": [wording.estimate(row.estimate, row.ci_low, row.ci_high) for row in rows.itertuples()],
        }
    )
    table = texts.set_index(["sex", "measure", "term"])["text"].unstack(sort=False)
    whole = rows.drop_duplicates(["sex", "measure"]).set_index(["sex", "measure"])
    table["R²"] = whole["r_squared"].map(lambda share: wording.number(share, 3))
    table["Persons"] = whole["n"].map(wording.count)
    show_table(table.rename_axis(["", "Measure"]))
    st.caption("Estimates (95 % CI, HC3 errors) in the unit of the measure, per unit of the covariate.")


def term_names(registry: pd.DataFrame) -> dict[str, str]:
    """Return the terms of regressions as shown to people."""
    covariates = {measure: measure_name(registry, measure) for measure in registry.index}
    return {"Intercept": "Intercept", "sex_male": "Men against women"} | covariates


def show_spatial_distribution() -> None:
    """Show where along its length a muscle has its area: the study's Figure 7."""
    compartments = snapshot.query("SELECT DISTINCT compartment FROM stats.profile ORDER BY compartment DESC")[
        "compartment"
    ]
    if compartments.empty:
        st.caption("This analysis set has no area profiles.")
        return
    with st.container(horizontal=True, gap="large"):
        compartment = choose("Muscle", compartments.tolist(), "compartment")
        side = choose("Side", list(SIDES), "side")
        kind = choose("Lines by", list(GROUPS), "lines")
    rows = snapshot.query(PROFILE, {"kind": kind, "compartment": compartment, "side": side})
    rows["group"] = rows["group"].map(wording.band)
    for column, sex in zip(st.columns(2, gap="large"), wording.SEX, strict=True):
        with column:
            st.markdown(f"**{wording.SEX[sex]}**")
            description = f"Share of the area of the {side} {compartment} along its length. {wording.SEX[sex]}, by {GROUPS[kind]}."
            chart = charts.spatial_distribution(rows[rows["sex"] == sex], sex, description)
            st.altair_chart(chart, theme=None, width="stretch")


def choose(label: str, options: list[str], key: str) -> str:
    """Return the chosen option; the first is the default."""
    return st.segmented_control(
        label,
        options,
        default=options[0],
        required=True,
        format_func=lambda option: GROUPS.get(option, option.capitalize()),
        key=key,
        bind="query-params",
    )


def show_flow() -> None:
    """Show what became of every participant: counts that add up."""
    rows = snapshot.query(FLOW)
    is_left = rows["reason"].isna()
    texts = pd.DataFrame(
        {
            "Step": [flow_name(row.step, row.reason) for row in rows.itertuples()],
            "Excluded": rows["n"].map(wording.count).mask(is_left, ""),
            "Persons left": rows["n"].map(wording.count).where(is_left, ""),
        }
    )
    show_table(texts.set_index("Step"))


def flow_name(step: str, reason: str | None) -> str:
    """Return the name of a step, or indented the reason of an exclusion."""
    return step[0].upper() + step[1:] if pd.isna(reason) else "\u2003" + reason.replace("_", " ")


def measure_name(registry: pd.DataFrame, measure: str) -> str:
    """Return label and unit of a measure."""
    return f"{registry.loc[measure, 'label']}, {registry.loc[measure, 'unit']}"


def by_sex(texts: pd.DataFrame, rows: str) -> pd.DataFrame:
    """Return the table with women's columns before men's."""
    wide = texts.set_index([rows, "sex"]).unstack(sort=False).swaplevel(axis="columns")
    return (
        wide[[sex for sex in wording.SEX if sex in wide]].rename(columns=wording.SEX).rename_axis(columns=[None, None])
    )


def show_table(texts: pd.DataFrame) -> None:
    """Show a table of texts, or that there is none."""
    if texts.empty:
        st.caption("Nothing of this in the snapshot.")
    else:
        st.html(tables.to_html(texts))


main()
