"""The header reader against pydicom, and against bytes that nobody meant."""

import resource
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from models.imaging.dicom import read_delivery
from models.imaging.dixon import CONTRASTS
from models.imaging.instance import check_pixels, is_dicom, read_instance, read_pixels
from models.imaging.nifti_set import read_nifti
from models.imaging.refusal import Refusal
from tests.models.imaging.imaging_cases import (
    SHAPE,
    alter,
    draw_coded,
    pack,
    read_datasets,
    set_elements,
    to_bytes,
    write_coded,
)

KEYWORDS = {
    "sop_class": "SOPClassUID",
    "modality": "Modality",
    "patient_id": "PatientID",
    "series_uid": "SeriesInstanceUID",
    "series_description": "SeriesDescription",
    "scanner_model": "ManufacturerModelName",
    "echo_time_ms": "EchoTime",
    "repetition_time_ms": "RepetitionTime",
    "flip_angle_deg": "FlipAngle",
    "field_strength_t": "MagneticFieldStrength",
    "rows": "Rows",
    "columns": "Columns",
    "bits_allocated": "BitsAllocated",
    "pixel_representation": "PixelRepresentation",
}
PREFIX = bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00"
SOP_CLASS = b"\x08\x00\x16\x00UI\x1a\x001.2.840.10008.5.1.4.1.1.4\x00"


