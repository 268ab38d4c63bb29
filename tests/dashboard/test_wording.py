"""The examples in the docstrings are the tests."""

import doctest

import pytest

from dashboard import language, snapshot, wording


@pytest.mark.parametrize("module", [wording, snapshot, language])
def test_the_examples_hold(module) -> None:
    """Each module has some."""
    result = doctest.testmod(module)
    assert result.attempted and not result.failed


@pytest.mark.parametrize(
    ("percentile", "text"), [(1, "1st"), (2.6, "3rd"), (11, "11th"), (22, "22nd"), (50, "50th"), (99, "99th")]
)
def test_ordinals(percentile: float, text: str) -> None:
    """English endings."""
    assert wording.ordinal_percentile(percentile) == f"{text} percentile"


def test_beyond_the_first_and_last_percentile() -> None:
    """Neither 0th nor 100th exists."""
    assert wording.ordinal_percentile(0.99) == "Below the 1st percentile"
    assert wording.ordinal_percentile(99.01) == "Above the 99th percentile"


def test_an_estimate_without_width_or_limits() -> None:
    """A perfect fit, and a suppressed one."""
    assert wording.estimate(1.0, 1.0, 1.0) == "1.0000000 (1.0000000–1.0000000)"
    assert wording.estimate(1.0, float("nan"), float("nan")) == wording.ABSENT


def test_german_signs() -> None:
    """Decimal comma, thousands point, ordinals with a point."""
    language.use("de")
    try:
        assert wording.number(12262.5, 1) == "12.262,5"
        assert wording.interval(-0.2, 0.1, 1) == "−0,2 bis 0,1"
        assert wording.ordinal_percentile(62) == "62. Perzentile"
        assert wording.band("18.5-25") == "18,5–25"
    finally:
        language.use("en")
