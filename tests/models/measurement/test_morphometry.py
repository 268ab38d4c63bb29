"""Morphometry: exact on known solids and phantoms, equal to SimpleITK on a real label map."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.phantom import REDUCED_GRID, Person, render, true_measures
from models.measurement.morphometry import MAXIMUM_AT_BORDER, measure_muscles, measure_profile, smooth_areas
from models.segmentation.anatomy import LABELS

SPACING = (2.0, 2.5, 3.0)


def _dixon(shape, affine, fat=100, water=300) -> DixonSet:
    volumes = {contrast: np.zeros(shape, np.uint16) for contrast in CONTRASTS}
    volumes["fat"][:], volumes["water"][:] = fat, water
    return DixonSet(volumes, affine)


def _row(muscles: pd.DataFrame, compartment: str, side: str) -> pd.Series:
    return muscles.set_index(["compartment", "side"]).loc[compartment, side]


def _measure(labels: np.ndarray, affine: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    dixon = _dixon(labels.shape, affine)
    profile = measure_profile(labels, dixon)
    return profile, measure_muscles(labels, dixon, profile)


@pytest.fixture
def box():
    """A box of 10 x 8 pixels over 12 slices, with one slice of 12 x 8 pixels, fifth from the top."""
    labels = np.zeros((40, 30, 40), np.uint8)
    labels[10:20, 5:13, 20:32] = LABELS["psoas", "left"]
    labels[10:22, 5:13, 27] = LABELS["psoas", "left"]
    return labels


def test_box_has_its_areas_positions_and_volume(box):
    affine = np.diag([*SPACING, 1.0])
    affine[2, 3] = -50
    profile, muscles = _measure(box, affine)
    row = _row(muscles, "psoas", "left")
    assert profile["csa_cm2"].tolist() == pytest.approx([4.0] * 4 + [4.8] + [4.0] * 7)
    assert profile["position_pct"].tolist() == pytest.approx([100 * (i + 0.5) / 12 for i in range(12)])
    assert profile["z_mm"].tolist() == pytest.approx([3 * k - 50 for k in range(31, 19, -1)])
    assert row["volume_ml"] == pytest.approx((12 * 80 + 16) * 15 / 1000)
    assert (row["max_csa_cm2"], row["max_csa_z_mm"]) == pytest.approx((4.8, 31))
    assert row["max_csa_level_pct"] == pytest.approx(100 * 2.5 / 12)  # five slices wide plateau, tie to the cranial one
    assert row["fat_fraction_pct"] == pytest.approx(25)
    assert not row["is_truncated"] and not row["has_gap"]
    assert row["slice_thickness_mm"] == pytest.approx(3)


def test_empty_slice_inside_is_zero_and_flagged(box):
    box[:, :, 25] = 0
    profile, muscles = _measure(box, np.diag([*SPACING, 1.0]))
    assert profile["csa_cm2"].tolist()[6] == 0 and len(profile) == 12
    assert np.isnan(profile["fat_fraction_pct"].iloc[6])
    assert _row(muscles, "psoas", "left")["has_gap"]


def test_empty_label_is_null_with_a_reason(box):
    row = _row(_measure(box, np.eye(4))[1], "gluteus", "right")
    assert np.isnan(row["volume_ml"]) and np.isnan(row["max_csa_cm2"]) and row["reason"]


def test_no_label_at_all_gives_an_empty_profile():
    profile, muscles = _measure(np.zeros((5, 5, 5), np.uint8), np.eye(4))
    assert profile.empty and muscles["volume_ml"].isna().all() and muscles["reason"].notna().all()


@pytest.mark.parametrize(("largest_k", "area_is_known"), [(35, False), (34, True)])
def test_truncated_muscle_has_no_volume_and_an_area_only_clear_of_the_border(box, largest_k, area_is_known):
    """The mask runs out at the top, slice 39; its largest slice lies 12 or 15 mm below."""
    box[10:20, 5:13, 20:] = LABELS["psoas", "left"]
    box[10:24, 5:13, largest_k] = LABELS["psoas", "left"]
    row = _row(_measure(box, np.diag([*SPACING, 1.0]))[1], "psoas", "left")
    assert row["is_truncated"] and np.isnan(row["volume_ml"])
    assert np.isfinite(row["max_csa_cm2"]) == area_is_known
    assert area_is_known or row["reason"] == MAXIMUM_AT_BORDER


def test_slice_cut_at_the_side_has_no_known_area():
    labels = np.zeros((20, 20, 30), np.uint8)
    labels[:6, 5:13, 8:22] = LABELS["gluteus", "left"]
    row = _row(_measure(labels, np.diag([*SPACING, 1.0]))[1], "gluteus", "left")
    assert row["is_truncated"] and np.isnan(row["max_csa_cm2"]) and np.isnan(row["volume_ml"])


def test_oblique_stack_measures_the_slices_own_area(box):
    """A rotation changes no area and no volume."""
    angle = np.deg2rad(20)
    rotation = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(SPACING)
    row = _row(_measure(box, affine)[1], "psoas", "left")
    assert row["max_csa_cm2"] == pytest.approx(4.8)
    assert row["volume_ml"] == pytest.approx((12 * 80 + 16) * 15 / 1000)


@pytest.mark.parametrize(("thickness", "size"), [(3.0, 5), (6.0, 3), (1.5, 9), (20.0, 1)])
def test_smoothing_is_about_15_mm_wide(thickness, size):
    impulse = np.zeros(31)
    impulse[15] = 1
    assert np.count_nonzero(smooth_areas(impulse, thickness)) == size


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_phantom_is_measured_exactly(seed):
    person = Person("1", "F", 30 + 10 * seed, 165.0, 70.0)
    phantom = render(person, seed)
    profile = measure_profile(phantom.labels, phantom.dixon)
    muscles = measure_muscles(phantom.labels, phantom.dixon, profile).set_index(["compartment", "side"])
    truth = phantom.profile.sort_values(["compartment", "side", "k"], ascending=[True, True, False])
    measured = profile.sort_values(["compartment", "side", "slice_index"])
    assert measured["csa_cm2"].to_numpy() == pytest.approx(truth["csa_cm2"].to_numpy(), rel=1e-12)
    assert measured["z_mm"].to_numpy() == pytest.approx(truth["z_mm"].to_numpy())
    measures = true_measures(phantom.profile, REDUCED_GRID)
    for side in ("left", "right"):
        assert muscles.loc[("psoas", side), "max_csa_cm2"] == pytest.approx(
            measures[f"csa_psoas_{side}_cm2"], rel=1e-12
        )
        assert muscles.loc[("gluteus", side), "volume_ml"] == pytest.approx(
            1000 * measures[f"volume_gluteus_{side}_l"], rel=1e-9
        )


def test_real_label_map_equals_simpleitk(real_data):
    """A network's output on a real person: iliopsoas 88/89 and gluteus maximus 80/81, left/right."""
    path = real_data / "muscle_masks" / "example_seg_fast_force_split.nii.gz"
    image = nib.as_closest_canonical(nib.load(path))
    labels = np.asarray(image.dataobj).astype(np.uint8)
    values = {("psoas", "left"): 88, ("psoas", "right"): 89, ("gluteus", "left"): 80, ("gluteus", "right"): 81}
    mapped = np.zeros_like(labels)
    for key, value in values.items():
        mapped[labels == value] = LABELS[key]
    _, muscles = _measure(mapped, image.affine)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    reference = sitk.ReadImage(str(path))
    statistics.Execute(sitk.Cast(reference, sitk.sitkUInt8))
    columns = image.affine[:3, :3]
    for key, value in values.items():
        row = _row(muscles, *key)
        expected = statistics.GetPhysicalSize(value) / 1000
        voxels = (labels == value).sum()
        assert voxels * abs(np.linalg.det(columns)) / 1000 == pytest.approx(expected, rel=1e-5)
        assert row["is_truncated"] or row["volume_ml"] == pytest.approx(expected, rel=1e-5)
        areas = (labels == value).sum(axis=(0, 1)) * np.linalg.norm(np.cross(columns[:, 0], columns[:, 1])) / 100
        assert np.isnan(row["max_csa_cm2"]) or row["max_csa_cm2"] == pytest.approx(areas.max(), rel=1e-6)
        x_mm = image.affine[0, 3] + image.affine[0, 0] * np.nonzero(labels == value)[0].mean()
        assert np.sign(x_mm - _midline_mm(labels, image.affine)) == (1 if key[1] == "right" else -1)
    assert muscles["max_csa_cm2"].notna().sum() >= 2


def _midline_mm(labels: np.ndarray, affine: np.ndarray) -> float:
    """World x of the middle of all muscle labels, in mm."""
    return affine[0, 3] + affine[0, 0] * np.nonzero(np.isin(labels, range(80, 90)))[0].mean()
