"""Deliveries read back voxel by voxel, and every kind of broken one refused by its code."""

import pickle
import stat
import tracemalloc
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import nibabel as nib
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from models.imaging import archive, dicom, stack
from models.imaging.archive import look_at
from models.imaging.delivery import write_composed_zip
from models.imaging.dicom import assemble_delivery, read_delivery, read_zips
from models.imaging.dixon import CONTRASTS, DixonSet, combine_contrasts
from models.imaging.instance import read_instance
from models.imaging.nifti import read_volume, write_volume
from models.imaging.refusal import REFUSALS, Refusal, first_refusal
from models.imaging.stack import build_volume, stack_slices
from tests.models.imaging.imaging_cases import (
    AFFINE,
    alter,
    code_of,
    locate,
    read_datasets,
    read_tree,
    set_elements,
    shift,
    to_bytes,
)

DICM = bytes(128) + b"DICM"
EXPLICIT = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00"


# --- what comes back


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_coded_volumes_come_back(tmp_path, coded, dtype):
    signed = {c: (v.astype(np.int32) - 5000 * (dtype is np.int16)).astype(dtype) for c, v in coded.volumes.items()}
    write_composed_zip(tmp_path / "123456.zip", DixonSet(signed, AFFINE), "123456", rng=np.random.default_rng(3))
    delivery = read_delivery(tmp_path / "123456.zip")
    assert (delivery.patient_id, delivery.visit) == ("123456", "30")
    assert tuple(delivery.dixon.volumes) == CONTRASTS
    for contrast in CONTRASTS:
        assert delivery.dixon.volumes[contrast].dtype == dtype
        np.testing.assert_array_equal(delivery.dixon.volumes[contrast], signed[contrast])
    np.testing.assert_allclose(delivery.dixon.affine, AFFINE, atol=1e-9)


def test_facts_are_read(delivery):
    facts = read_delivery(delivery).facts
    assert (facts["in"].echo_time_ms, facts["opp"].echo_time_ms) == (2.46, 1.23)
    water = facts["water"]
    assert (water.repetition_time_ms, water.flip_angle_deg, water.field_strength_t) == (4.36, 9.0, 3.0)
    assert (water.scanner_model, water.software_version, water.n_instances) == ("Skyra", "syngo MR E11", 8)


def test_unusable_facts_are_none(delivery):
    def spoil(dataset, contrast, index):
        del dataset.FlipAngle
        return set_elements(dataset, ManufacturerModelName="Skyra <of Dr. Roe>", RepetitionTime=None)

    facts = read_delivery(alter(delivery, spoil)).facts["in"]
    assert (facts.scanner_model, facts.flip_angle_deg, facts.repetition_time_ms) == (None, None, None)


def test_image_type_words_name_contrasts(delivery, coded):
    words = {"in": "IN_PHASE", "opp": "OUT_PHASE", "fat": "F", "water": "WATER"}

    def rename(dataset, contrast, index):
        if 0x00511019 in dataset:
            del dataset[0x00511019]
        return set_elements(dataset, ImageType=["ORIGINAL", "PRIMARY", words[contrast]], EchoTime=2.0)

    volumes = read_delivery(alter(delivery, rename)).dixon.volumes
    assert all(np.array_equal(volumes[c], coded.volumes[c]) for c in CONTRASTS)


def test_rescaled_pixels_are_float(delivery, coded):
    def rescale(dataset, contrast, index):
        return set_elements(dataset, RescaleSlope=0.5 + index, RescaleIntercept=-3)

    volumes = read_delivery(alter(delivery, rescale)).dixon.volumes
    assert volumes["fat"].dtype == np.float32
    np.testing.assert_allclose(volumes["fat"], coded.volumes["fat"] * (0.5 + np.arange(8)) - 3)


def test_compressed_pixels_are_decoded(delivery, coded):
    altered = alter(delivery, lambda dataset, contrast, index: dataset.compress(RLELossless) or dataset)
    np.testing.assert_array_equal(read_delivery(altered).dixon.volumes["opp"], coded.volumes["opp"])


def test_visit_suffix_and_file_name(tmp_path, coded):
    write_composed_zip(tmp_path / "123456_60.zip", coded, "123456", visit="60", rng=np.random.default_rng(0))
    assert read_delivery(tmp_path / "123456_60.zip").visit == "60"


