"""The printable page: one person's answer on a sheet of A4, as PDF.

Belongs here: the layout of the sheet.
Does not belong here: what it says (the percentile page brings the texts), where numbers come from.
"""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from dashboard import language
from dashboard.language import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

A4_INCHES = (8.27, 11.69)
LEFT, RIGHT = 0.09, 0.91
ANSWER_WIDTH, NOTE_WIDTH = 84, 104  # letters a line
INK, MUTED = "#1c2b2a", "#556765"
WIDTH = {50: 2.4, 25: 1.2, 75: 1.2, 10: 1.2, 90: 1.2}


@dataclass(frozen=True)
class Page:
    """What the sheet says: labelled entries, answers as (headline, explanation), curves against age, notes, ribbon or ''."""

    entered: list[tuple[str, str]]
    answers: list[tuple[str, str]]
    curves: pd.DataFrame
    curves_title: str
    x_title: str
    y_title: str
    at: float
    value: float | None
    hue: str
    notes: list[str]
    ribbon: str


def as_pdf(page: Page, spoken: str) -> bytes:
    """Return the sheet as PDF, in a language of LANGUAGES; it carries no date and no name."""
    # Imported when a report is asked for: readers of the first page do not wait for it.
    import matplotlib
    from matplotlib.figure import Figure

    language.use(spoken)
    with matplotlib.rc_context({"font.size": 10, "pdf.fonttype": 42, "text.color": INK, "axes.edgecolor": MUTED}):
        figure = Figure(figsize=A4_INCHES)
        y = _head(figure, page)
        y = _answers(figure, page, y)
        if not page.curves.empty:
            _curves(figure, page, y)
        _notes(figure, page)
        file = io.BytesIO()
        figure.savefig(
            file, format="pdf", metadata={"Title": say("report.title"), "Creator": "Myonorm", "CreationDate": None}
        )
    return file.getvalue()


def _head(figure: Figure, page: Page) -> float:
    figure.text(LEFT, 0.945, "Myonorm", fontsize=18, fontweight="bold", color="#0f766e")
    figure.text(LEFT, 0.925, say("report.title"), fontsize=11, color=MUTED)
    if page.ribbon:
        figure.text(
            RIGHT, 0.947, page.ribbon, ha="right", fontweight="bold", color="#6b4500",
            bbox={"facecolor": "#fdf3dc", "edgecolor": "none", "pad": 5},
        )  # fmt: skip
    y = 0.885
    for label, text in page.entered:
        figure.text(LEFT, y, label, color=MUTED)
        figure.text(LEFT + 0.2, y, text)
        y -= 0.02
    return y - 0.018


def _answers(figure: Figure, page: Page, y: float) -> float:
    for headline, explanation in page.answers:
        figure.text(LEFT, y, headline, fontsize=17, fontweight="bold")
        lines = textwrap.wrap(explanation, ANSWER_WIDTH)
        figure.text(LEFT, y - 0.012, "\n".join(lines), va="top", linespacing=1.4)
        y -= 0.036 + 0.0185 * len(lines)
    return y


def _curves(figure: Figure, page: Page, top: float) -> None:
    bottom = 0.27
    axes = figure.add_axes((LEFT + 0.04, bottom, RIGHT - LEFT - 0.08, top - bottom - 0.05))
    figure.text(LEFT, top - 0.012, page.curves_title, fontweight="bold")
    wide = page.curves.pivot(index="x", columns="centile", values="value")
    if {10, 90} <= set(wide.columns):
        axes.fill_between(wide.index, wide[10], wide[90], color=page.hue, alpha=0.1, linewidth=0)
    for centile in wide.columns:
        axes.plot(wide.index, wide[centile], color=page.hue, linewidth=WIDTH.get(centile, 0.7))
        end = wide[centile].dropna()
        axes.annotate(
            f"P{centile}", (end.index[-1], end.iloc[-1]), (4, 0), textcoords="offset points", va="center",
            fontsize=7, color=page.hue,
        )  # fmt: skip
    if page.value is not None:
        axes.plot([page.at], [page.value], "o", markersize=9, color=INK, markeredgecolor="white", markeredgewidth=1.5)
    axes.set_xlabel(page.x_title, color=MUTED)
    axes.set_title(page.y_title, loc="left", fontsize=9, color=MUTED)
    axes.grid(axis="y", color="#e6eceb")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=MUTED)


def _notes(figure: Figure, page: Page) -> None:
    text = "\n".join("\n".join(textwrap.wrap(note, NOTE_WIDTH)) for note in page.notes)
    figure.text(LEFT, 0.2, text, va="top", fontsize=8.5, color=MUTED, linespacing=1.5)
