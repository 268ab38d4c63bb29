"""The queue: order, random shares, blinding, consensus."""

import numpy as np
import pandas as pd
import pytest

from dashboard.reading_queue import CONSENSUS, EVERY, RANDOM_SHARE, SAMPLE, SECOND_SHARE, build, group, turn_for_link
from dashboard.verdicts import Reading

N, N_SUSPICIOUS = 2000, 200


@pytest.fixture(scope="module")
def cases() -> pd.DataFrame:
    """The first cases are suspicious, the very first ones fail."""
    rng, i = np.random.default_rng(3), np.arange(N)
    columns = {"study": "S", "participant_id": i.astype(str), "visit": "30", "model_version": "v1"}
    columns["mask_sha256"] = np.char.add("m", i.astype(str))
    columns |= {"n_fail": np.where(i < 20, 2, 0), "n_warn": np.where(i < N_SUSPICIOUS, 1, 0), "excess": 1 / (1 + i)}
    columns |= {name: rng.random(N) for name in ("share_draw", "second_draw", "place_draw")}
    return pd.DataFrame(columns, index=pd.Index([f"k{number}" for number in i], name="key"))


def a_reading(
    number: int, reader: str = "r1", verdict: str = "accept", kind: str = "first", muscle=(None, None)
) -> Reading:
    compartment, side = muscle
    row = {"compartment": compartment, "side": side, "verdict": verdict, "reason": None}
    return Reading(
        *(
            reader,
            f"{reader}{number}{kind}",
            "S",
            str(number),
            "30",
            "v1",
            f"m{number}",
            kind,
            False,
            1.0,
            (row,),
            None,
            1.0,
        ),
        reviewed_at=f"2026-01-01T00:00:{['first', 'second', 'consensus'].index(kind):02d}",
    )


def test_suspicious_cases_come_worst_first_with_a_share_of_passes_among_them(cases):
    turns = build(cases, {}, "r1", SAMPLE)
    seen = [turn for turn in turns if not turn.is_blinded]
    hidden = [turn for turn in turns if turn.is_blinded]
    assert [turn.key for turn in seen] == [f"k{number}" for number in range(N_SUSPICIOUS)]
    assert all(turn.sampling_probability == 1 for turn in seen)
    expected = (cases["share_draw"].iloc[N_SUSPICIOUS:] < RANDOM_SHARE).sum()
    assert len(hidden) == expected and all(turn.sampling_probability == RANDOM_SHARE for turn in hidden)
    places = np.array([index for index, turn in enumerate(turns) if turn.is_blinded]) / len(turns)
    assert np.abs(np.quantile(places, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.1


def test_what_anyone_read_is_gone_but_for_a_random_second_reading_by_another(cases):
    readings = group([a_reading(number) for number in range(N_SUSPICIOUS)])
    assert all(turn.key not in {f"k{i}" for i in range(N_SUSPICIOUS)} for turn in build(cases, readings, "r1", SAMPLE))
    second = [turn for turn in build(cases, readings, "r2", SAMPLE) if turn.reading == "second"]
    assert {turn.key for turn in second} == set(
        cases.index[:N_SUSPICIOUS][cases["second_draw"].iloc[:N_SUSPICIOUS] < SECOND_SHARE]
    )
    assert all(turn.is_blinded for turn in second)
    once = group(
        [a_reading(number) for number in range(N_SUSPICIOUS)]
        + [a_reading(int(t.key[1:]), "r2", kind="second") for t in second]
    )
    assert not [turn for turn in build(cases, once, "r3", SAMPLE) if turn.reading == "second"]


def test_every_case_keeps_the_probability_of_its_draw(cases):
    turns = {turn.key: turn for turn in build(cases, {}, "r1", EVERY)}
    assert len(turns) == N
    for key, row in cases.iterrows():
        drawn = RANDOM_SHARE if row["share_draw"] < RANDOM_SHARE else None
        assert turns[key].sampling_probability == (1 if row["n_fail"] + row["n_warn"] else drawn)


@pytest.mark.parametrize(
    ("readings", "waits"),
    [
        ([a_reading(100)], False),
        ([a_reading(100, verdict="unsure")], True),
        ([a_reading(100), a_reading(100, "r2", kind="second")], False),
        ([a_reading(100), a_reading(100, "r2", "reject", "second")], True),
        ([a_reading(100), a_reading(100, "r2", "reject", "second", ("psoas", "left"))], True),
        ([a_reading(100), a_reading(100, "r2", "reject", "second"), a_reading(100, "r3", kind="consensus")], False),
        ([a_reading(5)], True),
        ([a_reading(5, verdict="reject")], False),
    ],
)
def test_consensus_is_asked_for_where_readers_differ_doubt_or_overrule_a_check(cases, readings, waits):
    turns = build(cases, group(readings), "r9", CONSENSUS)
    assert [(turn.key, turn.reading, turn.is_blinded) for turn in turns] == (
        [(f"k{readings[0].participant_id}", "consensus", False)] if waits else []
    )


def test_a_link_never_shows_another_readers_verdict(cases):
    row = cases.loc["k3"]
    assert turn_for_link("k3", row, [a_reading(3)], "r2").is_blinded
    assert turn_for_link("k3", row, [a_reading(3)], "r1").reading == "first"
    assert not turn_for_link("k3", row, [], "r2").is_blinded


def test_thirty_thousand_cases_are_queued_in_time(cases):
    """Far below the second or more that a case takes to be read."""
    import time

    many = pd.concat([cases.assign(mask_sha256=cases["mask_sha256"] + str(copy)) for copy in range(15)])
    began = time.perf_counter()
    build(many, {}, "r1", SAMPLE)
    assert time.perf_counter() - began < 1.5
