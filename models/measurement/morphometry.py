"""Mask -> cross-sectional-area profile per slice, and what each compartment and side is as a whole.

What belongs here: numbers that follow from a label map, its geometry and the Dixon signals. Judging them is `quality.py`'s
work. Definitions: Kiefer et al. 2026, section 2.5, made precise in the project's design.

A slice is a plane of the stack; its area is that of the plane. Where the stack is tilted against the body axis (world z)
the tilt is stated, and beside the largest area its projection on the plane perpendicular to the body axis.
"""

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import ndimage

from models.measurement.runs import Runs, find_components, find_eroded, find_runs
from models.segmentation.anatomy import LABELS

SMOOTHING_MM = 15.0
N_BINS = 100
EMPTY_MASK = "The mask of this compartment and side is empty."
TRUNCATED = "The mask touches the border of the field of view, so its volume is not known."
MAXIMUM_AT_BORDER = "The largest area lies at the border of the field of view, so it is not known to be the largest."

_N_LABELS = max(LABELS.values())
_FLAGS = ("is_truncated", "is_cut_cranially", "is_cut_caudally", "is_cut_laterally", "has_gap")


@dataclass(frozen=True)
class Morphometry:
    """What a mask says, slice by slice (`profile`) and per compartment and side (`muscles`); columns: `measure`."""

    profile: pd.DataFrame
    muscles: pd.DataFrame


def measure(
    labels: np.ndarray, affine: np.ndarray, fat: np.ndarray | None = None, water: np.ndarray | None = None
) -> Morphometry:
    """Measure a label map, in any orientation of its voxel axes.

    Parameters
    ----------
    labels : ndarray (x, y, z) of int
        Label values as in `anatomy.LABELS`; others are ignored. Quickest as uint8, RAS+, in Fortran order.
    affine : ndarray (4, 4)
        Voxel indices -> RAS world, mm.
    fat, water : ndarray (x, y, z), optional
        Signals on the same grid; without them no fat fractions.

    Returns
    -------
    Morphometry
        `profile`: one row per slice from the first to the last slice of each label, cranial first: compartment, side,
        slice_index (0 = cranial), z_mm (world, of the slice's centre), position_pct (100 (i + 0.5) / N), csa_cm2,
        centroid_x_mm and centroid_y_mm (world; NaN in an empty slice), fat_fraction_pct (whole mask; NaN in an empty
        slice), fat_fraction_eroded_pct (mask eroded by one voxel in three dimensions; NaN where nothing is left).

        `muscles`: one row per compartment and side, also of an empty one: volume_ml, max_csa_cm2, max_csa_z_mm,
        max_csa_perpendicular_cm2 (times the cosine of the tilt), max_csa_level_pct, max_csa_level_mm (below the cranial
        end of the gluteus of the side), mean_csa_cm2, centroid and extent of the mask in x, y and z in mm, n_components
        (voxels that share a face), largest_component_share_pct, the flags of truncation, has_gap, fat_fraction_pct
        (eroded), fat_fraction_plain_pct, slice_thickness_mm, slice_tilt_deg, reason (why something is NaN).
    """
    labels, affine, fat, water = _to_ras(labels, affine, fat, water)
    runs = find_runs(labels)
    slices = _sum_slices(runs, labels, fat, water)
    profile = _list_profile(slices, runs.shape, affine)
    return Morphometry(profile, _list_muscles(slices, runs, profile, affine))


def slice_thickness_mm(affine: np.ndarray) -> float:
    """Distance between the centres of neighbouring slices, in mm."""
    return _voxel_mm3(affine) / _pixel_mm2(affine)


def slice_tilt_deg(affine: np.ndarray) -> float:
    """Angle between the normal of the slices and the body axis (world z), in degrees."""
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    return float(np.degrees(np.arccos(min(1.0, abs(normal[2]) / np.linalg.norm(normal)))))


def smooth_areas(csa_cm2: np.ndarray, thickness_mm: float) -> np.ndarray:
    """Moving average over the odd number of slices nearest to 15 mm."""
    size = 2 * round((SMOOTHING_MM / thickness_mm - 1) / 2) + 1
    return ndimage.uniform_filter1d(csa_cm2.astype(float), max(size, 1), mode="nearest")


def spatial_distribution(csa_cm2: np.ndarray) -> np.ndarray:
    """Share of the total area in each of 100 equal bins of the extent, cranial first, in percent (the study's Figure 7).

    f_b = 100 sum_i A_i w_ib / sum_i A_i, w_ib the fraction of slice i inside bin b: the shares sum to 100.

    Parameters
    ----------
    csa_cm2 : ndarray (N,)
        Areas of consecutive slices, cranial first; not all 0.
    """
    cumulated = np.concatenate([[0.0], np.cumsum(csa_cm2, dtype=float)])
    edges = np.arange(N_BINS + 1) / N_BINS * len(csa_cm2)
    return np.diff(np.interp(edges, np.arange(len(csa_cm2) + 1), cumulated)) * 100 / cumulated[-1]


