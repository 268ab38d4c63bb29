"""Page: how good the automatic segmentation is, by version.

Belongs here: scores against readers (Table 3, Figure 3), Bland-Altman, the training set (Table 2), model cards.
Does not belong here: single cases by name (research mode's other pages), how scores are computed (models/segmentation).

The public page reads aggregates. In research mode it reads the research file: small cells and the cases behind the figures.
"""

import json

import pandas as pd
import streamlit as st

from dashboard import access, charts, links, parts, snapshot, wording
from dashboard.language import name, say

METRICS = ("dice", "surface_dice_3mm", "hd95_mm", "precision", "recall", "specificity", "accuracy")

SCORES = """
SELECT model_version, comparison, validation, compartment, side, metric, sex, size_third, n, mean, sd
FROM stats.segmentation_score
ORDER BY comparison, model_version DESC, validation DESC, compartment DESC, side, sex NULLS FIRST, size_third NULLS FIRST
"""
AGREEMENT = """
SELECT agreement.*, registry.label
FROM stats.agreement
JOIN ref.measure AS registry USING (measure)
ORDER BY model_version DESC, validation DESC, registry.rowid
"""
TRAINING_SET = "FROM stats.training_set ORDER BY role DESC, measure, sex NULLS FIRST"
MODELS = "FROM meta.model ORDER BY is_current DESC, promoted_at DESC NULLS LAST, model_version DESC"
CASES = """
SELECT model_version, comparison, validation, compartment, side, metric, value
FROM (UNPIVOT imaging.segmentation_score
    ON dice, surface_dice_3mm, hd95_mm, precision, recall, specificity, accuracy INTO NAME metric VALUE value)
WHERE metric = $metric
"""
PAIRS = """
SELECT (automatic + manual) / 2 AS mean, automatic - manual AS difference
FROM imaging.agreement_pair
WHERE model_version = $model AND validation = $validation AND measure = $measure
    AND automatic IS NOT NULL AND manual IS NOT NULL
"""


def main() -> None:
    """Show the page."""
    st.title(say("page.segmentation"), anchor=False)
    models = snapshot.query(MODELS)
    if models.empty:
        parts.show_nothing(say("segmentation.none"))
        return
    shows = {"scores": show_scores, "agreement": show_agreement, "training": show_training_set, "models": show_models}
    part = links.choose(
        say("population.part"),
        list(shows),
        "part",
        lambda code: say(f"segmentation.{code}"),
        label_visibility="collapsed",
    )
    parts.mark_research()
    shows[part](models)


def show_scores(models: pd.DataFrame) -> None:
    """Show Table 3, and mean and spread by label: what the aggregate file holds of Figure 3."""
    rows = snapshot.query(SCORES, research=access.is_admitted())
    rows = rows[rows["n"].notna()]
    if rows.empty:
        parts.show_nothing(say("segmentation.few"))
        return
    metric = links.choose(
        say("segmentation.metric"), [code for code in METRICS if code in set(rows["metric"])], "metric",
        lambda code: say(f"metric.{code}"), is_list=True, width=360,
    )  # fmt: skip
    st.caption(say(f"metric_note.{metric}"))
    of_metric = rows[rows["metric"] == metric]
    whole = of_metric[of_metric["sex"].isna() & of_metric["size_third"].isna()]
    cases = None
    if access.is_admitted():
        cases = snapshot.query(CASES, {"metric": metric}, research=True)
        cases = cases.assign(
            label=[label(row) for row in cases.itertuples()], group=[comparison(row) for row in cases.itertuples()]
        )
    show_spread(whole, metric, say("segmentation.by_label"), [comparison(row) for row in whole.itertuples()], cases)
    left, right = st.columns(2, gap="large")
    automatic = of_metric[of_metric["comparison"] == "automatic"]
    if not automatic.empty:
        newest = automatic[automatic["model_version"] == automatic["model_version"].iloc[0]]
        with left:
            by_sex = newest[newest["sex"].notna()]
            show_spread(by_sex, metric, say("segmentation.by_sex"), [wording.sex(code) for code in by_sex["sex"]])
        with right:
            by_size = newest[newest["size_third"].notna()]
            thirds = [say(f"segmentation.third_{int(third)}") for third in by_size["size_third"]]
            show_spread(by_size, metric, say("segmentation.by_size"), thirds)
    show_score_table(rows)


