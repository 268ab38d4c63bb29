"""Charts: DataFrames in, Altair charts out, and the one theme they share in light and dark.

Belongs here: marks, scales, colours.
Does not belong here: queries, choices of what to show, numbers as text, titles and text alternatives (the pages bring them).

Every function takes the look (LIGHT or DARK) and returns a chart that is complete but for its size.
"""

from dataclasses import dataclass

import altair as alt
import pandas as pd

WIDTH = {3: 1, 5: 1, 10: 1.5, 25: 1.5, 50: 3, 75: 1.5, 90: 1.5, 95: 1, 97: 1}
STRENGTH = {3: 0.5, 5: 0.5, 10: 0.85, 25: 0.85, 50: 1, 75: 0.85, 90: 0.85, 95: 0.5, 97: 0.5}
HEIGHT = 400
LABEL_GAP = 0.052
FONT = '"Source Sans", "Source Sans 3", sans-serif'


@dataclass(frozen=True)
class Look:
    """Colours of the charts on one background; women and men are safe for colour blindness, shades run from young to old."""

    background: str
    ink: str
    muted: str
    grid: str
    hue: dict[str, str]
    shades: dict[str, list[str]]
    ramp: list[str]


LIGHT = Look(
    background="#ffffff",
    ink="#1c2b2a",
    muted="#556765",
    grid="#e6eceb",
    hue={"F": "#0f766e", "M": "#a85d06"},
    shades={
        "F": ["#8ccfc7", "#4fb0a6", "#23897f", "#0f665f", "#063f3a"],
        "M": ["#f2c583", "#e3a044", "#c47a14", "#8f5408", "#553003"],
    },
    ramp=["#eef6f5", "#b9dfda", "#6fbbb2", "#2c8f86", "#0c5d56"],
)
DARK = Look(
    background="#0f1716",
    ink="#f1f5f4",
    muted="#a3b3b1",
    grid="#24302f",
    hue={"F": "#56cabc", "M": "#eaab4f"},
    shades={
        "F": ["#1f7a71", "#3aa598", "#56cabc", "#95e0d6", "#d3f5f0"],
        "M": ["#8a5a1c", "#bd822f", "#eaab4f", "#f4cb8f", "#fbe8cd"],
    },
    ramp=["#142524", "#1c4744", "#26736c", "#3ea79c", "#8fe0d5"],
)


def finish(
    chart: alt.Chart | alt.LayerChart, look: Look, decimal: str = ".", height: int = HEIGHT
) -> dict[str, object]:
    """Return a chart as Vega-Lite, in its look, with this decimal sign.

    Not validated: that takes half of a rerun. The tests validate every chart.
    """
    return chart.properties(height=height).to_dict(validate=False) | {"config": theme(look, decimal)}


def theme(look: Look, decimal: str) -> dict[str, object]:
    """Return the one theme of all charts as Vega-Lite's config: muted grid, generous type."""
    axis = {
        "domain": False,
        "ticks": False,
        "gridColor": look.grid,
        "labelColor": look.muted,
        "labelFontSize": 13,
        "labelPadding": 8,
        "titleColor": look.muted,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "titlePadding": 12,
    }
    legend = {"labelColor": look.muted, "labelFontSize": 13, "orient": "bottom", "title": None, "symbolStrokeWidth": 3}
    thousands = "," if decimal == "." else "."
    return {
        "font": FONT,
        "background": look.background,
        "view": {"stroke": None},
        "axis": axis,
        "axisX": {"grid": False},
        "axisY": {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "start", "titleX": 0, "titleY": -14},
        "legend": legend,
        "locale": {"number": {"decimal": decimal, "thousands": thousands, "grouping": [3], "currency": ["", ""]}},
    }


