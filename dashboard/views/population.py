"""Page: the population behind the norms, as the study's tables and figures show it.

Belongs here: percentiles by band, the map of age and BMI, characteristics, associations, all aggregated already.
Does not belong here: statistics (models/statistics), suppression (it happened before publication), one person's percentile.
"""

import pandas as pd
import streamlit as st

from dashboard import charts, links, parts, snapshot, wording
from dashboard.language import name, say

KINDS = ("age", "bmi")
COVARIATES = "['age_years', 'height_cm', 'weight_kg', 'bmi_kg_m2']"

CHARACTERISTICS = """
SELECT measure, sex, n, mean, sd, ci_low, ci_high, suppression
FROM stats.descriptive
JOIN ref.measure AS registry USING (measure)
WHERE sex IS NOT NULL AND age_band IS NULL AND bmi_band IS NULL
ORDER BY kind <> 'covariate', registry.rowid, sex
"""
COMPOSITION = """
SELECT kind, band, sex, n, pct, suppression
FROM stats.descriptive
JOIN ref.band ON (kind = 'age' AND measure = 'age_years' AND bmi_band IS NULL AND age_band = band)
    OR (kind = 'bmi' AND measure = 'bmi_kg_m2' AND age_band IS NULL AND bmi_band = band)
WHERE sex IS NOT NULL
ORDER BY kind, position, sex
"""
BAND_PERCENTILES = """
SELECT band, sex, n, p10, p25, p50, p50_low, p50_high, p75, p90, suppression
FROM stats.band_percentile
JOIN ref.band ON (kind = 'age' AND bmi_band IS NULL AND age_band = band)
    OR (kind = 'bmi' AND age_band IS NULL AND bmi_band = band)
WHERE kind = $kind AND measure = $measure AND sex IS NOT NULL
ORDER BY sex, position
"""
CELLS = """
SELECT age_band, bmi_band, sex, n, p50, suppression
FROM stats.band_percentile
JOIN ref.band AS age ON age.kind = 'age' AND age_band = age.band
JOIN ref.band AS bmi ON bmi.kind = 'bmi' AND bmi_band = bmi.band
WHERE measure = $measure AND sex IS NOT NULL
ORDER BY sex, age.position, bmi.position
"""
GRID = """
SELECT sex, age_years, bmi_kg_m2, m AS median, n_near AS n
FROM norms.lms
WHERE measure = $measure AND bmi_kg_m2 IS NOT NULL AND m IS NOT NULL
ORDER BY ALL
"""
CORRELATIONS = f"""
SELECT measure, covariate, sex, n, r, ci_low, ci_high, strength, spearman, p_holm, suppression
FROM stats.correlation
JOIN ref.measure AS registry USING (measure)
WHERE sex IS NOT NULL AND kind <> 'covariate'
ORDER BY sex, registry.rowid, list_position({COVARIATES}, covariate)
"""
REGRESSION = """
SELECT measure, sex, term, n, estimate, ci_low, ci_high, regression.unit, r_squared, p_holm, suppression
FROM stats.regression
JOIN ref.measure AS registry USING (measure)
WHERE model = $model AND registry.kind <> 'covariate'
ORDER BY sex, registry.rowid, term <> 'Intercept', regression.rowid
"""


def main() -> None:
    """Show the page."""
    st.title(say("page.population"), anchor=False)
    registry = snapshot.measures()
    shows = {
        "bands": show_percentiles,
        "map": show_map,
        "characteristics": show_characteristics,
        "correlation": show_correlations,
        "regression": show_regressions,
    }
    part = links.choose(
        say("population.part"),
        list(shows),
        "part",
        lambda code: say(f"population.{code}"),
        label_visibility="collapsed",
    )
    shows[part](registry)


def choose_measure(registry: pd.DataFrame) -> str:
    """Ask for a measure that is no covariate."""
    measures = registry.index[registry["kind"] != "covariate"].tolist()
    return links.choose(
        say("field.measure"), measures, "measure", lambda code: wording.measure(registry, code), snapshot.FIRST_MEASURE, True,
        width=360,
    )  # fmt: skip


def show_percentiles(registry: pd.DataFrame) -> None:
    """Show the percentiles of one measure by age band and by BMI class: the study's Figures 5 and 6."""
    measure = choose_measure(registry)
    st.caption(say("population.box"))
    for column, kind in zip(st.columns(2, gap="large"), KINDS, strict=True):
        with column:
            show_bands(kind, measure, wording.measure_with_unit(registry, measure))


