"""Dice against sets counted by hand."""

import numpy as np
import pytest

from models.segmentation.evaluation import exchanged_side_pct, score_labels


def test_dice_is_twice_the_overlap_over_the_sizes():
    predicted, truth = np.array([1, 1, 1, 0, 2, 2, 3]), np.array([1, 1, 0, 1, 2, 2, 0])
    dice = score_labels(predicted, truth).set_index(["compartment", "side"])["dice"]
    assert dice["psoas", "left"] == pytest.approx(4 / 6)
    assert dice["psoas", "right"] == 1
    assert dice["gluteus", "left"] == 0
    assert np.isnan(dice["gluteus", "right"])


def test_exchanged_sides_are_counted_within_a_compartment():
    predicted, truth = np.array([1, 1, 2, 4, 3]), np.array([2, 1, 2, 1, 4])
    assert exchanged_side_pct(predicted, truth) == pytest.approx(40)
