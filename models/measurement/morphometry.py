"""Mask -> cross-sectional-area profile per slice, largest area, volume, level, fat fraction, truncation.

What belongs here: numbers that follow from a label map, its geometry and the Dixon signals. Judging them is `quality.py`'s
work. Definitions: Kiefer et al. 2026, section 2.5, made precise in the project's design.

Every function takes label maps (x, y, z) on RAS+ grids: the last index grows to the head, so slices are axial.
"""

import numpy as np
import pandas as pd
from scipy import ndimage

from models.imaging.dixon import DixonSet, fat_fraction_pct
from models.segmentation.anatomy import LABELS

SMOOTHING_MM = 15.0
EMPTY_MASK = "The mask of this compartment and side is empty."
TRUNCATED = "The mask touches the border of the field of view, so its volume is not known."
MAXIMUM_AT_BORDER = "The largest area lies at the border of the field of view, so it is not known to be the largest."


def measure_profile(labels: np.ndarray, dixon: DixonSet) -> pd.DataFrame:
    """Cross-sectional area and fat fraction of every slice between the first and the last slice of each label.

    Parameters
    ----------
    labels : ndarray (x, y, z) of int
        Label values as in `anatomy.LABELS`.
    dixon : DixonSet
        The contrasts on the same grid.

    Returns
    -------
    DataFrame
        compartment, side, slice_index (0 = cranial), z_mm (world, of the slice's centre), position_pct
        (100 (i + 0.5) / N), csa_cm2, fat_fraction_pct (NaN in an empty slice).
    """
    pixel_cm2 = _pixel_mm2(dixon.affine) / 100
    centre = np.array([(labels.shape[0] - 1) / 2, (labels.shape[1] - 1) / 2])
    frames = [
        pd.DataFrame(
            columns=["compartment", "side", "slice_index", "z_mm", "position_pct", "csa_cm2", "fat_fraction_pct"]
        )
    ]
    for (compartment, side), value in LABELS.items():
        where = np.nonzero(labels == value)
        if not where[0].size:
            continue
        n_slices = labels.shape[2]
        pixels, fat, water = (
            np.bincount(where[2], weights, minlength=n_slices)
            for weights in (None, dixon.volumes["fat"][where], dixon.volumes["water"][where])
        )
        k = np.arange(where[2].max(), where[2].min() - 1, -1)
        with np.errstate(invalid="ignore"):
            fat_fraction = 100 * fat[k] / (fat[k] + water[k])
        z_mm = dixon.affine[2, :2] @ centre + dixon.affine[2, 2] * k + dixon.affine[2, 3]
        columns = {"compartment": compartment, "side": side, "slice_index": np.arange(k.size), "z_mm": z_mm}
        columns |= {"position_pct": 100 * (np.arange(k.size) + 0.5) / k.size, "csa_cm2": pixels[k] * pixel_cm2}
        frames.append(pd.DataFrame(columns | {"fat_fraction_pct": fat_fraction}))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def measure_muscles(labels: np.ndarray, dixon: DixonSet, profile: pd.DataFrame) -> pd.DataFrame:
    """Volume, largest area and its level, fat fraction and truncation of the four compartments and sides.

    Parameters
    ----------
    labels, dixon
        As for `measure_profile`.
    profile : DataFrame
        `measure_profile` of the same case.

    Returns
    -------
    DataFrame
        One row per compartment and side, also of an empty one: volume_ml, max_csa_cm2, max_csa_z_mm, max_csa_level_pct,
        max_csa_level_mm (below the cranial end of the gluteus of the side), is_truncated, has_gap, fat_fraction_pct,
        slice_thickness_mm, reason (why something is NaN).
    """
    slices = {key: rows.reset_index(drop=True) for key, rows in profile.groupby(["compartment", "side"])}
    rows = []
    for (compartment, side), value in LABELS.items():
        row = {"compartment": compartment, "side": side, "slice_thickness_mm": slice_thickness_mm(dixon.affine)}
        if (compartment, side) in slices:
            row |= _measure_muscle(labels == value, dixon, slices[compartment, side], slices.get(("gluteus", side)))
        else:
            row |= {"is_truncated": None, "has_gap": None, "reason": EMPTY_MASK}
        rows.append(row)
    columns = ["volume_ml", "max_csa_cm2", "max_csa_z_mm", "max_csa_level_pct", "max_csa_level_mm", "fat_fraction_pct"]
    muscles = pd.DataFrame(rows)
    return muscles.reindex(columns=muscles.columns.union(columns, sort=False)).astype(dict.fromkeys(columns, float))


def slice_thickness_mm(affine: np.ndarray) -> float:
    """Distance between the centres of neighbouring slices, in mm."""
    return float(abs(np.linalg.det(affine[:3, :3])) / _pixel_mm2(affine))


def smooth_areas(csa_cm2: np.ndarray, thickness_mm: float) -> np.ndarray:
    """Moving average over the odd number of slices nearest to 15 mm."""
    size = 2 * round((SMOOTHING_MM / thickness_mm - 1) / 2) + 1
    return ndimage.uniform_filter1d(csa_cm2.astype(float), max(size, 1), mode="nearest")


def _pixel_mm2(affine: np.ndarray) -> float:
    return float(np.linalg.norm(np.cross(affine[:3, 0], affine[:3, 1])))


def _measure_muscle(mask: np.ndarray, dixon: DixonSet, slices: pd.DataFrame, gluteus: pd.DataFrame | None) -> dict:
    areas, thickness = slices["csa_cm2"].to_numpy(), slice_thickness_mm(dixon.affine)
    largest, level = int(areas.argmax()), int(smooth_areas(areas, thickness).round(9).argmax())
    is_truncated = _touches_border(mask)
    at_border = is_truncated and _is_maximum_at_border(mask, largest, thickness)
    eroded = ndimage.binary_erosion(mask)
    row = {
        "is_truncated": is_truncated,
        "has_gap": bool((areas == 0).any()),
        "fat_fraction_pct": fat_fraction_pct(dixon.volumes["fat"], dixon.volumes["water"], eroded),
        "reason": MAXIMUM_AT_BORDER if at_border else TRUNCATED if is_truncated else None,
    }
    if not is_truncated:
        row["volume_ml"] = float(mask.sum() * abs(np.linalg.det(dixon.affine[:3, :3])) / 1000)
    if not at_border:
        z_mm = slices["z_mm"].to_numpy()
        row |= {"max_csa_cm2": areas[largest], "max_csa_z_mm": z_mm[largest]}
        row |= {"max_csa_level_pct": slices["position_pct"].to_numpy()[level]}
        row |= {"max_csa_level_mm": gluteus["z_mm"].max() - z_mm[level] if gluteus is not None else np.nan}
    return row


def _touches_border(mask: np.ndarray) -> bool:
    return any(bool(face.any()) for axis in range(3) for face in (mask.take(0, axis), mask.take(-1, axis)))


def _is_maximum_at_border(mask: np.ndarray, largest: int, thickness_mm: float) -> bool:
    """Whether the slice of the largest area is itself cut, or lies within the smoothing width of a cut end."""
    occupied = np.flatnonzero(mask.any(axis=(0, 1)))
    k = occupied[-1] - largest
    plane = mask[:, :, k]
    is_cut = plane[[0, -1]].any() or plane[:, [0, -1]].any()
    near_top = occupied[-1] == mask.shape[2] - 1 and (mask.shape[2] - 1 - k) * thickness_mm < SMOOTHING_MM
    near_bottom = occupied[0] == 0 and k * thickness_mm < SMOOTHING_MM
    return bool(is_cut or near_top or near_bottom)
