"""What is new among 10,000 deliveries, asked of a filled ledger in the warehouse.

Measured: the imaging door of a release (listing, ledger, stored files, ledger written again) where one delivery of
10,000 has changed. Reading images is replaced: a delivery's content plays no part, and any other delivery handed to the
workers is an error. Run: ``python -m benchmarks.intake_worklist``.
"""

import json
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import duckdb
import pandas as pd

from dagster_project import engine
from dagster_project.case_work import DeliveredCase, derivative_folder
from dagster_project.defs.releases import open_release
from dagster_project.identity import Identity
from dagster_project.imaging_intake import ImagingDoor
from dagster_project.intake_issue import Issues
from dagster_project.settings import Settings
from dagster_project.warehouse import count_rows, declare_schema
from dagster_project.withdrawal import Withdrawn
from models.imaging.dixon import CONTRASTS

N_DELIVERIES = 10_000


def pretend_stored(case: DeliveredCase) -> pd.DataFrame:
    """Empty files where a case's volumes would be; their rows of raw.dixon_series."""
    folder = derivative_folder(case.study, case.case.participant_id, "30")
    (case.home / folder).mkdir(parents=True, exist_ok=True)
    for contrast in CONTRASTS:
        (case.home / folder / f"{contrast}.nii.gz").touch()
    return pd.DataFrame(
        {
            "participant_id": case.case.participant_id,
            "visit": "30",
            "contrast": CONTRASTS,
            "shape": [[320, 260, 316]] * 4,
            "spacing": [[1.4, 1.4, 3.0]] * 4,
            "orientation": "RAS",
            "n_instances": 316,
            "image_sha256": "0" * 64,
            "nifti_path": [str(folder / f"{contrast}.nii.gz") for contrast in CONTRASTS],
        }
    )


def take_in(connection: duckdb.DuckDBPyConnection, settings: Settings) -> tuple[float, int]:
    """Seconds of the imaging door, and how many deliveries it handed to the workers."""
    handed = []

    def run(self, function, cases, *limits):
        handed.extend(cases)
        return (engine.Outcome(case, pretend_stored(case)) for case in cases)

    began = time.perf_counter()
    release = open_release(settings.releases, "2026-01")
    identity = Identity(release.study, b"benchmark", is_hashed=False)
    issues = Issues(identity)
    with patch.object(engine.LocalEngine, "run", run):
        ImagingDoor(connection, settings, release, identity, Withdrawn(connection, identity), issues).take_in(
            lambda line: None
        )
    return time.perf_counter() - began, len(handed)


def main() -> None:
    """Print the figure."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder))
        imaging = settings.releases / "2026-01" / "imaging"
        imaging.mkdir(parents=True)
        for number in range(100_000, 100_000 + N_DELIVERIES):
            (imaging / f"{number}_30.zip").write_bytes(b"a delivery")
        with duckdb.connect(str(settings.warehouse_file)) as connection:
            declare_schema(connection)
            _, handed = take_in(connection, settings)
            if handed != N_DELIVERIES or count_rows(connection, "raw.imaging_delivery") != N_DELIVERIES:
                raise SystemExit("The ledger is not full.")
            (imaging / "100000_30.zip").write_bytes(b"a corrected delivery")
            seconds, handed = take_in(connection, settings)
            if handed != 1 or count_rows(connection, "raw.imaging_delivery") != N_DELIVERIES:
                raise SystemExit("Not exactly the changed delivery was read.")
            if count_rows(connection, "raw.dixon_series") != 4 * N_DELIVERIES:
                raise SystemExit("Rows of unchanged deliveries were lost.")
    print(json.dumps({"figure": "intake_worklist_10000_seconds", "value": round(seconds, 2), "unit": "s"}))


if __name__ == "__main__":
    main()
