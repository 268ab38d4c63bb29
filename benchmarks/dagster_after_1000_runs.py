"""Dagster's storage after 1,000 runs of release size: what the UI asks for on its pages of runs, a run, and an asset (asked: quick).

A run here has the steps and events of `release_update` and does nothing. Run: ``python -m benchmarks.dagster_after_1000_runs [N]``.
"""

import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg

N = 1000
STEPS = ("intake", "segmentation", "measurement", "quality")
releases = dg.DynamicPartitionsDefinition(name="release")


def build_asset(name: str, upstream: str | None) -> dg.AssetsDefinition:
    """An asset that logs as a stage does."""

    @dg.asset(name=name, partitions_def=releases, deps=[upstream] if upstream else [])
    def stage(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        for done in range(10):
            context.log.info(f"{done} of 10")
        return dg.MaterializeResult(metadata={"dagster/row_count": 1})

    return stage


def main() -> None:
    """Fill an instance, time its answers, report the slowest."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else N
    logging.getLogger("dagster").setLevel(logging.ERROR)
    assets = [build_asset(name, upstream) for name, upstream in zip(STEPS, (None, *STEPS), strict=False)]
    job = dg.define_asset_job("update")
    definitions = dg.Definitions(assets=assets, jobs=[job], executor=dg.in_process_executor)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder) as instance:
        instance.add_dynamic_partitions("release", [f"r{i}" for i in range(20)])
        resolved = definitions.resolve_job_def("update")
        began = time.perf_counter()
        for number in range(n):
            resolved.execute_in_process(instance=instance, partition_key=f"r{number % 20}", run_config=quiet)
        print(f"{n} runs written in {time.perf_counter() - began:.0f} s")
        last = instance.get_runs(limit=1)[0].run_id
        key = dg.AssetKey("quality")
        asked: dict[str, Callable[[], object]] = {
            "page of runs": lambda: instance.get_run_records(limit=25),
            "log of a run": lambda: instance.get_records_for_run(last),
            "steps of a run": lambda: instance.get_run_step_stats(last),
            "history of an asset": lambda: instance.fetch_materializations(key, limit=100),
            "partitions of an asset": lambda: instance.get_materialized_partitions(key),
        }
        seconds = {what: _time(ask) for what, ask in asked.items()}
        megabytes = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
    print(", ".join(f"{what} {1000 * value:.0f} ms" for what, value in seconds.items()), f"; {megabytes:.0f} MB")
    slowest = 1000 * max(seconds.values())
    print(json.dumps({"figure": "dagster_after_1000_runs_ms", "value": round(slowest, 1), "unit": "ms", "runs": n}))


def _time(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