def centile_curves(
    curves: pd.DataFrame,
    sex: str,
    x_title: str,
    y_title: str,
    at: float | None,
    value: float | None,
    look: Look,
    has_limits: bool = False,
    persons: str = "n",
) -> alt.LayerChart:
    """Return centile curves, labelled at their right ends, and the person on them.

    Parameters
    ----------
    curves : DataFrame
        x (age in years or BMI in kg/m2), centile (3, 5, 10, 25, 50, 75, 90, 95, 97), value, ci_low, ci_high, n (persons near).
    sex : str
        F or M: the hue.
    x_title, y_title : str
        Axis titles with units.
    at, value : float or None
        The person's x and value; outside the curves nobody is drawn.
    look : Look
        LIGHT or DARK.
    has_limits : bool
        Whether the 95 % limits of P10, P50 and P90 are drawn.
    persons : str
        Name of n in the tooltip.
    """
    x = alt.X(
        "x:Q",
        title=x_title,
        scale=alt.Scale(nice=False, zero=False),
        axis=alt.Axis(tickCount=8, tickMinStep=1, format="d"),
    )
    y = alt.Y("value:Q", title=y_title, scale=alt.Scale(zero=False))
    hue = look.hue[sex]
    lines = _unbroken(curves)
    lines = lines.assign(width=lines["centile"].map(WIDTH), strength=lines["centile"].map(STRENGTH))
    wide = lines.pivot(index="x", columns="centile", values="value")
    layers = []
    if {10, 90} <= set(wide.columns):
        limits = wide[[10, 90]].set_axis(["low", "high"], axis="columns").reset_index()
        layers.append(
            alt.Chart(limits).mark_area(color=hue, opacity=0.1).encode(x, _y("low", y_title), alt.Y2("high:Q"))
        )
    if has_limits:
        around = lines[lines["centile"].isin([10, 50, 90])]
        layers.append(
            alt.Chart(around)
            .mark_area(color=hue, opacity=0.3)
            .encode(x, _y("ci_low", y_title), alt.Y2("ci_high:Q"), detail="centile:N")
        )
    layers.append(
        alt.Chart(lines)
        .mark_line(color=hue)
        .encode(
            x,
            y,
            detail="centile:N",
            strokeWidth=alt.StrokeWidth("width:Q", scale=None),
            opacity=alt.Opacity("strength:Q", scale=None),
        )
    )
    layers += _end_labels(curves, hue, x, y)
    layers.append(_reading(curves, x, x_title, persons))
    if at is not None and wide.index.min() <= at <= wide.index.max():
        line, *point = _person(at, value, x, y, look)
        layers = [line, *layers, *point]
    return alt.layer(*layers)


def _person(at: float, value: float | None, x: alt.X, y: alt.Y, look: Look) -> list[alt.Chart]:
    """Return a line at the person's x, and a point where there is a value."""
    person = alt.Chart(pd.DataFrame({"x": [at], "value": [value]}))
    line = person.mark_rule(color=look.muted, strokeDash=[2, 4]).encode(x)
    if value is None:
        return [line]
    texts = [alt.Tooltip("x:Q", title=x["title"], format=".1f"), alt.Tooltip("value:Q", title=y["title"])]
    point = person.mark_circle(size=280, color=look.ink, opacity=1, stroke=look.background, strokeWidth=3)
    return [line, point.encode(x, y, tooltip=texts)]


