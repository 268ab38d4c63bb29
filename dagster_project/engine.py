"""Running a function over cases in worker processes, each with a deadline; one outcome per case, as they finish.

What belongs here: the interface, local processes, deadlines and deaths; a Ray cluster is `ray_engine.py`'s. What a case is and what is
done with it belong to the caller, who alone writes the database.
"""

import ctypes
import os
import re
import resource
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, TimeoutError, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from pebble import ProcessExpired, ProcessPool

from dagster_project.settings import Settings

# glibc keeps what a case frees for the next one: page faults cost a third of the reading of images otherwise.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Outcome:
    """What became of a case: a result, or a code and a sentence."""

    case: Any
    result: Any = None
    code: str | None = None
    message: str | None = None


class Engine(Protocol):
    """Something that runs cases in processes of its own."""

    def run(
        self,
        function: Callable[[Any], Any],
        cases: Iterable[Any],
        deadline_s: float,
        memory_bytes: int = resource.RLIM_INFINITY,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Outcome]:
        """Call `function(case)` for every case; one outcome each, as they finish.

        Each process has at most `memory_bytes` of address space and sees `environment` beside this process's own.

        A case past its deadline is stopped and its process replaced (`deadline`); a process that dies costs only its case
        (`worker_died`); an exception with a `code` (a refusal) keeps it, MemoryError is `out_of_memory`, any other an `error`.
        """


def open_engine(settings: Settings, takes_turns: bool = False) -> Engine:
    """The engine that MYONORM_ENGINE names, with MYONORM_WORKERS processes.

    Where the cases take turns (`turns.py`) there are more: one here, one a slot in a Ray cluster.
    """
    if settings.engine == "local":
        return LocalEngine(settings.local_workers + takes_turns)
    from dagster_project.ray_engine import RayEngine

    return RayEngine(settings.ray_address, settings.workers, settings.device == "cuda", 1 + takes_turns)


@dataclass(frozen=True)
class LocalEngine:
    """Child processes of this one; they end when it does, however it ends."""

    workers: int

    def run(
        self,
        function: Callable[[Any], Any],
        cases: Iterable[Any],
        deadline_s: float,
        memory_bytes: int = resource.RLIM_INFINITY,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Outcome]:
        """As `Engine.run`."""
        start = {"initializer": _prepare, "initargs": [memory_bytes, os.getpid()]}
        with (
            inherited(environment or {}),
            ProcessPool(self.workers, context=get_context("spawn"), **start) as pool,
        ):
            futures = {pool.schedule(function, args=[case], timeout=deadline_s): case for case in cases}
            try:
                for future in as_completed(futures):
                    yield _outcome(futures[future], future, deadline_s)
            finally:
                for future in futures:
                    future.cancel()


@contextmanager
def inherited(environment: Mapping[str, str]) -> Iterator[None]:
    """Let processes started inside see these variables."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def describe_failure(case: Any, error: BaseException, trace: str) -> Outcome:
    """Outcome of a case whose function raised an exception; of its trace only file and line are kept."""
    if isinstance(error, MemoryError):
        return Outcome(
            case, code="out_of_memory", message="The case did not fit into memory; the next run tries again."
        )
    code = getattr(error, "code", "error")
    message = getattr(error, "message", f"An unexpected {type(error).__name__} at {_origin(trace)}: report it.")
    return Outcome(case, code=code, message=message)


def deadline_passed(case: Any, deadline_s: float) -> Outcome:
    """Outcome of a case that was stopped."""
    message = f"The case took longer than {deadline_s:.0f} s and was stopped; the next run tries again."
    return Outcome(case, code="deadline", message=message)


def worker_died(case: Any) -> Outcome:
    """Outcome of a case whose process died."""
    message = "The process working on the case died; the next run tries again."
    return Outcome(case, code="worker_died", message=message)


def _outcome(case: Any, future: Future, deadline_s: float) -> Outcome:
    error = future.exception()
    match error:
        case None:
            return Outcome(case, future.result())
        case TimeoutError():
            return deadline_passed(case, deadline_s)
        case ProcessExpired():
            return worker_died(case)
        case _:
            return describe_failure(case, error, str(error.__cause__))


def _prepare(memory_bytes: int, driver: int) -> None:
    """In a new process: limit its memory, and end with the driver."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    end_with(driver)


def end_with(driver: int) -> None:
    """Let the kernel end this process when the driver, its parent, ends, even by SIGKILL."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != driver:
        os.kill(os.getpid(), signal.SIGKILL)


def _origin(trace: str) -> str:
    """File and line where a worker's exception arose; never its text, which may quote data."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', trace)
    return ":".join([Path(frames[-1][0]).name, frames[-1][1]]) if frames else "an unknown place"
