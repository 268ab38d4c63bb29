"""A synthetic cohort of the study's size: persons, measures and area profiles drawn to match its published figures.

Belongs here: simulated cohort tables and profiles, and writing them as a release in the plain dialect.
Does not belong here: simulated images (imaging/phantom.py), anything that reads real persons.

Published figures: science.md, section 2 (Kiefer et al. 2026, doi 10.3390/diagnostics16020205). Own additions, there
only to make the numbers plausible: heights, the shape of the age effects, the height effects, slice positions and the
profiles' bell shape.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import special

from models.statistics.box_cox import value_at

VISIT = "30"
AGE_RANGE = (19.0, 73.0)
LEAST_BMI = 12.0
CENTRES = 18
N_WOMEN, N_MEN = 12262, 15543
CSA_LEFT_RIGHT_CORRELATION = 0.867
BMI_AGE_CORRELATION = 0.1
BOX_COX_L = 0.3
GLUTEUS_LEFT_SHARE_SD = 0.012
MEASURES = {
    "csa_psoas_left_cm2": "cm2",
    "csa_psoas_right_cm2": "cm2",
    "volume_gluteus_left_l": "L",
    "volume_gluteus_right_l": "L",
}
PROFILE_COLUMNS = ["participant_id", "visit", "compartment", "side", "slice_index", "z_mm", "csa_cm2"]
RELEASE_TOML = """study = "synthetic"
notes = "Synthetic cohort, drawn to match published means, SDs and correlations. No real person is in it."
"""


@dataclass(frozen=True)
class SexFigures:
    """Means and SDs of one sex, and the weights of covariates (in SDs) in its two muscle measures.

    Age in years, height in cm, BMI in kg/m2, CSA in cm2, volume in litres; `*_loading` = (BMI, height).
    """

    age: tuple[float, float]
    height: tuple[float, float]
    bmi: tuple[float, float]
    csa_left: tuple[float, float]
    csa_right: tuple[float, float]
    volume_total: tuple[float, float]
    csa_loading: tuple[float, float]
    volume_loading: tuple[float, float]
    share_without_weight: float


# Sides within their rounding, so that the totals too come out as printed (24.47 and 37.92 cm2).
FIGURES = {
    "F": SexFigures(
        age=(48.7, 12.2),
        height=(165.5, 6.6),
        bmi=(25.9, 5.1),
        csa_left=(12.3449, 1.91),
        csa_right=(12.1249, 1.87),
        volume_total=(2.39, 0.41),
        csa_loading=(0.22, 0.10),
        volume_loading=(0.57, 0.25),
        share_without_weight=334 / N_WOMEN,
    ),
    "M": SexFigures(
        age=(47.9, 12.4),
        height=(179.0, 7.1),
        bmi=(26.7, 3.8),
        csa_left=(19.1365, 3.02),
        csa_right=(18.7865, 2.98),
        volume_total=(3.38, 0.53),
        csa_loading=(0.22, 0.10),
        volume_loading=(0.44, 0.35),
        share_without_weight=612 / N_MEN,
    ),
}


def simulate_cohort(seed: int, n_women: int = N_WOMEN, n_men: int = N_MEN) -> pd.DataFrame:
    """Return one row per synthetic person; the same seed gives the same cohort.

    Left and right CSA and total gluteus volume have exactly the published mean and SD in each sex. The published
    share of persons (946 of 27,805) has no weight.

    Returns
    -------
    DataFrame
        participant_id, visit, sex, age_years, height_cm, weight_kg, centre, csa_psoas_left_cm2, csa_psoas_right_cm2,
        volume_gluteus_left_l, volume_gluteus_right_l.
    """
    rng = np.random.default_rng(seed)
    people = [_simulate_sex(rng, sex, n) for sex, n in (("F", n_women), ("M", n_men))]
    cohort = pd.concat(people, ignore_index=True).sample(frac=1, random_state=rng, ignore_index=True)
    cohort.insert(0, "participant_id", [f"S{number:05d}" for number in range(1, len(cohort) + 1)])
    cohort.insert(1, "visit", VISIT)
    centres = rng.integers(1, CENTRES + 1, len(cohort))
    cohort.insert(6, "centre", [f"centre {number:02d}" for number in centres])
    return cohort


def simulate_profiles(cohort: pd.DataFrame, seed: int, levels: int = 40) -> pd.DataFrame:
    """Return the cross-sectional area of every compartment, side and level of every person.

    Profiles are bells over the compartment's extent. The largest psoas area is the person's CSA; areas times spacing
    add up to the person's gluteus volume. The psoas maximum lies more caudal with age and with BMI above 25; women
    have more area distally.

    Parameters
    ----------
    cohort : DataFrame
        Result of `simulate_cohort`.
    seed : int
        Seed of the individual shapes.
    levels : int
        Slices per compartment and side.

    Returns
    -------
    DataFrame, 4 * levels rows per person
        participant_id, visit, compartment (psoas, gluteus), side (left, right), slice_index (0 = cranial), z_mm
        (falls with slice_index; 0 = cranial end of the gluteus compartment), csa_cm2.
    """
    rng = np.random.default_rng(seed)
    bmi = cohort["weight_kg"] / (cohort["height_cm"] / 100) ** 2
    caudal = 0.0012 * (cohort["age_years"] - 48) + 0.03 * (bmi > 25) + 0.02 * (cohort["sex"] == "F")
    female = 0.03 * (cohort["sex"] == "F")
    blocks = []
    for compartment, top, extent, centre, width, shift in (
        ("psoas", 0.095, 0.160, 0.58, 0.20, caudal),
        ("gluteus", 0.0, 0.170, 0.46, 0.26, female),
    ):
        spacing_mm = 10 * extent * cohort["height_cm"].to_numpy() / levels
        z_mm = 10 * top * cohort["height_cm"].to_numpy()[:, None] - spacing_mm[:, None] * (np.arange(levels) + 0.5)
        peak = centre + shift.to_numpy() + rng.normal(0, 0.025, len(cohort))
        for side in ("left", "right"):
            bell = _bells(peak + rng.normal(0, 0.01, len(cohort)), width, levels)
            if compartment == "psoas":
                area = bell * (cohort[f"csa_psoas_{side}_cm2"].to_numpy() / bell.max(axis=1))[:, None]
            else:
                volume_cm3 = 1000 * cohort[f"volume_gluteus_{side}_l"].to_numpy()
                area = bell * (volume_cm3 / (bell.sum(axis=1) * spacing_mm / 10))[:, None]
            blocks.append((compartment, side, z_mm, area))
    return _long(cohort["participant_id"], blocks, levels)


def write_release(folder: Path, cohort: pd.DataFrame, profiles: pd.DataFrame) -> None:
    """Write release.toml, participants.csv, measurements.csv and profiles.parquet; same input, same bytes.

    Parameters
    ----------
    folder : Path
        Made if absent.
    cohort, profiles : DataFrame
        Results of `simulate_cohort` and `simulate_profiles`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "release.toml").write_text(RELEASE_TOML, encoding="utf-8", newline="\n")
    measurements = cohort.melt(["participant_id", "visit"], list(MEASURES), "measure", "value")
    measurements = measurements.assign(unit=measurements["measure"].map(MEASURES))
    as_csv = {"index": False, "lineterminator": "\n", "encoding": "utf-8"}
    cohort.drop(columns=list(MEASURES)).to_csv(folder / "participants.csv", float_format="%.1f", **as_csv)
    measurements.to_csv(folder / "measurements.csv", float_format="%.5f", **as_csv)
    pq.write_table(
        pa.Table.from_pandas(profiles, preserve_index=False), folder / "profiles.parquet", compression="zstd"
    )