def show_bands(kind: str, measure: str, y_title: str) -> None:
    """Show chart and table of one measure by the bands of one kind."""
    title, x_title = say(f"population.by_{kind}"), say(f"population.{kind}_title")
    parts.heading(title)
    rows = snapshot.query(BAND_PERCENTILES, {"kind": kind, "measure": measure})
    shown = rows.assign(band=rows["band"].map(wording.band))
    if shown["p50"].notna().any():
        sexes = {code: wording.sex(code) for code in wording.SEXES}
        chart = charts.banded_percentiles(shown, x_title, y_title, sexes, parts.look())
        description = say("population.band_description", measure=y_title, title=title)
        parts.show_chart(chart, description, rows, f"{measure} by {kind}")
    places = wording.decimals(rows["p50"].median())
    texts = pd.DataFrame(
        {
            "sex": rows["sex"].map(wording.sex),
            x_title: shown["band"],
            say("column.persons"): [wording.count(row.n, row.suppression) for row in rows.itertuples()],
            "P10": [wording.number(value, places) for value in rows["p10"]],
            f"P50 ({say('column.ci')})": [
                wording.with_interval(row.p50, row.p50_low, row.p50_high, places) for row in rows.itertuples()
            ],
            "P90": [wording.number(value, places) for value in rows["p90"]],
        }
    )
    parts.show_table(texts.set_index(["sex", x_title]).rename_axis(["", x_title]), caption=f"{y_title}, {title}")


def show_map(registry: pd.DataFrame) -> None:
    """Show the median of one measure over age and BMI with the number of persons: by band, or by year and kg/m2."""
    with st.container(horizontal=True, gap="large", vertical_alignment="bottom"):
        measure = choose_measure(registry)
        cells = links.choose(
            say("population.cells"), ["median", "n", "bands"], "cells", lambda code: say(f"population.cells_{code}")
        )
    if cells == "bands":
        show_banded_map(measure, registry)
    else:
        show_fine_map(measure, cells, registry)


def show_fine_map(measure: str, field: str, registry: pd.DataFrame) -> None:
    """Show the median of the norms, or the persons behind it, at every year and kg/m2."""
    st.caption(say("population.fine_note"))
    grid = snapshot.query(GRID, {"measure": measure})
    label = wording.measure_with_unit(registry, measure)
    titles = {
        "age_years": say("population.age_title"),
        "bmi_kg_m2": say("population.bmi_title"),
        "median": label,
        "n": say("column.persons_near"),
    }
    for column, sex in zip(st.columns(2, gap="large"), wording.SEXES, strict=True):
        of_sex = grid[grid["sex"] == sex]
        with column:
            parts.heading(f"{wording.sex(sex)}: {titles[field]}")
            if of_sex.empty:
                parts.show_nothing(say("percentile.no_norms"))
                continue
            chart = charts.fine_map(of_sex, field, titles, parts.look())
            description = say("population.map_description", measure=titles[field], sex=wording.sex(sex))
            parts.show_chart(chart, description, of_sex, f"{measure} norms {sex}")


def show_banded_map(measure: str, registry: pd.DataFrame) -> None:
    """Show the median of one measure by age band and BMI class, with the number of persons in each cell."""
    st.caption(say("population.map_note"))
    rows = snapshot.query(CELLS, {"measure": measure})
    if rows["p50"].isna().all():
        parts.show_nothing(say("cell.all_suppressed"))
        return
    places = wording.decimals(rows["p50"].median())
    label = wording.measure_with_unit(registry, measure)
    for column, sex in zip(st.columns(2, gap="large"), wording.SEXES, strict=True):
        of_sex = rows[rows["sex"] == sex]
        cells = pd.DataFrame(
            {
                "age": of_sex["age_band"].map(wording.band),
                "bmi": of_sex["bmi_band"].map(wording.band),
                "median": of_sex["p50"],
                "value": [wording.number(value, places) if pd.notna(value) else "" for value in of_sex["p50"]],
                "count": [cell_count(row) for row in of_sex.itertuples()],
            }
        )
        with column:
            parts.heading(wording.sex(sex))
            chart = charts.heat_map(
                cells, say("population.age_title"), say("population.bmi_title"), label, parts.look()
            )
            description = say("population.map_description", measure=label, sex=wording.sex(sex))
            parts.show_chart(chart, description, of_sex, f"{measure} map {sex}")


def cell_count(row: tuple) -> str:
    """Return how many persons a cell holds, or why that is not shown."""
    return f"n {wording.number(row.n, 0)}" if pd.notna(row.n) else wording.count(row.n, row.suppression)