def test_no_visit_suffix_is_baseline(delivery):
    altered = alter(delivery, lambda dataset, contrast, index: set_elements(dataset, PatientID="123456"))
    assert read_delivery(altered).visit == "30"


def test_licence_and_dicomdir_are_left_out(delivery, coded):
    directory = Dataset()
    directory.PatientID = "000000"
    directory.file_meta = read_datasets(delivery)[0].file_meta
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    with ZipFile(delivery, "a") as archive:
        archive.writestr("LICENSE", "free")
        archive.writestr("DICOMDIR", to_bytes(directory))
    np.testing.assert_array_equal(read_delivery(delivery).dixon.volumes["in"], coded.volumes["in"])


def test_tilted_slices_keep_their_world_coordinates(delivery):
    """Pixel (r, c) lies at position + c * column spacing * row direction + r * row spacing * column direction."""
    row, column = np.array([0.0, 0.8, -0.6]), np.array([-1.0, 0.0, 0.0])
    datasets = [d for d in read_datasets(delivery) if locate(d)[0] == "water"]
    expected = {}
    for dataset in datasets:
        level = (float(dataset.ImagePositionPatient[2]) + 611.7) / 3
        position = np.array([10.0, 20.0, 30.0]) - 3 * level * np.cross(row, column)
        dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [*row, *column], list(position)
        lps = position + 3 * 1.40625 * row + 2 * 1.5 * column
        expected[int(dataset.pixel_array[2, 3])] = lps * [-1, -1, 1]
    voxels, affine = build_volume(stack_slices([read_instance(to_bytes(d)) for d in datasets]))
    assert "".join(nib.aff2axcodes(affine)) == "RAS"
    for value, world in expected.items():
        (index,) = np.argwhere(voxels == value)
        np.testing.assert_allclose(affine @ [*index, 1], [*world, 1], atol=1e-9)


# --- refusals


def test_codes_have_precedence_and_travel():
    assert first_refusal([Refusal("uneven_gap"), Refusal("not_mr"), Refusal("missing_slice")]).code == "not_mr"
    travelled = pickle.loads(pickle.dumps(Refusal("missing_slice", "Contrast: fat.")))
    assert (travelled.code, travelled.message) == ("missing_slice", f"{REFUSALS['missing_slice']} Contrast: fat.")
    with pytest.raises(KeyError):
        Refusal("undocumented")


@pytest.mark.parametrize("kept", [0.0, 0.4, 0.99])
def test_cut_archive(delivery, kept):
    content = delivery.read_bytes()
    delivery.write_bytes(content[: int(kept * len(content))])
    assert code_of(delivery) == "truncated_archive"


def test_damaged_member(delivery):
    with ZipFile(delivery) as archive:
        offset = archive.infolist()[3].header_offset
    content = bytearray(delivery.read_bytes())
    content[offset + 200] ^= 0xFF
    delivery.write_bytes(content)
    assert code_of(delivery) == "truncated_archive"


def test_any_damaged_byte_is_refused_or_harmless(delivery, coded):
    content, rng = delivery.read_bytes(), np.random.default_rng(1)
    for offset in rng.integers(0, len(content), 40):
        damaged = bytearray(content)
        damaged[offset] ^= 1 << rng.integers(8)
        delivery.write_bytes(damaged)
        try:
            volumes = read_delivery(delivery).dixon.volumes
        except Refusal:
            continue
        assert all(np.array_equal(volumes[c], coded.volumes[c]) for c in CONTRASTS)


@pytest.mark.parametrize("announced", [0, 100])
def test_member_that_inflates_to_more_than_announced(delivery, announced):
    with ZipFile(delivery, "a", ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(2**25))
    content = bytearray(delivery.read_bytes())
    size_field = content.rindex(b"bomb") - 46 + 24
    content[size_field : size_field + 4] = announced.to_bytes(4, "little")
    delivery.write_bytes(content)
    tracemalloc.start()
    assert code_of(delivery) == "truncated_archive"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**22


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("/etc/x.dcm", "absolute_path"),
        ("C:\\x.dcm", "absolute_path"),
        ("../x.dcm", "parent_path"),
        ("a/../../x.dcm", "parent_path"),
        ("..\\x.dcm", "parent_path"),
        ("inner.zip", "nested_archive"),
        ("inner.tar", "nested_archive"),
    ],
)
def test_unsafe_member_name(delivery, name, code):
    with ZipFile(delivery, "a") as archive:
        archive.writestr(name, b"x")
    assert code_of(delivery) == code


