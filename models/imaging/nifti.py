"""Volumes on disk: gzipped NIfTI with a JSON sidecar, written atomically and verified in full when read.

Belongs here: the file format, its hashes and its integrity. Does not belong here: what the voxels mean, and where the
files lie. The NIfTI header carries geometry only; no text.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip, igzip_lib

from models.imaging.dixon import CONTRASTS, DixonSet

# Noise repeats nothing but its background: a window of two bytes takes half the time of the longest one, for a
# percent more bytes against a window of 512; the real Dixon volumes at hand become smaller than by level 3.
_COMPRESSION_LEVEL, _WINDOW_BITS = 1, 1
_HEADER_BYTES = 352


class CorruptVolume(ValueError):
    """A stored volume is not, byte for byte, what was written, or its sidecar is absent."""

    code = "corrupt_volume"

    @property
    def message(self) -> str:
        """What is wrong."""
        return str(self)


def image_sha256(array: np.ndarray, affine: np.ndarray) -> str:
    """Return the hash of an image: the same for the same image, whatever compressed it.

    SHA-256 over, in this order: the dtype as numpy's little-endian string (``<i2``), the shape as decimal numbers
    joined by commas, the affine row by row as little-endian float64 after rounding to the float32 that NIfTI
    stores (minus zero as zero), the voxels little-endian in the order in which NIfTI stores them (first index fastest).

    Parameters
    ----------
    array
        Voxels (x, y, z).
    affine
        (4, 4) voxel indices -> RAS world, mm.
    """
    dtype = array.dtype.newbyteorder("<")
    digest = hashlib.sha256(dtype.str.encode())
    digest.update(",".join(map(str, array.shape)).encode())
    digest.update((_stored_affine(affine) + 0.0).astype("<f8").tobytes())
    digest.update(np.asfortranarray(array, dtype=dtype).T)
    return digest.hexdigest()


def combined_sha256(hashes: Mapping[str, str]) -> str:
    """Return the hash over the four contrasts' image hashes (hexadecimal text) in the order in, opp, fat, water.

    Raises
    ------
    KeyError
        If a contrast is absent.
    """
    return hashlib.sha256("".join(hashes[contrast] for contrast in CONTRASTS).encode()).hexdigest()


def sidecar_path(path: Path) -> Path:
    """Return the sidecar of a volume: ``<name>.json`` beside ``<name>.nii.gz``.

    Raises
    ------
    ValueError
        If the name does not end in ``.nii.gz``.
    """
    if not path.name.endswith(".nii.gz"):
        raise ValueError("A volume's file name ends in .nii.gz.")
    return path.with_name(path.name.removesuffix(".nii.gz") + ".json")


def write_volume(path: Path, array: np.ndarray, affine: np.ndarray, provenance: Mapping[str, Any]) -> str:
    """Write a volume and its sidecar, each to a temporary file that is synced and renamed.

    A reader sees the old file or the new one; a crash between the two renames shows as ``CorruptVolume``.

    Parameters
    ----------
    path
        ``<name>.nii.gz`` in an existing folder.
    array
        Voxels (x, y, z); quickest in Fortran order.
    affine
        (4, 4) voxel indices -> RAS world, mm; stored as float32.
    provenance
        JSON-ready facts for the sidecar, beside ``image_sha256`` and ``file_sha256``.

    Returns
    -------
    str
        ``image_sha256(array, affine)``.
    """
    image_hash, content = _pack(array, affine)
    _store(path, content, image_hash, provenance)
    return image_hash


def write_file(path: Path, content: bytes) -> None:
    """Write a file that belongs to a volume (its figure): to a temporary file that is synced and renamed."""
    _write_atomically(path, content)


def write_contrasts(folder: Path, dixon: DixonSet, provenance: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Write ``<contrast>.nii.gz`` of all four contrasts: while the disk syncs one, the next is compressed.

    Parameters
    ----------
    folder
        Existing folder.
    dixon
        The four volumes.
    provenance
        Contrast -> facts for its sidecar, as in `write_volume`.

    Returns
    -------
    dict
        Contrast -> image hash.
    """

    hashes, stored = {}, None
    with ThreadPoolExecutor(1) as disk:
        for contrast in CONTRASTS:
            hashes[contrast], content = _pack(dixon.volumes[contrast], dixon.affine)
            if stored:
                stored.result()
            path = folder / f"{contrast}.nii.gz"
            stored = disk.submit(_store, path, content, hashes[contrast], provenance[contrast])
        stored.result()
    return hashes


