"""Cross-validated coverage of P10, P50, P90 on real people: NHANES 1999-2004 limb lean mass, by sex and decade of age.

Asked: within 0.5 percentage points in each sex, within the larger of 1 point and 2 binomial standard errors in every
decade. Also the pinball loss beside banded percentiles. Run: ``python -m benchmarks.centile_nhanes_coverage``.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from models.statistics import calibration
from models.statistics.normative import fit

PEOPLE = Path(__file__).parents[2] / "shared" / "data" / "tables" / "nhanes_limb_lean.csv.gz"
BMI_LIMITS = (0, 18.5, 25, 30, 35, 40, np.inf)


def main() -> None:
    """Print every decade, the pinball loss, and the largest deviation in each sex as a whole."""
    people, worst = pd.read_csv(PEOPLE), 0.0
    for sex, own in people.groupby("sex"):
        age, bmi, lean_kg = (own[name].to_numpy(float) for name in ("age", "bmi", "llean"))
        decade = (10 * np.floor(age / 10)).clip(20, 80).astype(int).astype(str)
        models = calibration.cross_validate(fit(age, bmi, lean_kg), age, bmi, lean_kg)
        z = calibration.out_of_fold_z(models, age, bmi, lean_kg)
        found = calibration.coverage(z, decade, None, (10, 50, 90))
        deviation = found["observed_pct"] - found["centile"]
        share = found["centile"] / 100
        two_se = 200 * np.sqrt(share * (1 - share) / found["n"])
        limit = np.where(found["age_band"].isna(), 0.5, np.maximum(1, two_se))
        table = found[["age_band", "centile", "n"]].assign(
            deviation=deviation, limit=limit, holds=deviation.abs() <= limit
        )
        print(f"sex {sex}\n{table.round(2).to_string(index=False)}")
        bands = pd.DataFrame(
            {"age_band": decade, "bmi_band": pd.cut(own["bmi"], BMI_LIMITS, right=False).astype(str).to_numpy()}
        )
        print(calibration.pinball(models, age, bmi, lean_kg, bands).round(4).to_string(index=False))
        worst = max(worst, deviation[found["age_band"].isna()].abs().max())
    print(
        json.dumps({"figure": "centile_nhanes_deviation_points", "value": round(worst, 3), "unit": "percentage points"})
    )


if __name__ == "__main__":
    main()
