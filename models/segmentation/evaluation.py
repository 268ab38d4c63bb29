"""Agreement of a predicted with a true label map, per label and case.

What belongs here: scores of masks against masks. No network, no files; summaries over cases belong to the warehouse.

Empty labels. Both masks empty: specificity and accuracy are 1, everything else NaN. One mask empty: Dice and surface Dice
are 0, HD95 is NaN (there is no distance to nothing), precision is NaN where nothing was predicted, recall where nothing is
true; else they are 0. A NaN always has a reason.

Surfaces. A mask's surface passes between voxel centres: every 2 x 2 x 2 neighbourhood that holds voxels of both kinds
carries a surface element, whose area (mm2) is that of the marching-cubes triangles in it. It lies at the centre of the
neighbourhood. Distances run from element to nearest element, so that large voxels do not count more than small ones
(Nikolov et al. 2021, doi 10.2196/26151). Implementations that take voxels for surfaces give other numbers: name this one.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import ndimage

from models.segmentation.anatomy import COMPARTMENTS, LABELS, SIDES

TOLERANCE_MM = 3.0
BOTH_EMPTY = "Both masks are empty."
PREDICTED_EMPTY = "The mask under test is empty."
TRUTH_EMPTY = "The reference mask is empty."


def score_labels(predicted: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """Overlap per label: Dice, and the metrics of the confusion matrix over all voxels of the volume.

    With TP, FP, FN, TN the voxels in both masks, in the predicted alone, in the true alone, in neither: Dice is
    2 TP / (2 TP + FP + FN), precision TP / (TP + FP), recall TP / (TP + FN), specificity TN / (TN + FP), accuracy
    (TP + TN) / all. The last two are near 1 by class imbalance. Empty labels: see the module.

    Parameters
    ----------
    predicted, truth : ndarray of int, same shape
        Label maps with the values of `anatomy.LABELS`.

    Returns
    -------
    DataFrame
        compartment, side, dice, precision, recall, specificity, accuracy.
    """
    n_values = max(LABELS.values()) + 1
    pairs = np.bincount((truth.astype(np.intp) * n_values + predicted).ravel(), minlength=n_values**2)
    confusion = pairs.reshape(n_values, n_values)
    rows = []
    for (compartment, side), value in LABELS.items():
        both = int(confusion[value, value])
        only_predicted = int(confusion[:, value].sum()) - both
        only_true = int(confusion[value].sum()) - both
        neither = predicted.size - both - only_predicted - only_true
        row = {"compartment": compartment, "side": side}
        row["dice"] = _ratio(2 * both, 2 * both + only_predicted + only_true)
        row["precision"] = _ratio(both, both + only_predicted)
        row["recall"] = _ratio(both, both + only_true)
        row["specificity"] = _ratio(neither, neither + only_predicted)
        row["accuracy"] = (both + neither) / predicted.size
        rows.append(row)
    return pd.DataFrame(rows)


def score_surfaces(predicted: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, float, float]) -> pd.DataFrame:
    """Normalised surface Dice at 3 mm and HD95 per label; surfaces and empty labels: see the module.

    Surface Dice is the share of both surfaces, by area, that lies within 3 mm of the other one (3 mm is the slice
    thickness of NAKO). HD95 is the larger of the two directed distances within which at least 95 % of a surface, by
    area, lies of the other one. Both follow Nikolov et al. 2021, doi 10.2196/26151.

    Parameters
    ----------
    predicted, truth : ndarray of int, shape (x, y, z)
        Label maps with the values of `anatomy.LABELS`.
    spacing_mm : tuple of float
        Voxel size along x, y, z, in mm.

    Returns
    -------
    DataFrame
        compartment, side, surface_dice_3mm, hd95_mm, reason (why a score is NaN, None where none is).
    """
    rows = []
    for (compartment, side), value in LABELS.items():
        a, b = predicted == value, truth == value
        row = {"compartment": compartment, "side": side, "surface_dice_3mm": np.nan, "hd95_mm": np.nan}
        if a.any() and b.any():
            row["surface_dice_3mm"], row["hd95_mm"] = _compare_surfaces(a, b, tuple(map(float, spacing_mm)))
            row["reason"] = None
        elif a.any() or b.any():
            row |= {"surface_dice_3mm": 0.0, "reason": TRUTH_EMPTY if a.any() else PREDICTED_EMPTY}
        else:
            row["reason"] = BOTH_EMPTY
        rows.append(row)
    return pd.DataFrame(rows)


def score_case(predicted: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, float, float]) -> pd.DataFrame:
    """`score_labels` and `score_surfaces` side by side, and volume_ml, the true mask's: one row per label."""
    surfaces = score_surfaces(predicted, truth, spacing_mm)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    volumes = [int((truth == value).sum()) * voxel_ml for value in LABELS.values()]
    return score_labels(predicted, truth).merge(surfaces, on=["compartment", "side"]).assign(volume_ml=volumes)


