"""Charts and tables: what is drawn, not how it looks."""

from itertools import pairwise

import pandas as pd

from dashboard import charts, tables

CENTILES = (3, 5, 10, 25, 50, 75, 90, 95, 97)


def centile_chart(at: float, value: float | None, missing: int | None = None) -> list[dict]:
    """Return the layers of a chart of parallel curves on x = 20 ... 30, as Vega-Lite."""
    curves = pd.DataFrame([(x, c, 20 + c / 10) for x in range(20, 31) if x != missing for c in CENTILES])
    curves.columns = ["x", "centile", "value"]
    chart = charts.centile_curves(curves, "F", "Age, years", "Area, cm²", at, value, "Curves").to_dict()
    data = chart["datasets"]
    return [layer | {"rows": data[layer.get("data", chart.get("data"))["name"]]} for layer in chart["layer"]]


def marks(layers: list[dict], kind: str) -> list[dict]:
    """Return the layers of one kind of mark."""
    return [layer for layer in layers if layer["mark"]["type"] == kind]


def test_every_centile_is_labelled_at_its_end() -> None:
    """Nine lines, nine names, all at the largest x, none on another."""
    layers = centile_chart(25, None)
    ends = [row for layer in marks(layers, "text") for row in layer["rows"]]
    assert len(marks(layers, "line")) == 9
    assert sorted(row["name"] for row in ends) == sorted(f"P{c}" for c in CENTILES)
    assert {row["x"] for row in ends} == {30}
    heights = sorted(row["y"] for row in ends)
    assert min(b - a for a, b in pairwise(heights)) > 0.5


def test_the_person_is_the_last_and_topmost_mark() -> None:
    """Only with a value, and only inside the curves."""
    assert centile_chart(25, 24.0)[-1]["mark"]["type"] == "circle"
    assert not marks(centile_chart(25, None), "circle")
    assert not marks(centile_chart(31, 24.0), "circle")


def test_no_line_bridges_a_gap_of_the_support() -> None:
    """A missing x is an empty value in its place."""
    line = marks(centile_chart(22, None, missing=25), "line")[0]
    assert [row["x"] for row in line["rows"] if row["y"] is None] == [25]


def test_suppressed_bands_draw_nothing() -> None:
    """A box without whiskers where only P10 and P90 are suppressed; no box without a median."""
    bands = pd.DataFrame(
        {
            "band": ["18–29", "30–39", "40–49"],
            "sex": "F",
            "p10": [1.0, None, None],
            "p25": [2.0, 2.0, None],
            "p50": [3.0, 3.0, None],
            "p75": [4.0, 4.0, None],
            "p90": [5.0, None, None],
        }
    )
    chart = charts.banded_percentiles(bands, "Age, years", "Area, cm²", "Bands").to_dict()
    rows = {
        layer["mark"]["type"]: len(chart["datasets"][layer.get("data", chart.get("data"))["name"]])
        for layer in chart["layer"]
    }
    assert rows == {"bar": 2, "rule": 1, "tick": 2, "text": 1}


def test_charts_have_a_text_alternative() -> None:
    """For those who cannot see them."""
    shares = pd.DataFrame({"position_pct": [2.5, 7.5], "group": ["18–29", "18–29"], "share_pct": [1.0, 2.0]})
    assert charts.spatial_distribution(shares, "M", "Shares").to_dict()["description"] == "Shares"


def test_texts_of_tables_are_escaped() -> None:
    """Labels of declared measures come from deliveries."""
    table = pd.DataFrame({"<b>x</b>": ["<script>"]}, index=pd.Index(["a & b"], name="<i>"))
    html = tables.to_html(table)
    assert "<script>" not in html and "<b>" not in html and "<i>" not in html
    assert "&lt;script&gt;" in html and "a &amp; b" in html
