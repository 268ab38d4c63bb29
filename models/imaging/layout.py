"""Which files of a release's ``imaging/`` folder make a case: a participant's visit, recognised by names alone.

Belongs here: the naming rules of the four layouts, and the rule for repeated runs. Does not belong here: anything that
opens a file (``intake``). Ten thousand participants are listed in seconds.

=========  ============================================================================================================
composed   ``**/<id>[_<visit>][_run<k>].zip``: all four contrasts, composed on the scanner (or one zip with anything)
stations   ``**/3D_GRE_TRA_{in,opp,F,W}/<id>[_<visit>][_run<k>][_station<n>].zip``: one station, or all of a contrast
dicom      ``<id>[_<visit>][_run<k>]/**``: a folder of DICOM files; below other folders, if its name has six digits
nifti      ``**/<id>[_<visit>][_run<k>]_<contrast word>.nii[.gz]``: in, opp, fat, water, and the scanners' words
=========  ============================================================================================================

Hidden files and documents (text, tables, JSON) belong to no case, nor does what follows no rule: it is listed as stray.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.imaging.archive import DeliveredFile
from models.imaging.contrast import CONTRAST_WORDS

LAYOUTS = ("composed", "stations", "dicom", "nifti")
"""Kinds of case, in the order in which one is preferred where several are delivered."""

_ID = r"(?P<participant>[A-Za-z0-9][A-Za-z0-9-]{0,31})"
_VISIT = r"(?:_(?P<visit>(?!(?:run|station)[0-9])[A-Za-z0-9]{1,16}))?"
_RUN = r"(?:_run(?P<run>[0-9]{1,3}))?"
_WORDS = "|".join(sorted(CONTRAST_WORDS, key=len, reverse=True))
_FOLDER = re.compile(_ID + _VISIT + _RUN)
_ZIP = re.compile(_ID + _VISIT + _RUN + r"(?:_station[0-9]{1,2})?\.zip", re.IGNORECASE)
_NIFTI = re.compile(_ID + _VISIT + _RUN + rf"_(?P<word>{_WORDS})\.nii(?:\.gz)?", re.IGNORECASE)
_STATION_FOLDER = re.compile(r"3D_GRE_TRA_(?P<word>in|opp|F|W)", re.IGNORECASE)
_PSEUDONYM_FOLDER = re.compile(r"[0-9]{6}(?:_[A-Za-z0-9]{1,16}){0,2}")
_DOCUMENT_SUFFIXES = (".json", ".txt", ".csv", ".tsv", ".md", ".xml", ".pdf", ".html", ".bval", ".bvec")
_COMPLETE_SHARE = 0.95


@dataclass(frozen=True)
class Case:
    """A participant's visit as delivered.

    Attributes
    ----------
    layout
        One of `LAYOUTS`.
    participant_id, visit
        As the name states them; None where it is no valid name, or states no visit.
    run
        Number of the run; 0 where the name states none.
    path
        The zip, the DICOM folder, or the folder of the zips or NIfTI files.
    files
        Sorted by path, with the contrast that folder or name states.
    """

    layout: str
    participant_id: str | None
    visit: str | None
    run: int
    path: Path
    files: tuple[DeliveredFile, ...]


@dataclass(frozen=True)
class Listing:
    """What an imaging folder holds: cases, sorted by path, and files that belong to none."""

    cases: list[Case]
    strays: list[DeliveredFile]


def list_cases(imaging: Path, layout: str | None = None) -> Listing:
    """List the cases of an imaging folder from names, sizes and times; no file is opened, no link followed.

    Parameters
    ----------
    imaging
        The folder; an absent one holds nothing.
    layout
        One of `LAYOUTS` where the release states it: what follows another is stray. None: recognised per participant.

    Raises
    ------
    ValueError
        If the layout is unknown.
    """
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"The layout is one of {', '.join(LAYOUTS)}.")
    found: dict[tuple, list[DeliveredFile]] = defaultdict(list)
    strays = []
    for entry in _walk(imaging):
        key, contrast = _recognise(Path(entry.path).relative_to(imaging))
        status = entry.stat(follow_symlinks=False)
        file = DeliveredFile(Path(entry.path), status.st_size, status.st_mtime_ns, contrast)
        if key is None or layout not in (None, key[0]):
            strays.append(file)
        else:
            found[key].append(file)
    cases = [
        Case(kind, participant, visit, run, imaging / path, tuple(sorted(files, key=lambda file: file.path)))
        for (kind, participant, visit, run, path), files in found.items()
    ]
    return Listing(sorted(cases, key=lambda case: (case.path, case.files[0].path)), strays)


def choose_run(cases: Sequence[Case]) -> Case:
    """Choose among the deliveries of one participant and visit.

    In this order: the layout that comes first in `LAYOUTS`; the most files; a size of at least 95 % of the largest
    (a run that was broken off is smaller); the highest run number; the last path.
    """
    layout = min((case.layout for case in cases), key=LAYOUTS.index)
    runs = [case for case in cases if case.layout == layout]
    most = max(len(case.files) for case in runs)
    runs = [case for case in runs if len(case.files) == most]
    largest = max(_size(case) for case in runs)
    return max(
        (case for case in runs if _size(case) >= _COMPLETE_SHARE * largest), key=lambda case: (case.run, case.path)
    )


def _size(case: Case) -> int:
    return sum(file.size for file in case.files)


def _walk(folder: Path) -> Iterator[os.DirEntry]:
    """Yield every entry of a tree that is no folder, links and pipes among them."""
    if not folder.is_dir():
        return
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    yield entry


def _recognise(path: Path) -> tuple[tuple | None, str | None]:
    """Return the key of the case (layout, participant, visit, run, path) and the contrast, or None and None."""
    name = path.name
    if name.startswith(".") or name.lower().endswith(_DOCUMENT_SUFFIXES):
        return None, None
    if name.lower().endswith(".zip"):
        return _recognise_zip(path)
    if name.lower().endswith((".nii", ".nii.gz")):
        match = _NIFTI.fullmatch(name)
        if not match:
            return None, None
        return _key("nifti", match, path.parent), CONTRAST_WORDS[match["word"].lower()]
    if len(path.parts) == 1:
        return None, None
    depth = next((i for i, part in enumerate(path.parts[:-1]) if _PSEUDONYM_FOLDER.fullmatch(part)), 0)
    return _key("dicom", _FOLDER.fullmatch(path.parts[depth]), Path(*path.parts[: depth + 1])), None


def _recognise_zip(path: Path) -> tuple[tuple, str | None]:
    match = _ZIP.fullmatch(path.name)
    folder = _STATION_FOLDER.fullmatch(path.parent.name)
    if folder and match:
        return _key("stations", match, path.parent.parent), CONTRAST_WORDS[folder["word"].lower()]
    return _key("composed", match, path), None


def _key(layout: str, match: re.Match | None, path: Path) -> tuple:
    if match is None:
        return layout, None, None, 0, path
    return layout, match["participant"], match["visit"], int(match["run"] or 0), path