def read_volume(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a volume in full and verify both hashes of its sidecar.

    Returns
    -------
    array, affine
        Voxels (x, y, z), read-only and in Fortran order; (4, 4) voxel indices -> RAS world, mm, float64.

    Raises
    ------
    CorruptVolume
        If anything differs from what was written, or the sidecar is absent or unreadable.
    FileNotFoundError
        If the volume itself is absent.
    """
    compressed = path.read_bytes()
    file_hash, image_hash = _read_hashes(sidecar_path(path))
    if hashlib.sha256(compressed).hexdigest() != file_hash:
        raise CorruptVolume("The volume's bytes differ from those that were written.")
    raw = igzip.decompress(compressed)
    header = nib.Nifti1Header.from_fileobj(BytesIO(raw[:_HEADER_BYTES]))
    voxels = np.frombuffer(raw, dtype=header.get_data_dtype(), offset=_HEADER_BYTES)
    array = voxels.reshape(header.get_data_shape(), order="F")
    affine = header.get_sform()
    if image_sha256(array, affine) != image_hash:
        raise CorruptVolume("The voxels or the geometry differ from those that were written.")
    return array, affine


def _stored_affine(affine: np.ndarray) -> np.ndarray:
    return np.asarray(affine, dtype=np.float32).astype(np.float64)


def _header(voxels: np.ndarray, affine: np.ndarray) -> bytes:
    header = nib.Nifti1Header(endianness="<")
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    header.set_xyzt_units(xyz="mm")
    header.set_slope_inter(1, 0)
    header["magic"] = b"n+1"
    header["vox_offset"] = _HEADER_BYTES
    return header.binaryblock.ljust(_HEADER_BYTES, b"\0")


def _pack(array: np.ndarray, affine: np.ndarray) -> tuple[str, bytes]:
    """Return the image hash of a volume and its file."""
    voxels = np.asfortranarray(array, dtype=array.dtype.newbyteorder("<"))
    content = _compress(_header(voxels, affine), memoryview(voxels.T).cast("B"))
    return image_sha256(voxels, affine), content


def _store(path: Path, content: bytes, image_hash: str, provenance: Mapping[str, Any]) -> None:
    sidecar = sidecar_path(path)
    file_hash = _write_atomically(path, content)
    facts = {**provenance, "image_sha256": image_hash, "file_sha256": file_hash}
    _write_atomically(sidecar, json.dumps(facts, indent=1, sort_keys=True).encode())


def _compress(header: bytes, voxels: memoryview) -> bytes:
    """One gzip member without name and time."""
    return igzip_lib.compress(
        b"".join((header, voxels)), _COMPRESSION_LEVEL, igzip_lib.COMP_GZIP, hist_bits=_WINDOW_BITS
    )


def _write_atomically(path: Path, content: bytes) -> str:
    """Return the SHA-256 of the file's bytes."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def _read_hashes(sidecar: Path) -> tuple[str, str]:
    try:
        facts = json.loads(sidecar.read_bytes())
        return facts["file_sha256"], facts["image_sha256"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise CorruptVolume("The volume's sidecar is absent or unreadable.") from None


def read_image_sha256(path: Path) -> str:
    """Image hash of a stored volume, from its sidecar.

    Raises
    ------
    CorruptVolume
        If the sidecar is absent or unreadable.
    """
    return _read_hashes(sidecar_path(path))[1]