def banded_percentiles(
    bands: pd.DataFrame, x_title: str, y_title: str, sexes: dict[str, str], look: Look
) -> alt.LayerChart:
    """Return P10, P25, P50, P75 and P90 of each band and sex as a box: the study's Figures 5 and 6.

    Parameters
    ----------
    bands : DataFrame
        band (in the order of display), sex (F or M), n, p10, p25, p50, p75, p90; missing where suppressed.
    x_title, y_title : str
        Axis titles.
    sexes : dict
        Name of each sex, written above its first box.
    look : Look
        LIGHT or DARK.
    """
    order = list(dict.fromkeys(bands["band"]))
    known = bands.dropna(subset=["p50"])
    x = alt.X(
        "band:N",
        title=x_title,
        axis=alt.Axis(labelAngle=0, labelOverlap=False),
        scale=alt.Scale(domain=order, paddingInner=0.3, paddingOuter=0.15),
    )
    offset = alt.XOffset("sex:N", scale=alt.Scale(domain=list(look.hue), paddingInner=0.25))
    hue = alt.Color("sex:N", scale=alt.Scale(domain=list(look.hue), range=list(look.hue.values())), legend=None)
    tooltip = [
        alt.Tooltip("band:N", title=x_title),
        *(
            alt.Tooltip(f"{column}:Q", title=column.upper(), format=".3~g")
            for column in ("p10", "p25", "p50", "p75", "p90")
        ),
        alt.Tooltip("n:Q", format=",d"),
    ]

    def y(column: str) -> alt.Y:
        return alt.Y(column, type="quantitative", title=y_title, scale=alt.Scale(zero=False, padding=24))

    box = alt.Chart(known).mark_bar(opacity=0.25).encode(x, y("p25"), alt.Y2("p75"), offset, hue, tooltip=tooltip)
    median = alt.Chart(known).mark_tick(thickness=3, opacity=1).encode(x, y("p50"), offset, hue)
    whiskers = [
        alt.Chart(known.dropna(subset=[end])).mark_rule(strokeWidth=1.5).encode(x, y(start), alt.Y2(end), offset, hue)
        for start, end in (("p25", "p10"), ("p75", "p90"))
    ]
    first = known.drop_duplicates("sex")
    first = first.assign(name=first["sex"].map(sexes), top=first[["p75", "p90"]].max(axis=1))
    names = (
        alt.Chart(first).mark_text(dy=-10, fontSize=14, fontWeight=600).encode(x, y("top"), offset, hue, text="name:N")
    )
    return alt.layer(box, *whiskers, median, names)


def heat_map(cells: pd.DataFrame, x_title: str, y_title: str, color_title: str, look: Look) -> alt.LayerChart:
    """Return the median of each age band and BMI class as colour, with the number of persons.

    Parameters
    ----------
    cells : DataFrame
        age, bmi (each in the order of display), median (missing where suppressed), value (text of the median), count (text).
    x_title, y_title, color_title : str
        Titles of the axes and of the colour.
    look : Look
        LIGHT or DARK.
    """
    ages, classes = (list(dict.fromkeys(cells[name])) for name in ("age", "bmi"))
    known = cells["median"].dropna()
    turn = known.min() + 0.65 * (known.max() - known.min())
    x = alt.X("age:N", title=x_title, sort=ages, axis=alt.Axis(labelAngle=0))
    y = alt.Y("bmi:N", title=y_title, sort=classes[::-1])
    color = alt.Color("median:Q", title=color_title, scale=alt.Scale(range=look.ramp, zero=False), legend=None)
    tooltip = [
        alt.Tooltip(f"{name}:N", title=title)
        for name, title in (("age", x_title), ("bmi", y_title), ("value", color_title), ("count", "n"))
    ]
    base = alt.Chart(cells).encode(x, y, tooltip=tooltip)
    empty = base.mark_rect(color=look.grid, opacity=0.6, stroke=look.background, strokeWidth=3)
    tiles = (
        base.transform_filter("isValid(datum.median)").mark_rect(stroke=look.background, strokeWidth=3).encode(color)
    )
    dark_text, light_text = ("#10201e", "#ffffff") if look is LIGHT else ("#ffffff", "#08110f")
    ink = alt.condition(f"datum.median > {turn}", alt.value(light_text), alt.value(dark_text))
    value = base.mark_text(fontSize=15, fontWeight=600, dy=-8).encode(text="value:N", color=ink)
    count = base.mark_text(fontSize=12, dy=11).encode(text="count:N", color=ink)
    return alt.layer(empty, tiles, value, count)


