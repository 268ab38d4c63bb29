"""Charts: DataFrames in, Altair charts out, and the one theme they share.

Belongs here: marks, scales, colours, text alternatives.
Does not belong here: queries, choices of what to show, numbers as text.
"""

import altair as alt
import pandas as pd

from dashboard.wording import SEX

INK, MUTED, GRID = "#1c2b2a", "#5d6f6d", "#e9eeed"
HUE = {"F": "#0f766e", "M": "#b8690b"}
SHADES = {
    "F": ["#8ccfc7", "#4fb0a6", "#23897f", "#0f665f", "#063f3a"],
    "M": ["#f2c583", "#e3a044", "#c47a14", "#8f5408", "#553003"],
}
HEIGHT = 380
LINE = {50: (2.8, 1.0), 25: (1.3, 0.75), 10: (1.3, 0.75), 5: (1.0, 0.4), 3: (1.0, 0.4)}
LABEL_GAP = 0.055


@alt.theme.register("myonorm", enable=True)
def theme() -> alt.theme.ThemeConfig:
    """Return the look of all charts: white, a muted grid, generous type."""
    axis = {
        "domain": False,
        "ticks": False,
        "gridColor": GRID,
        "labelColor": MUTED,
        "labelFontSize": 13,
        "labelPadding": 8,
        "titleColor": MUTED,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "titlePadding": 12,
    }
    return {
        "config": {
            "font": '"Source Sans", "Source Sans 3", sans-serif',
            "background": "white",
            "view": {"stroke": None},
            "axis": axis,
            "axisX": {"grid": False},
            "axisY": {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "start", "titleX": 0, "titleY": -14},
            "legend": {
                "labelColor": MUTED,
                "labelFontSize": 13,
                "orient": "top-left",
                "title": None,
                "symbolStrokeWidth": 3,
            },
        }
    }


def centile_curves(
    curves: pd.DataFrame, sex: str, x_title: str, y_title: str, at: float, value: float | None, description: str
) -> alt.LayerChart:
    """Return centile curves, labelled at their right ends, and the person on them.

    Parameters
    ----------
    curves : DataFrame
        x (age in years or BMI in kg/m2), centile (3, 5, 10, 25, 50, 75, 90, 95, 97), value.
    sex : str
        F or M: the hue.
    x_title, y_title : str
        Axis titles with units.
    at : float
        The person's x; outside the curves nobody is drawn.
    value : float or None
        The person's value.
    description : str
        Text alternative.
    """
    x = alt.X(
        "x:Q",
        title=x_title,
        scale=alt.Scale(nice=False, zero=False),
        axis=alt.Axis(tickCount=8, tickMinStep=1, format="d"),
    )
    y = alt.Y("y:Q", title=y_title, scale=alt.Scale(zero=False))
    wide = _unbroken(curves.pivot(index="x", columns="centile", values="value"))
    limits = wide[[10, 90]].set_axis(["low", "high"], axis="columns").reset_index()
    band = (
        alt.Chart(limits)
        .mark_area(color=HUE[sex], opacity=0.1)
        .encode(x, alt.Y("low:Q", title=y_title), alt.Y2("high:Q"))
    )
    lines = [
        alt.Chart(wide[centile].rename("y").reset_index())
        .mark_line(color=HUE[sex], strokeWidth=width, opacity=opacity)
        .encode(x, y)
        for centile in wide.columns
        for width, opacity in [LINE[min(centile, 100 - centile)]]
    ]
    person = alt.Chart(pd.DataFrame({"x": [at], "y": [value]}))
    guide = person.mark_rule(color=MUTED, strokeDash=[2, 4]).encode(x)
    layers = [band, *lines, *_end_labels(curves, sex, x, y)]
    is_inside = wide.index.min() <= at <= wide.index.max()
    if is_inside:
        layers.append(guide)
    if is_inside and value is not None:
        layers.append(person.mark_circle(size=240, color=INK, opacity=1, stroke="white", strokeWidth=2.5).encode(x, y))
    return alt.layer(*layers).properties(height=HEIGHT, description=description)


