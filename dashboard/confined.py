"""Child processes for what strangers send: uploads and SQL.

Belongs here: starting a module of the dashboard with limits of memory and time, and ending it when it exceeds them.
Does not belong here: what the child does.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LARGEST_FILE_BYTES = 0


class Exceeded(RuntimeError):
    """The child took too long, too much memory, or died."""


def run(script: str, content: bytes, seconds: float, memory_mb: int, arguments: tuple[str, ...] = ()) -> bytes:
    """Return what a script of this folder writes when it is fed with `content`.

    It runs in Python's isolated mode, with an empty environment, without core dumps, and cannot write a file.

    Raises
    ------
    Exceeded
        It exceeded `seconds` or `memory_mb`, or died for another reason.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES, LARGEST_FILE_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.nice(5)

    try:
        done = subprocess.run(
            [sys.executable, "-I", str(HERE / script), *arguments],
            input=content,
            capture_output=True,
            timeout=seconds,
            preexec_fn=limit,
            env={"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            cwd="/",
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Exceeded("time") from error
    except subprocess.CalledProcessError as error:
        raise Exceeded("memory") from error
    return done.stdout
