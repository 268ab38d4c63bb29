"""Every layout reads back voxel by voxel, and a release with every fault keeps exactly the sound participants."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import (
    ImplicitVRLittleEndian,
)

from models.imaging.dixon import CONTRASTS
from models.imaging.intake import plan_intake, read_case
from models.imaging.refusal import Refusal
from tests.models.imaging.faults import CHANGES, write_every_fault
from tests.models.imaging.imaging_cases import (
    AFFINE,
    alter,
    as_folder,
    draw_coded,
    pack,
    read_datasets,
    set_elements,
    shift,
    to_bytes,
    with_series_per_contrast,
    write_coded,
    write_nifti_set,
    write_stations,
)


def read_only_case(imaging: Path):
    (case,) = plan_intake(imaging).cases
    return read_case(case)


def code_of_case(case) -> str | None:
    try:
        read_case(case)
    except Refusal as refusal:
        return refusal.code
    return None


def assert_coded(delivery, affine=AFFINE):
    expected = draw_coded()
    for contrast in CONTRASTS:
        np.testing.assert_array_equal(delivery.dixon.volumes[contrast], expected.volumes[contrast])
    np.testing.assert_allclose(delivery.dixon.affine, affine, atol=1e-4)


# --- no slice of one contrast lands in another


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("is_one_series", [True, False])
@pytest.mark.parametrize("layout", ["composed", "dicom"])
def test_order_and_series_do_not_matter(tmp_path, seed, is_one_series, layout):
    path = write_coded(tmp_path / "imaging" / "123456.zip")
    if not is_one_series:
        with_series_per_contrast(path)
    if layout == "composed":
        files = [to_bytes(dataset) for dataset in read_datasets(path)]
        pack(path, np.random.default_rng(seed).permutation(np.array(files, object)))
    else:
        as_folder(tmp_path / "imaging" / "123456", path, np.random.default_rng(seed))
        path.unlink()
    delivery = read_only_case(tmp_path / "imaging")
    assert (delivery.patient_id, delivery.visit) == ("123456", "30")
    assert_coded(delivery)


@pytest.mark.parametrize("in_one_zip", [False, True])
@pytest.mark.parametrize("cuts", [((0, 4), (4, 8)), ((0, 5), (3, 8)), ((4, 8), (0, 5))])
def test_stations_are_composed(tmp_path, coded, in_one_zip, cuts):
    imaging = write_stations(tmp_path / "imaging", coded, cuts, tmp_path, in_one_zip)
    assert_coded(read_only_case(imaging))


def test_stations_in_a_dicom_folder_are_composed(tmp_path, coded):
    imaging = write_stations(tmp_path / "imaging", coded, [(0, 5), (3, 8)], tmp_path)
    for number, path in enumerate(sorted(imaging.rglob("*.zip"))):
        as_folder(imaging / "123456_30" / str(number), path, np.random.default_rng(number))
        path.unlink()
    assert_coded(read_only_case(imaging))


@pytest.mark.parametrize("words", [CONTRASTS, ("IN_PHASE", "OUT_PHASE", "FAT", "WATER"), ("IN", "OPP", "F", "W")])
def test_converted_sets_are_read(tmp_path, words):
    write_nifti_set(tmp_path, "123456_60", words)
    delivery = read_only_case(tmp_path)
    assert (delivery.patient_id, delivery.visit) == ("123456", "60")
    assert delivery.facts["fat"].echo_time_ms is None
    assert delivery.dixon.volumes["fat"].dtype == np.uint16
    assert_coded(delivery)


def test_converted_sets_of_any_orientation(tmp_path):
    orientation = nib.orientations.axcodes2ornt("PIL")
    for path in write_nifti_set(tmp_path):
        nib.save(
            nib.load(path).as_reoriented(nib.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], orientation)), path
        )
    assert_coded(read_only_case(tmp_path))


def test_scaled_converted_sets_are_float(tmp_path):
    for path in write_nifti_set(tmp_path):
        image = nib.load(path)
        nib.save(nib.Nifti1Image(image.get_fdata() / 7, image.affine), path)
    delivery = read_only_case(tmp_path)
    assert delivery.dixon.volumes["in"].dtype == np.float32
    np.testing.assert_allclose(delivery.dixon.volumes["fat"] * 7, draw_coded().volumes["fat"], rtol=1e-6)


@pytest.mark.parametrize(
    "words",
    [("IN_PHASE", "OPP_PHASE", "FAT", "WATER"), ("IN", "OUT_PHASE", "F", "W"), ("3D_GRE_TRA_in", "_opp", "_F", "_W")],
)
@pytest.mark.parametrize("element", ["ImageType", "SeriesDescription"])
def test_contrast_words(delivery, element, words):
    def rename(dataset, contrast, index):
        if 0x00511019 in dataset:
            del dataset[0x00511019]
        word = words[CONTRASTS.index(contrast)]
        if element == "ImageType":
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", word.rsplit("_", 1)[-1] if "GRE" in words[0] else word]
        else:
            dataset.SeriesDescription = word if word[0] != "_" else f"3D_GRE_TRA{word}"
        return set_elements(dataset, EchoTime=2.0)

    assert_coded(read_only_case(alter(delivery, rename).parent))


def test_folder_and_header_must_agree(tmp_path, coded):
    imaging = write_stations(tmp_path / "imaging", coded, [(0, 8)], tmp_path)
    (imaging / "3D_GRE_TRA_F").rename(imaging / "x")
    (imaging / "3D_GRE_TRA_W").rename(imaging / "3D_GRE_TRA_F")
    (imaging / "x").rename(imaging / "3D_GRE_TRA_W")
    with pytest.raises(Refusal, match="unknown_contrast"):
        read_only_case(imaging)


@pytest.mark.parametrize(("row", "column"), [("y", "-z"), ("x", "-z"), ("-x", "-y"), ("-y", "x"), ("tilted", "y")])
def test_any_orientation_keeps_its_world_coordinates(delivery, row, column):
    """Turn row, column and slice direction of a coded delivery: each voxel's world position turns with them."""
    units = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1), "tilted": (0.8, 0, 0.6)}
    first, second = (np.array(units[w.strip("-")]) * (-1 if w[0] == "-" else 1) for w in (row, column))
    turn = np.column_stack([first, second, np.cross(first, second)])

    def rotate(dataset, contrast, index):
        position = turn @ np.array(dataset.ImagePositionPatient, float)
        return set_elements(
            dataset,
            ImageOrientationPatient=[f"{v:.6f}" for v in (*first, *second)],
            ImagePositionPatient=[f"{v:.6f}" for v in position],
        )

    read = read_only_case(alter(delivery, rotate).parent)
    assert "".join(nib.aff2axcodes(read.dixon.affine)) == "RAS"
    flip = np.diag([-1.0, -1, 1])
    for contrast, volume in read.dixon.volumes.items():
        indices = np.argwhere(np.ones(volume.shape))
        world = indices @ read.dixon.affine[:3, :3].T + read.dixon.affine[:3, 3]
        unturned = (flip @ turn.T @ flip @ world.T - AFFINE[:3, 3:]) / np.diag(AFFINE)[:3, None]
        original = np.rint(unturned).astype(int)
        np.testing.assert_allclose(unturned, original, atol=1e-3)
        np.testing.assert_array_equal(volume[tuple(indices.T)], draw_coded().volumes[contrast][tuple(original)])


