"""Planted names, dates, addresses and private blocks: none in NIfTI files, sidecars, messages, warnings or logs."""

import gzip
import os
import warnings
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from models.imaging.archive import look_at
from models.imaging.dicom import read_zips
from models.imaging.dixon import CONTRASTS
from models.imaging.intake import plan_intake, read_case
from models.imaging.nifti import write_volume
from models.imaging.refusal import Refusal
from tests.models.imaging.imaging_cases import AFFINE, alter, draw_coded, set_elements, write_coded

CANARIES = {
    "PatientName": "Canary^Name",
    "PatientBirthDate": "19010203",
    "PatientAddress": "Canary Street 7",
    "PatientTelephoneNumbers": "0190-canary",
    "OtherPatientIDs": "CANARYID",
    "InstitutionName": "CanaryHospital",
    "InstitutionAddress": "Canary Square",
    "DeviceSerialNumber": "CANARY42",
    "StationName": "CANARYMR",
    "OperatorsName": "Canary^Operator",
    "ReferringPhysicianName": "Canary^Doctor",
    "PatientComments": "canary comment",
    "ProtocolName": "canary protocol",
    "SeriesDescription": "canary series",
    "ImageType": ["ORIGINAL", "PRIMARY", "CANARYTYPE", "canary in lower case"],
    "ManufacturerModelName": "Canary <model>",
    "SoftwareVersions": "canary; version",
}
PLANTED = ("canary", "19010203", "123456")


def plant(dataset: Dataset) -> Dataset:
    """Plant text in standard elements, in a sequence and in Siemens' private blocks."""
    set_elements(dataset, **CANARIES)
    inner = Dataset()
    inner.PatientName = "Canary^Nested"
    dataset.RequestAttributesSequence = [inner]
    block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", b"CanaryCSA" * 100)
    dataset.private_block(0x0051, "SIEMENS MR HEADER", create=True).add_new(0x0F, "LO", "CanaryCoil")
    return dataset


def write_delivery(imaging: Path, folder: Path) -> list[bytes]:
    """Everything that intake writes for the one case, uncompressed."""
    (case,) = plan_intake(imaging).cases
    read = read_case(case)
    folder.mkdir()
    for contrast in CONTRASTS:
        facts = asdict(read.facts[contrast])
        write_volume(folder / f"{contrast}.nii.gz", read.dixon.volumes[contrast], read.dixon.affine, facts)
    written = [gzip.decompress(path.read_bytes()) for path in folder.glob("*.nii.gz")]
    return written + [path.read_bytes() for path in folder.glob("*.json")]


def assert_clean(contents: list[bytes]) -> None:
    for planted in PLANTED:
        assert not any(planted.encode() in content.lower() for content in contents)


@pytest.mark.filterwarnings("ignore:The value length")
def test_nothing_planted_in_dicom_is_written(tmp_path, delivery):
    altered = alter(delivery, lambda d, contrast, index: plant(d))
    assert b"CanaryCSA" in altered.read_bytes()
    written = write_delivery(altered.parent, tmp_path / "out")
    assert len(written) == 8
    assert_clean(written)


def test_nothing_planted_in_nifti_is_written(tmp_path):
    imaging = tmp_path / "imaging"
    imaging.mkdir()
    for contrast, voxels in draw_coded().volumes.items():
        image = nib.Nifti1Image(voxels, AFFINE)
        image.header["descrip"] = b"Canary^Name 19010203"
        image.header["intent_name"] = b"canary"
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Canary comment"))
        nib.save(image, imaging / f"123456_30_{contrast}.nii.gz")
    assert_clean(write_delivery(imaging, tmp_path / "out"))


def spoil_id(dataset):
    return set_elements(dataset, PatientID="Canary Näme", SpecificCharacterSet="CANARYSET")


def spoil_pixels(dataset):
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([b"Canary^Name no image"])
    dataset["PixelData"].VR = "OB"
    return dataset


def spoil_geometry(dataset):
    return set_elements(dataset, ImagePositionPatient=None)


@pytest.mark.parametrize("spoil", [spoil_id, spoil_pixels, spoil_geometry])
def test_nothing_planted_is_said(tmp_path, caplog, spoil):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        altered = alter(write_coded(tmp_path / "123456.zip"), lambda d, contrast, index: spoil(plant(d)))
    altered.rename(altered.with_name("123456_canary.zip") if spoil is spoil_id else altered)
    (case,) = plan_intake(tmp_path).cases
    caplog.clear()
    with warnings.catch_warnings(record=True) as caught, pytest.raises(Refusal) as refused:
        warnings.simplefilter("always")
        read_case(case)
    texts = [str(refused.value), repr(refused.value), caplog.text, *(str(w.message) for w in caught)]
    assert not any(planted in text.lower() for text in texts for planted in PLANTED)
    assert refused.value.__cause__ is None


def test_refused_bytes_are_not_quoted(tmp_path):
    path = write_coded(tmp_path / "123456.zip")
    os.truncate(path, 3000)
    with pytest.raises(Refusal) as refused:
        read_case(plan_intake(tmp_path).cases[0])
    assert not any(planted in repr(refused.value).lower() for planted in PLANTED)


@pytest.mark.filterwarnings("ignore:The value length")
def test_only_allow_listed_elements_are_kept(delivery):
    for instance, _ in read_zips([look_at(alter(delivery, lambda d, contrast, index: plant(d)))]):
        kept = [getattr(instance, field) for field in instance.__slots__ if field != "data"]
        assert not any(
            text in str(kept) for text in ("Canary^", "CanaryHospital", "19010203", "CanaryCSA", "CanaryCoil")
        )


def test_headers_written_carry_no_text(tmp_path, delivery):
    (first, *_) = write_delivery(delivery.parent, tmp_path / "out")
    header = nib.Nifti1Header.from_fileobj(BytesIO(first))
    assert bytes(header["descrip"]).strip(b"\0") == b"" and bytes(header["aux_file"]).strip(b"\0") == b""
    assert np.allclose(header.get_sform(), AFFINE, atol=1e-4)