def show_characteristics(registry: pd.DataFrame) -> None:
    """Show persons, means and SDs of covariates and measures by sex, and persons by band: the study's Table 1."""
    rows = snapshot.query(CHARACTERISTICS)
    texts = pd.DataFrame(
        {
            "row": [wording.measure_with_unit(registry, row.measure) for row in rows.itertuples()],
            "sex": rows["sex"],
            say("column.persons"): [wording.count(row.n, row.suppression) for row in rows.itertuples()],
            say("column.mean"): [wording.number(row.mean, wording.decimals(row.sd)) for row in rows.itertuples()],
            say("column.sd"): [wording.number(row.sd, wording.decimals(row.sd)) for row in rows.itertuples()],
            say("column.ci_of_mean"): [
                wording.interval(row.ci_low, row.ci_high, wording.decimals(row.sd)) for row in rows.itertuples()
            ],
        }
    )
    parts.show_table(by_sex(texts, say("column.characteristic")), rows, "table 1", say("population.characteristics"))
    rows = snapshot.query(COMPOSITION)
    for column, kind in zip(st.columns(2, gap="large"), KINDS, strict=True):
        of_kind = rows[rows["kind"] == kind]
        texts = pd.DataFrame(
            {
                "row": of_kind["band"].map(wording.band),
                "sex": of_kind["sex"],
                say("column.persons"): [wording.count(row.n, row.suppression) for row in of_kind.itertuples()],
                say("column.share"): [wording.number(pct, 1) for pct in of_kind["pct"]],
            }
        )
        with column:
            parts.show_table(
                by_sex(texts, say(f"population.{kind}_title")),
                of_kind,
                f"persons by {kind}",
                say(f"population.by_{kind}"),
            )


def show_correlations(registry: pd.DataFrame) -> None:
    """Show Pearson's r of the measures with age and body size: the study's Table 4."""
    st.caption(say("population.correlation_note"))
    rows = snapshot.query(CORRELATIONS)
    texts = pd.DataFrame(
        {
            "sex": rows["sex"].map(wording.sex),
            "measure": [wording.measure(registry, code) for code in rows["measure"]],
            "covariate": [wording.measure(registry, code) for code in rows["covariate"]],
            "text": [correlation_text(row) for row in rows.itertuples()],
        }
    )
    wide = texts.set_index(["sex", "measure", "covariate"])["text"].unstack(sort=False)
    parts.show_table(wide.rename_axis(["", say("field.measure")]), rows, "table 4", say("population.correlation"))


def correlation_text(row: tuple) -> str:
    """Return for example `strong 0.62 (0.60–0.63)`."""
    if pd.isna(row.r):
        return wording.count(row.n, row.suppression)
    return f"{name('strength', row.strength, row.strength)} {wording.with_interval(row.r, row.ci_low, row.ci_high, 2)}"


def show_regressions(registry: pd.DataFrame) -> None:
    """Show one linear model for all measures."""
    models = snapshot.query("FROM ref.regression_model").set_index("model")["label"]
    model = links.choose(
        say("population.model"), models.index.tolist(), "model", lambda code: name("model", code, models[code]),
        models.index[-1], True, width=360,
    )  # fmt: skip
    rows = snapshot.query(REGRESSION, {"model": model})
    shown = rows.assign(
        sex=rows["sex"].map(wording.sex), measure=[wording.measure(registry, code) for code in rows["measure"]]
    )
    texts = pd.DataFrame(
        {
            "sex": shown["sex"],
            "measure": shown["measure"],
            "term": [term_name(term, registry) for term in rows["term"]],
            "text": [wording.estimate(row.estimate, row.ci_low, row.ci_high) for row in rows.itertuples()],
        }
    )
    table = texts.set_index(["sex", "measure", "term"])["text"].unstack(sort=False)
    whole = shown.drop_duplicates(["sex", "measure"]).set_index(["sex", "measure"])
    table["R²"] = whole["r_squared"].map(lambda share: wording.number(share, 3))
    table[say("column.persons")] = whole["n"].map(wording.count)
    parts.show_table(
        table.rename_axis(["", say("field.measure")]), rows, f"regression {model}", say("population.regression")
    )
    st.caption(say("population.regression_note"))


def term_name(term: str, registry: pd.DataFrame) -> str:
    """Return a term of a regression as shown to people."""
    if term in registry.index:
        return wording.measure_with_unit(registry, term)
    return name("term", term, term)


def by_sex(texts: pd.DataFrame, rows: str) -> pd.DataFrame:
    """Return the table with women's columns before men's."""
    wide = texts.set_index(["row", "sex"]).unstack(sort=False).swaplevel(axis="columns").rename_axis(rows)
    names = {code: wording.sex(code) for code in wording.SEXES if code in wide}
    return wide[list(names)].rename(columns=names).rename_axis(columns=[None, None])


main()
