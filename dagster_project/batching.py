"""Outcomes of cases in batches, so that a driver commits some at a time: a killed run loses seconds of work, not hours.

What belongs here: where one batch ends. A commit a case would cost more than most cases do, and its cost grows with the tables.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import pandas as pd

T = TypeVar("T")
MOST, LONGEST_S = 500, 5.0


def in_batches(outcomes: Iterable[T], most: int = MOST, longest_s: float = LONGEST_S) -> Iterator[list[T]]:
    """Lists of at most `most` outcomes in their order, each closed by the first that comes `longest_s` after its first.

    >>> list(in_batches("abcde", most=2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    batch, began = [], 0.0
    for outcome in outcomes:
        began = began if batch else time.monotonic()
        batch.append(outcome)
        if len(batch) >= most or time.monotonic() - began >= longest_s:
            yield batch
            batch = []
    if batch:
        yield batch


def stack(frames: list[pd.DataFrame], keys: list[dict]) -> pd.DataFrame:
    """The rows of all frames one below the other, each with the entries of its frame's key as columns."""
    if not frames:
        return pd.DataFrame()
    rows = pd.concat(frames, ignore_index=True)
    numbers = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    return rows.join(pd.DataFrame(keys).take(numbers).reset_index(drop=True))
