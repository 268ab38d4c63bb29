"""Tables 1 to 4 of the study as HTML pages, from the stats schema of a published file.

What belongs here: which rows and columns, and how they read. The numbers come from the file as they are shown there.
"""

import re
from collections.abc import Callable

import duckdb
import pandas as pd
from great_tables import GT, html, loc, style

SEX = {"F": "Women", "M": "Men", "": "Both"}
HELD_BACK = ("suppressed", "withheld")
SYNTHETIC = "Synthetic data: nobody in it is a real person."
KEPT = " Some numbers are those of an earlier snapshot: too few persons changed since to show new ones."
PLUS_MINUS = "\u00a0±\u00a0"
FONTS = ("Inter", "Helvetica Neue", "Arial", "sans-serif")
INK, MUTED, ACCENT, RULE = "#1f2933", "#5f6c76", "#0f766e", "#d9dfe3"
TABLE_1 = """
    SELECT label || ', ' || unit AS characteristic, sex, n, pct, mean, sd, ci_low, ci_high, suppression
    FROM stats.descriptive JOIN ref.measure AS registry USING (measure)
    WHERE age_band IS NULL AND bmi_band IS NULL
    ORDER BY registry.kind <> 'covariate', registry.rowid, sex NULLS LAST
"""
TABLE_1_BANDS = """
    SELECT if(kind = 'age', 'Age ' || band || ' years', 'BMI ' || band || ' kg/m2') AS characteristic, sex, n, pct, suppression
    FROM stats.descriptive
    JOIN ref.band
        ON (kind = 'age' AND measure = 'age_years' AND bmi_band IS NULL AND age_band = band)
        OR (kind = 'bmi' AND measure = 'bmi_kg_m2' AND age_band IS NULL AND bmi_band = band)
    ORDER BY kind, position, sex NULLS LAST
"""
TABLE_2 = """
    SELECT role, registry.label || ', ' || unit AS characteristic, measure, sex, n, pct, mean, sd, suppression
    FROM stats.training_set JOIN ref.measure AS registry USING (measure)
    ORDER BY role DESC, registry.rowid, sex NULLS LAST
"""
ROLES = {"train": "Training set", "test": "Held-out cases"}
TABLE_3 = """
    SELECT comparison, validation, model_version, compartment, side, metric, n, mean, sd, suppression
    FROM stats.segmentation_score
    WHERE sex IS NULL AND size_third IS NULL
    ORDER BY comparison, validation, model_version, compartment DESC, side
"""
COMPARISONS = {
    "out_of_fold": "{model}, each case by the fold that did not see it",
    "test": "{model}, held-out cases",
    "intra_reader": "One reader, twice",
    "inter_reader": "Two readers",
}
# Metric -> heading, decimals. Specificity and accuracy are near 1 because most of a volume is background.
METRICS = {
    "dice": ("Dice", 3),
    "surface_dice_3mm": ("Surface Dice, 3\u00a0mm", 3),
    "hd95_mm": ("HD95, mm", 2),
    "precision": ("Precision", 3),
    "recall": ("Recall", 3),
    "specificity": ("Specificity", 4),
    "accuracy": ("Accuracy", 4),
}
TABLE_4 = """
    SELECT registry.label AS measure, sex, other.label AS covariate, n, r, ci_low, ci_high, p_holm, spearman, strength, suppression
    FROM stats.correlation
    JOIN ref.measure AS registry USING (measure)
    JOIN ref.measure AS other ON other.measure = covariate
    WHERE sex IS NOT NULL
    ORDER BY sex, registry.rowid, other.rowid
"""


def render_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """HTML page of every table whose statistics are there: table_1 (cohort), 2 (training set), 3 (scores), 4 (correlations)."""
    tables: dict[str, Callable[[duckdb.DuckDBPyConnection], GT | None]] = {
        "table_1": build_table_1,
        "table_2": build_table_2,
        "table_3": build_table_3,
        "table_4": build_table_4,
    }
    note = name_source(connection)
    built = {name: build(connection) for name, build in tables.items()}
    return {
        name: style_table(table.tab_source_note(html(note))).as_raw_html(make_page=True)
        for name, table in built.items()
        if table is not None
    }