def _simulate_sex(rng: np.random.Generator, sex: str, n: int) -> pd.DataFrame:
    figures = FIGURES[sex]
    age = _ages(rng, figures.age, n)
    age_z = (age - figures.age[0]) / figures.age[1]
    bmi = _shifted_log_normal(_mixed(rng, [(BMI_AGE_CORRELATION, age_z)], n), *figures.bmi)
    bmi_z = (bmi - figures.bmi[0]) / figures.bmi[1]
    height_z = rng.normal(size=n)
    height = (figures.height[0] + figures.height[1] * height_z).round(1)
    weight = (bmi * (height / 100) ** 2).round(1)
    weight[rng.permutation(n)[: round(n * figures.share_without_weight)]] = np.nan
    csa = _mixed(rng, [(1.0, _psoas_age_effect(age)), *zip(figures.csa_loading, (bmi_z, height_z), strict=True)], n)
    volume = _mixed(
        rng, [(1.0, _gluteus_age_effect(age)), *zip(figures.volume_loading, (bmi_z, height_z), strict=True)], n
    )
    of_both = [(np.sqrt(CSA_LEFT_RIGHT_CORRELATION), csa)]
    left, right = (_muscle(_mixed(rng, of_both, n), *moments) for moments in (figures.csa_left, figures.csa_right))
    total, left_share = _muscle(volume, *figures.volume_total), rng.normal(0.5, GLUTEUS_LEFT_SHARE_SD, n)
    measures = dict(zip(MEASURES, (left, right, total * left_share, total * (1 - left_share)), strict=True))
    return pd.DataFrame({"sex": sex, "age_years": age, "height_cm": height, "weight_kg": weight} | measures)


