"""Tiles are added where muscle goes on, and only there: blunt ends, tapers of known volume, a muscle that is absent."""

import numpy as np
import pytest

from models.segmentation.confinement import cover, find_extent, grow

ALL = ((0, 16, 32, 48, 64), (0,), (0,))


def spindle(first: float, stop: float, shape=(96, 40, 40)) -> np.ndarray:
    """Four muscles whose area is a parabola of the slice, with its zeros at `first` and `stop`."""
    labels = np.zeros(shape, np.uint8)
    z = np.arange(shape[0])
    area = np.rint(390 * np.clip(4 * (z - first) * (stop - z) / (stop - first) ** 2, 0, None)).astype(int)
    for value in range(1, 5):
        block = labels[:, (value - 1) // 2 * 20 :, (value - 1) % 2 * 20 :][:, :20, :20]
        block[(np.arange(400) < area[:, None]).reshape(-1, 20, 20)] = value
    return labels


@pytest.mark.parametrize(("first", "last"), [(0, 0), (15, 95), (16, 47), (17, 48), (90, 95)])
def test_cover_is_the_smallest_that_holds_first_to_last(first, last):
    chosen = cover(ALL[0], 32, first, last)
    assert chosen[0] <= first and last < chosen[-1] + 32
    assert all(first < shorter[0] or last >= shorter[-1] + 32 for shorter in (chosen[1:], chosen[:-1]) if shorter)


def test_tiles_are_added_on_the_side_where_muscle_goes_on():
    labels = spindle(20, 60)
    assert grow(((16, 32), (0,), (0,)), ALL, labels[16:64]) == ((16, 32), (0,), (0,))
    assert grow(((16,), (0,), (0,)), ALL, labels[16:48]) == ((16, 32), (0,), (0,))
    assert grow(((32,), (0,), (0,)), ALL, labels[32:64]) == ((16, 32), (0,), (0,))
    assert grow(((32,), (0,), (0,)), ALL, spindle(10, 80)[32:64]) == ((16, 32, 48), (0,), (0,))


@pytest.mark.parametrize("beyond", np.arange(0.5, 8, 0.5))
def test_no_more_than_a_trace_is_left_out(beyond):
    """What lies beyond the edge of the tiles is under 0.3 % of the muscle wherever no tile is added, however the edge falls."""
    labels = spindle(16 - beyond, 60)
    is_grown = grow(((16, 32), (0,), (0,)), ALL, labels[16:64]) != ((16, 32), (0,), (0,))
    left_out = (labels[:16] == 1).sum() / (labels == 1).sum()
    assert is_grown or left_out < 0.003


def test_where_a_muscle_was_not_found_everything_is_looked_at():
    labels = spindle(20, 60)
    labels[labels == 3] = 0
    assert grow(((16, 32), (0,), (0,)), ALL, labels[16:64]) == ALL


def test_extent_leaves_traces_out():
    labels = spindle(20, 60)
    labels[90, 0, 0] = 1
    assert find_extent(labels, 0)[1] < 60
    assert find_extent(np.zeros_like(labels), 0) is None
