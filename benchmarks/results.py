"""`python -m benchmarks.results FIGURE`: run a benchmark and keep its lines of JSON in results.jsonl, with machine, versions and date."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results.jsonl"
PACKAGES = ("duckdb", "dagster", "numpy", "pandas", "torch")


def main() -> int:
    """Run `benchmarks.FIGURE` with the arguments that follow; its output passes through."""
    figure, *arguments = sys.argv[1:]
    command = [sys.executable, "-m", f"benchmarks.{figure}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith('{"figure"'):
                keep(json.loads(line))
    return process.returncode


def keep(line: dict) -> None:
    """Append a figure's line, with where and when it was measured."""
    where = {
        "machine": f"{platform.system()} {platform.machine()}, {_find_processor()}",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line | where) + "\n")


def _find_processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


if __name__ == "__main__":
    sys.exit(main())
