"""What kind of image a DICOM file holds: which of the four Dixon contrasts, or something that is no part of a delivery.

Belongs here: the words by which headers name contrasts and kinds of series, and whose images they are. Does not
belong here: the file format (``instance``) and geometry (``stack``). Words are compared as a whole with allow-lists.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from pydicom.uid import (
    EnhancedMRColorImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from models.imaging.dixon import CONTRASTS
from models.imaging.instance import Instance
from models.imaging.refusal import Refusal

BASELINE_VISIT = "30"
"""NAKO's suffix of the first visit: taken where neither PatientID nor file name states a visit."""

CONTRAST_WORDS = {
    "in": "in",
    "in_phase": "in",
    "inphase": "in",
    "ip": "in",
    "opp": "opp",
    "opp_phase": "opp",
    "out_phase": "opp",
    "op": "opp",
    "f": "fat",
    "fat": "fat",
    "w": "water",
    "water": "water",
}
"""Word of an image type, a folder or a file name, in lower case -> contrast."""

_SIEMENS_WORDS = {"DIXF": "fat", "DIXW": "water", "DIXI": "in", "DIXO": "opp"}
_SERIES_PREFIXES = ("", "3d_gre_tra_", "dixon_bh_17s_")
_ENHANCED_CLASSES = (EnhancedMRImageStorage, EnhancedMRColorImageStorage, LegacyConvertedEnhancedMRImageStorage)
_PHASE_WORDS = {"P", "PHASE", "PHASE MAP", "PHASE_MAP"}
_DERIVED_WORDS = {
    "MPR",
    "CPR",
    "MIP",
    "MINIP",
    "MIN_IP",
    "PROJECTION IMAGE",
    "REFORMATTED",
    "RESAMPLED",
    "SUBTRACTION",
    "MEAN",
    "CSA MPR",
    "CSA MIP",
    "CSA RESAMPLED",
}
PATIENT_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]{0,31})(?:_([A-Za-z0-9]{1,16}))?")
"""Participant and visit: of a PatientID, and of a delivery's name."""


def check_kind(instances: Sequence[Instance]) -> None:
    """Check that every file is a magnitude MR image of one slice, as acquired or composed on the scanner.

    Raises
    ------
    Refusal
        ``multi_frame``, ``not_mr``, ``mosaic``, ``localizer``, ``phase_image`` or ``derived_series``: the first of
        them that holds for any file.
    """
    if any(i.sop_class in _ENHANCED_CLASSES or (i.n_frames or 1) > 1 for i in instances):
        raise Refusal("multi_frame")
    if any(i.sop_class != MRImageStorage or i.modality != "MR" for i in instances):
        raise Refusal("not_mr")
    image_types = {tuple(word.upper() for word in i.image_type) for i in instances}
    words = set().union(*image_types)
    for code, refused in (("mosaic", {"MOSAIC"}), ("localizer", {"LOCALIZER"}), ("phase_image", _PHASE_WORDS)):
        if words & refused:
            raise Refusal(code)
    if any(_is_derived(image_type) for image_type in image_types):
        raise Refusal("derived_series")


def _is_derived(image_type: tuple[str, ...]) -> bool:
    """Tell reformatted images; a scanner's fat and water, and volumes it composed, are DERIVED but primary data."""
    is_secondary = image_type[1:2] == ("SECONDARY",) and "COMPOSED" not in image_type
    return is_secondary or not _DERIVED_WORDS.isdisjoint(image_type)


def identify(instances: Sequence[Instance], participant_id: str | None, visit: str | None) -> tuple[str, str]:
    """Return participant and visit, provided all files and the delivery's name agree.

    Parameters
    ----------
    instances
        All files of the delivery.
    participant_id, visit
        As the delivery's name states them; None where it is no valid name, or states no visit.

    Raises
    ------
    Refusal
        ``invalid_participant_id``, ``two_participants`` or ``participant_mismatch``.
    """
    matches = [PATIENT_ID.fullmatch(patient_id) for patient_id in {i.patient_id for i in instances}]
    if None in matches or participant_id is None:
        raise Refusal("invalid_participant_id")
    if len(matches) > 1:
        raise Refusal("two_participants")
    stated_visit = matches[0][2]
    if matches[0][1] != participant_id or (stated_visit and visit and stated_visit != visit):
        raise Refusal("participant_mismatch")
    return participant_id, stated_visit or visit or BASELINE_VISIT


def group_by_contrast(instances: Sequence[tuple[Instance, str | None]]) -> dict[str, list[Instance]]:
    """Tell the contrasts apart: by what names them, else in-phase and opposed-phase by their two echo times.

    Parameters
    ----------
    instances
        (file, contrast that its folder states or None), in any order.

    Returns
    -------
    dict
        in, opp, fat, water -> files, in the order given.

    Raises
    ------
    Refusal
        ``not_dixon``, ``unknown_contrast`` or ``missing_contrast``.
    """
    groups: dict[str, list[Instance]] = {contrast: [] for contrast in CONTRASTS}
    unnamed: dict[float | None, list[Instance]] = {}
    for instance, stated in instances:
        contrast = _named_contrast(instance.siemens_contrast, instance.image_type, instance.series_description, stated)
        group = groups[contrast] if contrast else unnamed.setdefault(echo_time(instance), [])
        group.append(instance)
    if unnamed:
        _assign_by_echo_time(groups, unnamed)
    absent = [contrast for contrast in CONTRASTS if not groups[contrast]]
    if absent:
        raise Refusal("missing_contrast", f"Absent: {', '.join(absent)}.")
    return groups


def _assign_by_echo_time(groups: dict[str, list[Instance]], unnamed: dict[float | None, list[Instance]]) -> None:
    if len(unnamed) == 1 and not any(groups.values()):
        raise Refusal("not_dixon")
    if None in unnamed or len(unnamed) > 2:
        raise Refusal("unknown_contrast", f"Echo times among the unnamed files: {len(unnamed)}.")
    if len(unnamed) == 1 and (groups["in"] or groups["opp"]):
        raise Refusal("unknown_contrast", "Echo times among the unnamed files: 1.")
    if len(unnamed) == 1:
        raise Refusal("missing_contrast", "In-phase and opposed-phase need two echo times; one was found.")
    groups["opp"] += unnamed[min(unnamed)]
    groups["in"] += unnamed[max(unnamed)]


@lru_cache(maxsize=256)
def _named_contrast(
    siemens_contrast: str, image_type: tuple[str, ...], series_description: str, stated: str | None
) -> str | None:
    """Return the one contrast that Siemens' private tag, image type, series description and folder agree on."""
    named = {contrast for word, contrast in _SIEMENS_WORDS.items() if word in siemens_contrast}
    named |= {CONTRAST_WORDS[word.lower()] for word in image_type if word.lower() in CONTRAST_WORDS}
    description = series_description.lower()
    for prefix in _SERIES_PREFIXES:
        named |= {contrast for word, contrast in CONTRAST_WORDS.items() if description == prefix + word}
    if stated:
        named.add(stated)
    if len(named) > 1:
        raise Refusal("unknown_contrast", "A file names two contrasts.")
    return next(iter(named), None)


def echo_time(instance: Instance) -> float | None:
    """Return the echo time in ms, rounded to 1 microsecond."""
    return None if instance.echo_time_ms is None else round(instance.echo_time_ms, 3)
