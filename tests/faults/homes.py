"""Homes for fault tests: small synthetic studies with a correction and a withdrawal, their tables compared, their files listed.

Comparison as in design.md: floats at relative 1e-9; left out are seconds, times, stamps of snapshots.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from models.imaging.demo import draw_demo_1, draw_demo_2, write_release
from models.statistics.synthetic import simulate_cohort, simulate_profiles
from models.statistics.synthetic import write_release as write_cohort_release
from tests.faults.simulated import make_cohort
from tests.pipeline.installation import ROOT

RELEASES = ("first", "cohort", "second")
LEFT_OUT = re.compile(r"seconds|.*_at|snapshot|former|since|until")
PASSING = re.compile(r"snapshots/.*|dagster/.*|.*\.lock|releases/.*|warehouse\.commit")


def write_simulated_study(folder: Path) -> None:
    """Forty participants with simulated images, sixty with profiles, two who withdraw, two corrected."""
    simulated = make_cohort()
    simulated.write_release(folder / "first", simulated.people.iloc[:40])
    _write_profiles(folder / "cohort", 60)
    simulated.write_release(folder / "second", simulated.people.iloc[:2], b"corrected")
    (folder / "second" / "withdrawals.csv").write_text("participant_id\n100009\nS00007\n")


def write_study(folder: Path) -> None:
    """Two participants with images (a third refused), 60 with profiles, two who withdraw, one corrected."""
    people = [replace(case.person, participant_id=f"20000{i}") for i, case in enumerate(draw_demo_1()[:3])]
    cases = [replace(case, person=person) for case, person in zip(draw_demo_1()[:3], people, strict=True)]
    cases[2] = replace(cases[2], is_truncated=True)
    write_release(folder / "first", cases)
    _write_profiles(folder / "cohort", 60)
    corrected = replace(draw_demo_2()[-1], person=replace(draw_demo_2()[-1].person, participant_id="200000"))
    write_release(folder / "second", [corrected], withdrawn=("200001", "S00007"))


def _write_profiles(folder: Path, n: int) -> None:
    cohort = simulate_cohort(3, n_women=n // 2, n_men=n - n // 2)
    write_cohort_release(folder, cohort, simulate_profiles(cohort, 3, levels=10))


@dataclass(frozen=True)
class Home:
    """A MYONORM_HOME; its commands simulate image work where the study does."""

    path: Path
    is_simulated: bool

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes; one key for all homes, so that keyed hashes can be compared."""
        settings = {"MYONORM_HOME": str(self.path), "MYONORM_MODEL": "phantom-v1", "MYONORM_SECRET_KEY": "test"}
        return {**os.environ, **settings, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}

    def start(self, *arguments: str, module: str = "update", wrapper: tuple[str, ...] = ()) -> subprocess.Popen:
        """Start a command of the project, through another command where there is a `wrapper`."""
        simulated = ["tests.faults.simulated", module]
        command = [
            sys.executable,
            "-m",
            *(simulated if self.is_simulated else [f"dagster_project.{module}"]),
            *arguments,
        ]
        return subprocess.Popen(
            [*wrapper, *command],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, module: str = "update", wrapper: tuple[str, ...] = ()) -> str:
        """Run a command to its end; returns its last line."""
        process = self.start(*arguments, module=module, wrapper=wrapper)
        out, error = process.communicate(timeout=900)
        assert process.returncode == 0, error[-3000:]
        return out.strip().splitlines()[-1]

    @property
    def snapshot(self) -> Path:
        """Folder of the current snapshot."""
        return (self.path / "snapshots" / "current").resolve()

    def read_tables(self) -> dict[str, pd.DataFrame]:
        """Every table of the current research file, without what may differ between runs."""
        return read_tables(self.snapshot / "research.duckdb")

    def list_files(self) -> set[str]:
        """Files that a finished run leaves, but for those whose name or number may differ."""
        names = {str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file()}
        return {name for name in names if not PASSING.fullmatch(name)}


def read_tables(file: Path) -> dict[str, pd.DataFrame]:
    """Every table, sorted, without the columns left out."""
    with duckdb.connect(str(file), read_only=True) as connection:
        names = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        frames = {name: connection.execute(f"FROM {name}").df() for (name,) in names}
    return {name: _normalise(frame) for name, frame in frames.items() if name != "meta.published_change"}


def find_differences(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> list[str]:
    """Tables and columns that differ, one line each."""
    differences = [f"{name} is in one alone" for name in sorted(one.keys() ^ other.keys())]
    for name in sorted(one.keys() & other.keys()):
        a, b = one[name], other[name]
        if len(a) != len(b):
            differences.append(f"{name}: {len(a)} rows against {len(b)}")
            continue
        differences += [f"{name}.{column}" for column in a.columns if not _is_equal(a[column], b[column])]
    return differences


def _normalise(frame: pd.DataFrame) -> pd.DataFrame:
    kept = frame[[column for column in frame.columns if not LEFT_OUT.fullmatch(column)]].copy()
    for column in kept.select_dtypes(["object", "string"]).columns:
        kept[column] = kept[column].map(lambda value: str(list(value)) if isinstance(value, np.ndarray) else value)
    exact = [column for column in kept.columns if kept[column].dtype.kind != "f"]
    order = kept[exact].astype(str).assign(**kept.select_dtypes("floating").round(6).astype(str))
    return kept.loc[order.sort_values(list(order.columns), kind="stable").index].reset_index(drop=True)


def _is_equal(a: pd.Series, b: pd.Series) -> bool:
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        return np.allclose(a.to_numpy(), b.to_numpy(), rtol=1e-9, atol=1e-12, equal_nan=True)
    return a.astype(str).tolist() == b.astype(str).tolist()
