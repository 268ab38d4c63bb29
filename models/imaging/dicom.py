"""DICOM deliveries: a zip of one participant's Dixon MRI -> four volumes on one grid, or a refusal with a code.

Belongs here: reading archives without extracting them, telling the contrasts apart, assembling slices into volumes.
Does not belong here: writing anything to disk (``nifti``), the reasons' wording and precedence (``refusal``).

Only the header fields in ``_TAGS`` are ever read. No text from a header or of a member's name enters a message.
"""

import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from stat import S_ISLNK
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import nibabel as nib
import numpy as np
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.filereader import read_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedMRColorImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
)

from models.imaging.dixon import CONTRASTS, DixonSet, combine_contrasts
from models.imaging.refusal import Refusal, first_refusal

_MAX_BYTES = 4 * 2**30
_MAX_MEMBERS = 20_000
_MAX_PIXELS = 4096 * 4096
_DICOM_MARK = slice(128, 132)

_SIEMENS_CONTRAST_TAG = 0x00511019
_KEYWORDS = (
    "ImageType SOPClassUID Modality ManufacturerModelName PatientID MagneticFieldStrength RepetitionTime EchoTime "
    "FlipAngle ImagePositionPatient ImageOrientationPatient SamplesPerPixel PhotometricInterpretation NumberOfFrames "
    "Rows Columns PixelSpacing BitsAllocated BitsStored HighBit PixelRepresentation RescaleIntercept RescaleSlope "
    "PixelData"
)
_TAGS = [_SIEMENS_CONTRAST_TAG, *(tag_for_keyword(keyword) for keyword in _KEYWORDS.split())]

_ENHANCED_CLASSES = (EnhancedMRImageStorage, EnhancedMRColorImageStorage, LegacyConvertedEnhancedMRImageStorage)
_NATIVE_SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
_SIEMENS_WORDS = {"DIXF": "fat", "DIXW": "water", "DIXI": "in", "DIXO": "opp"}
_IMAGE_TYPE_WORDS = {
    "in": {"IN", "IN_PHASE", "IP"},
    "opp": {"OPP", "OPP_PHASE", "OUT_PHASE", "OP"},
    "fat": {"F", "FAT"},
    "water": {"W", "WATER"},
}
_PATIENT_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]{0,31})(?:_([A-Za-z0-9]{1,16}))?")
_BASELINE_VISIT = "30"
_SCANNER_MODEL = re.compile(r"[A-Za-z0-9 _.+-]{1,40}")

_MIN_SLICES = 3
_POSITION_TOLERANCE_MM = 0.01
_ORIENTATION_TOLERANCE = 1e-3
_GAP_TOLERANCE = 0.02
_SHEAR_TOLERANCE = 0.1
_SPACING_LIMITS_MM = (0.2, 15.0)


@dataclass(frozen=True)
class AcquisitionFacts:
    """How one contrast was acquired; None where the header does not say, or says it unusably."""

    echo_time_ms: float | None
    repetition_time_ms: float | None
    flip_angle_deg: float | None
    field_strength_t: float | None
    scanner_model: str | None
    n_instances: int


@dataclass(frozen=True)
class Delivery:
    """One participant's visit.

    Attributes
    ----------
    patient_id
        Pseudonym without the visit suffix.
    visit
        The text after the last underscore of PatientID (NAKO: "30" baseline, "60" follow-up); "30" without one.
    dixon
        The four contrasts.
    facts
        Contrast -> how it was acquired.
    """

    patient_id: str
    visit: str
    dixon: DixonSet
    facts: dict[str, AcquisitionFacts]


@dataclass(frozen=True)
class _Stack:
    """The slices of one contrast, sorted along their normal, with the affine (4, 4) of (column, row, slice) in RAS."""

    slices: list[Dataset]
    affine: np.ndarray


def read_delivery(zip_path: Path) -> Delivery:
    """Read the zip of one participant and visit, named ``<participant>.zip`` or ``<participant>_<visit>.zip``.

    Raises
    ------
    Refusal
        With any code of ``REFUSALS``.
    OSError
        If the file cannot be opened.
    """
    return assemble_delivery(read_archive(zip_path), zip_path.stem)


