"""`make norms-report`: one page on how well the norms describe their people, from the current snapshot's aggregate file.

What belongs here: which figures and tables of schema norms a reader needs to believe a centile, and how they read. The numbers are
made by `models.statistics.calibration`, and suppressed where they rest on few persons.
"""

import argparse
import sys
from html import escape
from io import BytesIO
from pathlib import Path

import duckdb
import pandas as pd
from great_tables import GT, loc, style

from dagster_project.paper_tables import ACCENT, FONTS, INK, MUTED, RULE, SEX, name_source, style_table
from dagster_project.settings import load_settings

MODELS = """
    SELECT registry.label || ', ' || registry.unit AS label, model.*,
        (SELECT max(abs(observed_pct - centile)) FROM norms.coverage AS coverage
            WHERE (coverage.measure, coverage.sex, coverage.covariates) = (model.measure, model.sex, model.covariates)
                AND age_band IS NULL AND bmi_band IS NULL) AS off_points,
        (SELECT avg(gain_pct) FROM norms.pinball_loss AS loss
            WHERE (loss.measure, loss.sex, loss.covariates) = (model.measure, model.sex, model.covariates)) AS gain_pct,
        (SELECT arg_min(family, gaic3) FROM norms.family AS family
            WHERE (family.measure, family.sex, family.covariates) = (model.measure, model.sex, model.covariates)) AS best_family,
        (SELECT any_value(largest_shift_points) FROM norms.shift AS shift
            WHERE (shift.measure, shift.sex, shift.covariates) = (model.measure, model.sex, model.covariates)
                AND comparison = 'without warned cases') AS warned_points,
        (SELECT any_value(largest_shift_points) FROM norms.shift AS shift
            WHERE (shift.measure, shift.sex, shift.covariates) = (model.measure, model.sex, model.covariates)
                AND comparison = 'last publication') AS last_points
    FROM norms.centile_model AS model JOIN ref.measure AS registry USING (measure)
    ORDER BY registry.rowid, sex, covariates DESC
"""
WORM = "FROM norms.worm WHERE measure = $measure AND covariates = 'age,bmi' ORDER BY sex, age_band, z"
COVERAGE = """
    SELECT coalesce(sex, '') AS sex, coalesce(age_band, 'all ages') AS age_band, centile, observed_pct, p_holm,
        z1, z2, z3, z4, coverage.n
    FROM norms.coverage AS coverage
    LEFT JOIN norms.q_statistic AS q USING (measure, sex, covariates, age_band)
    WHERE measure = $measure AND covariates = 'age,bmi' AND bmi_band IS NULL
    ORDER BY sex, age_band NULLS LAST, centile
"""
COLUMNS = {
    "n": ("Persons", 0),
    "effective_df": ("Effective df", 1),
    "off_points": ("Largest miss, points", 2),
    "z_mean": ("Mean z", 3),
    "z_sd": ("SD of z", 3),
    "z_skewness": ("Skewness", 2),
    "z_kurtosis": ("Excess kurtosis", 2),
    "gain_pct": ("Gain on bands, %", 1),
    "best_family": ("Family by GAIC(3)", None),
    "warned_points": ("Shift without warned, points", 2),
    "last_points": ("Shift since last, points", 2),
}
LIMITS_OF_MISS = 0.05
INTRODUCTION = (
    "Largest miss: share of persons below a centile against its name, each person scored by a fit that did not see them. z-scores"
    " have mean 0, SD 1, skewness and excess kurtosis 0 where the model is right. Gain: cross-validated pinball loss against the"
    " study's banded percentiles; positive where the model wins. Shifts: of the centile that moved most."
)
READ_WORM = (
    "Worm plots (van Buuren and Fredriks 2001): z-scores' quantiles less those of the normal distribution, by age band. A flat worm"
    " inside the grey limits (95 %, each point on its own) is a right model; one that rises or falls has the wrong spread, a bent one"
    " the wrong skewness, one above or below 0 the wrong median."
)
READ_COVERAGE = (
    "Percent of persons observed below each centile, and Q statistics Z1 to Z4 (median, spread, skewness, kurtosis; beyond ±2 is"
    " unusual in one band). Bold: off with p < 0.05 after Holm's correction over all norms."
)


