"""Charts and tables: what is drawn, not how it looks."""

from itertools import pairwise

import altair as alt
import pandas as pd
import pytest

from dashboard import charts, strobe, tables

CENTILES = (3, 5, 10, 25, 50, 75, 90, 95, 97)


def layers_of(chart) -> list[dict]:
    """Return the layers of a chart as Vega-Lite, each with its rows."""
    spec = chart.to_dict()
    return [
        layer | {"rows": spec["datasets"][layer.get("data", spec.get("data"))["name"]]}
        for layer in spec.get("layer", [spec])
    ]


def centile_chart(at: float, value: float | None, missing: int | None = None, has_limits: bool = False) -> list[dict]:
    """Return the layers of a chart of parallel curves on x = 20 ... 30."""
    curves = pd.DataFrame(
        [(x, c, 20 + c / 10, 19 + c / 10, 21 + c / 10, 40) for x in range(20, 31) if x != missing for c in CENTILES],
        columns=["x", "centile", "value", "ci_low", "ci_high", "n"],
    )
    return layers_of(charts.centile_curves(curves, "F", "Age, years", "Area, cm²", at, value, charts.LIGHT, has_limits))


def marks(layers: list[dict], kind: str) -> list[dict]:
    """Return the layers of one kind of mark."""
    return [layer for layer in layers if layer["mark"]["type"] == kind]


def test_every_centile_is_labelled_at_its_end() -> None:
    """Nine lines, nine names, all at the largest x, none on another; the median is the strongest."""
    layers = centile_chart(25, None)
    (lines,) = marks(layers, "line")
    widths = {row["centile"]: row["width"] for row in lines["rows"]}
    assert sorted(widths) == list(CENTILES) and max(widths, key=widths.get) == 50
    ends = [row for layer in marks(layers, "text") for row in layer["rows"]]
    assert sorted(row["name"] for row in ends) == sorted(f"P{c}" for c in CENTILES)
    assert {row["x"] for row in ends} == {30}
    heights = sorted(row["value"] for row in ends)
    assert min(b - a for a, b in pairwise(heights)) > 0.45


def test_the_person_is_the_last_and_topmost_mark() -> None:
    """Only with a value, and only inside the curves."""
    assert centile_chart(25, 24.0)[-1]["mark"]["type"] == "circle"
    assert not marks(centile_chart(25, None), "circle")
    assert not marks(centile_chart(31, 24.0), "circle")


def test_no_line_bridges_a_gap_of_the_support() -> None:
    """A missing x is an empty value in its place."""
    (lines,) = marks(centile_chart(22, None, missing=25), "line")
    assert {row["x"] for row in lines["rows"] if row["value"] is None} == {25}


def test_the_confidence_band_is_drawn_on_demand() -> None:
    """Around P10, P50 and P90."""
    assert len(marks(centile_chart(22, None), "area")) == 1
    (_, limits) = marks(centile_chart(22, None, has_limits=True), "area")
    assert {row["centile"] for row in limits["rows"]} == {10, 50, 90}


def test_the_number_of_persons_is_in_the_tooltip() -> None:
    """Beside all centiles."""
    (reading,) = (layer for layer in marks(centile_chart(22, None), "rule") if "tooltip" in layer["encoding"])
    assert [entry["field"] for entry in reading["encoding"]["tooltip"]][-2:] == ["P3", "n"]
    assert reading["rows"][0]["n"] == 40


def test_suppressed_bands_draw_nothing() -> None:
    """A box without whiskers where only P10 and P90 are suppressed; no box without a median."""
    bands = pd.DataFrame(
        {
            "band": ["18–29", "30–39", "40–49"],
            "sex": "F",
            "n": [100, 40, None],
            "p10": [1.0, None, None],
            "p25": [2.0, 2.0, None],
            "p50": [3.0, 3.0, None],
            "p75": [4.0, 4.0, None],
            "p90": [5.0, None, None],
        }
    )
    layers = layers_of(charts.banded_percentiles(bands, "Age, years", "Area, cm²", {"F": "Women"}, charts.DARK))
    assert {layer["mark"]["type"]: len(layer["rows"]) for layer in layers} == {
        "bar": 2,
        "rule": 1,
        "tick": 2,
        "text": 1,
    }


def test_the_maximum_lies_on_its_line() -> None:
    """At the level of the table, at the height of the nearest point of the line; a group without a level has no dot."""
    shares = pd.DataFrame(
        {"position_pct": [10.0, 50.0, 90.0] * 2, "group": ["a"] * 3 + ["b"] * 3, "share_pct": [1, 3, 1] * 2}
    )
    maxima = pd.DataFrame({"group": ["a", "b"], "level_pct": [55.0, None]})
    layers = layers_of(charts.spatial_distribution(shares, maxima, "M", "Position", "Share", charts.LIGHT))
    assert marks(layers, "point")[0]["rows"] == [{"group": "a", "position_pct": 55.0, "share_pct": 3}]


def test_pairs_are_drawn_only_where_they_may_be_seen() -> None:
    """Bland-Altman of the aggregate file has no points."""
    summary = pd.DataFrame(
        {"name": ["u", "b", "l"], "value": [1.0, 0, -1], "low": [0.9, -0.1, -1.1], "high": [1.1, 0.1, -0.9]}
    )
    pairs = pd.DataFrame({"mean": [20.0, 21], "difference": [0.1, -0.2]})
    assert not marks(layers_of(charts.agreement(summary, None, "x", "y", charts.LIGHT)), "circle")
    assert len(marks(layers_of(charts.agreement(summary, pairs, "x", "y", charts.LIGHT)), "circle")[0]["rows"]) == 2