def read_archive(path: Path) -> list[Dataset]:
    """Read every DICOM member of a zip in memory; nothing is extracted to disk.

    The directory is checked before anything is inflated, the checksum of every member after. Members that have
    neither the DICOM mark nor a DICOM file extension (licences, read-me files) are left out, as is a DICOMDIR.

    Raises
    ------
    Refusal
        ``unsafe_archive``, ``truncated_archive``, ``empty_delivery``, ``unreadable_dicom`` or
        ``deflated_transfer_syntax``.
    OSError
        If the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            with ZipFile(file) as archive:
                members = [info for info in archive.infolist() if not info.is_dir()]
                _check_directory(members)
                return _parse_files((info.filename, _read_member(archive, info)) for info in members)
        except (BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError):
            raise Refusal("truncated_archive") from None


def read_folder(path: Path) -> list[Dataset]:
    """Read every DICOM file in a folder tree; links are not followed.

    Raises
    ------
    Refusal
        ``empty_delivery``, ``unreadable_dicom`` or ``deflated_transfer_syntax``.
    """
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and not file.is_symlink())
    return _parse_files((file.name, file.read_bytes()) for file in files)


def assemble_delivery(datasets: list[Dataset], name: str) -> Delivery:
    """Turn the files of one participant and visit into a delivery, whatever their order and series.

    Parameters
    ----------
    datasets
        Every file, all contrasts together.
    name
        What the delivery is called: ``<participant>`` or ``<participant>_<visit>``; PatientID must agree.

    Raises
    ------
    Refusal
        With any code of ``REFUSALS`` from ``multi_frame`` on.
    """
    _check_single_frame_mr(datasets)
    participant, visit = _identify(datasets, name)
    groups = _group_by_contrast(datasets)
    del datasets
    stacks = _stack_contrasts(groups)
    facts = {contrast: _acquisition_facts(groups.pop(contrast)) for contrast in CONTRASTS}
    images = {contrast: _build_image(stacks.pop(contrast)) for contrast in CONTRASTS}
    return Delivery(participant, visit, combine_contrasts(images), facts)


def assemble(datasets: list[Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """Assemble the slices of one contrast into a volume.

    Slices are sorted along their normal, the cross product of ImageOrientationPatient (DICOM PS3.3 C.7.6.2.1.1).
    The voxel axes are permuted and flipped to the closest canonical orientation; nothing is resampled.

    Parameters
    ----------
    datasets
        Single-frame files of one contrast, in any order.

    Returns
    -------
    array, affine
        Voxels (x, y, z), RAS+, Fortran order: the stored integers, or float32 where a file carries a rescale slope
        or intercept; (4, 4) voxel indices -> RAS world, mm.

    Raises
    ------
    Refusal
        With a code of ``REFUSALS`` from ``missing_position`` to ``unreadable_pixels``.
    """
    return _build_image(_stack_slices(datasets))


def _check_directory(members: list[ZipInfo]) -> None:
    if (
        len(members) > _MAX_MEMBERS
        or sum(info.file_size for info in members) > _MAX_BYTES
        or any(_is_unsafe(info) for info in members)
    ):
        raise Refusal("unsafe_archive")
    if any(info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for info in members):
        raise Refusal("truncated_archive")


def _is_unsafe(info: ZipInfo) -> bool:
    path = PurePosixPath(info.filename.replace("\\", "/"))
    is_absolute = path.is_absolute() or re.match("[A-Za-z]:", info.filename) is not None
    return is_absolute or ".." in path.parts or S_ISLNK(info.external_attr >> 16) or path.suffix.lower() == ".zip"


def _read_member(archive: ZipFile, info: ZipInfo) -> bytes:
    """Inflate no more than the directory announces; zipfile verifies the checksum at the end it announces."""
    with archive.open(info) as member:
        return member.read(info.file_size + 1)


@contextmanager
def _silent_pydicom() -> Iterator[None]:
    """Keep header text out of warnings and logs: pydicom quotes what it finds invalid."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@_silent_pydicom()
def _parse_files(files: Iterable[tuple[str, bytes]]) -> list[Dataset]:
    datasets, refusals = [], []
    for name, data in files:
        try:
            dataset = _parse(name, data)
        except Refusal as refusal:
            refusals.append(refusal)
        else:
            if dataset is not None:
                datasets.append(dataset)
    if refusals:
        raise first_refusal(refusals)
    if not datasets:
        raise Refusal("empty_delivery")
    return datasets


