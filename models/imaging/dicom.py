"""DICOM files of one participant and visit -> four volumes on one grid, or a refusal with a code.

Belongs here: putting the steps together, from files to a delivery. Does not belong here: the steps themselves
(``archive``, ``instance``, ``contrast``, ``stack``, ``composition``), and writing anything to disk (``nifti``).

No text from a header or of a member's name enters a message.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from models.imaging.acquisition import AcquisitionFacts
from models.imaging.archive import MAX_BYTES, MAX_FILES, DeliveredFile, look_at, read_files, read_zip
from models.imaging.composition import compose_stations
from models.imaging.contrast import PATIENT_ID, check_kind, group_by_contrast, identify
from models.imaging.dixon import CONTRASTS, DixonSet, combine_contrasts
from models.imaging.instance import Instance, is_dicom, read_instance
from models.imaging.refusal import Refusal, first_refusal
from models.imaging.stack import POSITION_TOLERANCE_MM, Stack, build_volume, slice_positions, stack_slices

_DICOM_SUFFIXES = (".dcm", ".ima")
_SCANNER_MODEL = re.compile(r"[A-Za-z0-9 _.+-]{1,40}")
_SOFTWARE_VERSION = re.compile(r"(?:syngo )?[A-Za-z0-9]{1,12}(?: ?[A-Za-z0-9.-]{1,12}){0,3}")

Named = tuple[Instance, str | None]
"""A file, and the contrast that its folder states or None."""


@dataclass(frozen=True)
class Delivery:
    """One participant's visit.

    Attributes
    ----------
    patient_id
        Pseudonym without the visit suffix.
    visit
        The text after the underscore of PatientID (NAKO: "30" baseline, "60" follow-up), else of the file name; "30"
        where neither states one.
    dixon
        The four contrasts.
    facts
        Contrast -> how it was acquired.
    """

    patient_id: str
    visit: str
    dixon: DixonSet
    facts: dict[str, AcquisitionFacts]


def read_delivery(zip_path: Path) -> Delivery:
    """Read the zip of one participant and visit, named ``<participant>.zip`` or ``<participant>_<visit>.zip``.

    Raises
    ------
    Refusal
        With any code of ``REFUSALS``.
    OSError
        If the file cannot be opened.
    """
    match = PATIENT_ID.fullmatch(zip_path.stem)
    participant_id, visit = match.groups() if match else (None, None)
    return assemble_delivery(read_zips([look_at(zip_path)]), participant_id, visit)


def read_zips(files: Sequence[DeliveredFile]) -> list[Named]:
    """Read every DICOM member of zips in memory; nothing is extracted to disk.

    Members that have neither the DICOM mark nor a DICOM file extension (licences, read-me files) are left out, as is a
    DICOMDIR.

    Raises
    ------
    Refusal
        Those from ``still_copying`` to ``deflated_transfer_syntax``.
    OSError
        If a file cannot be opened.
    """
    return _parse((name, data, file.contrast) for file in files for name, data in read_zip(file))


def read_folder(files: Sequence[DeliveredFile]) -> list[Named]:
    """Read DICOM files, as `read_zips` does."""
    return _parse((name, data, None) for name, data in read_files(files))


def assemble_delivery(instances: list[Named], participant_id: str | None, visit: str | None) -> Delivery:
    """Turn the files of one participant and visit into a delivery, whatever their order and series.

    Slices of one contrast that form one even stack are one volume; else each series is a station, and the stations are
    composed.

    Parameters
    ----------
    instances
        Every file, all contrasts together. The list is emptied, so that memory is freed on the way.
    participant_id, visit
        As the delivery's name states them; PatientID must agree.

    Raises
    ------
    Refusal
        With any code of ``REFUSALS`` from ``multi_frame`` on.
    """
    headers = [instance for instance, _ in instances]
    check_kind(headers)
    participant_id, visit = identify(headers, participant_id, visit)
    groups = group_by_contrast(instances)
    instances.clear()
    del headers
    stacks = _stack_contrasts(groups)
    facts = {contrast: acquisition_facts(groups.pop(contrast)) for contrast in CONTRASTS}
    images = {contrast: _build_contrast(stacks.pop(contrast)) for contrast in CONTRASTS}
    return Delivery(participant_id, visit, combine_contrasts(images), facts)


def acquisition_facts(instances: Sequence[Instance]) -> AcquisitionFacts:
    """Return how a contrast was acquired, from its first file; free text passes only where it follows a pattern."""
    first = instances[0]
    return AcquisitionFacts(
        echo_time_ms=first.echo_time_ms,
        repetition_time_ms=first.repetition_time_ms,
        flip_angle_deg=first.flip_angle_deg,
        field_strength_t=first.field_strength_t,
        scanner_model=first.scanner_model if _SCANNER_MODEL.fullmatch(first.scanner_model) else None,
        software_version=first.software_version if _SOFTWARE_VERSION.fullmatch(first.software_version) else None,
        n_instances=len(instances),
    )


def _parse(files: Iterable[tuple[str, bytes, str | None]]) -> list[Named]:
    instances, refusals = [], []
    n_bytes = 0
    for name, data, contrast in files:
        n_bytes += len(data)
        if n_bytes > MAX_BYTES or len(instances) == MAX_FILES:
            raise Refusal("too_large")
        try:
            instance = _parse_file(name, data)
        except Refusal as refusal:
            refusals.append(refusal)
        else:
            if instance is not None:
                instances.append((instance, contrast))
    if refusals:
        raise first_refusal(refusals)
    if not instances:
        raise Refusal("empty_delivery")
    return instances


def _parse_file(name: str, data: bytes) -> Instance | None:
    if is_dicom(data):
        return read_instance(data)
    if name.lower().endswith(_DICOM_SUFFIXES):
        raise Refusal("unreadable_dicom")
    return None


def _stack_contrasts(groups: dict[str, list[Instance]]) -> dict[str, list[Stack]]:
    stacks, refusals = {}, []
    for contrast in CONTRASTS:
        try:
            stacks[contrast] = _stack_stations(groups[contrast])
        except Refusal as refusal:
            refusals.append(Refusal(refusal.code, f"Contrast: {contrast}."))
    for check in (_check_stations, _check_edges):
        try:
            check(groups, stacks)
        except Refusal as refusal:
            refusals.append(refusal)
    if refusals:
        raise first_refusal(refusals)
    return stacks


def _stack_stations(instances: list[Instance]) -> list[Stack]:
    try:
        return [stack_slices(instances)]
    except Refusal:
        series = {instance.series_uid for instance in instances}
        if len(series) == 1:
            raise
    return [stack_slices([i for i in instances if i.series_uid == uid]) for uid in sorted(series)]


def _check_stations(groups: dict[str, list[Instance]], stacks: dict[str, list[Stack]]) -> None:
    most = max((len(own) for own in stacks.values()), default=0)
    for contrast, own in stacks.items():
        if len(own) < most:
            raise Refusal("missing_station", f"Contrast: {contrast}; absent: {most - len(own)}.")


def _check_edges(groups: dict[str, list[Instance]], stacks: dict[str, list[Stack]]) -> None:
    """Refuse a contrast whose slices are some of another's: a slice at an end is missing, which no gap shows."""
    most = max((len(own) for own in stacks.values()), default=0)
    positions = {contrast: slice_positions(groups[contrast]) for contrast, own in stacks.items() if len(own) == most}
    longest = max(map(slice_positions, groups.values()), key=len)
    for contrast, own in positions.items():
        distances, _ = cKDTree(longest).query(own)
        if len(own) < len(longest) and distances.max() <= POSITION_TOLERANCE_MM:
            raise Refusal("missing_edge_slice", f"Contrast: {contrast}; absent: {len(longest) - len(own)}.")


def _build_contrast(stacks: list[Stack]) -> tuple[np.ndarray, np.ndarray]:
    return compose_stations([build_volume(stack) for stack in stacks])