def fine_map(grid: pd.DataFrame, field: str, titles: dict[str, str], look: Look) -> alt.Chart:
    """Return one number over every year of age and kg/m2 of BMI inside the support of the norms, as colour.

    Parameters
    ----------
    grid : DataFrame
        age_years, bmi_kg_m2 (integers), median, n (persons near).
    field : str
        Column shown as colour: median or n.
    titles : dict
        Title of each column.
    look : Look
        LIGHT or DARK.
    """
    cells = grid.assign(age_end=grid["age_years"] + 1, bmi_end=grid["bmi_kg_m2"] + 1)
    legend = alt.Legend(gradientLength=220, gradientThickness=10, title=None, format=",.3~g")
    return (
        alt.Chart(cells)
        .mark_rect()
        .encode(
            alt.X("age_years:Q", title=titles["age_years"], scale=alt.Scale(zero=False, nice=False)),
            alt.X2("age_end"),
            alt.Y("bmi_kg_m2:Q", title=titles["bmi_kg_m2"], scale=alt.Scale(zero=False, nice=False)),
            alt.Y2("bmi_end"),
            alt.Color(f"{field}:Q", scale=alt.Scale(range=look.ramp, zero=False), legend=legend),
            tooltip=[alt.Tooltip(f"{column}:Q", title=title, format=",.4~g") for column, title in titles.items()],
        )
    )


def spatial_distribution(
    shares: pd.DataFrame, maxima: pd.DataFrame, sex: str, x_title: str, y_title: str, look: Look
) -> alt.LayerChart:
    """Return the share of the muscle's area along its length, one line per group, and where its largest area lies: Figure 7.

    Parameters
    ----------
    shares : DataFrame
        position_pct (0 = cranial ... 100 = caudal), group (in the order of display), share_pct (of each percent of length).
    maxima : DataFrame
        group, level_pct: mean level of the largest area; its share_pct is read off the line.
    sex : str
        F or M: the hue; groups are its shades.
    x_title, y_title : str
        Axis titles.
    look : Look
        LIGHT or DARK.
    """
    groups = list(dict.fromkeys(shares["group"]))
    shades = look.shades[sex]
    shades = [shades[1], shades[-1]] if len(groups) == 2 else shades
    scale = alt.Scale(domain=groups, range=shades[: len(groups)])
    color = alt.Color("group:N", sort=groups, scale=scale, legend=alt.Legend(columns=3))
    x = alt.X("position_pct:Q", title=x_title, scale=alt.Scale(domain=[0, 100]))
    y = alt.Y("share_pct:Q", title=y_title)
    lines = alt.Chart(shares).mark_line(strokeWidth=2.2, interpolate="monotone").encode(x, y, color)
    marked = alt.Chart(_on_lines(shares, maxima)).encode(
        x,
        y,
        color,
        tooltip=[alt.Tooltip("group:N", title=" "), alt.Tooltip("position_pct:Q", title=x_title, format=".1f")],
    )
    points = marked.mark_point(size=90, filled=True, opacity=1, stroke=look.background, strokeWidth=1.5)
    return alt.layer(lines, points)


def score_intervals(
    scores: pd.DataFrame, x_title: str, look: Look, cases: pd.DataFrame | None = None
) -> alt.LayerChart:
    """Return mean and SD of a score by label, one row per group, and the cases where they may be seen: Figure 3.

    Parameters
    ----------
    scores : DataFrame
        label (in the order of display), group (in the order of display), mean, low, high (mean -+ SD, cut to the metric's range), n.
    x_title : str
        Axis title.
    look : Look
        LIGHT or DARK.
    cases : DataFrame or None
        label, group, value; None where only aggregates are open.
    """
    labels, groups = (list(dict.fromkeys(scores[name])) for name in ("label", "group"))
    colors = [look.hue["F"], look.hue["M"], look.muted, look.ink]
    axis = alt.Axis(tickCount=6, grid=True)
    x = alt.X("mean:Q", title=x_title, scale=alt.Scale(zero=False, padding=20), axis=axis)
    y = alt.Y("label:N", title=None, sort=labels, scale=alt.Scale(paddingInner=0.35))
    offset = alt.YOffset("group:N", sort=groups)
    color = alt.Color(
        "group:N",
        sort=groups,
        scale=alt.Scale(domain=groups, range=(colors * len(groups))[: len(groups)]),
        legend=alt.Legend(columns=1),
    )
    base = alt.Chart(scores).encode(y, offset, color)
    spread = base.mark_rule(strokeWidth=2.5).encode(
        alt.X("low:Q", title=x_title, scale=alt.Scale(zero=False), axis=axis), alt.X2("high:Q")
    )
    mean = base.mark_point(filled=True, size=110, opacity=1).encode(
        x, tooltip=[alt.Tooltip("group:N", title=" "), alt.Tooltip("mean:Q", format=".3f"), alt.Tooltip("n:Q")]
    )
    if cases is None:
        return alt.layer(spread, mean)
    ticks = (
        alt.Chart(cases)
        .mark_tick(thickness=1.5, opacity=0.55)
        .encode(alt.X("value:Q", title=x_title), y, offset, color)
    )
    return alt.layer(ticks, spread, mean)