def exchanged_side_pct(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Share of the predicted muscle voxels that lie in the true muscle of the same compartment's other side, in percent."""
    exchanged = sum(
        int(((predicted == LABELS[compartment, side]) & (truth == LABELS[compartment, other])).sum())
        for compartment in COMPARTMENTS
        for side, other in (SIDES, SIDES[::-1])
    )
    return 100 * exchanged / max(int((predicted > 0).sum()), 1)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else np.nan


def _compare_surfaces(a: np.ndarray, b: np.ndarray, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
    """Surface Dice and HD95 of two masks that are not empty."""
    box = ndimage.find_objects((a | b).astype(np.int8))[0]
    areas = [_surface_areas(mask[box], spacing_mm) for mask in (a, b)]
    directed = [_distances(*areas, spacing_mm), _distances(*areas[::-1], spacing_mm)]
    within = sum(area[distance <= TOLERANCE_MM].sum() for distance, area in directed)
    return within / sum(area.sum() for _, area in directed), max(_percentile_95(*pair) for pair in directed)


def _surface_areas(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Area in mm2 of the surface element of every 2 x 2 x 2 neighbourhood of the mask and one voxel around it."""
    padded = np.pad(mask, 1).astype(np.uint8)
    code = np.zeros([n - 1 for n in padded.shape], np.uint8)
    for bit, (x, y, z) in enumerate(np.ndindex(2, 2, 2)):
        code |= padded[x : x + code.shape[0], y : y + code.shape[1], z : z + code.shape[2]] << bit
    return _area_table(spacing_mm)[code]


@lru_cache
def _area_table(spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Area in mm2 of the marching-cubes triangles of each of the 256 neighbourhoods; a neighbourhood and its complement
    share one surface.
    """
    from skimage.measure import marching_cubes, mesh_surface_area

    areas = np.zeros(256)
    for code in range(1, 255):
        minority = code if code.bit_count() <= 4 else 255 - code
        corners = np.array([minority >> bit & 1 for bit in range(8)], float).reshape(2, 2, 2)
        vertices, faces, *_ = marching_cubes(corners, 0.5, spacing=spacing_mm, method="lorensen")
        areas[code] = mesh_surface_area(vertices, faces)
    return areas


def _distances(
    source: np.ndarray, target: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Distance in mm of every surface element of `source` to the nearest of `target`, and its area in mm2."""
    distance = ndimage.distance_transform_edt(target == 0, sampling=spacing_mm)
    is_surface = source > 0
    return distance[is_surface], source[is_surface]


def _percentile_95(distance: np.ndarray, area: np.ndarray) -> float:
    """Smallest distance within which at least 95 % of the area lies."""
    order = np.argsort(distance)
    share = np.cumsum(area[order])
    return float(distance[order][np.searchsorted(share, 0.95 * share[-1])])
