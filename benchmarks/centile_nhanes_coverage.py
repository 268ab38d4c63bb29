"""Cross-validated coverage of P10, P50, P90 on real people: NHANES 1999-2004 limb lean mass, by sex and decade of age.

Asked: within 0.5 percentage points in each sex, within the larger of 1 point and 2 binomial standard errors in every
decade. Also the pinball loss beside banded percentiles. Run: ``python -m benchmarks.centile_nhanes_coverage``; with a
number it also counts the decades that miss in as many samples drawn from the fitted models themselves, at the same ages and
BMI: what chance alone does to a model that is right.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from models.statistics import calibration
from models.statistics.box_cox import value_at
from models.statistics.normative import fit

PEOPLE = Path(__file__).parents[2] / "shared" / "data" / "tables" / "nhanes_limb_lean.csv.gz"
BMI_LIMITS = (0, 18.5, 25, 30, 35, 40, np.inf)
SEED = 21


def compare(age: np.ndarray, z: np.ndarray) -> pd.DataFrame:
    """Deviation from the centile's name and its limit, in all and by decade, of out-of-fold z-scores."""
    decade = (10 * np.floor(age / 10)).clip(20, 80).astype(int).astype(str)
    found = calibration.coverage(z, decade, None, (10, 50, 90))
    share = found["centile"] / 100
    two_se = 200 * np.sqrt(share * (1 - share) / found["n"])
    limit = np.where(found["age_band"].isna(), 0.5, np.maximum(1, two_se))
    deviation = found["observed_pct"] - found["centile"]
    return found[["age_band", "centile", "n"]].assign(deviation=deviation, limit=limit, holds=deviation.abs() <= limit)


def count_misses_by_chance(own: pd.DataFrame, samples: int) -> np.ndarray:
    """Decades that miss in each of as many samples from the model fitted to the persons of one sex."""
    age, bmi, lean_kg = (own[name].to_numpy(float) for name in ("age", "bmi", "llean"))
    lms, rng, misses = fit(age, bmi, lean_kg).lms(age, bmi), np.random.default_rng(SEED), []
    for _ in range(samples):
        drawn = value_at(rng.normal(size=age.size), *lms)
        models = calibration.cross_validate(fit(age, bmi, drawn), age, bmi, drawn)
        table = compare(age, calibration.out_of_fold_z(models, age, bmi, drawn))
        misses.append(int((~table["holds"] & table["age_band"].notna()).sum()))
    return np.array(misses)


def main() -> None:
    """Print every decade, the pinball loss, and the largest deviation in each sex as a whole."""
    people, worst, by_chance = pd.read_csv(PEOPLE), 0.0, 0
    for sex, own in people.groupby("sex"):
        age, bmi, lean_kg = (own[name].to_numpy(float) for name in ("age", "bmi", "llean"))
        models = calibration.cross_validate(fit(age, bmi, lean_kg), age, bmi, lean_kg)
        table = compare(age, calibration.out_of_fold_z(models, age, bmi, lean_kg))
        print(f"sex {sex}\n{table.round(2).to_string(index=False)}")
        bands = pd.DataFrame(
            {
                "age_band": (10 * np.floor(age / 10)).clip(20, 80).astype(str),
                "bmi_band": pd.cut(own["bmi"], BMI_LIMITS, right=False).astype(str).to_numpy(),
            }
        )
        print(calibration.pinball(models, age, bmi, lean_kg, bands).round(4).to_string(index=False))
        worst = max(worst, table.loc[table["age_band"].isna(), "deviation"].abs().max())
        if len(sys.argv) > 1:
            by_chance = by_chance + count_misses_by_chance(own, int(sys.argv[1]))
    if len(sys.argv) > 1:
        print("samples by decades that miss:", dict(sorted(Counter(by_chance.tolist()).items())))
    print(
        json.dumps({"figure": "centile_nhanes_deviation_points", "value": round(worst, 3), "unit": "percentage points"})
    )


if __name__ == "__main__":
    main()