def test_archive_under_another_name(delivery):
    content = delivery.read_bytes()
    with ZipFile(delivery, "a") as archive:
        archive.writestr("000099.dcm", content)
    assert code_of(delivery) == "nested_archive"


@pytest.mark.parametrize(("mode", "code"), [(stat.S_IFLNK, "symbolic_link"), (stat.S_IFIFO, "special_file")])
def test_link_or_pipe(delivery, mode, code):
    member = ZipInfo("000099.dcm")
    member.external_attr = (mode | 0o777) << 16
    with ZipFile(delivery, "a") as archive:
        archive.writestr(member, "/etc/passwd")
    assert code_of(delivery) == code


def test_too_large_an_archive(delivery, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 10_000)
    assert code_of(delivery) == "too_large"


def test_too_many_members(delivery, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILES", 31)
    assert code_of(delivery) == "too_large"


def test_volumes_larger_than_memory_allows(delivery, monkeypatch):
    monkeypatch.setattr(stack, "MAX_BYTES", 600)
    assert code_of(delivery) == "too_large"


def test_several_archives_together_are_too_large(delivery, monkeypatch):
    monkeypatch.setattr(dicom, "MAX_BYTES", 40_000)
    with pytest.raises(Refusal, match="too_large"):
        read_zips([look_at(delivery)] * 2)


def test_no_dicom_at_all(tmp_path):
    with ZipFile(tmp_path / "1.zip", "w") as archive:
        archive.writestr("README", "nothing")
    assert code_of(tmp_path / "1.zip") == "empty_delivery"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("IM1", DICM, "empty_dicom"),
        ("IM1", DICM + EXPLICIT, "empty_dicom"),
        ("IM1", DICM + b"\x02\x00\x10\x00UI\xff\xff", "length_beyond_file"),
        ("IM1", DICM + EXPLICIT + b"\x08\x00\x16\x00UI\xff\xff", "length_beyond_file"),
        ("IM1", DICM + EXPLICIT + b"\x10\x00\x20\x00UC\x00\x00\xff\xff\xff\x7f", "length_beyond_file"),
        ("IM1", DICM + EXPLICIT + b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff" * 1000, "unreadable_dicom"),
        ("IM1", DICM + EXPLICIT + b"\xe0\x7f\x10\x00OW\x00\x00\x10\x00\x00\x00", "truncated_dicom"),
        ("IM1", DICM + EXPLICIT + b"\x08\x00\x16\x00??\x00\x00", "unreadable_dicom"),
        ("IM1", DICM + b"\x08\x00\x16\x00UI\x00\x00", "unreadable_dicom"),
        ("IM1.dcm", b"cut", "unreadable_dicom"),
    ],
)
def test_unreadable_member(delivery, name, content, code):
    with ZipFile(delivery, "a") as archive:
        archive.writestr(name, content)
    assert code_of(delivery) == code