@pytest.mark.parametrize(("look", "decimal"), [(charts.LIGHT, "."), (charts.DARK, ",")])
def test_the_look_is_in_one_place(look: charts.Look, decimal: str) -> None:
    """Background, type and the decimal sign."""
    chart = charts.exclusion_rates(pd.DataFrame({"category": ["F"], "pct": [1.0], "text": ["1 %"]}), "Share", look)
    spec = charts.finish(chart, look, decimal)
    assert alt.Chart.from_dict(spec, validate=True)
    config = spec["config"]
    assert config["background"] == look.background
    assert config["locale"]["number"]["decimal"] == decimal


@pytest.mark.parametrize("look", [charts.LIGHT, charts.DARK])
def test_words_and_marks_stand_out_from_the_background(look: charts.Look) -> None:
    """WCAG 2 AA: 4.5 for text (which labels in the hues are), 3 for marks."""
    for color in (look.ink, look.muted, *look.hue.values()):
        assert contrast(color, look.background) >= 4.5
    for shade in (look.shades["F"][1], look.shades["M"][1]) if look is charts.LIGHT else ():
        assert contrast(shade, look.background) >= 2


def contrast(a: str, b: str) -> float:
    """Return the contrast ratio of WCAG 2 of two hexadecimal colours."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_texts_of_tables_are_escaped() -> None:
    """Labels of declared measures come from deliveries."""
    table = pd.DataFrame({"<b>x</b>": ["<script>"]}, index=pd.Index(["a & b"], name="<i>"))
    html = tables.to_html(table, "<u>")
    assert "<script>" not in html and "<b>" not in html and "<i>" not in html and "<u>" not in html
    assert "&lt;script&gt;" in html and "a &amp; b" in html


def test_texts_of_the_flow_are_escaped() -> None:
    """Reasons come from readers."""
    html = strobe.to_html([strobe.Step("<b>", "10", [("<i>", "2")])], "<u>", "<s>")
    assert not any(tag in html for tag in ("<b><", "<i>", "<u>", "<s>"))
    assert "&lt;b&gt;" in html and "<b>10</b>" in html


def every_chart(look: charts.Look) -> dict[str, alt.Chart | alt.LayerChart]:
    """Return one chart of each function."""
    curves = pd.DataFrame(
        [(x, c, 20 + c / 10, 19 + c / 10, 21 + c / 10, 40) for x in range(20, 31) for c in CENTILES],
        columns=["x", "centile", "value", "ci_low", "ci_high", "n"],
    )
    band = {"band": ["18–29"], "sex": ["F"], "n": [9]} | {p: [1.0] for p in ("p10", "p25", "p50", "p75", "p90")}
    cell = pd.DataFrame({"age": ["a"], "bmi": ["b"], "median": [1.0], "value": ["1"], "count": ["n 9"]})
    grid = pd.DataFrame({"age_years": [20], "bmi_kg_m2": [25], "median": [1.0], "n": [9]})
    shares = pd.DataFrame({"position_pct": [10.0], "group": ["a"], "share_pct": [1.0]})
    score = pd.DataFrame({"label": ["l"], "group": ["g"], "mean": [0.9], "low": [0.8], "high": [1.0], "n": [9]})
    summary = pd.DataFrame({"name": ["bias"], "value": [0.0], "low": [-1.0], "high": [1.0]})
    centiles = charts.centile_curves(curves, "M", "x", "y", 25, 24.0, look, has_limits=True)
    return {
        "centile_curves": centiles,
        "banded_percentiles": charts.banded_percentiles(pd.DataFrame(band), "x", "y", {"F": "Women"}, look),
        "heat_map": charts.heat_map(cell, "x", "y", "median", look),
        "fine_map": charts.fine_map(grid, "median", {name: name for name in grid}, look),
        "spatial_distribution": charts.spatial_distribution(
            shares, pd.DataFrame({"group": ["a"], "level_pct": [9.0]}), "F", "x", "y", look
        ),
        "score_intervals": charts.score_intervals(
            score, "x", look, pd.DataFrame({"label": ["l"], "group": ["g"], "value": [0.9]})
        ),
        "agreement": charts.agreement(summary, pd.DataFrame({"mean": [1.0], "difference": [0.1]}), "x", "y", look),
        "exclusion_rates": charts.exclusion_rates(
            pd.DataFrame({"category": ["c"], "pct": [1.0], "text": ["1"]}), "x", look
        ),
        "area_profile": charts.area_profile(
            pd.DataFrame({"position_pct": [1.0], "csa_cm2": [2.0], "label": ["l"]}), "x", "y", look
        ),
        "visits_on_curves": charts.visits_on_curves(
            charts.centile_curves(curves, "F", "x", "y", None, None, look),
            pd.DataFrame({"x": [54.0], "value": [22.0], "visit": ["30"]}),
            look,
        ),
    }


@pytest.mark.parametrize("look", [charts.LIGHT, charts.DARK])
def test_every_chart_is_valid_vega_lite(look: charts.Look) -> None:
    """The pages do not validate again."""
    for name, chart in every_chart(look).items():
        assert alt.Chart.from_dict(charts.finish(chart, look), validate=True), name
    public = {name for name, thing in vars(charts).items() if callable(thing) and not name.startswith("_")}
    assert every_chart(look).keys() == public - {"Look", "finish", "theme", "dataclass"}