def show_spread(
    rows: pd.DataFrame, metric: str, title: str, groups: list[str], cases: pd.DataFrame | None = None
) -> None:
    """Show mean and SD by label, one row per group, and the cases where they may be seen."""
    parts.heading(title)
    if rows.empty:
        parts.show_nothing(say("cell.all_suppressed"))
        return
    scores = rows.assign(label=[label(row) for row in rows.itertuples()], group=groups)
    scores = scores.assign(low=scores["mean"] - scores["sd"], high=scores["mean"] + scores["sd"])
    if metric != "hd95_mm":
        scores["high"] = scores["high"].clip(upper=1)
    chart = charts.score_intervals(scores, say(f"metric.{metric}"), parts.look(), cases)
    description = say("segmentation.description", metric=say(f"metric.{metric}"), title=title)
    parts.show_chart(chart, description, rows, f"{metric} {title}", 300)


def show_score_table(rows: pd.DataFrame) -> None:
    """Show all metrics of all labels: the study's Table 3."""
    whole = rows[rows["sex"].isna() & rows["size_third"].isna()]
    texts = pd.DataFrame(
        {
            "comparison": [comparison(row) for row in whole.itertuples()],
            "label": [label(row) for row in whole.itertuples()],
            "metric": [say(f"metric.{code}") for code in whole["metric"]],
            "text": [f"{wording.number(row.mean, 3)} ± {wording.number(row.sd, 3)}" for row in whole.itertuples()],
        }
    )
    wide = texts.set_index(["comparison", "label", "metric"])["text"].unstack(sort=False)
    wide[say("column.persons")] = (
        whole.assign(comparison=texts["comparison"].to_numpy(), label=texts["label"].to_numpy())
        .groupby(["comparison", "label"])["n"].max().map(wording.count)
    )  # fmt: skip
    parts.heading(say("segmentation.table"), say("segmentation.table_note"))
    parts.show_table(wide.rename_axis(["", say("segmentation.label")]), rows, "table 3", say("segmentation.table"))


def comparison(row: tuple) -> str:
    """Return who is compared with whom, on which cases."""
    if row.comparison != "automatic":
        return say(f"comparison.{row.comparison}")
    return f"{row.model_version}, {say(f'validation.{row.validation}')}"


def label(row: tuple) -> str:
    """Return compartment and side."""
    return f"{say(f'compartment.{row.compartment}')}, {say(f'side.{row.side}')}"


def show_agreement(models: pd.DataFrame) -> None:
    """Show Bland-Altman: bias and limits with their intervals; the pairs in research mode only."""
    rows = snapshot.query(AGREEMENT, research=access.is_admitted())
    rows = rows[rows["bias"].notna()]
    if rows.empty:
        parts.show_nothing(say("segmentation.few"))
        return
    sets = list(dict.fromkeys(f"{row.model_version}/{row.validation}" for row in rows.itertuples()))
    with st.container(horizontal=True, gap="large"):
        chosen = links.choose(
            say("segmentation.version"), sets, "set",
            lambda code: f"{code.rpartition('/')[0]}, {say('validation.' + code.rpartition('/')[2])}", is_list=True, width=300,
        )  # fmt: skip
        model, _, validation = chosen.rpartition("/")
        rows = rows[(rows["model_version"] == model) & (rows["validation"] == validation)].set_index("measure")
        measure = links.choose(
            say("field.measure"), rows.index.tolist(), "measure",
            lambda code: name("measure", code, rows.loc[code, "label"]), is_list=True, width=300,
        )  # fmt: skip
    show_bland_altman(rows.loc[measure], model, validation, measure)
    show_agreement_table(rows.reset_index())


def show_bland_altman(row: pd.Series, model: str, validation: str, measure: str) -> None:
    """Show one measure."""
    unit = snapshot.readable_unit(row["unit"])
    places = max(wording.decimals(row["sd"]) - 1, 0)
    summary = pd.DataFrame(
        [
            (say("segmentation.upper"), row["limit_high"], row["limit_high_low"], row["limit_high_high"]),
            (say("segmentation.bias"), row["bias"], row["bias_low"], row["bias_high"]),
            (say("segmentation.lower"), row["limit_low"], row["limit_low_low"], row["limit_low_high"]),
        ],
        columns=["name", "value", "low", "high"],
    )
    summary["name"] = summary["name"] + " " + summary["value"].map(lambda value: wording.number(value, places))
    pairs = None
    if access.is_admitted():
        pairs = snapshot.query(PAIRS, {"model": model, "validation": validation, "measure": measure}, research=True)
    label = name("measure", measure, row["label"])
    y_title = say("segmentation.difference", measure=label, unit=unit)
    chart = charts.agreement(summary, pairs, say("segmentation.mean_of_both", unit=unit), y_title, parts.look())
    description = say("segmentation.agreement_description", measure=label, n=wording.count(row["n"]))
    parts.show_chart(chart, description, summary, f"agreement {measure}")
    st.caption(say("segmentation.agreement_note") + (f" {say('segmentation.grows')}" if row["grows_with_size"] else ""))