def test_deflated_file(delivery):
    def deflate(dataset, contrast, index):
        if (contrast, index) == ("fat", 2):
            dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        return dataset

    altered = alter(delivery, deflate)
    assert code_of(altered) == "deflated_transfer_syntax"
    with ZipFile(altered, "a") as archive:
        archive.writestr("later", bytes(128) + b"DICM")
    assert code_of(altered) == "empty_dicom"


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"SOPClassUID": EnhancedMRImageStorage}, "multi_frame"),
        ({"NumberOfFrames": 2}, "multi_frame"),
        ({"SOPClassUID": CTImageStorage}, "not_mr"),
        ({"Modality": "CT"}, "not_mr"),
        ({"PatientID": "../../../evil"}, "invalid_participant_id"),
        ({"PatientID": ""}, "invalid_participant_id"),
        ({"PatientID": "123456_30\n"}, "invalid_participant_id"),
        ({"PatientID": "123456_30 "}, None),
        ({"PatientID": "123456\0_30"}, "invalid_participant_id"),
        ({"PatientID": "1" * 300}, "invalid_participant_id"),
        ({"PatientID": "12345\u0666_30", "SpecificCharacterSet": "ISO_IR 192"}, "invalid_participant_id"),
        ({"PatientID": "12345\u0431_30", "SpecificCharacterSet": "ISO_IR 192"}, "invalid_participant_id"),
        ({"PatientID": "123456_60"}, "two_participants"),
        ({"PatientID": "654321_30"}, "two_participants"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}, "mosaic"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "M"]}, "localizer"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, "phase_image"),
        ({"ImageType": ["DERIVED", "SECONDARY", "M", "ND"]}, "derived_series"),
        ({"ImageType": ["DERIVED", "PRIMARY", "MPR", "ND"]}, "derived_series"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "unreadable_pixels"),
        ({"ImagePositionPatient": None}, "missing_position"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "missing_position"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "two_orientations"),
        ({"EchoTime": 9.9}, "two_echo_times"),
        ({"PixelSpacing": [1.5, 1.6]}, "mixed_matrix"),
        ({"BitsAllocated": 32}, "unreadable_pixels"),
        ({"PixelData": b"\0\0"}, "unreadable_pixels"),
        ({"RescaleSlope": 0}, "unreadable_pixels"),
    ],
)
def test_one_odd_file(delivery, elements, code):
    def spoil(dataset, contrast, index):
        return set_elements(dataset, **elements) if (contrast, index) == ("water", 4) else dataset

    altered = alter(delivery, spoil)
    if code is None:
        read_delivery(altered)
    else:
        assert code_of(altered) == code


def test_file_name_of_another_participant(delivery):
    assert code_of(delivery.rename(delivery.with_name("123457.zip"))) == "participant_mismatch"


def test_file_name_of_another_visit(delivery):
    assert code_of(delivery.rename(delivery.with_name("123456_60.zip"))) == "participant_mismatch"


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_missing_contrast(delivery, contrast):
    assert code_of(alter(delivery, lambda d, own, index: None if own == contrast else d)) == "missing_contrast"


def test_third_echo_time(delivery):
    def spoil(dataset, contrast, index):
        return set_elements(dataset, EchoTime=3.69) if (contrast, index) == ("in", 4) else dataset

    assert code_of(alter(delivery, spoil)) == "unknown_contrast"


def test_no_echo_time(delivery):
    assert code_of(alter(delivery, lambda d, contrast, i: set_elements(d, EchoTime=None))) == "unknown_contrast"


def test_plain_mr_series_is_no_dixon(delivery):
    def rename(dataset, contrast, index):
        if 0x00511019 in dataset:
            del dataset[0x00511019]
        return set_elements(dataset, EchoTime=2.0) if contrast == "in" else None

    assert code_of(alter(delivery, rename)) == "not_dixon"


def test_two_contrasts_named(delivery):
    def spoil(dataset, contrast, index):
        return set_elements(dataset, ImageType=["ORIGINAL", "PRIMARY", "IN", "W"]) if contrast == "in" else dataset

    assert code_of(alter(delivery, spoil)) == "unknown_contrast"


def test_two_slices(delivery):
    assert code_of(alter(delivery, lambda d, contrast, index: d if index < 2 else None)) == "too_few_slices"


@pytest.mark.parametrize(
    ("omit", "code"),
    [
        ({("fat", 3)}, "missing_slice"),
        ({(c, 3) for c in CONTRASTS}, "missing_slice"),
        ({("fat", 0)}, "missing_edge_slice"),
        ({("water", 6), ("water", 7)}, "missing_edge_slice"),
    ],
)
def test_missing_slice(tmp_path, coded, omit, code):
    path = tmp_path / "123456.zip"
    write_composed_zip(path, coded, "123456", rng=np.random.default_rng(0), omit=frozenset(omit))
    assert code_of(path) == code


@pytest.mark.parametrize(
    ("millimetres", "axis", "is_affected", "code"),
    [
        (-3.0, 2, lambda contrast, index: (contrast, index) == ("opp", 4), "duplicate_position"),
        (1.2, 2, lambda contrast, index: (contrast, index) == ("opp", 4), "uneven_gap"),
        (30.0, 2, lambda contrast, index: index > 3, "missing_slice"),
        (1.5, 2, lambda contrast, index: contrast == "opp", "geometry_differs"),
        (5.0, 0, lambda contrast, index: (contrast, index) == ("opp", 4), "sheared_volume"),
    ],
)
def test_shifted_slices(delivery, millimetres, axis, is_affected, code):
    def spoil(dataset, contrast, index):
        return shift(dataset, millimetres, axis) if is_affected(contrast, index) else dataset

    assert code_of(alter(delivery, spoil)) == code


