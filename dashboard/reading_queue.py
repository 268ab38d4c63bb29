"""Which case a reader sees next, how, and with what probability it was drawn.

Belongs here: the order of the queue, the random shares, blinding, what waits for a consensus: tables and readings in, turns out.
Does not belong here: reading files, queries, the page.

Whether a case belongs to a random share follows from a hash of its mask, so that it is the same for every reader and after every
restart, and depends on nothing that is judged.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from dashboard.verdicts import Reading

RANDOM_SHARE = 0.1  # of the cases without a warning that are read
SECOND_SHARE = 0.1  # of the cases read that another reader reads again
MUSCLES = ("left psoas", "right psoas", "left gluteus", "right gluteus")  # in the order of the figure
CASE = ["study", "participant_id", "visit", "model_version", "mask_sha256"]
SAMPLE, EVERY, CONSENSUS = "Suspicious, and a random share of the rest", "Every case", "Waiting for a consensus"
MODES = (SAMPLE, EVERY, CONSENSUS)


@dataclass(frozen=True)
class Turn:
    """A case to be read.

    Attributes
    ----------
    key
        Of the case, without its id.
    reading
        first, second or consensus.
    is_blinded
        Checks and earlier verdicts are hidden.
    sampling_probability
        Of the case to be read at all; None where it is read by choice.
    """

    key: str
    reading: str
    is_blinded: bool
    sampling_probability: float | None


def build(cases: pd.DataFrame, by_case: dict[tuple[str, ...], list[Reading]], reader: str, mode: str) -> list[Turn]:
    """Return the turns that are open to a reader, in order.

    Suspicious cases come by number of failed, then warned checks. Cases of the random share and second readings lie evenly among
    them and look alike, so that a hidden list of checks says nothing.

    Parameters
    ----------
    cases : DataFrame
        Indexed by key: the columns of `CASE`, n_fail, n_warn, excess (of the worst check over its limit), and share_draw,
        second_draw, place_draw (uniform in [0, 1), from a hash).
    by_case : dict
        As `group`: the readings of all readers that stand.
    mode : str
        In `MODES`.
    """
    ranked = cases.sort_values(["n_fail", "n_warn", "excess", "place_draw"], ascending=[False, False, False, True])
    is_suspicious = (ranked["n_fail"] + ranked["n_warn"]).to_numpy() > 0
    n_suspicious = max(int(is_suspicious.sum()), 1)
    placed = []
    for rank, (row, suspicious) in enumerate(zip(ranked.itertuples(), is_suspicious, strict=True)):
        earlier = by_case.get(tuple(getattr(row, name) for name in CASE), [])
        if mode == CONSENSUS:
            if awaits_consensus(row.n_fail, earlier):
                placed.append((rank, Turn(row.Index, "consensus", False, None)))
            continue
        turn = next_turn(row, suspicious, earlier, reader, mode)
        if turn:
            hidden_place = row.place_draw * (len(ranked) if mode == EVERY else n_suspicious)
            placed.append((hidden_place if turn.is_blinded or not suspicious else rank, turn))
    return [turn for _, turn in sorted(placed, key=lambda entry: entry[0])]


def next_turn(row, is_suspicious: bool, earlier: list[Reading], reader: str, mode: str) -> Turn | None:
    """Return how a case comes before a reader, if it does."""
    probability = 1.0 if is_suspicious else RANDOM_SHARE if row.share_draw < RANDOM_SHARE else None
    if any(reading.reader == reader for reading in earlier):
        return None
    if earlier:
        is_due = row.second_draw < SECOND_SHARE and all(reading.reading == "first" for reading in earlier)
        return Turn(row.Index, "second", True, probability) if is_due else None
    if mode == EVERY:
        return Turn(row.Index, "first", False, probability)
    return Turn(row.Index, "first", not is_suspicious, probability) if probability else None


def turn_for_link(key: str, row: pd.Series, earlier: list[Reading], reader: str) -> Turn:
    """Return how a case comes that was asked for by its link: again as before, or as a blinded second reading."""
    own = [reading for reading in earlier if reading.reader == reader]
    is_suspicious = row.n_fail + row.n_warn > 0
    probability = 1.0 if is_suspicious else RANDOM_SHARE if row.share_draw < RANDOM_SHARE else None
    if own:
        return Turn(key, own[-1].reading, own[-1].is_blinded, own[-1].sampling_probability)
    if earlier:
        return Turn(key, "second", True, probability)
    return Turn(key, "first", not is_suspicious and probability is not None, probability)


def awaits_consensus(n_fail: int, readings: list[Reading]) -> bool:
    """Return whether readers differ, are unsure, or accepted what an automatic check rejects, and no consensus followed."""
    if not readings or any(reading.reading == "consensus" for reading in readings):
        return False
    outcomes = [outcome(reading) for reading in readings]
    accepted_despite = n_fail > 0 and any(set(verdicts.values()) == {"accept"} for verdicts in outcomes)
    return (
        any(verdicts != outcomes[0] for verdicts in outcomes)
        or any("unsure" in verdicts.values() for verdicts in outcomes)
        or accepted_despite
    )


def outcome(reading: Reading) -> dict[str, str]:
    """Return the verdict on each muscle; one on the whole case counts for all four."""
    verdicts = {}
    for row in reading.verdicts:
        muscles = [f"{row['side']} {row['compartment']}"] if row["compartment"] else MUSCLES
        verdicts |= dict.fromkeys(muscles, row["verdict"])
    return verdicts


def group(readings: Iterable[Reading]) -> dict[tuple[str, ...], list[Reading]]:
    """Return readings by case, the oldest first."""
    by_case: dict[tuple[str, ...], list[Reading]] = {}
    for reading in sorted(readings, key=lambda reading: reading.reviewed_at):
        by_case.setdefault(reading.case, []).append(reading)
    return by_case
