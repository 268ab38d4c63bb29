"""Taking turns: while one process has the network, others read their next case or write their last.

What belongs here: waiting for a turn. How many processes there are is the engine's choice; what is done in a turn the caller's.
"""

import os
import socket
import time
from typing import Self

POLL_S = 0.01
LONGEST_WAIT_S = 300.0


class Turn:
    """One of `n` turns that the processes of one parent share; waits for it, and gives it back when its process ends, however it ends.

    After five minutes the caller goes on without one: turns save time and memory, and nobody waits for a neighbour that hangs.

    A turn is the name of a Unix socket in the abstract namespace: the kernel gives a name once at a time, frees it when the
    process ends, and nothing lies on the disk.
    """

    def __init__(self, n: int):
        self._names = [f"\0myonorm-turn-{os.getppid()}-{i}" for i in range(n)]
        self.waited_s = 0.0

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX)
        began = time.monotonic()
        while not any(map(self._take, self._names)) and time.monotonic() < began + LONGEST_WAIT_S:
            time.sleep(POLL_S)
        self.waited_s += time.monotonic() - began
        return self

    def __exit__(self, *_) -> None:
        self._socket.close()

    def _take(self, name: str) -> bool:
        """Whether the turn was free and is now ours."""
        try:
            self._socket.bind(name)
        except OSError:
            return False
        return True