def build_table_1(connection: duckdb.DuckDBPyConnection) -> GT | None:
    """The cohort: persons, mean and SD, interval of the mean; persons and share by band."""
    rows, bands = connection.execute(TABLE_1).df(), connection.execute(TABLE_1_BANDS).df()
    if rows.empty:
        return None
    persons = (
        rows[rows["n"].notna()].sort_values("n", kind="stable").drop_duplicates("sex", keep="last").sort_values("sex")
    )
    persons = persons.assign(section="Persons (share)", characteristic="All")
    persons["text"] = [_share(row) for row in persons.itertuples()]
    means = rows.assign(section="Mean ± SD (95 % CI of the mean)", text=[_mean(row) for row in rows.itertuples()])
    shares = bands.assign(section="Persons (share)", text=[_share(row) for row in bands.itertuples()])
    return _by_sex(pd.concat([persons, shares, means])).tab_header(
        "Table 1. The cohort", "Persons at their first analysed visit, unweighted"
    )


def build_table_2(connection: duckdb.DuckDBPyConnection) -> GT | None:
    """The annotated cases: how many and who they are."""
    rows = connection.execute(TABLE_2).df()
    if rows.empty:
        return None
    rows = rows.assign(section=rows["role"].map(ROLES), ci_low=float("nan"), ci_high=float("nan"))
    persons = rows[rows["measure"] == "age_years"].assign(characteristic="Persons (share)")
    persons["text"] = [_share(row) for row in persons.itertuples()]
    rows["text"] = [_mean(row) for row in rows.itertuples()]
    both = pd.concat([persons, rows]).sort_values("role", ascending=False, kind="stable")
    return _by_sex(both).tab_header("Table 2. Annotated cases", "Mean ± SD at the first annotated visit")


def build_table_3(connection: duckdb.DuckDBPyConnection) -> GT | None:
    """Segmentation scores per compartment and side, over all cases."""
    rows = connection.execute(TABLE_3).df()
    if rows.empty:
        return None
    kind = rows["validation"].fillna(rows["comparison"])
    names = [COMPARISONS[name].format(model=model) for name, model in zip(kind, rows["model_version"], strict=True)]
    persons = rows.assign(metric="Cases", text=[_share(row) for row in rows.assign(pct=float("nan")).itertuples()])
    rows["text"] = [_score(row) for row in rows.itertuples()]
    rows["metric"] = rows["metric"].map({metric: heading for metric, (heading, _) in METRICS.items()})
    rows = pd.concat([persons, rows]).assign(
        section=names * 2, label=lambda table: table["compartment"].str.capitalize() + ",\u00a0" + table["side"]
    )
    wide = rows.pivot_table(index=["section", "label"], columns="metric", values="text", aggfunc="first", sort=False)
    columns = [heading for heading in ("Cases", *(name for name, _ in METRICS.values())) if heading in wide]
    table = GT(wide[columns].reset_index(), rowname_col="label", groupname_col="section")
    table = table.tab_header("Table 3. Segmentation", "Mean ± SD over cases, one per person").cols_align(
        "right", columns
    )
    return _mute_held_back(table.sub_missing(missing_text="–"), wide[columns])


def build_table_4(connection: duckdb.DuckDBPyConnection) -> GT | None:
    """Correlations with age and body size."""
    rows = connection.execute(TABLE_4).df()
    if rows.empty:
        return None
    rows = rows.assign(
        sex=rows["sex"].map(SEX),
        text=[
            row.suppression
            if pd.isna(row.r)
            else f"{_number(row.r, 2)} ({_interval(row.ci_low, row.ci_high, 2)})"
            f"<br><span style='color:{MUTED}'>{row.strength}, ρ {_number(row.spearman, 2)}, p {_p(row.p_holm)}</span>"
            for row in rows.itertuples()
        ],
    )
    covariates = list(dict.fromkeys(rows["covariate"]))
    wide = rows.pivot(index=["sex", "measure"], columns="covariate", values="text")
    order = pd.MultiIndex.from_frame(rows[["sex", "measure"]].drop_duplicates())
    table = GT(wide.loc[order, covariates].reset_index(), rowname_col="measure", groupname_col="sex")
    table = (
        table.tab_header("Table 4. Correlations", "Pearson's r (95 % CI), Spearman's ρ beside it, p adjusted by Holm")
        .fmt_markdown(columns=covariates)
        .sub_missing(missing_text="–")
    )
    return _mute_held_back(table, wide.loc[order, covariates])


