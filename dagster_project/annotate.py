"""`make annotate N=<n> SEED=<seed>`: a random sample of cases as a work package for 3D Slicer.

The sample is drawn among the current images of a study that nobody has annotated; seed, strata and population are recorded in
the package's sample.json, the cases in its annotations.csv. A package lies under work_packages/ of MYONORM_HOME; withdrawn
persons are removed from it.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import duckdb
import pandas as pd

from dagster_project.catalog import compile_catalog
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse
from models.segmentation.work_package import (
    POPULATION_KEYS,
    draw_sample,
    write_empty_label_map,
    write_guide,
    write_template,
)

SHEET = "annotations.csv"
CANDIDATES = """
SELECT study, participant_id, visit, sex, age_band, list(nifti_path) AS paths
FROM (
    SELECT
        image.study, image.participant_id, image.visit, image.nifti_path, sex,
        (SELECT band FROM ages WHERE age_years >= lower AND age_years < upper) AS age_band
    FROM raw.current_dixon_series AS image
    LEFT JOIN raw.current_participant AS covariates USING (study, participant_id, visit)
    ANTI JOIN raw.current_annotation AS annotated USING (study, participant_id, visit)
    WHERE image.study = $study
)
GROUP BY ALL
ORDER BY participant_id, visit
"""


class NoSample(ValueError):
    """A sample that cannot be drawn; the message says why."""


def write_package(study: str, n: int, seed: int, is_stratified: bool) -> Path:
    """Draw cases and write their work package; returns its folder, which must not exist yet.

    Raises
    ------
    NoSample
        If there are fewer cases than asked for, or the package exists.
    """
    settings = load_settings()
    with Warehouse().connect() as connection:
        population = list_candidates(connection, study)
    if len(population) < n:
        raise NoSample(f"Study {study} has {len(population)} cases without annotation, fewer than {n}.")
    sample, strata = draw_sample(population, n, seed, ["sex", "age_band"] if is_stratified else [])
    folder = settings.home / "work_packages" / f"{study.replace(' ', '-')}_{n}_seed-{seed}"
    if folder.exists():
        raise NoSample(f"The package {folder.name} exists: choose another seed, or remove it.")
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for row in sample.itertuples():
        case_folder = building / f"{row.participant_id}_{row.visit}"
        case_folder.mkdir()
        for path in row.paths:
            shutil.copy2(settings.home / path, case_folder)
        write_empty_label_map(case_folder)
    write_template(building / SHEET, sample)
    write_guide(building, study, n)
    keys = population[POPULATION_KEYS].to_csv(index=False).encode()
    record = {"study": study, "n": n, "seed": seed, "population": len(population), "strata": strata}
    record |= {"population_sha256": hashlib.sha256(keys).hexdigest()}
    (building / "sample.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(building, folder)
    return folder


def list_candidates(connection: duckdb.DuckDBPyConnection, study: str) -> pd.DataFrame:
    """Current images of a study without annotation, in a fixed order: study, participant_id, visit, sex, age_band, paths."""
    bands = compile_catalog().tables["ref.band"].query.rstrip(";")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE ages AS FROM ({bands}) WHERE kind = 'age'")
    return connection.execute(CANDIDATES, {"study": study}).df()


def main() -> int:
    """Command line: number of cases, seed, study, strata."""
    parser = argparse.ArgumentParser(description="Draw cases for annotation and write a work package for 3D Slicer.")
    parser.add_argument("n", type=int, help="number of cases")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--study", default="cohort")
    parser.add_argument(
        "--stratified", action="store_true", help="by sex and age band, in proportion to the population"
    )
    arguments = parser.parse_args()
    try:
        print(write_package(arguments.study, arguments.n, arguments.seed, arguments.stratified))
    except NoSample as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