def _ages(rng: np.random.Generator, moments: tuple[float, float], n: int) -> np.ndarray:
    """Return ages from the beta distribution on the study's age range with this mean and SD (method of moments)."""
    low, high = AGE_RANGE
    mean, sd = (moments[0] - low) / (high - low), moments[1] / (high - low)
    total = mean * (1 - mean) / sd**2 - 1
    return (low + (high - low) * rng.beta(mean * total, (1 - mean) * total, n)).round(1)


def _shifted_log_normal(z: np.ndarray, mean: float, sd: float) -> np.ndarray:
    """Return BMI with this mean and SD, log-normal above 12 kg/m2, so that some men exceed 40 kg/m2."""
    log_variance = np.log1p((sd / (mean - LEAST_BMI)) ** 2)
    return LEAST_BMI + (mean - LEAST_BMI) * np.exp(np.sqrt(log_variance) * z - log_variance / 2)


def _mixed(rng: np.random.Generator, parts: list[tuple[float, np.ndarray]], n: int) -> np.ndarray:
    """Return weight * part summed, plus normal noise, with mean 0 and variance 1."""
    signal = sum(weight * part for weight, part in parts)
    mixed = signal + np.sqrt(1 - signal.var()) * rng.normal(size=n)
    return (mixed - mixed.mean()) / mixed.std()


def _psoas_age_effect(age: np.ndarray) -> np.ndarray:
    """Return the age effect in SDs: high below 30, low above 60, flat between: r stays negligible."""
    return 0.25 * special.expit((30 - age) / 1.5) - 0.20 * special.expit((age - 61) / 1.5)


def _gluteus_age_effect(age: np.ndarray) -> np.ndarray:
    """Return the age effect in SDs: a parabola with its top at 44 years."""
    return -0.14 * ((age - 44) / 12) ** 2


def _muscle(z: np.ndarray, mean: float, sd: float) -> np.ndarray:
    """Return right-skewed positive values with exactly this mean and SD (n - 1)."""
    values = value_at(z, BOX_COX_L, mean, sd / mean)
    return mean + sd * (values - values.mean()) / values.std(ddof=1)


def _bells(peak: np.ndarray, width: float, levels: int) -> np.ndarray:
    """Return bells over the relative position (0 cranial, 1 caudal), shape (persons, levels)."""
    position = (np.arange(levels) + 0.5) / levels
    return np.exp(-(((position - peak[:, None]) / width) ** 2) / 2) * np.sin(np.pi * position) ** 0.25


def _long(
    participant_id: pd.Series, blocks: list[tuple[str, str, np.ndarray, np.ndarray]], levels: int
) -> pd.DataFrame:
    """Return blocks of (compartment, side, z_mm, csa_cm2) as rows, sorted by person, compartment, side and level."""
    persons, kinds = len(participant_id), len(blocks)
    kind = np.tile(np.repeat(np.arange(kinds), levels), persons)
    names = pd.DataFrame([block[:2] for block in blocks], columns=["compartment", "side"]).astype("category")
    columns = {
        "participant_id": pd.Categorical.from_codes(np.repeat(np.arange(persons), kinds * levels), participant_id),
        "visit": pd.Categorical.from_codes(np.zeros(persons * kinds * levels, dtype=np.int8), [VISIT]),
        "compartment": pd.Categorical.from_codes(
            names["compartment"].cat.codes.to_numpy()[kind], names["compartment"].cat.categories
        ),
        "side": pd.Categorical.from_codes(names["side"].cat.codes.to_numpy()[kind], names["side"].cat.categories),
        "slice_index": np.tile(np.arange(levels, dtype=np.int16), persons * kinds),
        "z_mm": np.stack([block[2] for block in blocks], axis=1).astype(np.float32).ravel(),
        "csa_cm2": np.stack([block[3] for block in blocks], axis=1).astype(np.float32).ravel(),
    }
    return pd.DataFrame(columns)[PROFILE_COLUMNS]
