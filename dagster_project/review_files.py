"""What people leave under MYONORM_HOME for the next update: files of verdicts, and masks corrected by hand.

What belongs here: finding them and their hashes, quickly: every update asks whether there is something new. Reading verdicts is
`review_intake`'s, taking in a mask `correction`'s work.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

LOCK = ".lock"  # under reviews/, held by whoever writes there
READER_FILE = re.compile(r"[A-Za-z0-9]{1,16}\.jsonl")
CORRECTED, RECORD = "corrected.nii.gz", "correction.json"
SUFFIX = "+corrected"
CORRECTION_KEY = ("study", "participant_id", "visit", "model_version", "original_mask_sha256", "file_sha256")


@dataclass(frozen=True)
class CorrectedCase:
    """A package of `make correct` that holds a corrected mask."""

    home: Path
    folder: Path
    study: str
    participant_id: str
    visit: str
    model_version: str
    image_sha256: str
    original_mask_sha256: str
    file_sha256: str

    @property
    def corrected_version(self) -> str:
        """Model version of the corrected mask."""
        return self.model_version + SUFFIX

    @property
    def key(self) -> tuple[str, ...]:
        """What makes it the same correction: `CORRECTION_KEY`."""
        return tuple(getattr(self, name) for name in CORRECTION_KEY)


def list_corrected(home: Path) -> list[CorrectedCase]:
    """The packages that hold a corrected mask."""
    cases = []
    for record in sorted(home.glob(f"work_packages/corrections_*/[!.]*/{RECORD}")):
        corrected = record.with_name(CORRECTED)
        if corrected.is_file():
            file_sha256 = hashlib.sha256(corrected.read_bytes()).hexdigest()
            cases.append(CorrectedCase(home, record.parent, **json.loads(record.read_bytes()), file_sha256=file_sha256))
    return cases


def list_review_files(folder: Path) -> list[Path]:
    """The files of verdicts, while nobody writes; `folder` may be absent."""
    if not folder.is_dir():
        return []
    with FileLock(folder / LOCK):
        return sorted(path for path in folder.iterdir() if path.is_file() and path.name != LOCK)


def hash_review_files(folder: Path) -> dict[str, str]:
    """sha256 of the bytes of every file of verdicts, by its name as in imaging.review_file."""
    return {show_name(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in list_review_files(folder)}


def show_name(path: Path) -> str:
    """The file's name; hashed where it is no reader's file: it may name a person."""
    if READER_FILE.fullmatch(path.name):
        return path.name
    return f"h-{hashlib.sha256(path.name.encode()).hexdigest()[:12]}"
