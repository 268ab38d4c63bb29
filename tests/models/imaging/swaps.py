"""Swaps put into rendered phantoms: whole, in one station, in one side of a station."""

import numpy as np

from models.imaging.dixon import DixonSet
from models.imaging.phantom import Acquisition, Person, render

STATIONS = 4
KINDS = ("none", "whole", "station", "side")
BMI_CLASSES = ((16.0, 18.5), (18.5, 25.0), (25.0, 30.0), (30.0, 35.0), (35.0, 40.0), (40.0, 45.0))


def exchange(dixon: DixonSet, region: tuple[slice, slice, slice]) -> DixonSet:
    """The set with water and fat exchanged in a region; in-phase and opposed-phase do not change."""
    water, fat = (dixon.volumes[contrast].copy() for contrast in ("water", "fat"))
    water[region], fat[region] = dixon.volumes["fat"][region], dixon.volumes["water"][region]
    return DixonSet({**dixon.volumes, "water": water, "fat": fat}, dixon.affine)


def draw_region(kind: str, shape: tuple[int, int, int], rng: np.random.Generator) -> tuple[slice, slice, slice]:
    """The voxels that a swap of a kind concerns."""
    everything = slice(None)
    if kind == "whole":
        return everything, everything, everything
    edges = np.linspace(0, shape[2], STATIONS + 1).astype(int)
    station = rng.integers(STATIONS)
    along_z = slice(edges[station], edges[station + 1])
    half = slice(None, shape[0] // 2) if rng.integers(2) else slice(shape[0] // 2, None)
    return (half if kind == "side" else everything), everything, along_z


def draw_case(seed: int) -> tuple[str, DixonSet]:
    """Kind and contrasts of a phantom: every BMI class with every kind in turn, noise 2-8 %, bias up to 40 %."""
    rng = np.random.default_rng([seed, 77])
    kind = KINDS[seed % 4] if seed % 8 < 4 else "none"
    low, high = BMI_CLASSES[seed // 8 % len(BMI_CLASSES)]
    height = rng.normal(172, 8)
    sex, age = str(rng.choice(["F", "M"])), int(rng.integers(20, 73))
    person = Person("1", sex, age, height, rng.uniform(low, high) * (height / 100) ** 2)
    dixon = render(person, seed, acquisition=Acquisition(rng.uniform(0.02, 0.08), rng.uniform(0, 0.4))).dixon
    return kind, dixon if kind == "none" else exchange(dixon, draw_region(kind, dixon.volumes["in"].shape, rng))
