"""Morphometry: exact on known solids and phantoms, equal to SimpleITK and scipy on random and on real label maps."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy import ndimage

from models.imaging.phantom import REDUCED_GRID, Person, render, true_measures
from models.measurement.morphometry import MAXIMUM_AT_BORDER, measure, smooth_areas, spatial_distribution
from models.segmentation.anatomy import LABELS

SPACING = (2.0, 2.5, 3.0)


def _row(muscles: pd.DataFrame, compartment: str, side: str) -> pd.Series:
    return muscles.set_index(["compartment", "side"]).loc[compartment, side]


def _measure(labels: np.ndarray, affine: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    fat, water = (np.full(labels.shape, signal, np.uint16) for signal in (100, 300))
    measured = measure(labels, affine, fat, water)
    return measured.profile, measured.muscles


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
    measured = measure(phantom.labels, phantom.dixon.affine)
    profile, muscles = measured.profile, measured.muscles.set_index(["compartment", "side"])
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


def _grid(spacing: tuple[float, float, float], half_mm: float = 60.0):
    """Voxel-centre coordinates and affine of a cube of 2 x `half_mm` around the origin."""
    shape = [2 * int(half_mm / step) for step in spacing]
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-(n - 1) / 2 * step for n, step in zip(shape, spacing, strict=True)]
    return np.meshgrid(
        *(affine[i, 3] + spacing[i] * np.arange(shape[i]) for i in range(3)), indexing="ij", sparse=True
    ), affine


SOLIDS = {
    "cylinder": (lambda x, y, z: (x**2 + y**2 < 30.3**2) & (abs(z) < 36), np.pi * 30.3**2 * 72, np.pi * 30.3**2),
    "ellipsoid": (
        lambda x, y, z: (x / 25.2) ** 2 + (y / 33.1) ** 2 + (z / 47.3) ** 2 < 1,
        4 / 3 * np.pi * 25.2 * 33.1 * 47.3,
        np.pi * 25.2 * 33.1,
    ),
    "cone": (
        lambda x, y, z: (x**2 + y**2 < ((36 - z) * 40.4 / 72) ** 2) & (abs(z) < 36),
        np.pi * 40.4**2 * 72 / 3,
        np.pi * 40.4**2,
    ),
    "oblique cylinder": (
        lambda x, y, z: ((x - 0.4 * z) ** 2 + (y + 0.2 * z) ** 2 < 25.3**2) & (abs(z) < 36),
        np.pi * 25.3**2 * 72,
        np.pi * 25.3**2,
    ),
}


@pytest.mark.parametrize("solid", SOLIDS)
def test_solids_converge_to_their_closed_form(solid):
    """A boundary pixel is in or out: errors fall at least in proportion to the voxel, and are below 0.5 % at 1 mm."""
    is_inside, volume_mm3, area_mm2 = SOLIDS[solid]
    errors = []
    for step in (4.0, 2.0, 1.0):
        (x, y, z), affine = _grid((step, step, step))
        labels = np.where(is_inside(x, y, z), LABELS["psoas", "left"], 0).astype(np.uint8)
        row = _row(measure(labels, affine).muscles, "psoas", "left")
        errors.append(abs(1000 * row["volume_ml"] / volume_mm3 - 1))
        # The widest slice of the cone lies half a voxel inside its base.
        expected = area_mm2 * (1 - step / 2 / 72) ** 2 if solid == "cone" else area_mm2
        assert 100 * row["max_csa_cm2"] == pytest.approx(expected, rel=0.03 * step / 2)
        assert row["n_components"] == 1 and row["largest_component_share_pct"] == 100
    assert errors[0] < 0.03 and errors[1] < 0.01 and errors[2] < 0.005


def test_tilted_stack_states_area_across_the_body_axis():
    """A cylinder of 20 mm radius along the body axis, in slices tilted by 25 degrees: ellipses of A / cos 25 degrees."""
    (x, y, z), affine = _grid((1.0, 1.0, 2.0), 80.0)
    angle = np.deg2rad(25)
    rotation = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine[:3] = rotation @ affine[:3]
    y_body, z_body = np.cos(angle) * y - np.sin(angle) * z, np.sin(angle) * y + np.cos(angle) * z
    labels = np.where((x**2 + y_body**2 < 20**2) & (abs(z_body) < 40), LABELS["psoas", "right"], 0).astype(np.uint8)
    row = _row(measure(labels, affine).muscles, "psoas", "right")
    assert row["slice_tilt_deg"] == pytest.approx(25)
    assert row["max_csa_cm2"] == pytest.approx(np.pi * 4 / np.cos(angle), rel=0.01)
    assert row["max_csa_perpendicular_cm2"] == pytest.approx(np.pi * 4, rel=0.01)


def test_every_number_of_random_blobs_equals_scipy_and_simpleitk():
    """Components, centroid, extent, eroded fat fraction; shapes whose rows are not multiples of eight."""
    rng = np.random.default_rng(5)
    noise = ndimage.gaussian_filter(rng.normal(size=(37, 29, 23)), 1.5)
    quadrant = 1 + (np.arange(37)[:, None] > 15) + 2 * (np.arange(29) > 12)
    labels = np.where(noise > np.median(noise), quadrant[..., None], 0).astype(np.uint8)
    fat, water = (rng.integers(0, 900, labels.shape).astype(np.uint16) for _ in range(2))
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = -10, 20, 30
    measured = measure(labels, affine, fat, water)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    image = sitk.GetImageFromArray(labels.T)
    image.SetSpacing(SPACING), image.SetOrigin((-10.0, 20.0, 30.0))
    statistics.Execute(image)
    for key, value in LABELS.items():
        row, mask = _row(measured.muscles, *key), labels == value
        components, n = ndimage.label(mask)
        assert row["n_components"] == n
        largest = np.bincount(components[mask]).max() / mask.sum()
        assert row["largest_component_share_pct"] == pytest.approx(100 * largest)
        assert row[["centroid_x_mm", "centroid_y_mm", "centroid_z_mm"]].tolist() == pytest.approx(
            statistics.GetCentroid(value)
        )
        extents = np.array(statistics.GetBoundingBox(value)[3:]) * SPACING
        assert row[["extent_x_mm", "extent_y_mm", "extent_z_mm"]].tolist() == pytest.approx(extents)
        eroded = ndimage.binary_erosion(mask)
        for where, column in ((eroded, "fat_fraction_pct"), (mask, "fat_fraction_plain_pct")):
            f, w = float(fat[where].sum()), float(water[where].sum())
            assert row[column] == pytest.approx(100 * f / (f + w))
        slices = measured.profile[(measured.profile["compartment"] == key[0]) & (measured.profile["side"] == key[1])]
        k = np.flatnonzero(mask.any(axis=(0, 1))).max() - slices["slice_index"].to_numpy()
        assert slices["csa_cm2"].to_numpy() == pytest.approx(mask.sum(axis=(0, 1))[k] * 0.05)
        inside = eroded[:, :, k].any(axis=(0, 1))
        assert (slices["fat_fraction_eroded_pct"].notna() == inside).all()


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_storage_order_of_the_axes_changes_no_number(axes, flips):
    """RAS, LPS and permuted axes, with the affine that goes with them."""
    phantom = render(Person("1", "F", 40, 165.0, 70.0), 7)
    volumes = [phantom.labels, phantom.dixon.volumes["fat"], phantom.dixon.volumes["water"]]
    image = [nib.Nifti1Image(volume, phantom.dixon.affine) for volume in volumes]
    orientation = np.array([[axes[i], flips[i]] for i in range(3)])
    turned = [one.as_reoriented(orientation) for one in image]
    expected = measure(volumes[0], phantom.dixon.affine, *volumes[1:])
    stored = measure(np.asarray(turned[0].dataobj), turned[0].affine, *(np.asarray(t.dataobj) for t in turned[1:]))
    pd.testing.assert_frame_equal(stored.profile, expected.profile)
    pd.testing.assert_frame_equal(stored.muscles, expected.muscles)


def test_mirrored_pixels_under_an_unchanged_affine_mirror_the_world_alone():
    phantom = render(Person("1", "F", 40, 165.0, 70.0), 7)
    expected, mirrored = (measure(labels, phantom.dixon.affine) for labels in (phantom.labels, phantom.labels[::-1]))
    lateral = ["centroid_x_mm"]
    pd.testing.assert_frame_equal(mirrored.muscles.drop(columns=lateral), expected.muscles.drop(columns=lateral))
    assert mirrored.muscles["centroid_x_mm"].to_numpy() == pytest.approx(-expected.muscles["centroid_x_mm"].to_numpy())


def test_lateral_cut_is_told_from_a_cranial_one():
    labels = np.zeros((20, 20, 30), np.uint8)
    labels[:6, 5:13, 8:22] = LABELS["gluteus", "left"]
    labels[8:12, 5:13, 20:] = LABELS["psoas", "left"]
    muscles = _measure(labels, np.diag([*SPACING, 1.0]))[1]
    cut = ["is_truncated", "is_cut_cranially", "is_cut_caudally", "is_cut_laterally"]
    assert _row(muscles, "gluteus", "left")[cut].tolist() == [True, False, False, True]
    assert _row(muscles, "psoas", "left")[cut].tolist() == [True, True, False, False]


@pytest.mark.parametrize("n_slices", [1, 3, 90, 100, 317])
def test_spatial_distribution_keeps_area(n_slices):
    areas = np.random.default_rng(n_slices).uniform(1, 20, n_slices)
    shares = spatial_distribution(areas)
    assert shares.shape == (100,) and shares.sum() == pytest.approx(100)
    quarter = np.interp(n_slices / 4, np.arange(n_slices + 1), np.concatenate([[0], areas.cumsum()])) / areas.sum()
    assert shares[:25].sum() == pytest.approx(100 * quarter)
