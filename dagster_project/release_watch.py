"""Which releases are due: complete on disk, and not in the current snapshot as they lie there now.

What belongs here: telling a finished copy from one in progress, and the standing of every release. Acting on it is
`defs/automation.py`'s and `plan.py`'s.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dagster_project.defs.releases import COMPLETE_MARKER, Release, UnusableRelease, open_release
from dagster_project.settings import Settings
from dagster_project.update import is_published, needs_rebuild


class State(StrEnum):
    """Where a release stands."""

    PUBLISHED = "published"
    DUE = "due"
    INCOMPLETE = "incomplete"
    UNUSABLE = "unusable"


@dataclass(frozen=True)
class Standing:
    """A release's state and, where it is not simply published or due, why; `release` is None where it is unusable."""

    name: str
    state: State
    reason: str | None
    release: Release | None


def list_standings(settings: Settings, now: float | None = None) -> list[Standing]:
    """Every folder under releases/, by name."""
    if not settings.releases.is_dir():
        return []
    names = sorted(path.name for path in settings.releases.iterdir() if path.is_dir() and path.name[0] != ".")
    return [find_standing(settings, name, time.time() if now is None else now) for name in names]


def find_standing(settings: Settings, name: str, now: float) -> Standing:
    """The standing of one release at `now` (seconds since 1970)."""
    try:
        release = open_release(settings.releases, name)
    except UnusableRelease as error:
        return Standing(name, State.UNUSABLE, str(error), None)
    if is_published(release) and not needs_rebuild(settings):
        return Standing(name, State.PUBLISHED, None, release)
    if not is_complete(release.folder, settings.stable_minutes, now):
        reason = (
            f"No {COMPLETE_MARKER} after its last change, which is less than {settings.stable_minutes:g} minutes old."
        )
        return Standing(name, State.INCOMPLETE, reason, release)
    return Standing(name, State.DUE, None, release)


def is_complete(folder: Path, stable_minutes: float, now: float) -> bool:
    """Whether a delivery has been copied in full: marked so after its last change, or unchanged for long enough.

    Times are those of the inodes: copying tools restore the times of contents. Where the clock was set back the last change
    lies ahead of it, and the release waits for the marker or for the clock.
    """
    changed = max((path.lstat().st_ctime for path in _entries(folder)), default=0.0)
    marker = folder / COMPLETE_MARKER
    return (marker.is_file() and marker.stat().st_ctime >= changed) or now - changed >= 60 * stable_minutes


def _entries(folder: Path) -> Iterator[Path]:
    """Everything in the folder but the marker; the folder itself changes when the marker comes."""
    return (path for path in folder.rglob("*") if path != folder / COMPLETE_MARKER)
