"""The STROBE diagram: who was left after each step, and who was excluded before it.

Belongs here: counts into HTML; its look is in style.css.
Does not belong here: counting (sql/stats/participant_flow.sql), words of the reasons.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Step:
    """One box: its name, how many are left (text), and the exclusions before it as (reason, count) in texts."""

    name: str
    left: str
    excluded: Sequence[tuple[str, str]]


def to_html(steps: Sequence[Step], title: str, excluded: str) -> str:
    """Return the diagram as an ordered list, which reads as one without its look; all texts are escaped."""
    items = "".join(f"<li>{_exclusions(step, excluded)}{_box(step)}</li>" for step in steps)
    return f'<ol class="strobe" aria-label="{escape(title)}">{items}</ol>'


def _box(step: Step) -> str:
    return f'<div class="left"><span>{escape(step.name)}</span> <b>{escape(step.left)}</b></div>'


def _exclusions(step: Step, excluded: str) -> str:
    if not step.excluded:
        return ""
    rows = "".join(f"<li><span>{escape(reason)}</span> <b>{escape(count)}</b></li>" for reason, count in step.excluded)
    return f'<div class="out"><span class="title">{escape(excluded)}</span><ul>{rows}</ul></div>'