def _to_ras(labels: np.ndarray, affine: np.ndarray, *signals: np.ndarray | None) -> tuple:
    """The arrays in the closest RAS+ orientation, labels as uint8 in Fortran order, and their affine."""
    orientation = nib.io_orientation(affine)
    turned = [None if array is None else nib.apply_orientation(array, orientation) for array in (labels, *signals)]
    if labels.dtype != np.uint8:
        turned[0] = np.where((turned[0] > 0) & (turned[0] <= _N_LABELS), turned[0], 0).astype(np.uint8)
    affine = affine @ nib.orientations.inv_ornt_aff(orientation, labels.shape)
    return np.asfortranarray(turned[0]), affine, *turned[1:]


def _pixel_mm2(affine: np.ndarray) -> float:
    return float(np.linalg.norm(np.cross(affine[:3, 0], affine[:3, 1])))


def _voxel_mm3(affine: np.ndarray) -> float:
    return float(abs(np.linalg.det(affine[:3, :3])))


def _sum_slices(
    runs: Runs, labels: np.ndarray, fat: np.ndarray | None, water: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Sums over every label and slice, each (labels + 1, slices): voxels, x, y, at_side; fat, water, also _eroded."""
    n_slices = runs.shape[2]
    key = runs.label.astype(np.int64) * n_slices + runs.z
    terms = {
        "voxels": runs.length,
        "x": runs.length * (runs.x + (runs.length - 1) / 2),
        "y": runs.length * runs.y,
        "at_side": runs.touches_side(),
    }
    if fat is not None and water is not None:
        is_inside = find_eroded(runs, labels)
        for name, signal in (("fat", fat), ("water", water)):
            values = signal.ravel(order="F")[runs.voxels]
            terms |= {name: runs.sum(values), f"{name}_eroded": runs.sum(values * is_inside)}
    n_keys = 256 * n_slices
    sums = {name: np.bincount(key, term, minlength=n_keys) for name, term in terms.items()}
    return {name: values.reshape(256, n_slices)[: _N_LABELS + 1] for name, values in sums.items()}


def _list_profile(slices: dict[str, np.ndarray], shape: tuple[int, int, int], affine: np.ndarray) -> pd.DataFrame:
    nx, ny, _ = shape
    parts: dict[str, list] = {"compartment": [], "side": [], "slice_index": [], "k": [], "position_pct": []}
    rows = []
    for (compartment, side), value in LABELS.items():
        occupied = np.flatnonzero(slices["voxels"][value])
        if occupied.size:
            k = np.arange(occupied[-1], occupied[0] - 1, -1)
            rows.append(np.stack([np.full(k.size, value), k]))
            index = np.arange(k.size)
            columns = ([compartment] * k.size, [side] * k.size, index, k, 100 * (index + 0.5) / k.size)
            for name, column in zip(parts, columns, strict=True):
                parts[name].append(column)
    where = tuple(np.concatenate(rows, axis=1)) if rows else (np.zeros(0, int), np.zeros(0, int))
    columns = {name: np.concatenate(column) if column else np.zeros(0) for name, column in parts.items()}
    k, voxels = where[1], slices["voxels"][where]
    with np.errstate(invalid="ignore"):
        x, y = slices["x"][where] / voxels, slices["y"][where] / voxels
        fractions = {
            name: 100 * slices[fat][where] / (slices[fat][where] + slices[water][where])
            if "fat" in slices
            else np.full(k.size, np.nan)
            for name, fat, water in (
                ("fat_fraction_pct", "fat", "water"),
                ("fat_fraction_eroded_pct", "fat_eroded", "water_eroded"),
            )
        }
    columns["slice_index"] = columns["slice_index"].astype(int)
    columns["z_mm"] = affine[2, 0] * (nx - 1) / 2 + affine[2, 1] * (ny - 1) / 2 + affine[2, 2] * k + affine[2, 3]
    columns["csa_cm2"] = voxels * _pixel_mm2(affine) / 100
    columns["centroid_x_mm"], columns["centroid_y_mm"] = (
        affine[axis, 0] * x + affine[axis, 1] * y + affine[axis, 2] * k + affine[axis, 3] for axis in (0, 1)
    )
    del columns["k"]
    return pd.DataFrame(columns | fractions)


def _list_muscles(slices: dict[str, np.ndarray], runs: Runs, profile: pd.DataFrame, affine: np.ndarray) -> pd.DataFrame:
    columns = {name: profile[name].to_numpy() for name in ("csa_cm2", "z_mm", "position_pct")}
    is_first = np.append(np.flatnonzero(profile["slice_index"].to_numpy() == 0), len(profile))
    present = [key for key, value in LABELS.items() if slices["voxels"][value].any()]
    by_label = {
        key: {name: column[start:end] for name, column in columns.items()}
        for key, start, end in zip(present, is_first, is_first[1:], strict=False)
    }
    components = find_components(runs)
    rows = []
    for (compartment, side), value in LABELS.items():
        row = {"compartment": compartment, "side": side, "n_components": 0, "reason": EMPTY_MASK}
        row |= {"slice_thickness_mm": slice_thickness_mm(affine), "slice_tilt_deg": slice_tilt_deg(affine)}
        if (compartment, side) in by_label:
            of_label = {name: values[value] for name, values in slices.items()}
            is_label = runs.label == value
            row |= _measure_muscle(of_label, by_label[compartment, side], by_label.get(("gluteus", side)), affine)
            row |= _measure_shape(runs, is_label, affine)
            sizes = np.bincount(components[is_label], runs.length[is_label])
            row |= {"n_components": np.count_nonzero(sizes)}
            row |= {"largest_component_share_pct": 100 * sizes.max() / sizes.sum()}
        rows.append(row)
    numbers = [
        *("volume_ml", "max_csa_cm2", "max_csa_z_mm", "max_csa_perpendicular_cm2", "max_csa_level_pct"),
        *("max_csa_level_mm", "mean_csa_cm2", "centroid_x_mm", "centroid_y_mm", "centroid_z_mm"),
        *("extent_x_mm", "extent_y_mm", "extent_z_mm", "largest_component_share_pct"),
        *("fat_fraction_pct", "fat_fraction_plain_pct", "slice_thickness_mm", "slice_tilt_deg"),
    ]
    columns = ["compartment", "side", *numbers, "n_components", *_FLAGS, "reason"]
    return pd.DataFrame(rows).reindex(columns=columns).astype(dict.fromkeys(numbers, float))


def _measure_muscle(
    slices: dict[str, np.ndarray],
    profile: dict[str, np.ndarray],
    gluteus: dict[str, np.ndarray] | None,
    affine: np.ndarray,
) -> dict:
    """Areas, volume, level, truncation and fat fractions of one label from its sums per slice (cranial last) and profile."""
    areas, z_mm = profile["csa_cm2"], profile["z_mm"]
    thickness, n_slices = slice_thickness_mm(affine), slices["voxels"].size
    largest, level = int(areas.argmax()), int(smooth_areas(areas, thickness).round(9).argmax())
    occupied = np.flatnonzero(slices["voxels"])
    k = occupied[-1] - largest
    cut = {"is_cut_cranially": bool(occupied[-1] == n_slices - 1), "is_cut_caudally": bool(occupied[0] == 0)}
    cut["is_cut_laterally"] = bool(slices["at_side"].any())
    is_truncated = any(cut.values())
    is_at_border = bool(
        slices["at_side"][k]
        or (cut["is_cut_cranially"] and (n_slices - 1 - k) * thickness < SMOOTHING_MM)
        or (cut["is_cut_caudally"] and k * thickness < SMOOTHING_MM)
    )
    row = {"is_truncated": is_truncated, **cut, "has_gap": bool((areas == 0).any())}
    row["reason"] = MAXIMUM_AT_BORDER if is_at_border else TRUNCATED if is_truncated else None
    for name, suffix in (("fat_fraction_pct", "_eroded"), ("fat_fraction_plain_pct", "")):
        if "fat" in slices:
            fat, water = (slices[signal + suffix].sum() for signal in ("fat", "water"))
            row[name] = 100 * fat / (fat + water) if fat + water else np.nan
    if not is_truncated:
        row["volume_ml"] = slices["voxels"].sum() * _voxel_mm3(affine) / 1000
        row["mean_csa_cm2"] = areas.mean()
    if not is_at_border:
        row |= {"max_csa_cm2": areas[largest], "max_csa_z_mm": z_mm[largest]}
        row["max_csa_perpendicular_cm2"] = areas[largest] * np.cos(np.radians(slice_tilt_deg(affine)))
        row["max_csa_level_pct"] = profile["position_pct"][level]
        row["max_csa_level_mm"] = gluteus["z_mm"].max() - z_mm[level] if gluteus is not None else np.nan
    return row


def _measure_shape(runs: Runs, is_label: np.ndarray, affine: np.ndarray) -> dict[str, float]:
    """Centroid in world mm, and extent along the voxel axes in mm, of one label."""
    x, y, z, length = (values[is_label] for values in (runs.x, runs.y, runs.z, runs.length))
    voxel = np.array([length @ (x + (length - 1) / 2), length @ y, length @ z]) / length.sum()
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    last = np.array([(x + length).max(), y.max() + 1, z.max() + 1])
    extent = (last - [x.min(), y.min(), z.min()]) * spacing
    centroid = affine[:3, :3] @ voxel + affine[:3, 3]
    names = ("x", "y", "z")
    return {f"centroid_{name}_mm": centroid[axis] for axis, name in enumerate(names)} | {
        f"extent_{name}_mm": extent[axis] for axis, name in enumerate(names)
    }
