"""Every layout reads back voxel by voxel, and a release with every fault keeps exactly the sound participants."""

import os
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from imaging_cases import (
    AFFINE,
    SHAPE,
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
    write_stations,
)
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from models.imaging.dixon import CONTRASTS
from models.imaging.intake import plan_intake, read_case
from models.imaging.refusal import Refusal


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


def write_nifti_set(folder: Path, name: str = "123456", words=CONTRASTS, affine=AFFINE) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for contrast, word in zip(CONTRASTS, words, strict=True):
        image = nib.Nifti1Image(draw_coded().volumes[contrast], affine)
        paths.append(folder / f"{name}_{word}.nii.gz")
        nib.save(image, paths[-1])
    return paths


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


# --- one release with every fault


def spoil_one(**elements):
    """Change one file: water, slice 4."""
    return lambda d, contrast, index: set_elements(d, **elements) if (contrast, index) == ("water", 4) else d


def drop(contrast, *indices):
    return lambda d, own, index: None if own == contrast and index in indices else d


def move(is_affected, millimetres, axis=2):
    return lambda d, contrast, index: shift(d, millimetres, axis) if is_affected(contrast, index) else d


def deflate(dataset, contrast, index):
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian if index == 2 else ExplicitVRLittleEndian
    return dataset


def keep_one_echo(dataset, contrast, index):
    return set_elements(dataset, EchoTime=2.0) if contrast == "in" else None


CHANGES = {
    "missing_slice": drop("fat", 3),
    "missing_edge_slice": drop("opp", 0),
    "too_few_slices": lambda d, contrast, index: d if index < 2 else None,
    "duplicate_position": move(lambda c, i: (c, i) == ("in", 4), -3.0),
    "uneven_gap": move(lambda c, i: (c, i) == ("opp", 4), 1.2),
    "sheared_volume": move(lambda c, i: (c, i) == ("opp", 4), 5.0, 0),
    "geometry_differs": move(lambda c, i: c == "fat", 1.5),
    "two_orientations": spoil_one(ImageOrientationPatient=[1, 0, 0, 0, 0, -1]),
    "two_echo_times": spoil_one(EchoTime=9.9),
    "mixed_matrix": spoil_one(PixelSpacing=[1.5, 1.6]),
    "missing_position": spoil_one(ImagePositionPatient=None),
    "implausible_spacing": lambda d, c, i: set_elements(d, PixelSpacing=[40, 40]),
    "missing_contrast": drop("opp", *range(8)),
    "unknown_contrast": lambda d, c, i: set_elements(d, EchoTime=None),
    "not_dixon": keep_one_echo,
    "mosaic": spoil_one(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]),
    "localizer": spoil_one(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    "phase_image": spoil_one(ImageType=["ORIGINAL", "PRIMARY", "P"]),
    "derived_series": spoil_one(ImageType=["DERIVED", "SECONDARY", "MPR"]),
    "multi_frame": spoil_one(SOPClassUID=EnhancedMRImageStorage),
    "not_mr": spoil_one(SOPClassUID=CTImageStorage),
    "invalid_participant_id": lambda d, c, i: set_elements(d, PatientID="../../../evil"),
    "two_participants": spoil_one(PatientID="999999_30"),
    "participant_mismatch": lambda d, c, i: set_elements(d, PatientID="999999_30"),
    "deflated_transfer_syntax": deflate,
    "unreadable_pixels": spoil_one(PixelData=b"\0\0"),
}


def write_faulty_files(imaging: Path) -> dict[str, str]:
    """Faults of whole files: participant -> code."""
    dicom = to_bytes(read_datasets(write_coded(imaging / "300001.zip", "300001"))[0])
    cut_at = dicom.rindex(b"\xe0\x7f\x10\x00") + 30
    files = {
        "empty_dicom": bytes(128) + b"DICM",
        "length_beyond_file": dicom.replace(b"\x10\x00\x20\x00LO\x0a\x00", b"\x10\x00\x20\x00LO\xff\xff"),
        "truncated_dicom": dicom[:cut_at],
        "unreadable_dicom": dicom[:132] + dicom[132:160].replace(b"UL", b"??"),
    }
    for number, content in enumerate(files.values(), start=2):
        pack(imaging / f"30000{number}.zip", [content])
    truncated = write_coded(imaging / "300006.zip", "300006")
    os.truncate(truncated, truncated.stat().st_size // 2)
    pack(imaging / "300007.zip", [b"no image"])
    (imaging / "300007.zip").write_bytes((imaging / "300007.zip").read_bytes().replace(b".dcm", b".log"))
    (imaging / "300008").mkdir()
    os.mkfifo(imaging / "300008" / "IM1")
    (imaging / "300009.zip").symlink_to(imaging / "300001.zip")
    codes = [*files, "truncated_archive", "empty_delivery", "special_file", "symbolic_link"]
    return {f"30000{number}": code for number, code in enumerate(codes, start=2)}


def write_faulty_sets(imaging: Path) -> dict[str, str]:
    """Faults of NIfTI sets: participant -> code."""
    cut = write_nifti_set(imaging, "400001")[2]
    os.truncate(cut, cut.stat().st_size // 2)
    trailer = write_nifti_set(imaging, "400002")[2]
    os.truncate(trailer, trailer.stat().st_size - 6)
    write_nifti_set(imaging, "400003", affine=np.eye(4))
    write_nifti_set(imaging, "400004", affine=np.diag([20.0, 1, 1, 1]))
    write_nifti_set(imaging, "400005")[3].unlink()
    other = write_nifti_set(imaging, "400006")[0]
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), AFFINE + 0.1 * np.eye(4, k=3)), other)
    four = write_nifti_set(imaging, "400007")[0]
    nib.save(nib.Nifti1Image(np.zeros((*SHAPE, 2), np.int16), AFFINE), four)
    codes = ["unreadable_nifti", "unreadable_nifti", "identity_affine", "implausible_spacing", "missing_contrast"]
    codes += ["geometry_differs", "unreadable_nifti"]
    return {f"40000{number}": code for number, code in enumerate(codes, start=1)}


def write_faulty_stations(imaging: Path, scratch: Path) -> dict[str, str]:
    """Faults of stations: participant -> code."""

    def name(participant: str) -> None:
        for path in list(imaging.rglob("123456_station*.zip")):
            files = [to_bytes(set_elements(d, PatientID=f"{participant}_30")) for d in read_datasets(path)]
            path.unlink()
            pack(path.with_name(path.name.replace("123456", participant)), files)

    write_stations(imaging, draw_coded(), [(0, 3), (4, 8)], scratch)
    name("500001")
    write_stations(imaging, draw_coded(), [(0, 5), (3, 8)], scratch)
    name("500002")
    (imaging / "3D_GRE_TRA_F" / "500002_station2.zip").unlink()
    return {"500001": "station_gap", "500002": "missing_station"}


def test_a_release_with_every_fault(tmp_path):
    imaging = tmp_path / "imaging"
    expected: dict[str, str | None] = {"100001": None, "300001": None}
    write_coded(imaging / "100001.zip", "100001")
    for number, (code, change) in enumerate(CHANGES.items(), start=200_001):
        alter(write_coded(imaging / f"{number}.zip", str(number)), change)
        expected[str(number)] = code
    expected |= write_faulty_files(imaging) | write_faulty_sets(imaging)
    expected |= write_faulty_stations(imaging, tmp_path)
    assert {case.participant_id: code_of_case(case) for case in plan_intake(imaging).cases} == expected


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