def _by_sex(rows: pd.DataFrame) -> GT:
    rows = rows.assign(
        sex=rows["sex"].fillna("").map(SEX), characteristic=rows["characteristic"].map(_readable), text=rows["text"]
    )
    wide = rows.pivot_table(
        index=["section", "characteristic"], columns="sex", values="text", aggfunc="first", sort=False, observed=True
    )
    columns = [sex for sex in SEX.values() if sex in wide]
    table = GT(wide[columns].reset_index(), rowname_col="characteristic", groupname_col="section")
    table = table.sub_missing(missing_text="–").cols_align("right", columns=columns)
    return _mute_held_back(table, wide[columns])


def _mute_held_back(table: GT, texts: pd.DataFrame) -> GT:
    """Small and grey where a reason stands in place of a number."""
    for column in texts:
        rows = [row for row, text in enumerate(texts[column]) if str(text).startswith(HELD_BACK)]
        if rows:
            table = table.tab_style(style.text(color=MUTED, size="11px"), loc.body(columns=[column], rows=rows))
    return table


def style_table(table: GT) -> GT:
    """Quiet type, rules only where they help."""
    return table.tab_style(style.text(weight="bold", color=ACCENT), loc.row_groups()).tab_options(
        table_font_names=list(FONTS),
        table_font_size="14px",
        table_font_color=INK,
        heading_align="left",
        table_margin_left="0",
        heading_title_font_size="20px",
        heading_border_bottom_color=RULE,
        table_border_top_style="none",
        table_border_bottom_style="none",
        table_body_hlines_color=RULE,
        column_labels_font_weight="bold",
        stub_border_style="none",
        data_row_padding="6px",
        data_row_padding_horizontal="12px",
        column_labels_padding_horizontal="12px",
        source_notes_font_size="12px",
    )


def name_source(connection: duckdb.DuckDBPyConnection) -> str:
    """The note under a table, as HTML: synthetic or not, analysis set, snapshot, whether numbers are older."""
    pinned = connection.execute("SELECT analysis_set, is_synthetic FROM ref.analysis_set").fetchone()
    stamp = connection.execute("SELECT max(snapshot) FROM meta.release_log").fetchone()[0]
    name, is_synthetic = pinned or ("none", False)
    source = f"{f'<b>{SYNTHETIC}</b> ' if is_synthetic else ''}Analysis set {name}; snapshot {stamp or 'none'}."
    (n_kept,) = connection.execute(
        "SELECT count(*) FROM stats.descriptive WHERE suppression LIKE 'unchanged since%'"
    ).fetchone()
    return source + (KEPT if n_kept else "")


def _mean(row: tuple) -> str:
    if pd.isna(row.mean):
        return row.suppression
    places = _places(row.mean, row.sd)
    text = f"{_number(row.mean, places)}{PLUS_MINUS}{_number(row.sd, places)}"
    return text if pd.isna(row.ci_low) else f"{text} ({_interval(row.ci_low, row.ci_high, places)})"


def _share(row: tuple) -> str:
    if pd.isna(row.n):
        return row.suppression
    return f"{row.n:,.0f}" + ("" if pd.isna(row.pct) else f" ({_number(row.pct, 1)} %)")


def _score(row: tuple) -> str:
    if pd.isna(row.mean):
        return row.suppression
    places = METRICS[row.metric][1]
    return f"{_number(row.mean, places)}{PLUS_MINUS}{_number(row.sd, places)}"


def _places(mean: float, sd: float) -> int:
    return 2 if mean < 100 and (pd.isna(sd) or sd < 10) else 1


def _number(value: float, places: int) -> str:
    if pd.isna(value):
        return "–"
    text = f"{value:,.{places}f}"
    return text.replace("-", "−" if float(text.replace(",", "")) else "")


def _interval(low: float, high: float, places: int) -> str:
    joint = " to " if low < 0 else "–"
    return f"{_number(low, places)}{joint}{_number(high, places)}"


def _readable(text: str) -> str:
    """Superscripts, en dashes and comparison signs for people."""
    text = re.sub(r"(?<=[cm])2\b", "²", text).replace(">=", "≥ ").replace("<", "< ")
    return re.sub(r"(?<=[0-9])-(?=[0-9])", "–", text)


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