def agreement(
    summary: pd.DataFrame, pairs: pd.DataFrame | None, x_title: str, y_title: str, look: Look
) -> alt.LayerChart:
    """Return Bland-Altman: bias and limits of agreement with their intervals, and the pairs where they may be seen.

    Parameters
    ----------
    summary : DataFrame
        Three rows: name, value, low, high (the interval).
    pairs : DataFrame or None
        mean, difference; None where only aggregates are open.
    x_title, y_title : str
        Axis titles.
    look : Look
        LIGHT or DARK.
    """
    y = alt.Y("value:Q", title=y_title, scale=alt.Scale(zero=False, padding=16))
    base = alt.Chart(summary)
    bands = base.mark_rect(color=look.hue["F"], opacity=0.16).encode(_y("low", y_title), alt.Y2("high:Q"))
    lines = base.mark_rule(color=look.hue["F"], strokeWidth=2).encode(y)
    zero = alt.Chart(pd.DataFrame({"value": [0.0]})).mark_rule(color=look.muted, strokeDash=[3, 4]).encode(y)
    names = base.mark_text(align="right", dx=-6, dy=-9, color=look.muted, fontSize=13).encode(
        y, x=alt.value("width"), text="name:N"
    )
    layers = [bands, zero, lines, names]
    if pairs is not None:
        layers.append(
            alt.Chart(pairs)
            .mark_circle(size=60, color=look.ink, opacity=0.7)
            .encode(
                alt.X("mean:Q", title=x_title, scale=alt.Scale(zero=False, padding=16), axis=alt.Axis(tickCount=8)),
                alt.Y("difference:Q", title=y_title),
            )
        )
    return alt.layer(*layers)


def exclusion_rates(rates: pd.DataFrame, x_title: str, look: Look) -> alt.LayerChart:
    """Return the share of excluded persons by category as bars.

    Parameters
    ----------
    rates : DataFrame
        category (in the order of display), pct, text (share and count).
    x_title : str
        Axis title.
    look : Look
        LIGHT or DARK.
    """
    order = list(dict.fromkeys(rates["category"]))
    x = alt.X("pct:Q", title=x_title, scale=alt.Scale(domainMin=0, padding=40))
    base = alt.Chart(rates).encode(x, alt.Y("category:N", title=None, sort=order))
    bars = base.mark_bar(color=look.hue["F"], height={"band": 0.6})
    return alt.layer(bars, base.mark_text(align="left", dx=6, color=look.muted, fontSize=13).encode(text="text:N"))


def area_profile(slices: pd.DataFrame, x_title: str, y_title: str, look: Look) -> alt.Chart:
    """Return a person's cross-sectional area along each muscle.

    Parameters
    ----------
    slices : DataFrame
        position_pct, csa_cm2, label (in the order of display).
    x_title, y_title : str
        Axis titles.
    look : Look
        LIGHT or DARK.
    """
    labels = list(dict.fromkeys(slices["label"]))
    colors = [look.shades["F"][1], look.shades["F"][3], look.shades["M"][1], look.shades["M"][3]]
    return (
        alt.Chart(slices)
        .mark_line(strokeWidth=2.2)
        .encode(
            alt.X("position_pct:Q", title=x_title, scale=alt.Scale(domain=[0, 100])),
            alt.Y("csa_cm2:Q", title=y_title),
            alt.Color(
                "label:N",
                sort=labels,
                scale=alt.Scale(domain=labels, range=colors[: len(labels)]),
                legend=alt.Legend(columns=2),
            ),
        )
    )


