"""Agreement of readers: published examples, and what kappa gets wrong."""

import numpy as np
import pandas as pd
import pytest

from models.statistics.rater_agreement import agree_on_categories, summarise_agreement

ABSTRACTORS = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]
MOSTLY_NORMAL = [[118, 5], [2, 0]]


def test_published_example_of_two_abstractors():
    """Gwet's cont3x3abstractors (R package irrCAC): AC1 0.8493305, SE 0.04321747, (0.764, 0.935); kappa 0.7964094."""
    found = summarise_agreement(np.array(ABSTRACTORS))
    assert found["ac1"] == pytest.approx(0.8493305, abs=5e-8) and found["kappa"] == pytest.approx(0.7964094, abs=5e-8)
    half_width = 1.9842169515086827 * 0.04321747  # Student's t, 99 degrees of freedom
    assert (found["ac1_low"], found["ac1_high"]) == pytest.approx(
        (0.8493305 - half_width, 0.8493305 + half_width), abs=1e-6
    )


def test_published_example_of_the_paradox():
    """Gwet 2002: 118 and 5, 2 and 0 of 125: kappa -0.0234, AC1 0.9408; PABAK = 2 p_a - 1."""
    found = summarise_agreement(np.array(MOSTLY_NORMAL))
    assert (found["kappa"], found["ac1"]) == pytest.approx((-0.0234, 0.9408), abs=5e-5)
    assert found["pabak"] == pytest.approx(2 * 118 / 125 - 1) and found["observed_pct"] == pytest.approx(94.4)


def test_interval_covers_the_truth_in_about_95_percent_of_samples():
    shares = np.array([[0.86, 0.04, 0.01], [0.02, 0.04, 0.0], [0.01, 0.01, 0.01]])
    truth = summarise_agreement((shares * 1_000_000).round().astype(int))["ac1"]
    rng = np.random.default_rng(1)
    samples = [summarise_agreement(rng.multinomial(300, shares.ravel()).reshape(3, 3)) for _ in range(400)]
    assert np.mean([found["ac1_low"] <= truth <= found["ac1_high"] for found in samples]) == pytest.approx(
        0.95, abs=0.03
    )


def test_groups_and_categories_that_nobody_used():
    pairs = pd.DataFrame(
        {"muscle": ["a", "a", "b"], "first_verdict": ["accept"] * 3, "second_verdict": ["accept", "reject", "accept"]}
    )
    table = agree_on_categories(pairs, ["muscle"], ["accept", "reject", "unsure"]).set_index("muscle")
    assert table["n"].to_list() == [2, 1] and table.loc["b", "observed_pct"] == 100
    assert np.isnan(table.loc["b", "ac1_low"]) and np.isnan(table.loc["b", "kappa"])
