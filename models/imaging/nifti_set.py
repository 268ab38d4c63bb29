"""Deliveries that were converted before: four NIfTI files -> four volumes, verified in full.

Belongs here: reading NIfTI that somebody else wrote. Does not belong here: our own stored volumes, which carry hashes
(``nifti``), and which files make a set (``layout``).
"""

import zlib
from io import BytesIO

import nibabel as nib
import numpy as np
from isal import isal_zlib
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from models.imaging.archive import MAX_BYTES
from models.imaging.refusal import Refusal
from models.imaging.stack import check_spacing

_GZIP_MARK = b"\x1f\x8b"
_GZIP_WBITS = 16 + zlib.MAX_WBITS
_SHEAR_TOLERANCE = 1e-3
_MAX_COORDINATE_MM = 1e5
_NIBABEL_ERRORS = (ImageFileError, HeaderDataError, WrapStructError, OSError, ValueError, OverflowError)


def read_nifti(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Read a NIfTI-1 or NIfTI-2 file, gzipped or plain, in full.

    The voxel axes are permuted and flipped to the closest canonical orientation; nothing is resampled. Unlike
    SimpleITK, which fills a cut file with zeros, this refuses it, also where only gzip's trailer is lost.

    Parameters
    ----------
    data
        The file.

    Returns
    -------
    array, affine
        Voxels (x, y, z), RAS+, Fortran order: int16 or uint16 as stored, else float32; (4, 4) voxel indices -> RAS
        world, mm.

    Raises
    ------
    Refusal
        ``too_large``, ``unreadable_nifti``, ``sheared_volume``, ``identity_affine`` or ``implausible_spacing``.
    """
    raw = _inflate(data) if data.startswith(_GZIP_MARK) else data
    try:
        image = _parse(raw)
        shape, affine = image.shape, image.affine
        if len(shape) != 3 or min(shape) < 1 or image.dataobj.offset + _voxel_bytes(image) > len(raw):
            raise Refusal("unreadable_nifti")
        _check_affine(image)
        voxels = np.asanyarray(image.dataobj)
    except _NIBABEL_ERRORS:
        raise Refusal("unreadable_nifti") from None
    if voxels.dtype.kind not in "iuf":
        raise Refusal("unreadable_nifti")
    is_short = voxels.dtype.kind in "iu" and voxels.dtype.itemsize == 2
    with np.errstate(over="ignore"):
        voxels = voxels.astype(voxels.dtype.newbyteorder("=") if is_short else np.float32)
    if not is_short and not np.isfinite(voxels).all():
        raise Refusal("unreadable_nifti")
    orientation = nib.io_orientation(affine)
    affine = affine @ nib.orientations.inv_ornt_aff(orientation, shape)
    return np.asfortranarray(nib.apply_orientation(voxels, orientation)), affine


def _inflate(data: bytes) -> bytes:
    inflater = isal_zlib.decompressobj(_GZIP_WBITS)
    try:
        raw = inflater.decompress(data, MAX_BYTES)
    except (isal_zlib.error, ValueError):
        raise Refusal("unreadable_nifti") from None
    if not inflater.eof:
        raise Refusal("too_large" if len(raw) >= MAX_BYTES else "unreadable_nifti")
    return raw


def _parse(raw: bytes) -> nib.Nifti1Image:
    kind = nib.Nifti2Image if raw[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nib.Nifti1Image
    return kind.from_stream(BytesIO(raw))


def _voxel_bytes(image: nib.Nifti1Image) -> int:
    n_bytes = image.get_data_dtype().itemsize
    for n in image.shape:
        n_bytes *= int(n)
    return n_bytes


def _check_affine(image: nib.Nifti1Image) -> None:
    affine = image.affine
    has_codes = image.header["sform_code"] > 0 or image.header["qform_code"] > 0
    if not has_codes or np.array_equal(affine, np.eye(4)):
        raise Refusal("identity_affine")
    if not (np.abs(affine) < _MAX_COORDINATE_MM).all():
        raise Refusal("implausible_spacing")
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    check_spacing(spacing_mm)
    directions = affine[:3, :3] / spacing_mm
    if np.abs(directions.T @ directions - np.eye(3)).max() > _SHEAR_TOLERANCE:
        raise Refusal("sheared_volume")
