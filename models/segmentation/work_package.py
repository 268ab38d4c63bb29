"""A work package for annotation in 3D Slicer: which cases, and what a reader finds beside the images.

What belongs here: the random sample, the colour table with the four labels, the template of annotations.csv, the guide.
Finding the cases and copying their images is the orchestration's work.
"""

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from models.segmentation.anatomy import LABELS

POPULATION_KEYS = ["study", "participant_id", "visit"]
COLOURS = ((31, 119, 140), (96, 181, 186), (200, 120, 30), (240, 180, 90))
GUIDE = """# Annotation of {n} cases of study {study}

One folder per participant and visit holds `in`, `opp`, `fat`, `water` and an empty label map as NIfTI. For each case, in
3D Slicer:

1. Load `water.nii.gz` and, beside it, the other contrasts. Do not resample, crop or transform anything.
2. Load `myonorm.ctbl` as colour table, then `labels.nii.gz` as segmentation with it; source volume `water`. Add the four
   segments of the colour table.
3. Draw. psoas: psoas major and minor, origin T12-L4 to the union with the iliacus in the lesser pelvis. gluteus: maximus,
   medius, minimus and piriformis. Left and right are the participant's.
4. Export the segmentation as a label map with the colour table, reference volume `water`, and save it as
   `annotations/<participant>_<visit>_<reader>-<reading>.nii.gz`; reader is a code without underscore, not a name.
5. Fill in `annotations.csv`: reader, reading (1 = first), role (train or test), blinded (true where you saw neither a
   prediction nor another reading), date (2026-01-31).

Put `annotations/` and `annotations.csv` into a release folder of the same study. Values: {values}.
"""

CORRECTION_GUIDE = """# Correction of one mask

In 3D Slicer:

1. Load `water.nii.gz` and, beside it, the other contrasts. Do not resample, crop or transform anything.
2. Load `myonorm.ctbl` as colour table, then `mask.nii.gz` as segmentation with it; source volume `water`.
3. Correct it. psoas: psoas major and minor, to the union with the iliacus in the lesser pelvis. gluteus: maximus, medius,
   minimus and piriformis. Left and right are the participant's.
4. Export the segmentation as a label map with the colour table, reference volume `water`, and save it here as
   `corrected.nii.gz`. The next `make update` takes it in as a version of its own; the network's mask stays.

Values: {values}. To take a correction back, remove `corrected.nii.gz` and update again.
"""


def draw_sample(
    population: pd.DataFrame, n: int, seed: int, strata: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[dict]]:
    """Draw n cases without replacement; with strata in proportion to the population, by largest remainders.

    The sample depends on the seed and on the order of the population alone.

    Parameters
    ----------
    population : DataFrame
        One row per case, in a fixed order.
    n : int
        At most the number of rows.
    seed : int
        Of numpy's default generator.
    strata : sequence of str
        Columns; an unknown value is a stratum of its own.

    Returns
    -------
    sample : DataFrame
        n rows of the population, in its order.
    strata : list of dict
        The columns of `strata`, population, sample: how many of each.
    """
    rng = np.random.default_rng(seed)
    groups = population.groupby(list(strata), dropna=False, sort=True) if strata else [((), population)]
    keys, rows = zip(*groups, strict=True)
    sizes = np.array([len(group) for group in rows])
    quotas = n * sizes / sizes.sum()
    counts = np.floor(quotas).astype(int)
    counts[np.argsort(counts - quotas, kind="stable")[: n - counts.sum()]] += 1
    chosen = [rng.choice(group.index, count, replace=False) for group, count in zip(rows, counts, strict=True)]
    table = [
        dict(zip(strata, (None if pd.isna(part) else part for part in key), strict=True))
        | {"population": int(size), "sample": int(count)}
        for key, size, count in zip(keys, sizes, counts, strict=True)
    ]
    return population.loc[np.sort(np.concatenate(chosen))], table


def write_template(path: Path, sample: pd.DataFrame) -> None:
    """Write annotations.csv with one row per case, to be filled in by the reader."""
    rows = [f"{row.participant_id},{row.visit},,1,,," for row in sample.itertuples()]
    path.write_text("\n".join(["participant_id,visit,reader,reading,role,blinded,date", *rows, ""]), encoding="utf-8")


def write_empty_label_map(folder: Path) -> None:
    """Write `labels.nii.gz`, without a voxel of any label, on the grid of `water.nii.gz` beside it."""
    image = nib.load(folder / "water.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), folder / "labels.nii.gz")


def write_guide(folder: Path, study: str, n: int) -> None:
    """Write README.md, and the colour table."""
    write_colour_table(folder)
    (folder / "README.md").write_text(GUIDE.format(study=study, n=n, values=_list_values()), encoding="utf-8")


def write_correction_guide(folder: Path) -> None:
    """Write README.md for the correction of one mask."""
    (folder / "README.md").write_text(CORRECTION_GUIDE.format(values=_list_values()), encoding="utf-8")


def write_colour_table(folder: Path) -> None:
    """Write 3D Slicer's colour table with the names, colours and values of the four labels."""
    lines = [
        f"{value} {compartment}_{side} {' '.join(map(str, colour))} 255"
        for ((compartment, side), value), colour in zip(LABELS.items(), COLOURS, strict=True)
    ]
    (folder / "myonorm.ctbl").write_text("\n".join(["# Myonorm", "0 background 0 0 0 0", *lines, ""]), encoding="utf-8")


def _list_values() -> str:
    return ", ".join(f"{compartment}_{side} {value}" for (compartment, side), value in LABELS.items())
