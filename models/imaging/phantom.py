"""Synthetic participants: parametric pelvis-to-neck anatomy with closed-form truth, rendered as Dixon contrasts.

What belongs here: drawing a person, the person's anatomy, the muscles' true areas, the label map and the four contrasts.
Writing them as a delivery is `delivery.py`'s work, choosing the cohort is `demo.py`'s. Nothing here is a real person.

The truth is exact by construction: a muscle's area at a slice is a formula of the slice's position, rounded to whole
pixels, and the mask takes exactly that many pixels, those nearest to the muscle's centre line in its own metric.

All coordinates are RAS world millimetres: x grows to the patient's right, y to the front, z to the head.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from models.imaging.dixon import DixonSet
from models.segmentation.anatomy import LABELS, SIDES

SIGNAL = 1000.0
MIDLINE_GAP_MM = 8.0
SKIN_FAT, INTERMUSCULAR_FAT, MARROW = (0.05, 0.95), (0.12, 0.83), (0.30, 0.55)  # water and fat density
RETROPERITONEAL_FAT_MM = 6.0  # width of the fat around the psoas


@dataclass(frozen=True)
class Grid:
    """A field of view: voxels along x, y, z and their size in mm."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    @property
    def affine(self) -> np.ndarray:
        """Voxel index to RAS world mm, shape (4, 4); the stack is centred in x and y and starts 300 mm below the isocentre."""
        affine = np.diag([*self.spacing_mm, 1.0])
        affine[:2, 3] = [-(n - 1) / 2 * step for n, step in zip(self.shape[:2], self.spacing_mm[:2], strict=True)]
        affine[2, 3] = -300.0
        return affine

    def axes_mm(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """World coordinates of the voxel centres along x, y and z, in mm."""
        return tuple(self.affine[i, 3] + self.spacing_mm[i] * np.arange(self.shape[i]) for i in range(3))


NAKO_GRID = Grid((320, 260, 316), (1.40625, 1.40625, 3.0))
REDUCED_GRID = Grid((106, 86, 158), (4.21875, 4.21875, 6.0))


@dataclass(frozen=True)
class Person:
    """Covariates of a synthetic participant."""

    participant_id: str
    sex: str
    age_years: int
    height_cm: float
    weight_kg: float

    @property
    def bmi_kg_m2(self) -> float:
        """Body mass index, weight / height^2, in kg/m2."""
        return self.weight_kg / (self.height_cm / 100) ** 2


@dataclass(frozen=True)
class Acquisition:
    """How the scanner treats the signal: noise SD and bias amplitude relative to the full signal, and a fat-water swap."""

    noise: float = 0.03
    bias: float = 0.12
    is_swapped: bool = False


@dataclass(frozen=True)
class Anatomy:
    """A person's geometry, in RAS world mm; dictionaries are keyed by side."""

    crotch_mm: float
    scale: float
    centre_mm: tuple[float, float]
    subcutaneous_mm: float
    girth: float
    hip: float
    belly_fat: float
    muscle_fat: float
    psoas_span_mm: tuple[float, float]
    psoas_peak: float
    psoas_max_mm2: dict[str, float]
    psoas_offset_mm: float
    psoas_aspect: float
    gluteus_span_mm: tuple[float, float]
    gluteus_volume_mm3: dict[str, float]


@dataclass(frozen=True)
class Phantom:
    """A rendered participant: contrasts, true label map (x, y, z; uint8, RAS+) and true areas per slice."""

    dixon: DixonSet
    labels: np.ndarray
    profile: pd.DataFrame


def draw_person(rng: np.random.Generator, participant_id: str, bmi_range: tuple[float, float] = (18.0, 38.0)) -> Person:
    """Draw covariates: sex evenly, age 20-72 years, BMI evenly over `bmi_range` in kg/m2."""
    sex = str(rng.choice(["F", "M"]))
    height_cm = float(np.round(rng.normal(165.5 if sex == "F" else 179.0, 6.0), 1))
    weight_kg = float(np.round(rng.uniform(*bmi_range) * (height_cm / 100) ** 2, 1))
    return Person(participant_id, sex, int(rng.integers(20, 73)), height_cm, weight_kg)


def draw_anatomy(rng: np.random.Generator, person: Person) -> Anatomy:
    """Draw a geometry around what sex, age and BMI lead one to expect (muscle sizes near the study's means)."""
    is_woman = person.sex == "F"
    age, bmi, scale = (person.age_years - 48) / 25, person.bmi_kg_m2 - 26, person.height_cm / 172
    crotch = -300 + 190 + rng.normal(0, 10)
    psoas_max = (1230 if is_woman else 1900) * (1 - 0.06 * age + 0.008 * bmi) * rng.lognormal(0, 0.10)
    gluteus = (1.195e6 if is_woman else 1.69e6) * (1 - 0.05 * age**2 + 0.014 * bmi) * rng.lognormal(0, 0.10)
    psoas_bottom = crotch + scale * rng.normal(92, 5)
    gluteus_bottom = crotch + scale * rng.normal(4, 2)
    return Anatomy(
        crotch_mm=crotch,
        scale=scale,
        centre_mm=(rng.normal(0, 6), rng.normal(0, 6)),
        subcutaneous_mm=float(np.clip((14 + 2.0 * (bmi + 5)) if is_woman else (9 + 1.4 * (bmi + 5)), 4, 70))
        * rng.uniform(0.85, 1.15),
        girth=scale * (1 + 0.012 * np.clip(bmi, -8, 14)) * rng.normal(1, 0.02),
        hip=(gluteus / 1.45e6) ** (1 / 3) * rng.normal(1.04, 0.02),
        belly_fat=float(np.clip((0.40 if is_woman else 0.50) + 0.015 * bmi + rng.normal(0, 0.04), 0.15, 0.85)),
        muscle_fat=float(np.clip(0.06 + 0.03 * age + 0.002 * bmi + rng.normal(0, 0.01), 0.02, 0.25)),
        psoas_span_mm=(psoas_bottom, psoas_bottom + scale * rng.normal(295, 8)),
        psoas_peak=float(np.clip(0.60 + 0.025 * age + (0.02 if bmi > -1 else 0) + rng.normal(0, 0.02), 0.5, 0.72)),
        psoas_max_mm2={side: psoas_max * rng.normal(mean, 0.025) for side, mean in (("left", 1.009), ("right", 0.991))},
        psoas_offset_mm=rng.normal(0, 2),
        psoas_aspect=rng.uniform(0.8, 1.05),
        gluteus_span_mm=(gluteus_bottom, gluteus_bottom + scale * rng.normal(258, 8)),
        gluteus_volume_mm3={side: gluteus * rng.normal(1, 0.02) for side in SIDES},
    )


def true_profile(anatomy: Anatomy, grid: Grid) -> pd.DataFrame:
    """True cross-sectional areas, without rendering a voxel.

    Psoas: A(u) = A_max (u/p)^a ((1-u)/(1-p))^b with u from the cranial (0) to the caudal end (1), peak at p, a + b = 2.
    Gluteus: A(u) = V / length * (30/16) * 16 (u (1-u))^2, whose integral is V. Both are rounded to whole pixels.

    Returns
    -------
    DataFrame
        compartment, side, k (slice index of the grid), z_mm, n_pixels (>= 1), csa_cm2; one row per mask slice.
    """
    z = grid.axes_mm()[2]
    pixel_mm2 = grid.spacing_mm[0] * grid.spacing_mm[1]
    frames = []
    for compartment, side in LABELS:
        low, high = anatomy.psoas_span_mm if compartment == "psoas" else anatomy.gluteus_span_mm
        u = np.clip((high - z) / (high - low), 0, 1)
        if compartment == "psoas":
            peak = anatomy.psoas_peak
            area = anatomy.psoas_max_mm2[side] * (u / peak) ** (2 * peak) * ((1 - u) / (1 - peak)) ** (2 * (1 - peak))
        else:
            area = anatomy.gluteus_volume_mm3[side] / (high - low) * 30 * (u * (1 - u)) ** 2
        n_pixels = np.rint(area / pixel_mm2).astype(int)
        k = np.flatnonzero(n_pixels)
        columns = {"compartment": compartment, "side": side, "k": k, "z_mm": z[k], "n_pixels": n_pixels[k]}
        frames.append(pd.DataFrame(columns | {"csa_cm2": n_pixels[k] * pixel_mm2 / 100}))
    return pd.concat(frames, ignore_index=True)


def true_measures(profile: pd.DataFrame, grid: Grid) -> dict[str, float]:
    """The study's measures (definitions: design) of a true profile, by the warehouse's names; areas in cm2, volumes in L."""
    areas = profile.groupby(["compartment", "side"])["csa_cm2"]
    largest, volume_l = areas.max(), areas.sum() * grid.spacing_mm[2] / 1e4
    measures = {f"csa_psoas_{side}_cm2": float(largest["psoas", side]) for side in SIDES}
    measures |= {f"volume_gluteus_{side}_l": float(volume_l["gluteus", side]) for side in SIDES}
    measures["csa_psoas_total_cm2"] = sum(measures[f"csa_psoas_{side}_cm2"] for side in SIDES)
    measures["volume_gluteus_total_l"] = sum(measures[f"volume_gluteus_{side}_l"] for side in SIDES)
    return measures


def render(person: Person, seed: int, grid: Grid = REDUCED_GRID, acquisition: Acquisition = Acquisition()) -> Phantom:
    """Render a person: label map and the four contrasts, in = W + F and opposed = |W - F| holding exactly.

    The anatomy depends on the seed and the person alone, the noise and bias also on the grid.
    """
    anatomy = draw_anatomy(np.random.default_rng(seed), person)
    profile = true_profile(anatomy, grid)
    texture_rng, receiver_rng = (np.random.default_rng([seed, stream]) for stream in (1, 2))
    labels, water, fat = _paint(anatomy, profile, grid, _texture(texture_rng, grid))
    water, fat = (ndimage.gaussian_filter(tissue, 0.45) for tissue in (water, fat))
    field = _bias_field(receiver_rng, grid) * acquisition.bias + 1
    w, f = (
        np.rint(_receive(receiver_rng, tissue * field, acquisition.noise)).astype(np.uint16) for tissue in (water, fat)
    )
    if acquisition.is_swapped:
        w, f = f, w
    opposed = np.abs(w.astype(np.int32) - f).astype(np.uint16)
    return Phantom(DixonSet({"in": w + f, "opp": opposed, "fat": f, "water": w}, grid.affine), labels, profile)


def person_truth(person: Person, seed: int, grid: Grid = REDUCED_GRID) -> dict[str, float]:
    """`true_measures` of the person that `render` draws from the same seed."""
    return true_measures(true_profile(draw_anatomy(np.random.default_rng(seed), person), grid), grid)


def _receive(rng: np.random.Generator, signal: np.ndarray, noise: float) -> np.ndarray:
    """Magnitude of the scaled signal with complex Gaussian noise (Rician)."""
    real, imaginary = (rng.standard_normal(signal.shape, dtype=np.float32) * noise for _ in range(2))
    return SIGNAL * np.hypot(signal + real, imaginary)


def _texture(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """A smooth random field of SD 1 with a correlation length of about 25 mm: bowel loops and visceral fat."""
    field = ndimage.gaussian_filter(
        rng.standard_normal(grid.shape, dtype=np.float32), [12 / s for s in grid.spacing_mm]
    )
    return field / field.std()


def _bias_field(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """A receiver bias in -1..1: a random quadratic over the field of view."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in grid.shape), indexing="ij", sparse=True)
    c = rng.normal(size=8).astype(np.float32)
    field = c[0] * x + c[1] * y + c[2] * z + c[3] * x * y + c[4] * y * z + c[5] * x**2 + c[6] * y**2 + c[7] * z**2
    field -= field.mean()
    return field / np.abs(field).max()


def _envelope(anatomy: Anatomy, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Semi-axes (x, y) in mm of the body without subcutaneous fat, at heights above the crotch divided by the scale."""
    levels = [0, 110, 230, 330, 480, 620, 700, 760]
    hip, girth = anatomy.hip * anatomy.scale, anatomy.girth
    x = [150 * hip, 152 * hip, 140 * hip, 128 * girth, 138 * girth, 150 * girth, 140 * girth, 75]
    y = [104 * hip, 108 * hip, 100 * hip, 92 * girth, 100 * girth, 98 * girth, 85 * girth, 70]
    return np.interp(height, levels, x), np.interp(height, levels, y)


def _nearest(score: np.ndarray, n: int) -> np.ndarray:
    """The `n` pixels of smallest score, as a boolean array of the same shape."""
    chosen = np.zeros(score.size, bool)
    chosen[np.argsort(score, axis=None, kind="stable")[:n]] = True
    return chosen.reshape(score.shape)


def _count_with_rim(n_pixels: int, grid: Grid) -> int:
    """Pixels of a disc of `n_pixels` and the retroperitoneal fat around it."""
    radius = np.sqrt(n_pixels / np.pi)
    return int(np.pi * (radius + RETROPERITONEAL_FAT_MM / grid.spacing_mm[0]) ** 2)


def _ellipse(x, y, centre, axes) -> np.ndarray:
    """Squared elliptic distance to `centre`: below 1 inside."""
    return ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2


def _paint(anatomy: Anatomy, profile: pd.DataFrame, grid: Grid, texture: np.ndarray):
    """Paint slice by slice; returns labels (uint8) and the water and fat densities (float32, 0..1)."""
    labels = np.zeros(grid.shape, np.uint8)
    water, fat = (np.zeros(grid.shape, np.float32) for _ in range(2))
    x, y, z = grid.axes_mm()
    x, y = x[:, None] - anatomy.centre_mm[0], y[None, :] - anatomy.centre_mm[1]
    counts = {k: rows for k, rows in profile.groupby("k")}
    for k, height in enumerate((z - anatomy.crotch_mm) / anatomy.scale):
        paint_tissue = _paint_thighs if height < 0 else _paint_trunk
        water[..., k], fat[..., k] = paint_tissue(anatomy, x, y, height, texture[..., k])
        for row in counts[k].itertuples() if k in counts else ():
            score = (_psoas_score if row.compartment == "psoas" else _gluteus_score)(anatomy, x, y, row.side, row.z_mm)
            score = np.where(labels[..., k] > 0, np.inf, score)
            labels[..., k][_nearest(score, row.n_pixels)] = LABELS[row.compartment, row.side]
            if row.compartment == "psoas":
                rim = _nearest(score, _count_with_rim(row.n_pixels, grid))
                water[..., k][rim], fat[..., k][rim] = INTERMUSCULAR_FAT
        muscle = labels[..., k] > 0
        water[..., k][muscle], fat[..., k][muscle] = _muscle(anatomy)
    return labels, water, fat


def _muscle(anatomy: Anatomy) -> tuple[float, float]:
    return 0.8 * (1 - anatomy.muscle_fat), 0.95 * anatomy.muscle_fat


def _psoas_score(anatomy: Anatomy, x, y, side: str, z_mm: float) -> np.ndarray:
    """Squared elliptic distance to the psoas' centre, which runs outwards and forwards from the spine to the lesser pelvis."""
    low, high = anatomy.psoas_span_mm
    u = (high - z_mm) / (high - low)
    lateral = (30 + 34 * u + 6 * u**2) * anatomy.scale + anatomy.psoas_offset_mm
    centre = (lateral if side == "right" else -lateral, _spine_y(anatomy) + (6 + 42 * u) * anatomy.scale)
    score = _ellipse(x, y, centre, (anatomy.psoas_aspect, 1 / anatomy.psoas_aspect))
    return np.where(_is_on_side(x, side), score, np.inf) + 0 * y


def _gluteus_score(anatomy: Anatomy, x, y, side: str, z_mm: float) -> np.ndarray:
    """Distance to an arc under the skin, from behind the sacrum's edge to the flank, within the lean envelope."""
    height = (z_mm - anatomy.crotch_mm) / anatomy.scale
    a, b = _envelope(anatomy, height)
    radius = np.hypot(x / a, y / b)
    angle = np.arctan2(np.abs(x) / a, -y / b)
    score = ((radius - 0.81) / 0.20) ** 2 + ((angle - 0.85) / 0.72) ** 2
    return np.where(_is_on_side(x, side) & (radius <= 0.99), score, 1e6 + score)


def _is_on_side(x, side: str) -> np.ndarray:
    return x > MIDLINE_GAP_MM if side == "right" else x < -MIDLINE_GAP_MM


def _spine_y(anatomy: Anatomy) -> float:
    return -38.0 * anatomy.scale


def _paint_thighs(anatomy: Anatomy, x, y, height: float, texture: np.ndarray):
    """Two thighs: skin fat, muscle, femur."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    water, fat = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    lean = 72 * anatomy.hip * anatomy.scale * (1 + height / 1500)
    offset = lean + min(anatomy.subcutaneous_mm, 25) * 0.6 + 8
    for centre in (offset, -offset):
        distance = np.hypot(x - centre, y)
        for radius, tissue in (
            (lean + 0.8 * anatomy.subcutaneous_mm, SKIN_FAT),
            (lean, _muscle(anatomy)),
            (16, (0.1, 0.1)),
            (12, (0.3, 0.6)),
        ):
            water[distance < radius], fat[distance < radius] = tissue
    return water, fat


def _paint_trunk(anatomy: Anatomy, x, y, height: float, texture: np.ndarray):
    """Trunk: skin fat, muscle wall, viscera, lungs and liver, spine, back muscles, pelvis with iliacus."""
    a, b = _envelope(anatomy, height)
    radius, angle = np.hypot(x / a, y / b), np.arctan2(np.abs(x) / a, -y / b)
    skin = anatomy.subcutaneous_mm * np.interp(height, [0, 150, 350, 600, 760], [1.1, 1.2, 1.0, 0.6, 0.4])
    visceral_fat = np.clip(anatomy.belly_fat + 0.22 * texture, 0.03, 0.95)
    s, spine = anatomy.scale, _spine_y(anatomy)
    is_hip = height < 265
    layers = [
        (_ellipse(x, y, (0, 0), (a + skin, b + 0.8 * skin)) < 1, SKIN_FAT),
        (radius < 1, _muscle(anatomy)),
        ((radius < 1) & (angle < 1.9) if is_hip else False, INTERMUSCULAR_FAT),
        (radius < (0.62 if is_hip else 0.90), (0.85 * (1 - visceral_fat), 0.95 * visceral_fat)),
        (_ellipse(x, y, (0, spine - 42 * s), (62 * s, 24 * s)) < 1 if height > 170 else False, _muscle(anatomy)),
        (_ellipse(x, y, (-30 * s, 10), (8, 8)) < 1 if 260 < height < 560 else False, (0.9, 0.02)),
    ]
    if 340 < height < 500:
        reach = np.sqrt(1 - ((height - 420) / 80) ** 2)
        layers.append((_ellipse(x, y, (0.42 * a, 0.10 * b), (0.48 * a * reach, 0.68 * b * reach)) < 1, (0.78, 0.05)))
    if height > 500:
        for side in (-1, 1):
            layers.append((_ellipse(x, y, (side * 0.45 * a, 0.05 * b), (0.36 * a, 0.72 * b)) < 1, (0.03, 0.01)))
    if 40 < height < 225:
        layers.append(((np.abs(radius - 0.52) < 0.05) & (angle > 0.35) & (angle < 1.75), MARROW))
        layers.append(((np.abs(radius - 0.40) < 0.07) & (angle > 0.9) & (angle < 1.85), _muscle(anatomy)))
    if 60 < height < 185:
        layers.append((_ellipse(x, y, (0, -0.58 * b), (38 * s, 20 * s)) < 1, MARROW))
    if height > 170:
        layers.append((_ellipse(x, y, (0, spine), (24 * s, 19 * s)) < 1, MARROW))
        layers.append((_ellipse(x, y, (0, spine - 26 * s), (9 * s, 7 * s)) < 1, (0.9, 0.03)))
    water, fat = np.zeros(radius.shape, np.float32), np.zeros(radius.shape, np.float32)
    for where, (w, f) in layers:
        water, fat = np.where(where, w, water), np.where(where, f, fat)
    return water, fat
