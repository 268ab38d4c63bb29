"""Page: where along its length a muscle has its area: the study's Figure 7.

Belongs here: mean profiles by age band, BMI group or sex, and the level of the maximum.
Does not belong here: profiles of persons (participant.py), statistics.
"""

import pandas as pd
import streamlit as st

from dashboard import charts, links, parts, snapshot, wording
from dashboard.language import say

SIDES = ("left", "right")
BINS_TOGETHER = 5
GROUPS = {"age": ("age", "age_band"), "bmi": ("bmi_group", "bmi_group")}

SHARES = f"""
SELECT
    sex, {BINS_TOGETHER} * (bin // {BINS_TOGETHER}) + {BINS_TOGETHER / 2} AS position_pct, band AS "group",
    avg(mean_share_pct) AS share_pct, avg(sd_share_pct) AS sd_pct, min(n) AS n
FROM stats.profile
JOIN ref.band ON (kind = 'age' AND bmi_group IS NULL AND age_band = band)
    OR (kind = 'bmi_group' AND age_band IS NULL AND bmi_group = band)
WHERE kind = $kind AND compartment = $compartment AND side = $side AND sex IS NOT NULL AND mean_share_pct IS NOT NULL
GROUP BY sex, bin // {BINS_TOGETHER}, band, position
ORDER BY sex, position, position_pct
"""
MAXIMA = """
SELECT sex, band AS "group", n, mean_level_pct AS level_pct, sd_level_pct, mean_level_mm, sd_level_mm, suppression
FROM stats.profile_maximum
JOIN ref.band ON (kind = 'age' AND bmi_group IS NULL AND age_band = band)
    OR (kind = 'bmi_group' AND age_band IS NULL AND bmi_group = band)
WHERE kind = $kind AND compartment = $compartment AND side = $side AND sex IS NOT NULL
ORDER BY sex, position
"""


def main() -> None:
    """Show the page."""
    st.title(say("page.distribution"), anchor=False)
    st.markdown(say("distribution.what"))
    compartments = snapshot.query("SELECT DISTINCT compartment FROM stats.profile ORDER BY compartment DESC")
    if compartments.empty:
        parts.show_nothing(say("distribution.none"))
        return
    with st.container(horizontal=True, gap="large"):
        compartment = links.choose(
            say("field.muscle"), compartments["compartment"].tolist(), "muscle", lambda code: say(f"compartment.{code}")
        )
        side = links.choose(say("field.side"), SIDES, "side", lambda code: say(f"side.{code}"))
        by = links.choose(say("distribution.lines"), list(GROUPS), "lines", lambda code: say(f"distribution.by_{code}"))
    asked = {"kind": GROUPS[by][0], "compartment": compartment, "side": side}
    shares, maxima = snapshot.query(SHARES, asked), snapshot.query(MAXIMA, asked)
    muscle = f"{say(f'compartment.{compartment}')}, {say(f'side.{side}')}"
    for column, sex in zip(st.columns(2, gap="large"), wording.SEXES, strict=True):
        with column:
            show_sex(of(shares, sex), of(maxima, sex), sex, muscle, by)
    show_levels(maxima, by)


def of(rows: pd.DataFrame, sex: str) -> pd.DataFrame:
    """Return the rows of a sex, groups as shown to people."""
    rows = rows[rows["sex"] == sex]
    return rows.assign(group=rows["group"].map(wording.band))


def show_sex(shares: pd.DataFrame, maxima: pd.DataFrame, sex: str, muscle: str, by: str) -> None:
    """Show the lines of one sex."""
    parts.heading(wording.sex(sex))
    if shares.empty:
        parts.show_nothing(say("cell.all_suppressed"))
        return
    chart = charts.spatial_distribution(
        shares, maxima, sex, say("distribution.position"), say("distribution.share"), parts.look()
    )
    description = say("distribution.description", muscle=muscle, sex=wording.sex(sex), by=say(f"distribution.by_{by}"))
    parts.show_chart(chart, description, shares, f"distribution {sex}")


def show_levels(maxima: pd.DataFrame, by: str) -> None:
    """Show at which level the largest area lies."""
    parts.heading(say("distribution.level"), say("distribution.level_note"))
    title = say(f"population.{by}_title")
    texts = pd.DataFrame(
        {
            "row": maxima["group"].map(wording.band),
            "sex": maxima["sex"],
            say("column.persons"): [wording.count(row.n, row.suppression) for row in maxima.itertuples()],
            say("distribution.level_pct"): [
                mean_and_sd(row.level_pct, row.sd_level_pct, 1) for row in maxima.itertuples()
            ],
            say("distribution.level_mm"): [
                mean_and_sd(row.mean_level_mm, row.sd_level_mm, 0) for row in maxima.itertuples()
            ],
        }
    )
    wide = texts.set_index(["row", "sex"]).unstack(sort=False).swaplevel(axis="columns").rename_axis(title)
    names = {code: wording.sex(code) for code in wording.SEXES if code in wide}
    wide = wide[list(names)].rename(columns=names).rename_axis(columns=[None, None])
    parts.show_table(wide, maxima, "level of the maximum", say("distribution.level"))


def mean_and_sd(mean: float, sd: float, places: int) -> str:
    """Return for example `62.1 ± 6.3`."""
    return wording.ABSENT if pd.isna(mean) else f"{wording.number(mean, places)} ± {wording.number(sd, places)}"


main()
