"""What runs show in Dagster: outcomes and seconds per case of a segmentation, Dice per label of a validation (the study's Figure 3).

Belongs here: outcomes in, metadata out. Numbers and codes only: no participant appears.
"""

import base64
from collections import Counter
from io import BytesIO

import dagster as dg
import numpy as np
import pandas as pd

from dagster_project.engine import Outcome

_ACCENT, _GRID, _TEXT = "#0f766e", "#e5e7eb", "#374151"
_VALIDATIONS = {"test": "held-out cases, model as deployed", "out_of_fold": "training cases, out of fold"}


def summarise_seconds(outcomes: list[Outcome]) -> dict[str, object]:
    """Metadata of a run: counts, a table by outcome, seconds per case as a picture."""
    seconds = [outcome.result.seconds for outcome in outcomes if outcome.code is None]
    n_low_memory = sum(outcome.case.is_low_memory for outcome in outcomes)
    metadata = {
        "attempts": len(outcomes),
        "segmented": len(seconds),
        "failed": len(outcomes) - len(seconds),
        "in low-memory mode": n_low_memory,
        "outcomes": dg.MetadataValue.md(_tabulate(outcomes)),
    }
    if seconds:
        metadata["median_seconds"] = float(np.median(seconds))
        metadata["seconds per case"] = dg.MetadataValue.md(_embed(draw_seconds(seconds), "Seconds per case"))
    return metadata


def draw_seconds(seconds: list[float]) -> bytes:
    """Histogram of seconds per case, with the median, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.hist(
        seconds, bins=min(30, max(5, len(seconds) // 4)), color=_ACCENT, edgecolor="white", linewidth=0.6, zorder=2
    )
    median = float(np.median(seconds))
    axes.axvline(median, color=_TEXT, linewidth=1, zorder=3)
    axes.set_title(f"{len(seconds)} cases, median {median:.1f} s", loc="left", fontsize=10, color=_TEXT)
    axes.set_xlabel("seconds from reading to the written mask", color=_TEXT, fontsize=9)
    axes.set_ylabel("cases", color=_TEXT, fontsize=9)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", color=_GRID, zorder=0)
    return _finish(figure, [axes])


def summarise_dice(scores: pd.DataFrame) -> dict[str, object]:
    """Dice of the model in force per label and case as a picture; nothing where there is none.

    Parameters
    ----------
    scores : DataFrame
        validation (test, out_of_fold), compartment, side, dice.
    """
    if scores["dice"].notna().any():
        return {"Dice": dg.MetadataValue.md(_embed(draw_dice(scores), "Dice"))}
    return {}


def draw_dice(scores: pd.DataFrame) -> bytes:
    """Quartiles and cases of the Dice coefficient per label, held-out cases beside those out of fold, as PNG."""
    from matplotlib.figure import Figure

    shown = scores.dropna(subset="dice")
    kinds = [kind for kind in _VALIDATIONS if (shown["validation"] == kind).any()]
    figure = Figure(figsize=(4.2 * len(kinds), 2.6), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(kinds), squeeze=False, sharex=True, sharey=True)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        groups = list(shown[shown["validation"] == kind].groupby(["compartment", "side"]))[::-1]
        values = [group["dice"].to_numpy() for _, group in groups]
        line = {"color": _TEXT, "linewidth": 1}
        axes.boxplot(
            values, orientation="horizontal", widths=0.5, showfliers=False, showcaps=False,
            tick_labels=[" ".join(label) for label, _ in groups],
            medianprops=line | {"linewidth": 1.6}, boxprops=line, whiskerprops=line,
        )  # fmt: skip
        for position, dice in enumerate(values, start=1):
            height = position + np.linspace(-0.16, 0.16, len(dice)) if len(dice) > 1 else [position]
            axes.scatter(dice, height, s=9, color=_ACCENT, alpha=0.5, linewidths=0, zorder=3)
        axes.set_title(f"{_VALIDATIONS[kind]}, n = {max(map(len, values))}", loc="left", fontsize=10, color=_TEXT)
        axes.set_xlabel("Dice", color=_TEXT, fontsize=9)
        axes.grid(axis="x", color=_GRID, zorder=0)
    return _finish(figure, panels)


def _finish(figure, panels) -> bytes:
    for axes in panels:
        axes.tick_params(colors=_TEXT, labelsize=8, length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(_GRID)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _tabulate(outcomes: list[Outcome]) -> str:
    counts = Counter(outcome.code or "done" for outcome in outcomes)
    messages = {outcome.code: outcome.message for outcome in outcomes if outcome.code}
    rows = [
        f"| {code} | {n} | {messages.get(code, 'Segmented.').split('. ')[0].rstrip('.')}. |"
        for code, n in counts.most_common()
    ]
    return "\n".join(["| outcome | attempts | meaning |", "|---|---:|---|", *rows])


def _embed(png: bytes, title: str) -> str:
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"
