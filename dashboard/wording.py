"""Numbers and findings as text.

Belongs here: digits, intervals, ordinals, the words for sexes, bands and small cells.
Does not belong here: where the numbers come from, layout, markup.
"""

import math

import pandas as pd

SEX = {"F": "Women", "M": "Men"}
POOLED = "Both"
SUPPRESSED = "suppressed (small cell)"
ABSENT = "–"
NARROW = 1e-6


def decimals(value: float) -> int:
    """Return how many decimals show a value with three significant digits.

    >>> decimals(24.47), decimals(2.39), decimals(178.2)
    (1, 2, 0)
    """
    if pd.isna(value) or value == 0:
        return 0
    return max(0, 2 - math.floor(math.log10(abs(value))))


def number(value: float, places: int) -> str:
    """Return a number with a fixed number of decimals, thousands separated, a real minus sign; a dash where missing.

    >>> number(-12262.04, 1), number(-0.04, 1), number(float("nan"), 1)
    ('−12,262.0', '0.0', '–')
    """
    if pd.isna(value):
        return ABSENT
    text = f"{value:,.{places}f}"
    return text.replace("-", "−" if float(text.replace(",", "")) else "")


def plain(value: float) -> str:
    """Return an entered number without needless zeros.

    >>> plain(54.0), plain(26.83)
    ('54', '26.8')
    """
    return f"{value:.1f}".removesuffix(".0")


def count(n: float) -> str:
    """Return a count of persons, or that it is suppressed."""
    return SUPPRESSED if pd.isna(n) else f"{n:,.0f}"


def interval(low: float, high: float, places: int) -> str:
    """Return two limits as text; a dash where missing.

    >>> interval(24.41, 24.53, 2), interval(-0.2, 0.1, 1)
    ('24.41–24.53', '−0.2 to 0.1')
    """
    if pd.isna(low):
        return ABSENT
    return (" to " if low < 0 else "–").join(number(limit, places) for limit in (low, high))


def band(name: str) -> str:
    """Return the name of a band with typographic signs.

    >>> band(">=40"), band("18-29")
    ('≥40', '18–29')
    """
    return name.replace(">=", "≥").replace("<=", "≤").replace("-", "–")


def with_interval(value: float, low: float, high: float, places: int) -> str:
    """Return a number with its limits; a dash where missing.

    >>> with_interval(0.62, 0.6, 0.63, 2)
    '0.62 (0.60–0.63)'
    """
    return number(value, places) if pd.isna(low) else f"{number(value, places)} ({interval(low, high, places)})"


def estimate(value: float, low: float, high: float) -> str:
    """Return an estimate with its limits, to two digits of their width; a dash where missing.

    >>> estimate(0.2131, 0.2052, 0.2214)
    '0.213 (0.205–0.221)'
    """
    if pd.isna(value) or pd.isna(low):
        return ABSENT
    return with_interval(value, low, high, max(0, 1 - math.floor(math.log10(max(high - low, NARROW)))))


def ordinal_percentile(percentile: float) -> str:
    """Return a percentile as a headline.

    >>> ordinal_percentile(61.6), ordinal_percentile(12.3), ordinal_percentile(99.7)
    ('62nd percentile', '12th percentile', 'Above the 99th percentile')
    """
    if percentile > 99:
        return "Above the 99th percentile"
    if percentile < 1:
        return "Below the 1st percentile"
    rank = round(percentile)
    suffix = "th" if rank in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{suffix} percentile"
