"""An installation for the pipeline's tests, driven as people drive it: `python -m dagster_project.update`."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installation:
    """A MYONORM_HOME of its own; the model of one fold is the quickest."""

    home: Path
    model: str = "phantom-v1"

    @property
    def releases(self) -> Path:
        """Folder of the deliveries."""
        folder = self.home / "releases"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def update(self, *names: str) -> subprocess.CompletedProcess:
        """Run the update of releases in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "dagster_project.update", *names],
            cwd=ROOT,
            check=False,
            env={**os.environ, "MYONORM_HOME": str(self.home), "MYONORM_MODEL": self.model},
            capture_output=True,
            text=True,
            timeout=900,
        )

    def query(self, sql: str, file: str = "research") -> list[tuple]:
        """Rows of a query on the current snapshot."""
        path = (self.home / "snapshots" / "current" / f"{file}.duckdb").resolve()
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def write_table(self, release: str, name: str, *lines: str) -> None:
        """Write a text file of a release."""
        folder = self.releases / release
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join([*lines, ""]), encoding="utf-8")


def last_line(process: subprocess.CompletedProcess) -> str:
    """Last line of the standard output; fails with the log where the process failed."""
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout.strip().splitlines()[-1]
