"""Volumes written as a delivery: what lies in the zip."""

from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from models.imaging.delivery import Protocol, write_composed_zip
from models.imaging.dixon import CONTRASTS, DixonSet


@pytest.fixture
def dixon() -> DixonSet:
    volumes = {c: np.full((6, 5, 4), 100 * i, dtype=np.uint16) for i, c in enumerate(CONTRASTS)}
    return DixonSet(volumes, np.diag([1.5, 2.5, 3.0, 1.0]))


def _read(path: Path) -> list[Dataset]:
    with ZipFile(path) as archive:
        return [dcmread(BytesIO(archive.read(name))) for name in archive.namelist()]


def test_all_contrasts_are_classic_mr_in_one_series(tmp_path, dixon):
    write_composed_zip(tmp_path / "1.zip", dixon, "123456", rng=np.random.default_rng(0))
    files = _read(tmp_path / "1.zip")
    assert len(files) == 16
    assert {f.SOPClassUID for f in files} == {MRImageStorage}
    assert {f.file_meta.TransferSyntaxUID for f in files} == {ExplicitVRLittleEndian}
    assert {(f.SeriesInstanceUID, f.SeriesDescription) for f in files} == {
        (files[0].SeriesInstanceUID, "3D_GRE_TRA_W_COMPOSED")
    }
    assert {f.PatientID for f in files} == {"123456_30"}
    assert len({f.SOPInstanceUID for f in files}) == 16
    assert all(f.SOPInstanceUID == f.file_meta.MediaStorageSOPInstanceUID for f in files)


def test_only_private_tag_and_echo_time_tell_the_contrast(tmp_path, dixon):
    write_composed_zip(tmp_path / "1.zip", dixon, "123456", rng=np.random.default_rng(0), protocol=Protocol(1.1, 2.2))
    marks = {
        (int(f.pixel_array.flat[0]), f.get_item(0x00511019) and f[0x00511019].value, float(f.EchoTime))
        for f in _read(tmp_path / "1.zip")
    }
    assert marks == {(0, None, 2.2), (100, None, 1.1), (200, "DIXF", 1.1), (300, "DIXW", 1.1)}
    assert len({tuple(f.ImageType) for f in _read(tmp_path / "1.zip")}) == 1


def test_order_is_shuffled_and_says_nothing(tmp_path, dixon):
    write_composed_zip(tmp_path / "1.zip", dixon, "123456", rng=np.random.default_rng(0))
    levels = [float(f.SliceLocation) for f in _read(tmp_path / "1.zip")]
    assert levels != sorted(levels)
    assert [f.InstanceNumber for f in _read(tmp_path / "1.zip")] == list(range(1, 17))


def test_same_seed_same_bytes(tmp_path, dixon):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_composed_zip(tmp_path / name, dixon, "123456", rng=np.random.default_rng(seed))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()
    assert {info.date_time for info in ZipFile(tmp_path / "a").infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_omitted_files_are_absent(tmp_path, dixon):
    omit = frozenset({("fat", 1), ("in", 3)})
    write_composed_zip(tmp_path / "1.zip", dixon, "123456", rng=np.random.default_rng(0), omit=omit)
    assert len(_read(tmp_path / "1.zip")) == 14


def test_oblique_grids_and_floats_are_refused(tmp_path, dixon):
    oblique = dixon.affine.copy()
    oblique[0, 1] = 0.1
    with pytest.raises(ValueError, match="axis-aligned"):
        write_composed_zip(tmp_path / "1.zip", DixonSet(dixon.volumes, oblique), "1", rng=np.random.default_rng(0))
    floats = {c: v.astype(np.float32) for c, v in dixon.volumes.items()}
    with pytest.raises(ValueError, match="16-bit"):
        write_composed_zip(tmp_path / "1.zip", DixonSet(floats, dixon.affine), "1", rng=np.random.default_rng(0))