def render_report(connection: duckdb.DuckDBPyConnection) -> str:
    """The page as HTML without scripts or links, from a published file."""
    models = connection.execute(MODELS).df()
    parts = [f"<h1>How well the norms fit</h1><p>{name_source(connection)}</p>"]
    if models.empty:
        parts.append("<p>This snapshot has no norms.</p>")
    else:
        parts += [f"<p>{INTRODUCTION}</p>", style_table(_summarise(models)).as_raw_html(), f"<p>{READ_WORM}</p>"]
        parts.append(f"<p>{READ_COVERAGE}</p>")
        for measure, label in models[models["refusal"].isna()][["measure", "label"]].drop_duplicates().values:
            parts.append(f"<h2>{escape(label)}</h2>")
            parts.append(draw_worms(connection.execute(WORM, {"measure": measure}).df()))
            parts.append(style_table(_cover(connection.execute(COVERAGE, {"measure": measure}).df())).as_raw_html())
    css = f"body {{ font-family: {', '.join(FONTS)}; color: {INK}; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }}"
    css += f"p {{ color: {MUTED}; font-size: 14px; line-height: 1.5; max-width: 60rem; }} h2 {{ margin-top: 3rem; }} svg {{ width: 100%; height: auto; }}"
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Norms</title><style>{css}</style>{"".join(parts)}</html>'


def draw_worms(worm: pd.DataFrame) -> str:
    """Worm plots as SVG: one row a sex, one column an age band; gaps where few persons lie beyond a point."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    sexes, bands = sorted(worm["sex"].unique()), sorted(worm["age_band"].unique())
    if not sexes:
        return ""
    figure = Figure(figsize=(11, 1.9 * len(sexes) + 0.5), layout="constrained")
    grid = figure.subplots(len(sexes), len(bands), sharex=True, sharey=True, squeeze=False)
    for (sex, band), own in worm.groupby(["sex", "age_band"]):
        axes = grid[sexes.index(sex)][bands.index(band)]
        axes.fill_between(own["z"], own["ci_low"], own["ci_high"], color=RULE, linewidth=0)
        axes.axhline(0, color=MUTED, linewidth=0.6)
        axes.plot(own["z"], own["deviation"], color=ACCENT, linewidth=1.6)
    for row, sex in zip(grid, sexes, strict=True):
        row[0].set_ylabel(f"{SEX[sex]}\ndeviation, z", color=INK, fontsize=9)
    for axes, band in zip(grid[0], bands, strict=True):
        axes.set_title(f"{band.replace('-', '–')} years", fontsize=9, color=INK, loc="left")
    for axes in grid.ravel():
        axes.set_xlim(-2.5, 2.5), axes.set_ylim(-0.5, 0.5)
        axes.tick_params(labelsize=8, colors=MUTED, length=0)
        axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("z", fontsize=9, color=MUTED)
    picture = BytesIO()
    with rc_context({"svg.hashsalt": "norms"}):
        figure.savefig(picture, format="svg", transparent=True, metadata={"Date": None})
    text = picture.getvalue().decode()
    return text[text.index("<svg") :]


def _summarise(models: pd.DataFrame) -> GT:
    rows = models.assign(
        row=[
            f"{SEX[sex]}, {'age and BMI' if covariates == 'age,bmi' else 'age alone'}"
            for sex, covariates in zip(models["sex"], models["covariates"], strict=True)
        ]
    )
    table = GT(rows[["label", "row", *COLUMNS]], rowname_col="row", groupname_col="label")
    for name, (_, places) in COLUMNS.items():
        if places is not None:
            table = table.fmt_number(columns=name, decimals=places)
    table = table.cols_label({name: heading for name, (heading, _) in COLUMNS.items()}).sub_missing(missing_text="–")
    refused = rows.loc[rows["refusal"].notna(), ["label", "row", "refusal"]].agg(": ".join, axis=1)
    return table.tab_source_note("; ".join(refused)) if len(refused) else table


def _cover(coverage: pd.DataFrame) -> GT:
    """One row a sex and age band, one column a centile; cells off after Holm's correction are bold."""
    coverage = coverage.assign(sex=coverage["sex"].map(SEX), age_band=coverage["age_band"].str.replace("-", "–"))
    index = ["sex", "age_band"]
    observed, p = (
        coverage.pivot_table(index=index, columns="centile", values=name, sort=False, dropna=False)
        for name in ("observed_pct", "p_holm")
    )
    q = coverage.drop_duplicates(index).set_index(index)[["z1", "z2", "z3", "z4"]]
    wide = observed.add_prefix("P").join(q)
    table = GT(wide.reset_index(), rowname_col="age_band", groupname_col="sex").sub_missing(missing_text="–")
    table = table.fmt_number(columns=list(wide), decimals=1).cols_label({name: name.upper() for name in q})
    for centile in observed:
        rows = [row for row, value in enumerate(p[centile]) if value < LIMITS_OF_MISS]
        if rows:
            table = table.tab_style(style.text(weight="bold"), loc.body(columns=[f"P{centile}"], rows=rows))
    return table


def main() -> int:
    """Command line: the file to write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default="export/norms.html", type=Path)
    path = parser.parse_args().file
    snapshot = (load_settings().snapshots / "current" / "normative.duckdb").resolve()
    if not snapshot.is_file():
        print("failed: there is no published snapshot yet: run `make update RELEASE=<name>` first.", file=sys.stderr)
        return 1
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        page = render_report(connection)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
