"""Volumes on disk: what is read is what was written, or an error."""

import gzip
import hashlib
import json

import nibabel as nib
import numpy as np
import pytest

from models.imaging.nifti import CorruptVolume, combined_sha256, image_sha256, read_volume, write_volume

AFFINE = np.array([[1.40625, 0, 0, -200.123456], [0, 1.40625, 0, -180.2], [0, 0, 3, -611.7], [0, 0, 0, 1]])


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4096, (37, 8, 9)).astype(np.int16)


@pytest.fixture
def stored(tmp_path, array):
    path = tmp_path / "water.nii.gz"
    write_volume(path, array, AFFINE, {"release": "r1"})
    return path


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8, np.float32])
def test_volume_comes_back(tmp_path, array, dtype):
    path = tmp_path / "water.nii.gz"
    written = write_volume(path, array.astype(dtype), AFFINE, {})
    voxels, affine = read_volume(path)
    assert voxels.dtype == dtype
    np.testing.assert_array_equal(voxels, array.astype(dtype))
    np.testing.assert_array_equal(affine, AFFINE.astype(np.float32))
    assert image_sha256(voxels, affine) == written


def test_other_readers_agree(stored, array):
    image = nib.load(stored)
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), array)
    np.testing.assert_allclose(image.get_qform(), AFFINE, atol=1e-4)
    assert (image.header["qform_code"], image.header["sform_code"]) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.header["descrip"] == b""
    assert len(gzip.decompress(stored.read_bytes())) == 352 + array.nbytes


def test_sidecar_holds_hashes_and_provenance(stored, array):
    facts = json.loads((stored.parent / "water.json").read_text())
    assert facts == {
        "release": "r1",
        "image_sha256": image_sha256(array, AFFINE),
        "file_sha256": hashlib.sha256(stored.read_bytes()).hexdigest(),
    }
    assert sorted(p.name for p in stored.parent.iterdir()) == ["water.json", "water.nii.gz"]


def test_hash_is_the_documented_one(array):
    rounded = AFFINE.astype("<f4").astype("<f8")
    expected = hashlib.sha256(b"<i2" + b"37,8,9" + rounded.tobytes() + array.tobytes(order="F")).hexdigest()
    assert image_sha256(array, AFFINE) == expected
    assert image_sha256(np.asfortranarray(array), AFFINE) == expected
    assert image_sha256(array.astype(">i2"), AFFINE) == expected


def test_hash_sees_every_part(array):
    moved = AFFINE.copy()
    moved[0, 3] += 0.01
    changed = array.copy()
    changed[-1, -1, -1] += 1
    images = [(array, AFFINE), (array, moved), (changed, AFFINE), (array.astype(np.uint16), AFFINE)]
    images.append((array.reshape(8, 37, 9), AFFINE))
    assert len({image_sha256(*image) for image in images}) == 5


def test_minus_zero_is_zero(array):
    negative = np.where(np.eye(4) == 0, -0.0, np.eye(4))
    assert image_sha256(array, np.eye(4)) == image_sha256(array, negative)


def test_combined_hash_has_an_order():
    hashes = {"water": "d", "in": "a", "fat": "c", "opp": "b"}
    assert combined_sha256(hashes) == hashlib.sha256(b"abcd").hexdigest()


def test_half_a_file_is_corrupt(stored):
    content = stored.read_bytes()
    stored.write_bytes(content[: len(content) // 2])
    with pytest.raises(CorruptVolume):
        read_volume(stored)


def test_lost_gzip_trailer_is_corrupt(stored):
    stored.write_bytes(stored.read_bytes()[:-8])
    with pytest.raises(CorruptVolume):
        read_volume(stored)


def test_another_image_under_the_file_hash_is_corrupt(stored, array):
    facts = json.loads((stored.parent / "water.json").read_text())
    (stored.parent / "water.json").write_text(json.dumps({**facts, "image_sha256": image_sha256(array + 1, AFFINE)}))
    with pytest.raises(CorruptVolume):
        read_volume(stored)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"\xff\xfe"])
def test_no_usable_sidecar_is_corrupt(stored, content):
    sidecar = stored.parent / "water.json"
    sidecar.unlink() if content is None else sidecar.write_bytes(content)
    with pytest.raises(CorruptVolume):
        read_volume(stored)


def test_failed_write_leaves_the_old_file_and_nothing_else(stored, array, monkeypatch):
    def fail(_descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_volume(stored, array + 1, AFFINE, {})
    np.testing.assert_array_equal(read_volume(stored)[0], array)
    assert sorted(p.name for p in stored.parent.iterdir()) == ["water.json", "water.nii.gz"]


def test_other_file_names_are_refused(tmp_path, array):
    with pytest.raises(ValueError, match=r"\.nii\.gz"):
        write_volume(tmp_path / "water.nii", array, AFFINE, {})
