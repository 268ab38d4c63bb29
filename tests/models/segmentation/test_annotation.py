"""Every fault of an annotated mask has its code; a mask exported in another orientation is the same mask."""

import nibabel as nib
import numpy as np
import pytest

from models.imaging.nifti_set import read_nifti
from models.imaging.phantom import Grid, Person, render
from models.segmentation.annotation import AnnotationRefused, check_annotation, find_body

GRID = Grid((53, 43, 79), (8.4375, 8.4375, 12.0))
EXCHANGED = np.array([0, 2, 1, 4, 3], np.uint8)


@pytest.fixture(scope="module")
def phantom():
    return render(Person("1", "F", 40, 168.0, 68.0), 7, GRID)


def _check(phantom, mask, affine=None):
    affine = phantom.dixon.affine if affine is None else affine
    return check_annotation(mask, affine, phantom.dixon.volumes["in"], phantom.dixon.affine)


def _code(phantom, mask, affine=None) -> str:
    with pytest.raises(AnnotationRefused) as refused:
        _check(phantom, mask, affine)
    return refused.value.code


def test_true_mask_passes_unchanged(phantom):
    labels, has_all_labels = _check(phantom, phantom.labels.astype(np.float32))
    assert has_all_labels and labels.dtype == np.uint8 and np.array_equal(labels, phantom.labels)


def test_mask_written_in_slicers_orientation_is_the_same(phantom):
    """3D Slicer keeps the image's axes; here two of them run backwards."""
    image = nib.Nifti1Image(phantom.labels, phantom.dixon.affine)
    flipped = image.as_reoriented(np.array([[0, -1], [1, -1], [2, 1]]))
    labels, _ = _check(phantom, *read_nifti(flipped.to_bytes()))
    assert np.array_equal(labels, phantom.labels)


def test_faults_have_their_codes(phantom):
    true, affine = phantom.labels, phantom.dixon.affine
    assert _code(phantom, np.where(true == 4, 7, true)) == "unknown_label"
    assert _code(phantom, true * 0.5) == "unknown_label"
    assert _code(phantom, true * 0) == "empty_annotation"
    assert _code(phantom, true[:, :, 1:]) == "annotation_grid_differs"
    shifted = affine.copy()
    shifted[2, 3] += 3
    assert _code(phantom, true, shifted) == "annotation_grid_differs"
    assert _code(phantom, np.roll(true, 20, axis=1)) == "outside_body"
    assert _code(phantom, EXCHANGED[true]) == "sides_exchanged"
    assert _code(phantom, np.where(true == 2, 1, 0)) == "sides_exchanged"
    assert not _check(phantom, np.where(true == 1, 1, 0))[1]


def test_body_holds_all_muscle_and_no_air(phantom):
    body = find_body(phantom.dixon.volumes["in"])
    assert body[phantom.labels > 0].all()
    assert not body[[0, -1]].any() and 0.1 < body.mean() < 0.6
