"""One DICOM file: its bytes -> the few elements that intake looks at, checked against the length of the file.

Belongs here: the file format (DICOM PS3.10, PS3.5 section 7) and the allow-list of elements. Does not belong here: what
the values mean for a delivery (``contrast``, ``stack``).

The reader is our own because it must be quick and sure: it takes a tenth of pydicom's time, holds nothing but the
elements of `_FIELDS`, never inflates, never recurses, and knows an element that is longer than its file, which pydicom
cuts short without an error. pydicom decodes compressed pixels, and is the oracle in the tests.
"""

import logging
import math
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from pydicom.pixels import pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from models.imaging.refusal import Refusal

_MARK = slice(128, 132)
_SHORT_HEADER = struct.Struct("<HH2sH")
_TRANSFER_SYNTAX, _MEDIA_CLASS = 0x00020010, 0x00020002
_PIXEL_DATA = 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH = 32
_MAX_ELEMENTS = 200_000
_MAX_VALUE_BYTES = 1024
_MAX_PIXELS = 4096 * 4096
_MAX_NUMBER = 1e6
_NATIVE_SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
_REFUSED_SYNTAXES = (DeflatedExplicitVRLittleEndian, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")

_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_FIELDS = {
    0x00080008: "image_type",
    0x00080016: "sop_class",
    0x00080060: "modality",
    0x0008103E: "series_description",
    0x00081090: "scanner_model",
    0x00100020: "patient_id",
    0x00180080: "repetition_time_ms",
    0x00180081: "echo_time_ms",
    0x00180087: "field_strength_t",
    0x00181020: "software_version",
    0x00181314: "flip_angle_deg",
    0x0020000E: "series_uid",
    0x00200032: "position",
    0x00200037: "orientation",
    0x00280002: "samples",
    0x00280004: "photometric",
    0x00280008: "n_frames",
    0x00280010: "rows",
    0x00280011: "columns",
    0x00280030: "pixel_spacing",
    0x00280100: "bits_allocated",
    0x00280103: "pixel_representation",
    0x00281052: "rescale_intercept",
    0x00281053: "rescale_slope",
    0x00511019: "siemens_contrast",
}
_TEXTS = (
    "sop_class",
    "modality",
    "patient_id",
    "series_uid",
    "series_description",
    "siemens_contrast",
    "scanner_model",
    "software_version",
    "photometric",
)
_NUMBERS = ("echo_time_ms", "repetition_time_ms", "flip_angle_deg", "field_strength_t", "n_frames")
_INTEGERS = ("samples", "rows", "columns", "bits_allocated", "pixel_representation")
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]*(?:[eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Instance:
    """The allow-listed content of one image file; text is "" and numbers are None where absent or unusable.

    Attributes
    ----------
    position
        ImagePositionPatient, (3,) mm, LPS.
    orientation
        ImageOrientationPatient, (6,): direction of a row, then of a column, LPS.
    pixel_spacing_mm
        Between rows, between columns.
    rescale
        (slope, intercept), None where stated but unusable.
    data, pixels
        The file, and where its pixels lie in it: offset and length in bytes, None where there are none.
    """

    sop_class: str
    modality: str
    patient_id: str
    series_uid: str
    series_description: str
    image_type: tuple[str, ...]
    siemens_contrast: str
    scanner_model: str
    software_version: str
    photometric: str
    echo_time_ms: float | None
    repetition_time_ms: float | None
    flip_angle_deg: float | None
    field_strength_t: float | None
    n_frames: float | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    samples: int | None
    rows: int | None
    columns: int | None
    bits_allocated: int | None
    pixel_representation: int | None
    rescale: tuple[float, float] | None
    transfer_syntax: str
    data: bytes
    pixels: tuple[int, int] | None


def is_dicom(data: bytes) -> bool:
    """Tell whether the content has the DICOM mark."""
    return data[_MARK] == b"DICM"


def read_instance(data: bytes) -> Instance | None:
    """Read one file with the DICOM mark; None for a DICOMDIR, which is no image.

    Raises
    ------
    Refusal
        ``empty_dicom``, ``length_beyond_file``, ``truncated_dicom``, ``unreadable_dicom`` or
        ``deflated_transfer_syntax``.
    """
    meta, start = _read_meta(data)
    if _text(meta.get(_MEDIA_CLASS, b"")) == MediaStorageDirectoryStorage:
        return None
    syntax = _text(meta.get(_TRANSFER_SYNTAX, b""))
    if syntax in _REFUSED_SYNTAXES:
        raise Refusal("deflated_transfer_syntax")
    if start >= len(data):
        raise Refusal("empty_dicom")
    if not syntax or syntax == ExplicitVRBigEndian:
        raise Refusal("unreadable_dicom")
    values, pixels = _read_elements(data, start, is_explicit=syntax != ImplicitVRLittleEndian)
    if not values.get("sop_class"):
        raise Refusal("unreadable_dicom")
    return _to_instance(values, syntax, data, pixels)


def check_pixels(instance: Instance) -> None:
    """Check that the header describes 16-bit grey pixels of a bearable size, and that a native file holds all of them.

    Raises
    ------
    Refusal
        ``unreadable_pixels``.
    """
    n_pixels = (instance.rows or 0) * (instance.columns or 0)
    if (
        instance.pixels is None
        or not 0 < n_pixels <= _MAX_PIXELS
        or instance.bits_allocated != 16
        or instance.samples not in (1, None)
        or instance.photometric not in ("MONOCHROME2", "")
        or instance.pixel_representation not in (0, 1)
        or instance.rescale is None
        or (instance.transfer_syntax in _NATIVE_SYNTAXES and instance.pixels[1] not in (2 * n_pixels, 2 * n_pixels + 1))
    ):
        raise Refusal("unreadable_pixels")


def read_pixels(instance: Instance) -> np.ndarray:
    """Return the stored values (row, column) of a file that `check_pixels` accepts, int16 or uint16.

    Raises
    ------
    Refusal
        ``unreadable_pixels`` where compressed pixels cannot be decoded.
    """
    dtype = stored_dtype(instance)
    shape = (instance.rows, instance.columns)
    if instance.transfer_syntax in _NATIVE_SYNTAXES:
        return np.frombuffer(instance.data, dtype, math.prod(shape), instance.pixels[0]).reshape(shape)
    decoded = _decode(instance.data)
    if decoded.shape != shape or decoded.dtype != dtype:
        raise Refusal("unreadable_pixels")
    return decoded


def stored_dtype(instance: Instance) -> np.dtype:
    """Return the type of the stored values: int16 or uint16."""
    return np.dtype("<i2" if instance.pixel_representation else "<u2")


def _decode(data: bytes) -> np.ndarray:
    try:
        with _silent_pydicom():
            return pixel_array(BytesIO(data))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (decoders raise errors of many kinds on damaged pixels)
        raise Refusal("unreadable_pixels") from None


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


def _read_meta(data: bytes) -> tuple[dict[int, bytes], int]:
    """Return the file meta information, always explicit little-endian, and where the data set begins."""
    meta, position = {}, _MARK.stop
    while position < len(data) and data[position : position + 2] == b"\x02\x00":
        tag, start, length, _ = _read_header(data, position, is_explicit=True)
        if length > len(data) - start:
            raise Refusal("length_beyond_file")
        meta[tag] = data[start : start + min(length, _MAX_VALUE_BYTES)]
        position = start + length
    return meta, position


def _read_elements(data: bytes, position: int, is_explicit: bool) -> tuple[dict[str, bytes], tuple[int, int] | None]:
    """Return the allow-listed values as bytes, and offset and length of the pixels."""
    values: dict[str, bytes] = {}
    for _ in range(_MAX_ELEMENTS):
        if position >= len(data):
            return values, None
        tag, start, length, is_long = _read_header(data, position, is_explicit)
        if tag == _PIXEL_DATA:
            return values, _locate_pixels(data, start, length)
        if length == _UNDEFINED:
            if is_explicit and not is_long:
                raise Refusal("unreadable_dicom")
            position = _skip_sequence(data, start, is_explicit and data[position + 4 : position + 6] != b"UN")
            continue
        position = start + length
        if position > len(data):
            raise Refusal("length_beyond_file")
        field = _FIELDS.get(tag)
        if field:
            if field in values:
                raise Refusal("unreadable_dicom")
            values[field] = data[start:position] if length <= _MAX_VALUE_BYTES else b""
    raise Refusal("unreadable_dicom")


def _read_header(data: bytes, position: int, is_explicit: bool) -> tuple[int, int, int, bool]:
    """Return tag, start of the value, its length, and whether the length has 32 bits."""
    tag, header_bytes, length, is_long = _split_header(data[position : position + 8], is_explicit)
    start = position + header_bytes
    if header_bytes == 12:
        if start > len(data):
            raise Refusal("unreadable_dicom")
        length = int.from_bytes(data[start - 4 : start], "little")
    return tag, start, length, is_long


@lru_cache(maxsize=4096)
def _split_header(header: bytes, is_explicit: bool) -> tuple[int, int, int, bool]:
    """Return tag, length of the whole header (8 or 12), length of the value where 8, whether that has 32 bits.

    The files of a delivery share nearly all their headers: most calls are answered from the cache.
    """
    if len(header) < 8:
        raise Refusal("truncated_dicom")
    group, element, vr, length = _SHORT_HEADER.unpack(header)
    tag = group << 16 | element
    if not is_explicit or group == 0xFFFE:
        return tag, 8, int.from_bytes(header[4:], "little"), True
    if vr in _SHORT_VRS:
        return tag, 8, length, False
    if vr not in _LONG_VRS:
        raise Refusal("unreadable_dicom")
    return tag, 12, 0, True


def _locate_pixels(data: bytes, start: int, length: int) -> tuple[int, int]:
    if length == _UNDEFINED:
        try:
            return start, _skip_sequence(data, start, is_explicit=False) - start
        except Refusal:
            raise Refusal("truncated_dicom") from None
    if length > len(data) - start:
        raise Refusal("truncated_dicom")
    return start, length


def _skip_sequence(data: bytes, position: int, is_explicit: bool) -> int:
    """Return the end of a sequence of undefined length; the elements inside are looked at for their lengths only."""
    explicit_levels = [is_explicit]
    for _ in range(_MAX_ELEMENTS):
        tag, start, length, _ = _read_header(data, position, explicit_levels[-1])
        if tag in (_ITEM_END, _SEQUENCE_END):
            explicit_levels.pop()
            position = start
        elif length == _UNDEFINED:
            is_unknown = explicit_levels[-1] and data[position + 4 : position + 6] == b"UN"
            explicit_levels.append(explicit_levels[-1] and not is_unknown)
            position = start
        else:
            position = start + length
        if position > len(data):
            raise Refusal("length_beyond_file")
        if not explicit_levels:
            return position
        if len(explicit_levels) > _MAX_DEPTH:
            break
    raise Refusal("unreadable_dicom")


def _to_instance(
    values: dict[str, bytes], transfer_syntax: str, data: bytes, pixels: tuple[int, int] | None
) -> Instance:
    texts = {field: _text(values.get(field, b"")) for field in _TEXTS}
    numbers = {field: _number(values.get(field, b"")) for field in _NUMBERS}
    integers = {field: _integer(values.get(field, b"")) for field in _INTEGERS}
    return Instance(
        **texts,
        **numbers,
        **integers,
        image_type=_words(values.get("image_type", b"")),
        position=_vector(values.get("position", b""), 3),
        orientation=_vector(values.get("orientation", b""), 6),
        pixel_spacing_mm=_vector(values.get("pixel_spacing", b""), 2),
        rescale=_rescale(values.get("rescale_slope"), values.get("rescale_intercept")),
        transfer_syntax=transfer_syntax,
        data=data,
        pixels=pixels,
    )


@lru_cache(maxsize=4096)
def _text(value: bytes) -> str:
    """Return the text without DICOM's padding: one space or zero byte at the end, spaces around."""
    return value.decode("latin-1").removesuffix("\0").strip(" ")


@lru_cache(maxsize=4096)
def _words(value: bytes) -> tuple[str, ...]:
    return tuple(word.strip(" ") for word in _text(value).split("\\"))


@lru_cache(maxsize=4096)
def _vector(value: bytes, length: int) -> tuple[float, ...] | None:
    words = _words(value)
    if len(words) != length or not all(word and _NUMBER.fullmatch(word) for word in words):
        return None
    try:
        numbers = tuple(map(float, words))
    except ValueError:
        return None
    return numbers if all(abs(number) < _MAX_NUMBER for number in numbers) else None


@lru_cache(maxsize=4096)
def _number(value: bytes) -> float | None:
    numbers = _vector(value, 1)
    return numbers[0] if numbers else None


@lru_cache(maxsize=4096)
def _integer(value: bytes) -> int | None:
    return int.from_bytes(value, "little") if len(value) == 2 else None


def _rescale(slope: bytes | None, intercept: bytes | None) -> tuple[float, float] | None:
    numbers = (1.0 if slope is None else _number(slope), 0.0 if intercept is None else _number(intercept))
    return numbers if None not in numbers and numbers[0] else None
