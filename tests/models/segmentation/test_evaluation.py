"""Scores against sets counted by hand, planes and spheres at known distances, and MONAI."""

import numpy as np
import pytest
from scipy import ndimage

from models.segmentation.evaluation import (
    BOTH_EMPTY,
    PREDICTED_EMPTY,
    TRUTH_EMPTY,
    exchanged_side_pct,
    score_case,
    score_labels,
    score_surfaces,
)

ANISOTROPIC_MM = (1.4, 1.2, 3.0)


def _psoas_left(scores):
    return scores.set_index(["compartment", "side"]).loc[("psoas", "left")]


def test_overlap_counted_by_hand():
    predicted, truth = np.array([1, 1, 1, 0, 2, 2, 3]), np.array([1, 1, 0, 1, 2, 2, 0])
    scores = score_labels(predicted, truth).set_index(["compartment", "side"])
    expected = {"dice": 4 / 6, "precision": 2 / 3, "recall": 2 / 3, "specificity": 3 / 4, "accuracy": 5 / 7}
    assert scores.loc[("psoas", "left")].to_dict() == pytest.approx(expected)
    assert (scores.loc[("psoas", "right")] == 1).all()
    assert scores.loc[("gluteus", "left"), "dice"] == 0


def test_rules_for_empty_labels():
    predicted, truth = np.zeros((2, 6, 6, 6), np.uint8)
    predicted[1:3, 1:3, 1:3], truth[3:5, 3:5, 3:5] = 2, 3
    scores = score_case(predicted, truth, (1, 1, 1)).set_index(["compartment", "side"])
    none, only_predicted, only_true = (
        scores.loc[key] for key in (("psoas", "left"), ("psoas", "right"), ("gluteus", "left"))
    )
    assert none[["dice", "precision", "recall", "surface_dice_3mm", "hd95_mm"]].isna().all()
    assert (none["specificity"], none["accuracy"], none["reason"]) == (1, 1, BOTH_EMPTY)
    assert (only_predicted["dice"], only_predicted["surface_dice_3mm"], only_predicted["precision"]) == (0, 0, 0)
    assert only_predicted[["hd95_mm", "recall"]].isna().all() and only_predicted["reason"] == TRUTH_EMPTY
    assert (only_true["dice"], only_true["surface_dice_3mm"], only_true["recall"]) == (0, 0, 0)
    assert only_true[["hd95_mm", "precision"]].isna().all() and only_true["reason"] == PREDICTED_EMPTY


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("steps", [1, 2])
def test_parallel_planes_at_a_known_distance(axis, steps):
    """A wide slab grown on both faces: all of its surface but a thin rim lies exactly `steps` voxels off."""
    shape = [60, 60, 60]
    shape[axis] = 20
    truth, predicted = np.zeros((2, *shape), np.uint8)
    slab = [slice(None)] * 3
    slab[axis] = slice(8, 12)
    truth[tuple(slab)] = 1
    slab[axis] = slice(8 - steps, 12 + steps)
    predicted[tuple(slab)] = 1
    scores = _psoas_left(score_surfaces(predicted, truth, ANISOTROPIC_MM))
    distance = steps * ANISOTROPIC_MM[axis]
    assert scores["hd95_mm"] == pytest.approx(distance)
    assert (scores["surface_dice_3mm"] > 0.9) == (distance <= 3)


@pytest.mark.parametrize(("outer", "within"), [(22.0, 1.0), (26.0, 0.0)])
def test_concentric_spheres(outer, within):
    """Radii 20 and 22 or 26 mm on an anisotropic grid: every surface element lies 2 or 6 mm off, to half a voxel."""
    spacing = (1.0, 1.0, 2.0)
    x, y, z = np.meshgrid(*(np.arange(-32, 33, step) for step in spacing), indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    scores = _psoas_left(score_surfaces((radius < outer).astype(np.uint8), (radius < 20).astype(np.uint8), spacing))
    assert scores["hd95_mm"] == pytest.approx(outer - 20, abs=1)
    assert scores["surface_dice_3mm"] == pytest.approx(within, abs=0.01)


def test_surface_area_of_a_sphere():
    """Marching cubes on a binary sphere overestimate 4 pi r^2 by about 9 percent; counting voxel faces would by 50."""
    from models.segmentation.evaluation import _surface_areas

    x, y, z = np.meshgrid(*[np.arange(-25, 26)] * 3, indexing="ij")
    area = _surface_areas(x**2 + y**2 + z**2 < 400, (1.0, 1.0, 1.0)).sum()
    assert area == pytest.approx(4 * np.pi * 400, rel=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_monai(seed):
    """MONAI's sub-voxel surfaces are the reference implementation's. Its HD95 takes voxels for surfaces: only near ours."""
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice
    from monai.metrics.utils import get_edge_surface_distance

    rng = np.random.default_rng(seed)
    shape = ndimage.gaussian_filter(rng.standard_normal((40, 50, 30)), 4)
    change = ndimage.gaussian_filter(rng.standard_normal((40, 50, 30)), 2)
    predicted, truth = (shape + 0.2 * change > 0.02), shape > 0.02
    ours = _psoas_left(score_case(predicted.astype(np.uint8), truth.astype(np.uint8), ANISOTROPIC_MM))
    pair = [torch.from_numpy(mask)[None, None] for mask in (predicted, truth)]
    options = {"include_background": True, "spacing": ANISOTROPIC_MM}
    surface_dice = compute_surface_dice(*pair, class_thresholds=[3.0], use_subvoxels=True, **options)
    assert ours["surface_dice_3mm"] == pytest.approx(float(surface_dice), abs=1e-6)
    assert 0.5 < ours["surface_dice_3mm"] < 1
    edges, distances, areas = get_edge_surface_distance(
        *(mask[0, 0] for mask in pair), spacing=ANISOTROPIC_MM, use_subvoxels=True, symmetric=True
    )
    directed = [
        np.quantile(distance, 0.95, weights=area[edge].numpy(), method="inverted_cdf")
        for edge, distance, area in zip(edges, distances, areas, strict=True)
    ]
    assert ours["hd95_mm"] == pytest.approx(max(directed), rel=1e-6)
    voxel_based = float(compute_hausdorff_distance(*pair, percentile=95, **options))
    assert ours["hd95_mm"] == pytest.approx(voxel_based, abs=max(ANISOTROPIC_MM))


def test_exchanged_sides_are_counted_within_a_compartment():
    predicted, truth = np.array([1, 1, 2, 4, 3]), np.array([2, 1, 2, 1, 4])
    assert exchanged_side_pct(predicted, truth) == pytest.approx(40)
