"""Norms of other populations: published LMS tables, in the same functions as the fitted models.

Belongs here: reading a foreign LMS table, L, M, S between its rows. Does not belong here: the formulas (box_cox.py).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

MONTHS_PER_YEAR = 12
CDC_SEX = {"1": "M", "2": "F"}


class UnusableTable(ValueError):
    """The file is no LMS table; the message is a sentence that says why."""


@dataclass(frozen=True)
class LmsTable:
    """L, M, S of one sex by age; a `box_cox.Norms`, so that `z_of`, `percentile_of` and `value_of` take it.

    Attributes
    ----------
    rows : DataFrame
        age_years (increasing), l, m (unit of the measure), s.
    """

    rows: pd.DataFrame

    def lms(
        self, age_years: ArrayLike, bmi_kg_m2: ArrayLike | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return L, M and S, each linear between the table's ages, as CDC does; NaN outside them. BMI is ignored."""
        age = np.atleast_1d(np.asarray(age_years, dtype=float))
        l, m, s = (np.interp(age, self.rows["age_years"], self.rows[name], left=np.nan, right=np.nan) for name in "lms")
        return l, m, s


def read_cdc_table(path: Path) -> dict[str, LmsTable]:
    """Read a table in CDC's form (Sex 1 = male, 2 = female; Agemos, L, M, S); returns the norms by sex, F and M.

    Raises
    ------
    UnusableTable
        A column is missing, or a number cannot be read or is impossible.
    """
    table = pd.read_csv(path, dtype=str)
    missing = [column for column in ("Sex", "Agemos", "L", "M", "S") if column not in table]
    if missing:
        raise UnusableTable(f"The LMS table lacks the column {missing[0]}.")
    table = table[table["Sex"] != "Sex"]  # CDC repeats its header between the sexes
    try:
        rows = table[["Agemos", "L", "M", "S"]].astype(float)
    except ValueError as error:
        raise UnusableTable("The LMS table holds something that is no number.") from error
    if not (np.isfinite(rows).all(axis=None) and (rows["M"] > 0).all() and (rows["S"] > 0).all()):
        raise UnusableTable("The LMS table holds an M or S that is not positive, or an empty cell.")
    rows = rows.rename(columns=str.lower).assign(
        age_years=rows["Agemos"] / MONTHS_PER_YEAR, sex=table["Sex"].map(CDC_SEX)
    )
    if rows["sex"].isna().any():
        raise UnusableTable("The LMS table has a sex other than 1 (male) and 2 (female).")
    return {
        sex: LmsTable(group.sort_values("age_years")[["age_years", "l", "m", "s"]].reset_index(drop=True))
        for sex, group in rows.groupby("sex")
    }
