"""The geometry gate: what the shipped model was made for passes, everything else has a code and a sentence."""

import numpy as np
import pytest

from models.imaging.phantom import NAKO_GRID, REDUCED_GRID
from models.segmentation.geometry import REFUSALS, GeometryRefused, check_geometry
from models.segmentation.inference import open_model

GEOMETRY = open_model("phantom-v1").geometry


def _rotated_about_z(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return rotation


def test_model_states_its_geometry_along_x_y_z():
    assert GEOMETRY.spacing_mm == pytest.approx((4.21875, 4.21875, 6.0))
    assert GEOMETRY.extent_mm == pytest.approx((106 * 4.21875, 86 * 4.21875, 32 * 6.0))


@pytest.mark.parametrize("grid", [NAKO_GRID, REDUCED_GRID])
@pytest.mark.parametrize("degrees", [0, 14])
def test_grids_of_the_study_pass(grid, degrees):
    check_geometry(grid.shape, _rotated_about_z(degrees) @ grid.affine, GEOMETRY)


FLIPPED = np.diag([-1.0, 1, 1, 1]) @ REDUCED_GRID.affine
REFUSED = {
    "mirrored": (REDUCED_GRID.shape, FLIPPED, "orientation_differs"),
    "oblique": (REDUCED_GRID.shape, _rotated_about_z(16) @ REDUCED_GRID.affine, "orientation_differs"),
    "axes exchanged": (REDUCED_GRID.shape, REDUCED_GRID.affine[:, [1, 0, 2, 3]], "orientation_differs"),
    "coarse slices": ((106, 86, 60), np.diag([4.21875, 4.21875, 15, 1]), "spacing_differs"),
    "micro": ((800, 800, 800), np.diag([1, 1, 1, 1.0]), "spacing_differs"),
    "half the body": ((50, 86, 158), REDUCED_GRID.affine, "small_field_of_view"),
    "a thin slab": ((106, 86, 20), REDUCED_GRID.affine, "small_field_of_view"),
}


@pytest.mark.parametrize(("shape", "affine", "code"), REFUSED.values(), ids=REFUSED)
def test_other_grids_are_refused_with_code_and_sentence(shape, affine, code):
    with pytest.raises(GeometryRefused) as refusal:
        check_geometry(shape, affine, GEOMETRY)
    assert refusal.value.code == code
    assert refusal.value.message.startswith(REFUSALS[code]) and refusal.value.message.endswith(".")
