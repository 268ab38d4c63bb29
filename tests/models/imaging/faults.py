"""A release with every fault an imaging delivery can have, one participant each."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, EnhancedMRImageStorage, ExplicitVRLittleEndian

from tests.models.imaging.imaging_cases import (
    AFFINE,
    SHAPE,
    alter,
    draw_coded,
    pack,
    read_datasets,
    set_elements,
    shift,
    to_bytes,
    write_coded,
    write_nifti_set,
    write_stations,
)


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


def write_every_fault(imaging: Path, scratch: Path) -> dict[str, str | None]:
    """Write the release; returns participant -> code, None for the good ones."""
    expected: dict[str, str | None] = {"100001": None, "300001": None}
    write_coded(imaging / "100001.zip", "100001")
    for number, (code, change) in enumerate(CHANGES.items(), start=200_001):
        alter(write_coded(imaging / f"{number}.zip", str(number)), change)
        expected[str(number)] = code
    return expected | write_faulty_files(imaging) | write_faulty_sets(imaging) | write_faulty_stations(imaging, scratch)
