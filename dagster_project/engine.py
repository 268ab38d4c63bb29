"""Running a function over cases in child processes, each with a deadline; one outcome per case, as they finish.

What belongs here: processes, deadlines and their deaths. What a case is and what is done with it belong to the caller.
"""

import os
import re
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, TimeoutError, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

# glibc keeps what a case frees for the next one: page faults cost a third of the reading of images otherwise.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}


@dataclass(frozen=True)
class Outcome:
    """What became of a case: a result, or a code and a sentence."""

    case: Any
    result: Any = None
    code: str | None = None
    message: str | None = None


def run(
    function: Callable[[Any], Any],
    cases: Iterable[Any],
    workers: int,
    deadline_s: float,
    memory_bytes: int = resource.RLIM_INFINITY,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Outcome]:
    """Call `function(case)` for every case in child processes.

    Each process has at most `memory_bytes` of address space and sees `environment` beside this process's own.

    A case past its deadline is killed and its process replaced; a process that dies costs only its case; an exception
    with a `code` (a refusal) keeps it, any other is an `error`.
    """
    limit = {"initializer": resource.setrlimit, "initargs": [resource.RLIMIT_AS, (memory_bytes, memory_bytes)]}
    with inherited(environment or {}), ProcessPool(workers, context=get_context("spawn"), **limit) as pool:
        futures = {pool.schedule(function, args=[case], timeout=deadline_s): case for case in cases}
        for future in as_completed(futures):
            yield _outcome(futures[future], future, deadline_s)


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


def _outcome(case: Any, future: Future, deadline_s: float) -> Outcome:
    error = future.exception()
    match error:
        case None:
            return Outcome(case, future.result())
        case TimeoutError():
            code, message = "deadline", f"The case took longer than {deadline_s:.0f} s and was stopped."
        case ProcessExpired():
            code, message = "worker_died", "The process working on the case died; the next run tries again."
        case MemoryError():
            code, message = "out_of_memory", "The case did not fit into memory; the next run tries again."
        case _:
            code = getattr(error, "code", "error")
            message = getattr(error, "message", f"An unexpected {type(error).__name__} at {_origin(error)}: report it.")
    return Outcome(case, code=code, message=message)


def _origin(error: BaseException) -> str:
    """File and line where a worker's exception arose; never its text, which may quote data."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', str(error.__cause__))
    return ":".join([Path(frames[-1][0]).name, frames[-1][1]]) if frames else "an unknown place"