def banded_percentiles(bands: pd.DataFrame, x_title: str, y_title: str, description: str) -> alt.LayerChart:
    """Return P10, P25, P50, P75 and P90 of each band and sex as a box: the study's Figures 5 and 6.

    Parameters
    ----------
    bands : DataFrame
        band (in the order of display), sex (F or M), p10, p25, p50, p75, p90; missing where suppressed.
    x_title, y_title, description : str
        Axis titles, text alternative.
    """
    order = list(dict.fromkeys(bands["band"]))
    known = bands.dropna(subset=["p50"])
    x = alt.X(
        "band:N",
        title=x_title,
        axis=alt.Axis(labelAngle=0),
        scale=alt.Scale(domain=order, paddingInner=0.3, paddingOuter=0.15),
    )
    offset = alt.XOffset("sex:N", scale=alt.Scale(domain=list(HUE), paddingInner=0.25))
    hue = alt.Color("sex:N", scale=alt.Scale(domain=list(HUE), range=list(HUE.values())), legend=None)

    def y(column: str) -> alt.Y:
        return alt.Y(column, type="quantitative", title=y_title, scale=alt.Scale(zero=False, padding=24))

    box = alt.Chart(known).mark_bar(opacity=0.22).encode(x, y("p25"), alt.Y2("p75"), offset, hue)
    median = alt.Chart(known).mark_tick(thickness=3, opacity=1).encode(x, y("p50"), offset, hue)
    whiskers = [
        alt.Chart(known.dropna(subset=[end])).mark_rule(strokeWidth=1.5).encode(x, y(start), alt.Y2(end), offset, hue)
        for start, end in (("p25", "p10"), ("p75", "p90"))
    ]
    first = known.drop_duplicates("sex")
    first = first.assign(name=first["sex"].map(SEX), top=first[["p75", "p90"]].max(axis=1))
    names = (
        alt.Chart(first).mark_text(dy=-10, fontSize=14, fontWeight=600).encode(x, y("top"), offset, hue, text="name:N")
    )
    return alt.layer(box, *whiskers, median, names).properties(height=HEIGHT, description=description)


def spatial_distribution(shares: pd.DataFrame, sex: str, description: str) -> alt.Chart:
    """Return the share of the muscle's area along its length, one line per group: the study's Figure 7.

    Parameters
    ----------
    shares : DataFrame
        position_pct (0 = cranial ... 100 = caudal), group (in the order of display), share_pct (of each 5 % of length).
    sex : str
        F or M: the hue; groups are its shades.
    description : str
        Text alternative.
    """
    groups = list(dict.fromkeys(shares["group"]))
    shades = SHADES[sex][:: len(SHADES[sex]) - 1] if len(groups) == 2 else SHADES[sex]
    return (
        alt.Chart(shares)
        .mark_line(strokeWidth=2, interpolate="monotone")
        .encode(
            alt.X(
                "position_pct:Q", title="Position from cranial (0) to caudal (100), %", scale=alt.Scale(domain=[0, 100])
            ),
            alt.Y("share_pct:Q", title="Share of the area per 5 % of length, %"),
            alt.Color("group:N", sort=groups, scale=alt.Scale(domain=groups, range=shades[: len(groups)])),
        )
        .properties(height=HEIGHT, description=description)
    )


def _unbroken(wide: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at every integer x; missing ones are empty, so that no line bridges a gap of the support."""
    return wide.reindex(pd.RangeIndex(wide.index.min(), wide.index.max() + 1, name="x"))


def _end_labels(curves: pd.DataFrame, sex: str, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Return the names of the curves beside their right ends, the median's strongest."""
    ends = curves.sort_values("x").groupby("centile", as_index=False).last()
    ends = ends.assign(
        name="P" + ends["centile"].astype(str), y=_spread(ends["value"], LABEL_GAP * _range(curves["value"]))
    )
    mark = {"align": "left", "dx": 8, "color": HUE[sex], "fontSize": 12}
    median = ends["centile"] == 50
    return [
        alt.Chart(ends[~median]).mark_text(**mark).encode(x, y, text="name:N"),
        alt.Chart(ends[median]).mark_text(**mark, fontWeight=700).encode(x, y, text="name:N"),
    ]


def _spread(values: pd.Series, gap: float) -> pd.Series:
    """Return ascending positions moved away from the middle one until all are at least `gap` apart."""
    positions = values.copy()
    middle = len(positions) // 2
    for i in range(middle + 1, len(positions)):
        positions.iloc[i] = max(positions.iloc[i], positions.iloc[i - 1] + gap)
    for i in range(middle - 1, -1, -1):
        positions.iloc[i] = min(positions.iloc[i], positions.iloc[i + 1] - gap)
    return positions


def _range(values: pd.Series) -> float:
    return values.max() - values.min()
