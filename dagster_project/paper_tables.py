"""Tables 1 to 4 of the study as HTML pages, from the stats schema of a published file.

What belongs here: which rows and columns, and how they read. The numbers come from the file as they are shown there.
"""

import re
from collections.abc import Callable

import duckdb
import pandas as pd
from great_tables import GT, html, loc, style

SEX = {"F": "Women", "M": "Men", "": "Both"}
SUPPRESSED = "suppressed"
SYNTHETIC = "Synthetic data: nobody in it is a real person."
INK, ACCENT, RULE = "#1f2933", "#0f766e", "#d9dfe3"
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
    note = _source_note(connection)
    built = {name: build(connection) for name, build in tables.items()}
    return {name: _finish(table, note) for name, table in built.items() if table is not None}


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
    """The annotated cases: who they are."""
    rows = _read_if_present(connection, "stats.training_set")
    if rows is None:
        return None
    labels = dict(connection.execute("SELECT measure, label || ', ' || unit FROM ref.measure").fetchall())
    rows = rows.assign(
        section=rows["role"].map({"train": "Training set", "test": "Held-out cases"}).fillna(rows["role"]),
        characteristic=rows["measure"].map(labels).fillna(rows["measure"]),
        ci_low=float("nan"),
        ci_high=float("nan"),
    )
    rows["text"] = [_mean(row) for row in rows.itertuples()]
    return _by_sex(rows).tab_header("Table 2. Annotated cases", "Mean ± SD")


def build_table_3(connection: duckdb.DuckDBPyConnection) -> GT | None:
    """Segmentation scores per compartment and side, over all cases."""
    rows = _read_if_present(connection, "stats.segmentation_score")
    if rows is None:
        return None
    for margin in ("sex", "size_third"):
        rows = rows[rows[margin].isna()] if margin in rows else rows
    rows = rows.assign(
        label=rows["compartment"].str.capitalize() + ", " + rows["side"],
        section=[
            ", ".join(
                str(part) for part in (row.get("comparison"), row.get("validation"), row["model_version"]) if part
            )
            for row in rows.to_dict("records")
        ],
        text=[_number(row.mean, 3) + " ± " + _number(row.sd, 3) for row in rows.itertuples()],
    )
    wide = rows.pivot_table(index=["section", "label"], columns="metric", values="text", aggfunc="first", sort=False)
    table = GT(wide.reset_index(), rowname_col="label", groupname_col="section")
    return table.tab_header("Table 3. Segmentation", "Mean ± SD over cases").sub_missing(missing_text="–")


def build_table_4(connection: duckdb.DuckDBPyConnection) -> GT | None:
    """Correlations with age and body size."""
    rows = connection.execute(TABLE_4).df()
    if rows.empty:
        return None
    rows = rows.assign(
        sex=rows["sex"].map(SEX),
        text=[
            row.suppression
            if pd.notna(row.suppression)
            else f"{_number(row.r, 2)} ({_interval(row.ci_low, row.ci_high, 2)})"
            f"<br><span style='color:#5f6c76'>{row.strength}, ρ {_number(row.spearman, 2)}, p {_p(row.p_holm)}</span>"
            for row in rows.itertuples()
        ],
    )
    covariates = list(dict.fromkeys(rows["covariate"]))
    wide = rows.pivot(index=["sex", "measure"], columns="covariate", values="text")
    order = pd.MultiIndex.from_frame(rows[["sex", "measure"]].drop_duplicates())
    table = GT(wide.loc[order, covariates].reset_index(), rowname_col="measure", groupname_col="sex")
    return (
        table.tab_header("Table 4. Correlations", "Pearson's r (95 % CI), Spearman's ρ beside it, p adjusted by Holm")
        .fmt_markdown(columns=covariates)
        .sub_missing(missing_text="–")
    )


def _by_sex(rows: pd.DataFrame) -> GT:
    rows = rows.assign(
        sex=rows["sex"].fillna("").map(SEX), characteristic=rows["characteristic"].map(_readable), text=rows["text"]
    )
    wide = rows.pivot_table(
        index=["section", "characteristic"], columns="sex", values="text", aggfunc="first", sort=False, observed=True
    )
    columns = [sex for sex in SEX.values() if sex in wide]
    table = GT(wide[columns].reset_index(), rowname_col="characteristic", groupname_col="section")
    return table.sub_missing(missing_text="–").cols_align("right", columns=columns)


def _finish(table: GT, note: str) -> str:
    """The page: quiet type, rules only where they help, the source below."""
    table = (
        table.tab_source_note(html(note))
        .tab_style(style.text(weight="bold", color=ACCENT), loc.row_groups())
        .tab_options(
            table_font_names=["Inter", "Helvetica Neue", "Arial", "sans-serif"],
            table_font_size="14px",
            table_font_color=INK,
            heading_align="left",
            heading_title_font_size="20px",
            heading_border_bottom_color=RULE,
            table_border_top_style="none",
            table_border_bottom_style="none",
            table_body_hlines_color=RULE,
            column_labels_font_weight="bold",
            data_row_padding="6px",
            data_row_padding_horizontal="12px",
            column_labels_padding_horizontal="12px",
            source_notes_font_size="12px",
        )
    )
    return table.as_raw_html(make_page=True)


def _source_note(connection: duckdb.DuckDBPyConnection) -> str:
    pinned = connection.execute("SELECT analysis_set, is_synthetic FROM ref.analysis_set").fetchone()
    stamp = connection.execute("SELECT max(snapshot) FROM meta.release_log").fetchone()[0]
    name, is_synthetic = pinned or ("none", False)
    return f"{f'<b>{SYNTHETIC}</b> ' if is_synthetic else ''}Analysis set {name}; snapshot {stamp or 'none'}."


def _read_if_present(connection: duckdb.DuckDBPyConnection, table: str) -> pd.DataFrame | None:
    exists = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name || '.' || table_name = ?", [table]
    ).fetchone()[0]
    rows = connection.execute(f"FROM {table}").df() if exists else pd.DataFrame()
    return None if rows.empty else rows


def _mean(row: tuple) -> str:
    if pd.isna(row.mean):
        return getattr(row, "suppression", None) or SUPPRESSED
    places = _places(row.sd)
    text = f"{_number(row.mean, places)} ± {_number(row.sd, places)}"
    return text if pd.isna(row.ci_low) else f"{text} ({_interval(row.ci_low, row.ci_high, places)})"


def _share(row: tuple) -> str:
    if pd.isna(row.n):
        return row.suppression
    return f"{row.n:,.0f}" + ("" if pd.isna(row.pct) else f" ({_number(row.pct, 1)} %)")


def _places(sd: float) -> int:
    return 2 if pd.isna(sd) or sd < 10 else 1


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