def _parse(name: str, data: bytes) -> Dataset | None:
    """Return the allow-listed elements of one file, or None where it is no image file.

    All elements are converted here, where errors and warnings are caught: pydicom converts lazily, and parses a cut
    header without error up to the cut.
    """
    if data[_DICOM_MARK] != b"DICM":
        if name.lower().endswith((".dcm", ".ima")):
            raise Refusal("unreadable_dicom")
        return None
    try:
        meta = _read_file_meta(data)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            raise Refusal("deflated_transfer_syntax")
        if meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
            return None
        dataset = dcmread(BytesIO(data), specific_tags=_TAGS)
        dataset.buffer = None  # else the whole file stays in memory
        _convert_elements(dataset)
        if not dataset.get("SOPClassUID"):
            raise Refusal("unreadable_dicom")
    except (Refusal, MemoryError):
        raise
    except Exception:  # noqa: BLE001 (pydicom raises errors of many kinds on damaged files)
        raise Refusal("unreadable_dicom") from None
    return dataset


def _convert_elements(dataset: Dataset) -> None:
    for _ in dataset:
        pass


def _read_file_meta(data: bytes) -> Dataset:
    """Read the file meta information alone: pydicom inflates a deflated file before it can be refused."""
    file = BytesIO(data)
    file.seek(_DICOM_MARK.stop)
    return read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag.group != 2)


def _check_single_frame_mr(datasets: list[Dataset]) -> None:
    if any(d.get("SOPClassUID") in _ENHANCED_CLASSES or (_number(d, "NumberOfFrames") or 1) > 1 for d in datasets):
        raise Refusal("multi_frame")
    if any(d.get("SOPClassUID") != MRImageStorage or d.get("Modality") != "MR" for d in datasets):
        raise Refusal("not_mr")


def _identify(datasets: list[Dataset], name: str) -> tuple[str, str]:
    identities = {str(d.get("PatientID") or "").strip() for d in datasets}
    matches = [_PATIENT_ID.fullmatch(identity) for identity in identities]
    if None in matches:
        raise Refusal("invalid_participant_id")
    participant, visit = matches[0][1], matches[0][2] or _BASELINE_VISIT
    if len(identities) > 1 or name not in (participant, f"{participant}_{visit}"):
        raise Refusal("participant_mismatch")
    return participant, visit


def _group_by_contrast(datasets: list[Dataset]) -> dict[str, list[Dataset]]:
    groups: dict[str, list[Dataset]] = {contrast: [] for contrast in CONTRASTS}
    unnamed: dict[float | None, list[Dataset]] = {}
    for dataset in datasets:
        contrast = _named_contrast(dataset)
        group = groups[contrast] if contrast else unnamed.setdefault(_echo_time_ms(dataset), [])
        group.append(dataset)
    if None in unnamed or len(unnamed) > 2:
        raise Refusal("unknown_contrast", f"Echo times among the unnamed files: {len(unnamed)}.")
    if len(unnamed) == 2:
        groups["opp"] += unnamed[min(unnamed)]
        groups["in"] += unnamed[max(unnamed)]
    elif unnamed and (groups["in"] or groups["opp"]):
        raise Refusal("unknown_contrast", "Echo times among the unnamed files: 1.")
    elif unnamed:
        raise Refusal("missing_contrast", "In-phase and opposed-phase need two echo times; one was found.")
    absent = [contrast for contrast in CONTRASTS if not groups[contrast]]
    if absent:
        raise Refusal("missing_contrast", f"Absent: {', '.join(absent)}.")
    return groups


def _named_contrast(dataset: Dataset) -> str | None:
    text = _siemens_contrast_text(dataset)
    image_type = dataset.get("ImageType") or ()
    words = {image_type} if isinstance(image_type, str) else set(image_type)
    named = {contrast for word, contrast in _SIEMENS_WORDS.items() if word in text} or {
        contrast for contrast, own in _IMAGE_TYPE_WORDS.items() if own & words
    }
    if len(named) > 1:
        raise Refusal("unknown_contrast", "A file names two contrasts.")
    return next(iter(named), None)