def visits_on_curves(curves: alt.LayerChart, visits: pd.DataFrame, look: Look) -> alt.LayerChart:
    """Return centile curves with a person's values over visits.

    Parameters
    ----------
    curves : LayerChart
        Of `centile_curves`, against age.
    visits : DataFrame
        x (age in years), value, visit.
    look : Look
        LIGHT or DARK.
    """
    base = alt.Chart(visits).encode(x="x:Q", y="value:Q")
    points = base.mark_circle(size=240, color=look.ink, opacity=1, stroke=look.background, strokeWidth=3).encode(
        tooltip=["visit:N", alt.Tooltip("x:Q", format=".1f"), alt.Tooltip("value:Q", format=".3~g")]
    )
    return alt.layer(curves, base.mark_line(color=look.ink, strokeWidth=1.5), points)


def _y(column: str, title: str) -> alt.Y:
    return alt.Y(f"{column}:Q", title=title, scale=alt.Scale(zero=False))


def _unbroken(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at every integer x; missing ones are empty, so that no line bridges a gap of the support."""
    whole = pd.MultiIndex.from_product(
        [range(int(curves["x"].min()), int(curves["x"].max()) + 1), sorted(curves["centile"].unique())],
        names=["x", "centile"],
    )
    return curves.set_index(["x", "centile"]).reindex(whole).reset_index()


def _end_labels(curves: pd.DataFrame, hue: str, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Return the names of the curves beside their right ends, the median's strongest."""
    ends = curves.sort_values("x").groupby("centile", as_index=False).last()
    gap = LABEL_GAP * (curves["value"].max() - curves["value"].min())
    ends = ends.assign(name="P" + ends["centile"].astype(str), value=_spread(ends["value"], gap))
    mark = {"align": "left", "dx": 8, "color": hue, "fontSize": 13}
    median = ends["centile"] == 50
    return [
        alt.Chart(ends[~median]).mark_text(**mark).encode(x, y, text="name:N"),
        alt.Chart(ends[median]).mark_text(**mark, fontWeight=700).encode(x, y, text="name:N"),
    ]


def _reading(curves: pd.DataFrame, x: alt.X, x_title: str, persons: str) -> alt.Chart:
    """Return invisible rules whose tooltip reads all centiles and the number of persons at an x."""
    wide = curves.pivot(index="x", columns="centile", values="value")
    names = [f"P{centile}" for centile in wide.columns]
    table = wide.set_axis(names, axis="columns").reset_index().merge(curves[["x", "n"]].drop_duplicates("x"), on="x")
    tooltip = [alt.Tooltip("x:Q", title=x_title)]
    tooltip += [alt.Tooltip(f"{name}:Q", format=".3~g") for name in reversed(names)]
    tooltip.append(alt.Tooltip("n:Q", title=persons, format=",.0f"))
    return alt.Chart(table).mark_rule(opacity=0, strokeWidth=14).encode(x, tooltip=tooltip)


def _spread(values: pd.Series, gap: float) -> pd.Series:
    """Return ascending positions moved away from the middle one until all are at least `gap` apart."""
    positions = values.copy()
    middle = len(positions) // 2
    for i in range(middle + 1, len(positions)):
        positions.iloc[i] = max(positions.iloc[i], positions.iloc[i - 1] + gap)
    for i in range(middle - 1, -1, -1):
        positions.iloc[i] = min(positions.iloc[i], positions.iloc[i + 1] - gap)
    return positions


def _on_lines(shares: pd.DataFrame, maxima: pd.DataFrame) -> pd.DataFrame:
    """Return the levels of the maxima as points on the lines of their groups."""
    points = []
    for row in maxima.dropna(subset=["level_pct"]).itertuples():
        line = shares[shares["group"] == row.group].sort_values("position_pct")
        if not line.empty:
            nearest = (line["position_pct"] - row.level_pct).abs().idxmin()
            points.append((row.group, row.level_pct, line.loc[nearest, "share_pct"]))
    return pd.DataFrame(points, columns=["group", "position_pct", "share_pct"])