@pytest.mark.parametrize("spacing", [None, [0.01, 0.01], [40, 40]])
def test_implausible_spacing(delivery, spacing):
    assert code_of(alter(delivery, lambda d, c, i: set_elements(d, PixelSpacing=spacing))) == "implausible_spacing"


def test_first_documented_code_wins_across_contrasts(delivery):
    def spoil(dataset, contrast, index):
        if (contrast, index) == ("in", 4):
            return shift(dataset, 1.2)
        return None if (contrast, index) == ("water", 4) else dataset

    assert code_of(alter(delivery, spoil)) == "missing_slice"


def test_different_shape_or_affine_is_refused(coded):
    images = {c: (v, AFFINE) for c, v in coded.volumes.items()}
    assert combine_contrasts(images).volumes["fat"] is coded.volumes["fat"]
    for spoilt in ((coded.volumes["fat"][1:], AFFINE), (coded.volumes["fat"], AFFINE + 0.001 * np.eye(4, k=3))):
        with pytest.raises(Refusal, match="geometry_differs"):
            combine_contrasts({**images, "fat": spoilt})


# --- real data


def test_real_dixon_through_delivery_and_storage(real_data, tmp_path):
    water, fat = (nib.load(real_data / "dixon_legs" / f"{name}.nii.gz") for name in ("water", "fat"))
    w, f = water.get_fdata(), fat.get_fdata()
    signals = {"in": w + f, "opp": np.abs(w - f), "fat": f, "water": w}
    scale = 60_000 / signals["in"].max()
    stored = {c: np.round(s * scale).astype(np.uint16) for c, s in signals.items()}
    write_composed_zip(tmp_path / "500001.zip", DixonSet(stored, water.affine), "500001", rng=np.random.default_rng(0))
    delivery = read_delivery(tmp_path / "500001.zip")
    for contrast, signal in signals.items():
        path = tmp_path / f"{contrast}.nii.gz"
        write_volume(path, delivery.dixon.volumes[contrast], delivery.dixon.affine, {})
        voxels, affine = read_volume(path)
        assert np.abs(voxels / scale - signal).max() <= 0.5 / scale * (1 + 1e-9)
        np.testing.assert_allclose(affine, water.affine, atol=1e-4)


def test_real_classic_series_equals_its_truth(real_data):
    pair = real_data / "dicom_nifti_pairs" / "siemens"
    voxels, affine = build_volume(stack_slices([i for i, _ in read_tree(pair / "anatomical")]))
    truth = nib.as_closest_canonical(nib.load(pair / "anatomical" / "001_ground_truth.nii.gz"))
    assert "".join(nib.aff2axcodes(affine)) == "RAS"
    np.testing.assert_array_equal(voxels, np.asanyarray(truth.dataobj))
    np.testing.assert_allclose(affine, truth.affine, atol=1e-4)


@pytest.mark.parametrize("folder", ["siemens_multiframe", "philips_enhanced"])
def test_real_enhanced_mr_is_refused(real_data, folder):
    with pytest.raises(Refusal, match=r"^multi_frame"):
        assemble_delivery(read_tree(real_data / "dicom_nifti_pairs" / folder), "dicom2nifti", None)


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("slicecount", "too_few_slices"),
        ("sliceincrement", "missing_slice"),
        ("sliceorientation", "two_orientations"),
    ],
)
def test_real_broken_series_are_refused(real_data, folder, code):
    with pytest.raises(Refusal, match=rf"^{code}"):
        stack_slices([i for i, _ in read_tree(real_data / "dicom_nifti_pairs" / "failing" / folder)])


def test_real_ct_is_no_delivery(real_data):
    with pytest.raises(Refusal, match=r"^not_mr"):
        assemble_delivery(
            read_tree(real_data / "dicom_nifti_pairs" / "failing" / "sliceincrement"), "dicom2nifti", None
        )