def _siemens_contrast_text(dataset: Dataset) -> str:
    element = dataset.get(_SIEMENS_CONTRAST_TAG)
    if element is None or element.value is None:
        return ""
    return element.value.decode("latin-1") if isinstance(element.value, bytes) else str(element.value)


def _stack_contrasts(groups: dict[str, list[Dataset]]) -> dict[str, _Stack]:
    stacks, refusals = {}, []
    for contrast in CONTRASTS:
        try:
            stacks[contrast] = _stack_slices(groups[contrast])
        except Refusal as refusal:
            refusals.append(Refusal(refusal.code, f"Contrast: {contrast}."))
    try:
        _check_same_slices(groups)
    except Refusal as refusal:
        refusals.append(refusal)
    if refusals:
        raise first_refusal(refusals)
    return stacks


def _check_same_slices(groups: dict[str, list[Dataset]]) -> None:
    """Refuse a contrast whose slices are some of another's: an edge slice is missing, which no gap shows."""
    positions = {contrast: _positions(group) for contrast, group in groups.items()}
    longest = max(positions.values(), key=len)
    for contrast, own in positions.items():
        distances = np.abs(own[:, None] - longest[None]).max(axis=2).min(axis=1)
        if len(own) < len(longest) and distances.max() <= _POSITION_TOLERANCE_MM:
            raise Refusal("missing_slice", f"Contrast: {contrast}; absent: {len(longest) - len(own)}.")


def _stack_slices(datasets: list[Dataset]) -> _Stack:
    positions = _positions(datasets)
    row_direction, column_direction = _orientation(datasets)
    if len({_echo_time_ms(d) for d in datasets}) > 1:
        raise Refusal("two_echo_times")
    matrices = {(d.get("Rows"), d.get("Columns"), _vector(d, "PixelSpacing", 2)) for d in datasets}
    if len(matrices) > 1:
        raise Refusal("mixed_matrix")
    normal = np.cross(row_direction, column_direction)
    order = np.argsort(positions @ normal)
    positions = positions[order]
    _check_gaps(positions @ normal)
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    _check_shear(positions - positions[0], normal, step)
    in_plane_mm = matrices.pop()[2]
    _check_spacing(in_plane_mm, step)
    between_rows_mm, between_columns_mm = in_plane_mm
    affine = np.eye(4)
    affine[:3, 0] = row_direction * between_columns_mm
    affine[:3, 1] = column_direction * between_rows_mm
    affine[:3, 2] = step
    affine[:3, 3] = positions[0]
    lps_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    return _Stack([datasets[i] for i in order], lps_to_ras @ affine)


def _positions(datasets: list[Dataset]) -> np.ndarray:
    positions = [_vector(d, "ImagePositionPatient", 3) for d in datasets]
    if None in positions:
        raise Refusal("missing_position")
    return np.array(positions)


def _orientation(datasets: list[Dataset]) -> np.ndarray:
    """Return the direction of a row and of a column (2, 3), LPS unit vectors."""
    vectors = [_vector(d, "ImageOrientationPatient", 6) for d in datasets]
    if None in vectors:
        raise Refusal("missing_position")
    orientations = np.array(vectors).reshape(-1, 2, 3)
    products = orientations @ orientations.transpose(0, 2, 1)
    if not np.allclose(products, np.eye(2), rtol=0, atol=10 * _ORIENTATION_TOLERANCE):
        raise Refusal("missing_position")
    if np.abs(orientations - orientations[0]).max() > _ORIENTATION_TOLERANCE:
        raise Refusal("two_orientations")
    return orientations[0]


def _check_gaps(levels_mm: np.ndarray) -> None:
    if len(levels_mm) < _MIN_SLICES:
        raise Refusal("too_few_slices")
    gaps = np.diff(levels_mm)
    if gaps.min() < _POSITION_TOLERANCE_MM:
        raise Refusal("duplicate_position")
    multiples = gaps / np.median(gaps)
    uneven = multiples[np.abs(multiples - 1) > _GAP_TOLERANCE]
    nearest = np.round(uneven)
    if np.any((nearest >= 2) & (np.abs(uneven - nearest) <= _GAP_TOLERANCE * nearest)):
        raise Refusal("missing_slice")
    if uneven.size:
        raise Refusal("uneven_gap")