def test_six_millimetre_slices(delivery):
    altered = alter(delivery, lambda d, contrast, index: shift(d, 3.0 * index))
    assert read_only_case(altered.parent).dixon.affine[2, 2] == pytest.approx(6.0)


def test_implicit_transfer_syntax(delivery):
    def convert(dataset, contrast, index):
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        return dataset

    assert_coded(read_only_case(alter(delivery, convert).parent))


def test_two_visits_are_two_cases(tmp_path):
    for visit in ("30", "60"):
        write_coded(tmp_path / f"123456_{visit}.zip", visit=visit)
    deliveries = [read_case(case) for case in plan_intake(tmp_path).cases]
    assert [delivery.visit for delivery in deliveries] == ["30", "60"]


def test_a_release_with_every_fault(tmp_path):
    expected = write_every_fault(tmp_path / "imaging", tmp_path)
    assert {case.participant_id: code_of_case(case) for case in plan_intake(tmp_path / "imaging").cases} == expected


def test_a_delivery_still_being_copied(delivery):
    (case,) = plan_intake(delivery.parent).cases
    with delivery.open("ab") as file:
        file.write(b"more")
    assert code_of_case(case) == "still_copying"


def test_a_folder_that_grows_while_it_is_read(tmp_path, delivery):
    as_folder(tmp_path / "imaging" / "123456", delivery, np.random.default_rng(0))
    (case,) = plan_intake(tmp_path / "imaging").cases
    late = replace(case.files[-1], size=case.files[-1].size - 1)
    assert code_of_case(replace(case, files=(*case.files[:-1], late))) == "still_copying"


@pytest.mark.parametrize("name", ["100 001", "1\n2", "12345\u0661", "\u0430bc", "a" * 200])
def test_invalid_names_are_refused(tmp_path, name):
    write_coded(tmp_path / f"{name}.zip")
    (case,) = plan_intake(tmp_path).cases
    assert code_of_case(case) == "invalid_participant_id"


def test_facts_carry_the_software_version(delivery):
    altered = alter(delivery, lambda d, c, i: set_elements(d, SoftwareVersions="syngo MR E11"))
    assert read_only_case(altered.parent).facts["in"].software_version == "syngo MR E11"
    altered = alter(delivery, lambda d, c, i: set_elements(d, SoftwareVersions="Dr. Roe, ward 3; tel."))
    assert read_only_case(altered.parent).facts["in"].software_version is None


def test_matrix_covers_every_code_that_a_case_can_have():
    """Codes not in the matrix have tests of their own."""
    from models.imaging.refusal import REFUSALS

    elsewhere = {"still_copying", "absolute_path", "parent_path", "nested_archive", "too_large", "station_mismatch"}
    in_files = {"empty_dicom", "length_beyond_file", "truncated_dicom", "unreadable_dicom", "truncated_archive"}
    in_files |= {"empty_delivery", "special_file", "symbolic_link", "unreadable_nifti", "identity_affine"}
    assert set(REFUSALS) == elsewhere | in_files | {"station_gap", "missing_station"} | set(CHANGES)
