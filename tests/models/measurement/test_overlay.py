"""The overlay figure: size, colours, sides, and what it must not hold."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from models.imaging.phantom import Acquisition, Person, render
from models.measurement.morphometry import measure
from models.measurement.overlay import TURQUOISE, WIDTH, YELLOW, draw_overlay


def _draw(labels, water, affine, lines=("FAIL  Something 3 (limit 2)",)) -> np.ndarray:
    figure = draw_overlay(labels, water, affine, measure(labels, affine).profile, list(lines), "synthetic")
    assert len(figure.webp) < 200_000
    with Image.open(BytesIO(figure.webp)) as image:
        assert image.format == "WEBP" and image.width == WIDTH and not image.getexif()
        return np.asarray(image.convert("RGB")).astype(int)


def test_the_words_on_the_checks_lie_below_the_pictures(phantom):
    """Figures of one case that differ in their words alone are the same above the line, and a blinded reader sees no word."""
    arguments = phantom.labels, phantom.dixon.volumes["water"], phantom.dixon.affine
    profile = measure(phantom.labels, phantom.dixon.affine).profile
    heights, pixels = [], []
    for lines in (["FAIL  Something 3 (limit 2)"] * 4, []):
        figure = draw_overlay(*arguments, profile, lines, "synthetic")
        with Image.open(BytesIO(figure.webp)) as image:
            heights.append((image.height, figure.pictures_height_px))
            pixels.append(np.asarray(image.convert("L")).astype(int))
    assert heights[0][1] == heights[1][1] < heights[1][0] < heights[0][0]
    line = heights[0][1]
    assert pixels[1][line:].max() > 150 and pixels[1][line - 3 : line].max() < 60


def _near(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return abs(pixels - colour).max(axis=2) < 70


@pytest.fixture(scope="module")
def phantom():
    return render(Person("1", "F", 50, 165.0, 95.0), 4, acquisition=Acquisition(noise=0.08))


def test_figure_is_small_and_shows_both_colours(phantom):
    pixels = _draw(phantom.labels, phantom.dixon.volumes["water"], phantom.dixon.affine)
    assert _near(pixels, YELLOW).sum() > 1000 and _near(pixels, TURQUOISE).sum() > 20_000


def test_right_of_the_participant_lies_left_in_the_figure(phantom):
    """With the right gluteus alone marked, the coronal projection, second in the first row, is lit in its left half."""
    labels = np.where(phantom.labels == 4, 4, 0).astype(np.uint8)
    pixels = _draw(labels, phantom.dixon.volumes["water"], phantom.dixon.affine)
    cell = (WIDTH - 40) // 4
    panel = _near(pixels[60:300, 16 + cell : 16 + 2 * cell], TURQUOISE)
    lit = np.nonzero(panel)[1].mean()
    assert lit < cell / 2


def test_case_without_any_mask_is_drawn(phantom):
    pixels = _draw(np.zeros_like(phantom.labels), phantom.dixon.volumes["water"], phantom.dixon.affine)
    assert pixels.std() > 20 and not _near(pixels[400:], YELLOW).any()


def test_colours_differ_in_luminance_and_for_the_colour_blind():
    """Machado et al. 2009, full deuteranopia, protanopia and tritanopia, on linear RGB: at least 50 of 255 apart."""
    matrices = {
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }
    linear = [(colour / 255) ** 2.2 for colour in (YELLOW, TURQUOISE)]
    for matrix in matrices.values():
        seen = [255 * np.clip(np.array(matrix) @ colour, 0, 1) ** (1 / 2.2) for colour in linear]
        assert abs(seen[0] - seen[1]).max() > 50
