"""Numbers and findings as text, in the language of the run.

Belongs here: digits, decimal signs, intervals, ordinals, bands, small cells, names of measures and sexes.
Does not belong here: where the numbers come from, layout, markup.
"""

import math
import re

import pandas as pd

from dashboard.language import current, name, say

SEXES = ("F", "M")
ABSENT = "–"
NARROW = 1e-6
GERMAN_SIGNS = str.maketrans(",.", ".,")


def sex(code: str | None) -> str:
    """Return the name of a sex; None is both."""
    return say("sex.both") if pd.isna(code) else say(f"sex.{code}")


def measure(registry: pd.DataFrame, code: str) -> str:
    """Return the label of a measure of the registry."""
    return name("measure", code, registry.loc[code, "label"])


def measure_with_unit(registry: pd.DataFrame, code: str) -> str:
    """Return label and unit of a measure of the registry."""
    return f"{measure(registry, code)}, {registry.loc[code, 'unit']}"


def signs(text: str) -> str:
    """Return a number written in English with the decimal and thousands signs of this language."""
    return text.translate(GERMAN_SIGNS) if current() == "de" else text


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
    return signs(text.replace("-", "−" if float(text.replace(",", "")) else ""))


def plain(value: float) -> str:
    """Return an entered number without needless zeros.

    >>> plain(54.0), plain(26.83)
    ('54', '26.8')
    """
    return signs(f"{value:.1f}".removesuffix(".0"))


def count(n: float, suppression: str | None = None) -> str:
    """Return a count of persons, or why it is not shown, from the column `suppression` of the published tables.

    >>> count(12262), count(float("nan"), "suppressed (< 10)"), count(float("nan"), "suppressed (protects another cell)")
    ('12,262', '< 10', 'hidden')
    """
    if pd.notna(n):
        return number(n, 0)
    if pd.isna(suppression):
        return say("cell.suppressed")
    least = re.search(r"< \d+", suppression)
    return least.group() if least else say("cell.withheld" if "withheld" in suppression else "cell.hidden")


def is_suppressed(text: str) -> bool:
    """Return whether a text of a table stands for a number that is not shown."""
    return bool(re.fullmatch(r"< \d+", text)) or text in (
        say(f"cell.{key}") for key in ("suppressed", "withheld", "hidden")
    )


def interval(low: float, high: float, places: int) -> str:
    """Return two limits as text; a dash where missing.

    >>> interval(24.41, 24.53, 2), interval(-0.2, 0.1, 1)
    ('24.41–24.53', '−0.2 to 0.1')
    """
    if pd.isna(low):
        return ABSENT
    return (f" {say('number.to')} " if low < 0 else "–").join(number(limit, places) for limit in (low, high))


def band(name: str) -> str:
    """Return the name of a band with typographic signs.

    >>> band(">=40"), band("18-29")
    ('≥40', '18–29')
    """
    return signs(name.replace(">=", "≥").replace("<=", "≤").replace("-", "–"))


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
        return say("percentile.above")
    if percentile < 1:
        return say("percentile.below")
    return say("percentile.rank", rank=ordinal(round(percentile)))


def ordinal(rank: int) -> str:
    """Return a rank as an ordinal number.

    >>> ordinal(3), ordinal(11), ordinal(22)
    ('3rd', '11th', '22nd')
    """
    if current() == "de":
        return f"{rank}."
    suffix = "th" if rank in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{suffix}"


def rank(percentile: float) -> str:
    """Return a percentile as the shortest text; beyond P1 and P99 its tenths count.

    >>> rank(61.6), rank(0.62), rank(0.01), rank(99.98)
    ('62', '0.6', '<0.1', '>99.9')
    """
    if percentile < 0.1:
        return f"<{number(0.1, 1)}"
    if percentile > 99.9:
        return f">{number(99.9, 1)}"
    return number(percentile, 0 if 1 <= percentile <= 99 else 1)