def show_agreement_table(rows: pd.DataFrame) -> None:
    """Show bias and limits of all measures."""
    places = [max(wording.decimals(sd) - 1, 0) for sd in rows["sd"]]
    both = list(zip(rows.to_dict("records"), places, strict=True))
    texts = pd.DataFrame(
        {
            say("field.measure"): [
                f"{name('measure', row['measure'], row['label'])}, {snapshot.readable_unit(row['unit'])}"
                for row, _ in both
            ],
            say("column.persons"): [wording.count(row["n"]) for row, _ in both],
            say("segmentation.bias"): [
                wording.with_interval(row["bias"], row["bias_low"], row["bias_high"], p) for row, p in both
            ],
            say("segmentation.lower"): [
                wording.with_interval(row["limit_low"], row["limit_low_low"], row["limit_low_high"], p)
                for row, p in both
            ],
            say("segmentation.upper"): [
                wording.with_interval(row["limit_high"], row["limit_high_low"], row["limit_high_high"], p)
                for row, p in both
            ],
            say("segmentation.ratio_limits"): [
                wording.interval(row["ratio_limit_low_pct"], row["ratio_limit_high_pct"], 1) for row, _ in both
            ],
        }
    )
    parts.show_table(texts.set_index(say("field.measure")), rows, "agreement", say("segmentation.agreement"))


def show_training_set(models: pd.DataFrame) -> None:
    """Show who was annotated: the study's Table 2."""
    rows = snapshot.query(TRAINING_SET, research=access.is_admitted())
    rows = rows[rows["n"].notna()]
    if rows.empty:
        parts.show_nothing(say("segmentation.few"))
        return
    registry = snapshot.measures()
    texts = pd.DataFrame(
        {
            "role": [say(f"role.{code}") for code in rows["role"]],
            "measure": [wording.measure_with_unit(registry, code) for code in rows["measure"]],
            say("field.sex"): rows["sex"].map(wording.sex),
            say("column.persons"): rows["n"].map(wording.count),
            say("column.share"): [wording.number(pct, 1) for pct in rows["pct"]],
            say("column.mean"): [wording.number(row.mean, 1) for row in rows.itertuples()],
            say("column.sd"): [wording.number(row.sd, 1) for row in rows.itertuples()],
        }
    )
    table = texts.set_index(["role", "measure", say("field.sex")]).rename_axis(
        ["", say("field.measure"), say("field.sex")]
    )
    parts.show_table(table, rows, "table 2", say("segmentation.training"))


def show_models(models: pd.DataFrame) -> None:
    """Show the versions side by side, and the card of each."""
    promoted = models["promoted_at"].dt.strftime("%Y-%m-%d")
    texts = pd.DataFrame(
        {
            say("segmentation.version"): models["model_version"],
            say("segmentation.in_force"): models["is_current"].map({True: "✓", False: ""}),
            say("segmentation.configuration"): models["configuration"],
            say("segmentation.folds"): models["n_folds"].astype(str),
            say("segmentation.promoted"): promoted.fillna(wording.ABSENT),
            say("segmentation.promotion_scores"): models["scores"].map(promotion_scores),
            "SHA-256": models["manifest_sha256"].str[:12],
        }
    )
    parts.heading(say("segmentation.side_by_side"))
    parts.show_table(texts.set_index(say("segmentation.version")), caption=say("segmentation.side_by_side"))
    for row in models.itertuples():
        with st.expander(say("segmentation.card", version=row.model_version), expanded=bool(row.is_current)):
            st.markdown(demoted(row.card))


def promotion_scores(scores: str | None) -> str:
    """Return mean Dice per label at the promotion, beside the former model's where there was one."""
    if pd.isna(scores):
        return wording.ABSENT
    return "; ".join(
        " ".join(
            f"{key} {wording.number(value, 3) if isinstance(value, float) else value}" for key, value in row.items()
        )
        for row in json.loads(scores)
    )


def demoted(card: str) -> str:
    """Return Markdown with its headings two levels lower, so that they lie below the page's."""
    return "\n".join(f"##{line}" if line.startswith("#") else line for line in card.splitlines())


main()