def _check_shear(offsets_mm: np.ndarray, normal: np.ndarray, step_mm: np.ndarray) -> None:
    sideways = offsets_mm - np.outer(offsets_mm @ normal, normal)
    if np.abs(sideways).max() > _SHEAR_TOLERANCE * np.linalg.norm(step_mm):
        raise Refusal("sheared_volume")


def _check_spacing(in_plane_mm: tuple[float, ...] | None, step_mm: np.ndarray) -> None:
    smallest, largest = _SPACING_LIMITS_MM
    spacing_mm = (*(in_plane_mm or (0.0, 0.0)), np.linalg.norm(step_mm))
    if min(spacing_mm) < smallest or max(spacing_mm) > largest:
        raise Refusal("implausible_spacing")


def _build_image(stack: _Stack) -> tuple[np.ndarray, np.ndarray]:
    voxels = _read_voxels(stack.slices)
    orientation = nib.io_orientation(stack.affine)
    affine = stack.affine @ nib.orientations.inv_ornt_aff(orientation, voxels.shape)
    return np.asfortranarray(nib.apply_orientation(voxels, orientation)), affine


def _read_voxels(slices: list[Dataset]) -> np.ndarray:
    """Return the voxels (column, row, slice)."""
    try:
        encodings = {(_stored_dtype(d), _rescale(d)) for d in slices}
        dtype, rescale = encodings.pop()
        is_plain = not encodings and rescale == (1.0, 0.0)
        planes = np.empty((len(slices), slices[0].Rows, slices[0].Columns), dtype if is_plain else np.float32)
        for plane, dataset in zip(planes, slices, strict=True):
            slope, intercept = _rescale(dataset)
            pixels = _read_pixels(dataset)
            plane[...] = pixels if is_plain else pixels * slope + intercept
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (decoders raise errors of many kinds on damaged pixels)
        raise Refusal("unreadable_pixels") from None
    return planes.transpose(2, 1, 0)


def _stored_dtype(dataset: Dataset) -> np.dtype:
    if dataset.BitsAllocated != 16 or dataset.get("SamplesPerPixel", 1) != 1:
        raise ValueError("Not one 16-bit sample per pixel.")
    if dataset.Rows * dataset.Columns > _MAX_PIXELS:
        raise ValueError("Too many pixels.")
    return np.dtype(np.int16 if dataset.PixelRepresentation else np.uint16)


def _rescale(dataset: Dataset) -> tuple[float, float]:
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    if not (slope and math.isfinite(slope) and math.isfinite(intercept)):
        raise ValueError("No usable rescale slope and intercept.")
    return slope, intercept


def _read_pixels(dataset: Dataset) -> np.ndarray:
    if dataset.file_meta.TransferSyntaxUID not in _NATIVE_SYNTAXES:
        return dataset.pixel_array
    stored = np.frombuffer(dataset.PixelData, dtype=_stored_dtype(dataset).newbyteorder("<"))
    return stored.reshape(dataset.Rows, dataset.Columns)


def _acquisition_facts(datasets: list[Dataset]) -> AcquisitionFacts:
    first = datasets[0]
    model = str(first.get("ManufacturerModelName") or "").strip()
    return AcquisitionFacts(
        echo_time_ms=_number(first, "EchoTime"),
        repetition_time_ms=_number(first, "RepetitionTime"),
        flip_angle_deg=_number(first, "FlipAngle"),
        field_strength_t=_number(first, "MagneticFieldStrength"),
        scanner_model=model if _SCANNER_MODEL.fullmatch(model) else None,
        n_instances=len(datasets),
    )


def _echo_time_ms(dataset: Dataset) -> float | None:
    echo_time = _number(dataset, "EchoTime")
    return None if echo_time is None else round(echo_time, 3)


def _number(dataset: Dataset, keyword: str) -> float | None:
    try:
        value = float(dataset.get(keyword))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _vector(dataset: Dataset, keyword: str, length: int) -> tuple[float, ...] | None:
    try:
        values = tuple(float(value) for value in dataset.get(keyword))
    except (TypeError, ValueError):
        return None
    return values if len(values) == length and all(map(math.isfinite, values)) else None
