"""What a segmentation run shows in Dagster: a table of outcomes and a histogram of the seconds per case.

Belongs here: outcomes in, metadata out. Numbers and codes only: no participant appears.
"""

import base64
from collections import Counter
from io import BytesIO

import dagster as dg
import numpy as np

from dagster_project.engine import Outcome

_ACCENT, _GRID, _TEXT = "#0f766e", "#e5e7eb", "#374151"


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