def element(tag: bytes, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    if vr in (b"SQ", b"UN", b"OB", b"OW"):
        return tag + vr + b"\0\0" + size.to_bytes(4, "little") + value
    return tag + vr + size.to_bytes(2, "little") + value


def sequence(content: bytes, vr: bytes = b"SQ") -> bytes:
    """A sequence of undefined length with one item of undefined length."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + content + b"\xfe\xff\x0d\xe0\0\0\0\0"
    return element(b"\x08\x00\x40\x11", vr, item + b"\xfe\xff\xdd\xe0\0\0\0\0", 0xFFFFFFFF)


def code_of_bytes(data: bytes) -> str | None:
    try:
        read_instance(data)
    except Refusal as refusal:
        return refusal.code
    return None


def real_files(real_data: Path) -> list[Path]:
    return [p for p in sorted((real_data / "dicom_nifti_pairs").rglob("*.dcm"))]


# --- agreement with pydicom


def test_real_headers_agree_with_pydicom(real_data):
    for path in real_files(real_data):
        instance, dataset = read_instance(path.read_bytes()), dcmread(path)
        for field, keyword in KEYWORDS.items():
            value, expected = getattr(instance, field), dataset.get(keyword)
            if expected in (None, ""):
                assert not value
            elif isinstance(value, str):
                assert value == str(expected).strip()
            else:
                assert value == pytest.approx(float(expected))
        assert list(instance.image_type) == list(dataset.get("ImageType", [""]))
        if "ImagePositionPatient" in dataset:
            assert instance.position == tuple(map(float, dataset.ImagePositionPatient))
        assert dataset.PixelData[:100] == instance.data[instance.pixels[0] :][:100]


def test_real_pixels_agree_with_pydicom(real_data):
    compared = 0
    for path in real_files(real_data):
        instance = read_instance(path.read_bytes())
        if (instance.n_frames or 1) == 1:
            check_pixels(instance)
            np.testing.assert_array_equal(read_pixels(instance), dcmread(path).pixel_array)
            compared += 1
    assert compared >= 10


def test_nested_sequences_are_stepped_over():
    inner = element(b"\x10\x00\x20\x00", b"LO", b"inner!")
    private = sequence(b"\x10\x00\x20\x00\x06\x00\x00\x00inner!", b"UN")
    data = PREFIX + SOP_CLASS + sequence(sequence(inner)) + private + element(b"\x10\x00\x20\x00", b"LO", b"outer!")
    assert read_instance(data).patient_id == "outer!"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1.5 ", 1.5),
        (b" -2e-1", -0.2),
        (b"1_0", None),
        (b"nan ", None),
        (b"inf ", None),
        (b"1\\2 ", None),
        (b"", None),
    ],
)
def test_numbers_are_numbers_or_none(value, expected):
    data = PREFIX + SOP_CLASS + element(b"\x18\x00\x81\x00", b"DS", value)
    assert read_instance(data).echo_time_ms == expected


# --- pixels


def compress_jpeg2000(dataset: Dataset) -> Dataset:
    file = BytesIO()
    Image.fromarray(dataset.pixel_array.astype(np.uint16)).save(file, "JPEG2000", irreversible=False, no_jp2=True)
    dataset.PixelData = encapsulate([file.getvalue()])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    return dataset


@pytest.mark.parametrize("compress", [compress_jpeg2000, lambda d: d.compress(RLELossless) or d])
def test_compressed_pixels_come_back(delivery, compress):
    volumes = read_delivery(alter(delivery, lambda d, contrast, index: compress(d))).dixon.volumes
    for contrast in CONTRASTS:
        np.testing.assert_array_equal(volumes[contrast], draw_coded().volumes[contrast])


def test_encodings_without_a_decoder_are_refused(delivery):
    """JPEG-LS needs a decoder that the project does not install; where there is one, damaged pixels are refused."""

    def spoil(dataset, contrast, index):
        dataset.PixelData = encapsulate([b"\xff\xd8 no image \xff\xd9"])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
        return dataset

    altered = [to_bytes(spoil(d, None, None)) for d in read_datasets(delivery)]
    assert get_decoder(JPEGLSLossless)
    with pytest.raises(Refusal, match="unreadable_pixels"):
        read_delivery(pack(delivery, altered))


@pytest.mark.parametrize("elements", [{"Rows": 4096, "Columns": 4096}, {"Rows": 65535, "Columns": 65535}, {"Rows": 0}])
def test_announced_matrix_allocates_nothing(delivery, elements):
    altered = alter(delivery, lambda d, contrast, index: set_elements(d, **elements))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Refusal, match="unreadable_pixels"):
        read_delivery(altered)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


# --- a header is data


def test_deep_nesting_and_many_elements_end_in_time():
    opened = element(b"\x08\x00\x40\x11", b"SQ", b"", 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    many = element(b"\x08\x00\x20\x00", b"DA", b"") * 3_000_000
    long_text = element(b"\x10\x00\x20\x00", b"UT", b"")[:6] + b"\0\0" + (2**24).to_bytes(4, "little") + bytes(2**24)
    began = time.perf_counter()
    assert code_of_bytes(PREFIX + opened * 1_000_000) == "unreadable_dicom"
    assert code_of_bytes(PREFIX + many) == "unreadable_dicom"
    assert code_of_bytes(PREFIX + sequence(many)) == "unreadable_dicom"
    assert read_instance(PREFIX + SOP_CLASS + long_text).patient_id == ""
    assert time.perf_counter() - began < 3


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip, cut, splice or repeat some bytes."""
    content = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        first, second = sorted(int(i) for i in rng.integers(0, len(content) + 1, 2))
        match rng.integers(4):
            case 0:
                for index in rng.integers(0, len(content), rng.integers(1, 9)):
                    content[index] = rng.integers(256)
            case 1:
                del content[second:]
            case 2:
                content[first:first] = content[second : second + 64]
            case _:
                content[first : first + 4] = rng.bytes(4)
        content = content or bytearray(1)
    return bytes(content)


def assert_only_refused(read, argument) -> None:
    try:
        read(argument)
    except Refusal:
        pass


def test_damaged_dicom_bytes_are_read_or_refused(real_data, tmp_path):
    rng = np.random.default_rng(7)
    sources = [to_bytes(d) for d in read_datasets(write_coded(tmp_path / "1.zip"))[:4]]
    sources += [path.read_bytes()[:200_000] for path in real_files(real_data)[::4]]

    def read(data: bytes) -> None:
        instance = read_instance(data) if is_dicom(data) else None
        if instance:
            check_pixels(instance)
            read_pixels(instance)

    for number in range(2000):
        assert_only_refused(read, damage(sources[number % len(sources)], rng))


@pytest.mark.parametrize("is_compressed", [False, True])
def test_damaged_deliveries_are_read_or_refused(tmp_path, is_compressed):
    rng = np.random.default_rng(8)
    source = write_coded(tmp_path / "123456.zip")
    if is_compressed:
        alter(source, lambda d, contrast, index: d.compress(RLELossless) or d)
    content, path = source.read_bytes(), tmp_path / "x" / "123456.zip"
    path.parent.mkdir()
    files = [to_bytes(d) for d in read_datasets(source)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    for number in range(150):
        if number % 2:
            path.write_bytes(damage(content, rng))
        else:
            spoilt = rng.integers(len(files))
            pack(path, [damage(f, rng) if i == spoilt else f for i, f in enumerate(files)])
        assert_only_refused(read_delivery, path)
    assert time.perf_counter() - began < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_damaged_nifti_bytes_are_read_or_refused(tmp_path, suffix):
    import nibabel as nib

    path = tmp_path / f"x{suffix}"
    nib.save(nib.Nifti1Image(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), np.diag([2, 2, 3, 1.0])), path)
    content, rng = path.read_bytes(), np.random.default_rng(9)
    for _ in range(500):
        assert_only_refused(read_nifti, damage(content, rng))
