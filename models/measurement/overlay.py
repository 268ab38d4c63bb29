"""The quality-control figure of one case (the study's Figure 2): what the network marked, for the eye of a reader.

What belongs here: drawing. Which checks failed is `quality.py`'s work. The figure holds no id and no other identifying text.

First row: maximum-intensity projections of water within the muscle regions along three axes, and the area profile. Below,
one column for each compartment and side: sagittal, coronal and axial cuts of water through its geometric centre, that
compartment in yellow, the others in turquoise (told apart by every common form of colour blindness). Radiological view: the
participant's right lies on the left of the figure, as marked.
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from models.segmentation.anatomy import LABELS

WIDTH = 1400
QUALITIES = (72, 55, 40, 25)  # of the WebP: the best that is small enough; noise costs most of the bytes
MAX_BYTES = 200_000
YELLOW, TURQUOISE = np.array([255, 214, 10]), np.array([64, 224, 208])
_BACKGROUND, _INK, _FAINT = (16, 16, 18), (240, 240, 240), (150, 150, 155)
_MARGIN_MM = 25.0
_GAP, _HEADER, _CAPTION = 8, 34, 22
_FILL, _BRIGHTEST = 0.28, 99.5  # opacity of a region; percentile of water that is white
_PLANES = ("sagittal", "coronal", "axial")
_MARKS = {"sagittal": ("A", "P"), "coronal": ("R", "L"), "axial": ("R", "L")}
_STYLES = {
    ("psoas", "left"): (YELLOW, 3),
    ("psoas", "right"): (YELLOW, 1),
    ("gluteus", "left"): (TURQUOISE, 3),
    ("gluteus", "right"): (TURQUOISE, 1),
}


@dataclass(frozen=True)
class Overlay:
    """A figure.

    Attributes
    ----------
    webp
        The file, 1400 pixels wide.
    pictures_height_px
        Below this line are only the words on the checks: a blinded reader sees what is above.
    """

    webp: bytes
    pictures_height_px: int


@dataclass(frozen=True)
class _Scene:
    """Cropped water (0..1), labels, voxel size in mm, and pixels per mm of the figure."""

    water: np.ndarray
    labels: np.ndarray
    spacing_mm: np.ndarray
    scale: float

    def draw(self, plane: str, pixels: np.ndarray, resample: Image.Resampling) -> Image.Image:
        """A plane (…, 3) of the volume, turned the way it is looked at, at its true aspect ratio."""
        axis = _PLANES.index(plane)
        across, up = (s for i, s in enumerate(self.spacing_mm) if i != axis)
        image = Image.fromarray(np.ascontiguousarray(np.swapaxes(pixels, 0, 1)[::-1, ::-1]))
        size = (round(pixels.shape[0] * across * self.scale), round(pixels.shape[1] * up * self.scale))
        return image.resize(size, resample)


def draw_overlay(
    labels: np.ndarray, water: np.ndarray, affine: np.ndarray, profile: pd.DataFrame, verdicts: list[str], title: str
) -> Overlay:
    """Draw the figure.

    Parameters
    ----------
    labels : ndarray (x, y, z) of int
        Label values as in `anatomy.LABELS`, RAS+.
    water : ndarray (x, y, z)
        Signal on the same grid.
    affine : ndarray (4, 4)
        Voxel indices -> RAS world, mm.
    profile : DataFrame
        As `morphometry.measure`: compartment, side, z_mm, csa_cm2.
    verdicts : list of str
        Lines on the checks that warn or fail.
    title : str
        Study and model; no id.

    Returns
    -------
    Overlay
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    scene = _crop(labels, water, spacing)
    cell = (WIDTH - 5 * _GAP) // 4
    projections = [scene.draw(plane, _project(scene, plane), Image.Resampling.BILINEAR) for plane in _PLANES]
    boxes = ndimage.find_objects(scene.labels, max(LABELS.values()))
    columns = [[_cut(scene, plane, value, boxes[value - 1]) for plane in _PLANES] for value in LABELS.values()]
    heights = [max(image.height for image in projections), *(image.height for image in columns[0])]
    line = 24
    text_height = line * max(1, len(verdicts)) + 2 * _GAP
    figure = Image.new("RGB", (WIDTH, _HEADER + sum(heights) + 4 * (_CAPTION + _GAP) + text_height), _BACKGROUND)
    pen = ImageDraw.Draw(figure)
    pen.text((_GAP, 7), title, _INK, _font(18))
    lefts = [_GAP + i * (cell + _GAP) for i in range(4)]
    top = _HEADER
    for left, plane, image in zip(lefts, _PLANES, projections, strict=False):
        _place(figure, pen, (left, top, cell), image, f"maximum, {plane}", plane)
    _plot_profile(pen, (lefts[3], top + _CAPTION, cell, heights[0]), profile)
    top += heights[0] + _CAPTION + _GAP
    for row, plane in enumerate(_PLANES):
        for left, column, (compartment, side) in zip(lefts, columns, LABELS, strict=True):
            _place(figure, pen, (left, top, cell), column[row], f"{side} {compartment}, {plane}", plane)
        top += heights[row + 1] + _CAPTION + _GAP
    for number, text in enumerate(verdicts or ["Every automatic check passed."]):
        pen.text((_GAP, top + number * line), _fit(text, WIDTH - 2 * _GAP, 17), _INK, _font(17))
    for quality in QUALITIES:
        buffer = BytesIO()
        figure.save(buffer, "WEBP", quality=quality, method=2)
        if buffer.tell() < MAX_BYTES:
            break
    return Overlay(buffer.getvalue(), top - _GAP // 2)


def _crop(labels: np.ndarray, water: np.ndarray, spacing: np.ndarray) -> _Scene:
    """The muscles and 25 mm around them in z, the whole width of the body; everything where nothing is marked."""
    occupied = np.flatnonzero(labels.any(axis=(0, 1)))
    margin = int(_MARGIN_MM / spacing[2])
    low, high = (max(occupied[0] - margin, 0), occupied[-1] + margin + 1) if occupied.size else (0, labels.shape[2])
    water, labels = water[:, :, low:high], labels[:, :, low:high]
    sample = water[::3, ::3, ::3]
    white = max(float(np.percentile(sample, _BRIGHTEST)), 1.0)
    bright = sample > white / 6
    box = []
    for axis in (0, 1):
        filled = np.flatnonzero(bright.mean(axis=tuple({0, 1, 2} - {axis})) > 0.004)
        first, last = (3 * filled[0], 3 * filled[-1] + 3) if filled.size else (0, labels.shape[axis])
        marked = np.flatnonzero(labels.any(axis=tuple({0, 1, 2} - {axis})))
        if marked.size:
            first, last = min(first, marked[0]), max(last, marked[-1] + 1)
        box.append(slice(max(first - 3, 0), last + 3))
    water, labels = water[box[0], box[1]], labels[box[0], box[1]]
    cell = (WIDTH - 5 * _GAP) // 4
    extent = np.array(labels.shape) * spacing
    scale = min(cell / max(extent[0], extent[1]), 1.25 * cell / extent[2])
    return _Scene(np.clip(water * np.float32(1 / white), 0, 1), labels, spacing, scale)


def _project(scene: _Scene, plane: str) -> np.ndarray:
    """Maximum of water within the muscles along the plane's normal, tinted (…, 3)."""
    axis = _PLANES.index(plane)
    depth = np.where(scene.labels > 0, scene.water, 0).max(axis=axis)
    depth /= max(float(depth.max()), 1e-9)
    return (depth[..., None] * TURQUOISE).astype(np.uint8)


def _cut(scene: _Scene, plane: str, value: int, box: tuple[slice, ...] | None) -> Image.Image:
    """Water in the plane through the centre of a label (within `box`), that label yellow, the others turquoise."""
    axis = _PLANES.index(plane)
    centre = scene.labels.shape[axis] // 2
    if box:
        counts = (scene.labels[box] == value).sum(axis=tuple({0, 1, 2} - {axis}))
        centre = box[axis].start + round(float(counts @ np.arange(counts.size) / counts.sum()))
    section = tuple(centre if i == axis else slice(None) for i in range(3))
    gray, marked = scene.water[section], scene.labels[section]
    image = scene.draw(
        plane, (255 * gray**0.8).astype(np.uint8)[..., None].repeat(3, axis=2), Image.Resampling.BILINEAR
    )
    codes = np.where(marked == value, 1, np.where(marked > 0, 2, 0)).astype(np.uint8)
    codes = np.asarray(scene.draw(plane, codes[..., None].repeat(3, axis=2), Image.Resampling.NEAREST))[..., 0]
    pixels = np.array(image, dtype=np.float32)
    for code, colour in ((2, TURQUOISE), (1, YELLOW)):
        region = codes == code
        edge = region & ~ndimage.binary_erosion(region, iterations=1)
        pixels[region] += _FILL * (colour - pixels[region])
        pixels[edge] = colour
    return Image.fromarray(pixels.astype(np.uint8))


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _fit(text: str, width: int, size: int) -> str:
    """The text, cut with an ellipsis where it is wider than `width` pixels."""
    while _font(size).getlength(text) > width:
        text = text.rstrip("…")[:-1] + "…"
    return text


def _place(figure: Image.Image, pen: ImageDraw.ImageDraw, place: tuple[int, int, int], image, caption: str, plane: str):
    """Put a panel with its caption and its marks of left and right into the figure."""
    left, top, width = place
    pen.text((left, top + 2), caption, _FAINT, _font(15))
    x = left + (width - image.width) // 2
    figure.paste(image, (x, top + _CAPTION))
    first, second = _MARKS[plane]
    middle = top + _CAPTION + image.height // 2
    for at, mark, anchor in ((x + 4, first, "lm"), (x + image.width - 4, second, "rm")):
        pen.text((at, middle), mark, _INK, _font(18), anchor=anchor, stroke_width=2, stroke_fill=_BACKGROUND)


def _plot_profile(pen: ImageDraw.ImageDraw, place: tuple[int, int, int, int], profile: pd.DataFrame) -> None:
    """Area against height, head up; psoas yellow, gluteus turquoise, left thick, right thin, each to its own maximum."""
    left, top, width, height = place
    pen.text((left, top - _CAPTION + 2), "area along the body, cm2", _FAINT, _font(15))
    legend = 44
    pen.rectangle((left, top, left + width - 1, top + height - legend), outline=(70, 70, 75))
    if profile.empty:
        pen.text((left + width // 2, top + height // 3), "no muscle marked", _INK, _font(17), anchor="mm")
        return
    low, high = profile["z_mm"].min(), profile["z_mm"].max()
    for (compartment, side), rows in profile.groupby(["compartment", "side"]):
        colour, thickness = _STYLES[compartment, side]
        largest = profile.loc[profile["compartment"] == compartment, "csa_cm2"].max()
        x = left + 6 + rows["csa_cm2"].to_numpy() / max(largest, 1e-9) * (width - 14)
        y = top + 6 + (high - rows["z_mm"].to_numpy()) / max(high - low, 1e-9) * (height - legend - 12)
        pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), tuple(colour), thickness)
    for number, compartment in enumerate(("psoas", "gluteus")):
        areas = profile.loc[profile["compartment"] == compartment, "csa_cm2"]
        colour = tuple(_STYLES[compartment, "left"][0])
        text = f"{compartment}: 0 to {areas.max():.0f}" if len(areas) else f"{compartment}: none"
        pen.text((left, top + height - legend + 2 + 20 * number), text, colour, _font(15))
    pen.text((left + width, top + height - 20), "left thick, right thin", _FAINT, _font(15), anchor="ra")
