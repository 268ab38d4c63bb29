"""Fat-water swaps: where water and fat are exchanged, wholly, in a station, or in a part of it.

What belongs here: evidence from the pixels alone. It needs no mask: on a swapped case the masks are empty. The verdict is
`models.measurement.quality`'s, what is done about it the orchestration's.

Two facts decide, for each half of the body on its own:

* within a slice the rim under the skin is fatter than the core, which holds muscle and viscera. Their difference in fat
  fraction changes its sign, and nothing else, when the two are exchanged;
* between neighbouring slices water resembles water and fat resembles fat, unless a swap begins there.

The most probable sequence of states (as acquired, exchanged) along the body is found exactly, by dynamic programming.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

PIXEL_MM, SLICE_MM = 4.2, 6.0
CHANGE_COST = 100.0  # slices of full rim-to-core contrast that outweigh full resemblance of two neighbouring slices
LEAST_PIXELS = 12  # of body in half a slice
DEEP = 0.5  # of the largest depth of the half slice: the core


@dataclass(frozen=True)
class SwapEvidence:
    """Evidence for each examined slice (rows, foot to head) and half of the body (columns: left, right).

    Attributes
    ----------
    z_mm
        (n,) world z of the slices.
    contrast
        (n, 2) fat fraction of the rim less that of the core, -1 to 1; NaN where the half slice holds no body.
    is_swapped
        (n, 2) whether water and fat are exchanged there.
    """

    z_mm: np.ndarray
    contrast: np.ndarray
    is_swapped: np.ndarray

    @property
    def swapped_pct(self) -> float:
        """Share of the half slices with body in which water and fat are exchanged, in percent; NaN without body."""
        has_body = np.isfinite(self.contrast)
        return 100 * float(self.is_swapped[has_body].mean()) if has_body.any() else float("nan")

    def describe(self) -> str:
        """Where the swap lies, in words; empty where there is none."""
        parts = []
        for half, side in enumerate(("left", "right")):
            where = np.flatnonzero(self.is_swapped[:, half] & np.isfinite(self.contrast[:, half]))
            if where.size:
                parts.append(f"{side} half from z {self.z_mm[where[0]]:.0f} to {self.z_mm[where[-1]]:.0f} mm")
        return "; ".join(parts)


def find_swaps(water: np.ndarray, fat: np.ndarray, affine: np.ndarray) -> SwapEvidence:
    """Find where water and fat are exchanged.

    Parameters
    ----------
    water, fat : ndarray (x, y, z)
        Signals as stored, RAS+; examined on every voxel nearest to 4.2 mm in the plane and 6 mm along z.
    affine : ndarray (4, 4)
        Voxel indices -> RAS world, mm.
    """
    water, fat, affine = thin_out(water, fat, affine)
    body, is_bright = find_body(water + fat)
    middle = _middle(body)
    halves = [slice(None, middle), slice(middle, None)]
    contrast = np.stack([_rim_contrast(water[half], fat[half], body[half], is_bright[half]) for half in halves], axis=1)
    resemblance = np.stack([_resemblance(water[half], fat[half], body[half]) for half in halves], axis=1)
    is_swapped = np.stack([_likeliest(contrast[:, h], resemblance[:, h]) for h in range(2)], axis=1)
    z_mm = affine[2, 2] * np.arange(water.shape[2]) + affine[2, 3]
    return SwapEvidence(z_mm, contrast, is_swapped)


def thin_out(water: np.ndarray, fat: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every voxel nearest to 4.2 mm in the plane and 6 mm along z, as float32, and their affine."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    steps = [max(1, round(wanted / have)) for wanted, have in zip((PIXEL_MM, PIXEL_MM, SLICE_MM), spacing, strict=True)]
    every = tuple(slice(None, None, step) for step in steps)
    return water[every].astype(np.float32), fat[every].astype(np.float32), affine @ np.diag([*steps, 1.0])


def find_body(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of the body (x, y, z), holes filled slice by slice, and those of them that are bright: no lung, no noise.

    The threshold is Ridler and Calvard's (1978): the mean of the two classes' means.
    """
    threshold = float(signal.mean())
    for _ in range(30):
        is_above = signal > threshold
        if not is_above.any() or is_above.all():
            break
        wanted = (float(signal[is_above].mean()) + float(signal[~is_above].mean())) / 2
        if abs(wanted - threshold) < 1e-3 * wanted:
            break
        threshold = wanted
    is_bright = ndimage.binary_opening(signal > 0.7 * threshold, np.ones((2, 2, 1)))
    body = np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(is_bright, 2, 0)], axis=2)
    return body, is_bright


def _middle(body: np.ndarray) -> int:
    """Index in x that halves the body."""
    if not body.any():
        return body.shape[0] // 2
    return round(float(np.nonzero(body)[0].mean()))


def _rim_contrast(water: np.ndarray, fat: np.ndarray, body: np.ndarray, is_bright: np.ndarray) -> np.ndarray:
    """Fat fraction of the outermost layer of pixels less that of the deep ones, of each slice.

    The layer faces the air; the plane that cuts the body in halves is no surface.
    """
    contrast = np.full(body.shape[2], np.nan)
    for k in range(body.shape[2]):
        plane = body[:, :, k]
        if plane.sum() < LEAST_PIXELS:
            continue
        depth = ndimage.distance_transform_edt(np.pad(plane, ((1, 1), (1, 1)), mode="edge"))[1:-1, 1:-1]
        if not np.isfinite(depth).all() or depth.max() < 3:
            continue
        w, f = water[:, :, k], fat[:, :, k]
        rim, core = plane & (depth < 1.01), is_bright[:, :, k] & (depth > DEEP * depth.max())
        if not core.any():
            continue
        contrast[k] = _fraction(f[rim], w[rim]) - _fraction(f[core], w[core])
    return contrast


def _fraction(fat: np.ndarray, water: np.ndarray) -> float:
    return float(fat.sum() / max(fat.sum() + water.sum(), 1e-9))


def _resemblance(water: np.ndarray, fat: np.ndarray, body: np.ndarray) -> np.ndarray:
    """How much better each slice matches the next as it is (1) than with water and fat exchanged (-1)."""
    both = body[..., 1:] & body[..., :-1]
    w, f = ((volume[..., :-1], volume[..., 1:]) for volume in (water, fat))
    same = ((abs(w[0] - w[1]) + abs(f[0] - f[1])) * both).sum(axis=(0, 1))
    crossed = ((abs(w[0] - f[1]) + abs(f[0] - w[1])) * both).sum(axis=(0, 1))
    return (crossed - same) / np.maximum(crossed + same, 1e-9)


def _likeliest(contrast: np.ndarray, resemblance: np.ndarray) -> np.ndarray:
    """The states along the body (True = exchanged) of the largest total of agreement, by dynamic programming (Viterbi)."""
    gain = np.stack([np.nan_to_num(contrast), -np.nan_to_num(contrast)], axis=1)
    stay = CHANGE_COST * resemblance
    total, came_from = gain[0], np.zeros((len(gain), 2), int)
    for k in range(1, len(gain)):
        options = total[:, None] + stay[k - 1] * np.array([[1.0, -1.0], [-1.0, 1.0]]) / 2
        came_from[k] = options.argmax(axis=0)
        total = options.max(axis=0) + gain[k]
    states = np.empty(len(gain), int)
    states[-1] = total.argmax()
    for k in range(len(gain) - 1, 0, -1):
        states[k - 1] = came_from[k, states[k]]
    return states.astype(bool)
