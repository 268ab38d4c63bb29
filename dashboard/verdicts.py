"""The append-only log of human quality control: the one thing the dashboard writes.

Belongs here: the form of a line, appending, reading back. Does not belong here: which case comes next (reading_queue.py), what a
verdict means for the statistics (sql/imaging/rejection.sql).

`$MYONORM_HOME/reviews/<reader>.jsonl` holds one reading a line, as JSON, in the order in which they were made; nothing is ever changed
or removed except the lines of persons who withdraw. A reading is taken back by a later line that undoes it.
"""

import json
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

READER = re.compile(r"[A-Za-z0-9]{1,16}")
VERDICTS = ("accept", "reject", "unsure")
KINDS = ("first", "second", "consensus")
MAX_COMMENT = 500
LOCK = ".lock"


@dataclass(frozen=True)
class Reading:
    """One look at one case, or the undoing of one.

    Attributes
    ----------
    reader
        Code of who read; the file's name, not in its lines.
    reading_id
        Given by the browser: a line that arrives twice counts once.
    verdicts
        Each: compartment and side (both None = the whole case), verdict, reason (of a rejection).
    sampling_probability
        Of the case to be read; None for a case read by choice.
    undoes
        reading_id of the reading that is taken back; such a line has no verdicts.
    """

    reader: str
    reading_id: str
    study: str
    participant_id: str
    visit: str
    model_version: str
    mask_sha256: str
    reading: str
    is_blinded: bool
    sampling_probability: float | None
    verdicts: tuple[dict[str, str | None], ...]
    comment: str | None
    seconds: float | None
    reviewed_at: str
    undoes: str | None = None

    @property
    def case(self) -> tuple[str, str, str, str, str]:
        """Study, participant, visit, model and mask."""
        return self.study, self.participant_id, self.visit, self.model_version, self.mask_sha256


def now() -> str:
    """Return the time as it is written: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clean_comment(text: str | None) -> str | None:
    """Return a comment without control characters and not too long; None where nothing is left."""
    printable = "".join(" " if unicodedata.category(char).startswith("C") else char for char in text or "")
    return " ".join(printable.split())[:MAX_COMMENT] or None


def append(folder: Path, reader: str, readings: Iterable[Reading]) -> None:
    """Append a reader's readings to the file of that reader, on disk when this returns; those it holds already are left out.

    Raises
    ------
    ValueError
        `reader` is no reader's code.
    """
    if not READER.fullmatch(reader):
        raise ValueError("A reader's code is 1 to 16 letters and digits.")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{reader}.jsonl"
    with FileLock(folder / LOCK):
        written = path.read_bytes() if path.is_file() else b""
        new = {r.reading_id: r for r in readings if f'"reading_id": "{r.reading_id}"'.encode() not in written}
        if not new:
            return
        text = "".join(to_line(reading) for reading in new.values())
        is_cut = written and not written.endswith(b"\n")  # a machine failed while it wrote
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write((b"\n" if is_cut else b"") + text.encode())
            file.flush()
            os.fsync(file.fileno())


def to_line(reading: Reading) -> str:
    """Return a reading as a line of its reader's file."""
    fields = asdict(reading)
    del fields["reader"]
    return json.dumps(fields, ensure_ascii=False) + "\n"


def read(path: Path) -> list[Reading]:
    """Return the readings of a file in their order, undoings included; lines that are none are passed over."""
    readings = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            fields = json.loads(line)
            readings.append(Reading(**{**fields, "verdicts": tuple(fields["verdicts"]), "reader": path.stem}))
        except (ValueError, TypeError, KeyError):
            continue
    return readings


def standing(readings: Iterable[Reading]) -> list[Reading]:
    """Return the readings that were not undone, once each."""
    readings = list(readings)
    undone = {reading.undoes for reading in readings if reading.undoes}
    return list({r.reading_id: r for r in readings if not r.undoes and r.reading_id not in undone}.values())
