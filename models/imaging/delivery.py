"""Deliveries as NAKO's scanners write them, made from volumes.

Belongs here: the DICOM and zip form of a delivery: one COMPOSED series with all four contrasts, shuffled. Does not
belong here: what the volumes show (``phantom``), and reading deliveries (``dicom``).

Sources: series and zip layout, private tag and visit suffix of PatientID as NAKO delivers them; protocol figures from
the study (T1-weighted 3D VIBE two-point Dixon, 3 T).
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import format_number_as_ds

from models.imaging.dixon import CONTRASTS, DixonSet

_SIEMENS_WORDS = {"fat": "DIXF", "water": "DIXW"}
_ZIP_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_COMPRESSION_LEVEL = 1


@dataclass(frozen=True)
class Protocol:
    """Acquisition figures written into the headers; fat and water carry the first, opposed-phase echo time."""

    echo_time_opp_ms: float = 1.23
    echo_time_in_ms: float = 2.46
    repetition_time_ms: float = 4.36
    flip_angle_deg: float = 9.0
    field_strength_t: float = 3.0
    scanner_model: str = "Skyra"
    software_version: str = "syngo MR E11"


def write_composed_zip(
    path: Path,
    dixon: DixonSet,
    patient_id: str,
    *,
    rng: np.random.Generator,
    visit: str = "30",
    protocol: Protocol = Protocol(),
    omit: frozenset[tuple[str, int]] = frozenset(),
) -> None:
    """Write a delivery: classic MR files of all contrasts, shuffled, as one series ``3D_GRE_TRA_W_COMPOSED``.

    Fat and water are told by the Siemens private tag (0051,1019), in-phase and opposed-phase by echo time alone.
    Slices are axial. The same volumes and generator state give the same bytes.

    Parameters
    ----------
    path
        The zip; NAKO names it ``<patient_id>.zip``.
    dixon
        Volumes (x, y, z), RAS+, uint16 or int16, on an axis-aligned grid.
    patient_id, visit
        PatientID becomes ``<patient_id>_<visit>``.
    rng
        Source of the UIDs and of the order.
    protocol
        Acquisition figures.
    omit
        (contrast, slice index) of files to leave out.

    Raises
    ------
    ValueError
        If the grid is not axis-aligned RAS+, or the voxels are no 16-bit integers.
    """
    _check_writable(dixon)
    files = [
        (contrast, index)
        for contrast in CONTRASTS
        for index in range(dixon.volumes[contrast].shape[2])
        if (contrast, index) not in omit
    ]
    rng.shuffle(files)
    header = _common_header(dixon, f"{patient_id}_{visit}", protocol, rng)
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=_COMPRESSION_LEVEL) as archive:
        for number, (contrast, index) in enumerate(files, start=1):
            _set_contrast(header, contrast, protocol)
            _set_slice(header, dixon, contrast, index)
            _set_instance(header, number, _new_uid(rng))
            member = ZipInfo(f"{number:06d}.dcm", _ZIP_TIMESTAMP)
            member.compress_type = ZIP_DEFLATED
            archive.writestr(member, _to_bytes(header))


def _check_writable(dixon: DixonSet) -> None:
    directions = dixon.affine[:3, :3]
    if np.any(directions != np.diag(np.diag(directions))) or np.any(np.diag(directions) <= 0):
        raise ValueError("The grid is not axis-aligned RAS+.")
    if any(dixon.volumes[contrast].dtype not in (np.uint16, np.int16) for contrast in CONTRASTS):
        raise ValueError("The voxels are not 16-bit integers.")


def _common_header(dixon: DixonSet, patient_id: str, protocol: Protocol, rng: np.random.Generator) -> Dataset:
    columns, rows, _ = dixon.volumes[CONTRASTS[0]].shape
    column_mm, row_mm, slice_mm = (_ds(length) for length in np.diag(dixon.affine)[:3])
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID = MRImageStorage
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = MRImageStorage
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = (_new_uid(rng) for _ in range(3))
    header.Modality = "MR"
    header.Manufacturer = "SIEMENS"
    header.ManufacturerModelName = protocol.scanner_model
    header.SoftwareVersions = protocol.software_version
    header.SeriesDescription = "3D_GRE_TRA_W_COMPOSED"
    header.SeriesNumber = 1
    header.PatientID = patient_id
    header.PatientName = patient_id
    header.PatientPosition = "HFS"
    header.ImageType = ["DERIVED", "PRIMARY", "M", "ND", "COMPOSED"]
    header.ScanningSequence = "GR"
    header.MRAcquisitionType = "3D"
    header.MagneticFieldStrength = _ds(protocol.field_strength_t)
    header.RepetitionTime = _ds(protocol.repetition_time_ms)
    header.FlipAngle = _ds(protocol.flip_angle_deg)
    header.SliceThickness = slice_mm
    header.PixelSpacing = [row_mm, column_mm]
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.Rows, header.Columns = rows, columns
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    return header


def _set_contrast(header: Dataset, contrast: str, protocol: Protocol) -> None:
    block = header.private_block(0x0051, "SIEMENS MR HEADER", create=True)
    if 0x19 in block:
        del block[0x19]
    if contrast in _SIEMENS_WORDS:
        block.add_new(0x19, "LO", _SIEMENS_WORDS[contrast])
    header.EchoTime = _ds(protocol.echo_time_in_ms if contrast == "in" else protocol.echo_time_opp_ms)


def _set_slice(header: Dataset, dixon: DixonSet, contrast: str, index: int) -> None:
    """Set position and pixels: in DICOM's axial plane columns grow to the left and rows to the posterior."""
    volume = dixon.volumes[contrast]
    right_mm, anterior_mm, superior_mm = (dixon.affine @ [volume.shape[0] - 1, volume.shape[1] - 1, index, 1])[:3]
    header.ImagePositionPatient = [_ds(-right_mm), _ds(-anterior_mm), _ds(superior_mm)]
    header.SliceLocation = _ds(superior_mm)
    header.PixelRepresentation = int(volume.dtype.kind == "i")
    plane = volume[::-1, ::-1, index].T
    header.PixelData = plane.astype(plane.dtype.newbyteorder("<")).tobytes()
    header["PixelData"].VR = "OW"


def _set_instance(header: Dataset, number: int, uid: UID) -> None:
    header.SOPInstanceUID = uid
    header.file_meta.MediaStorageSOPInstanceUID = uid
    header.InstanceNumber = number


def _to_bytes(header: Dataset) -> bytes:
    file = BytesIO()
    header.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _new_uid(rng: np.random.Generator) -> UID:
    """Return a UID derived from a UUID (DICOM PS3.5 B.2)."""
    return UID(f"2.25.{int.from_bytes(rng.bytes(16), 'big')}")


def _ds(value: float) -> str:
    return format_number_as_ds(float(value))
