"""Several people at once: a pasted or uploaded table in, the same table with percentiles out. Nothing is kept.

Belongs here: the form, the call of the child process that reads the table (read_people.py), the percentiles in SQL.
Does not belong here: reading CSV, the formulas (they are functions of the published file).
"""

import json

import pandas as pd
import streamlit as st

from dashboard import confined, links, parts, snapshot, wording
from dashboard.language import say

SECONDS, MEMORY_MB = 10, 400
LARGEST_BYTES = 5 << 20
EXAMPLE = (
    "id,sex,age_years,bmi_kg_m2,height_cm,weight_kg,value\nA,F,54,27,,,22.5\nB,M,38,,181,84,39.8\nC,F,67,,164,62,19.4\n"
)
SHOWN_ROWS = 200

PERCENTILES = """
SELECT
    "row", id, measure, sex, age_years, bmi_kg_m2, value,
    percentile(measure, sex, age_years, NULL, value) AS percentile_by_age,
    percentile_limits(measure, sex, age_years, NULL, value) AS limits_by_age,
    CASE WHEN bmi_kg_m2 IS NOT NULL THEN percentile(measure, sex, age_years, bmi_kg_m2, value) END AS percentile_by_age_and_bmi,
    CASE WHEN bmi_kg_m2 IS NOT NULL THEN percentile_limits(measure, sex, age_years, bmi_kg_m2, value) END AS limits_by_age_and_bmi,
    issue::VARCHAR AS issue
FROM people
ORDER BY "row"
"""


class Unreadable(ValueError):
    """A table that was refused; the text is a code of messages batch.unreadable_*."""


def show(normed: pd.DataFrame, registry: pd.DataFrame) -> None:
    """Show the form and, once there is a table, the percentiles."""
    st.markdown(say("batch.what"))
    measures = [code for code in registry.index if code in set(normed["measure"])]
    measure = links.choose(
        say("field.measure"), measures, "measure", lambda code: wording.measure(registry, code), snapshot.FIRST_MEASURE, True,
        width=420,
    )  # fmt: skip
    left, right = st.columns(2, gap="large")
    with left:
        pasted = st.text_area(
            say("batch.paste"), placeholder=EXAMPLE, height=170, key="pasted", max_chars=LARGEST_BYTES
        )
    with right:
        uploaded = st.file_uploader(say("batch.upload"), type=["csv", "txt", "tsv"], key="uploaded")
        st.download_button(
            say("batch.template"), EXAMPLE, "people.csv", "text/csv", type="tertiary", icon=":material/download:",
            on_click="ignore",
        )  # fmt: skip
    st.caption(say("batch.columns", unit=registry.loc[measure, "unit"]))
    content = uploaded.getvalue() if uploaded else pasted.encode()
    if not content.strip():
        return
    try:
        people = read(content)
    except Unreadable as error:
        st.error(say(f"batch.unreadable_{error}"), icon=":material/error:")
        return
    show_result(score(people.assign(measure=people["measure"].fillna(measure))), registry)


def read(content: bytes) -> pd.DataFrame:
    """Return the people of a CSV, read in a child process.

    Raises
    ------
    Unreadable
        The table as a whole cannot be read.
    """
    if len(content) > LARGEST_BYTES:
        raise Unreadable("too_many")
    try:
        answer = json.loads(confined.run("read_people.py", content, SECONDS, MEMORY_MB))
    except confined.Exceeded as error:
        raise Unreadable("exceeded") from error
    if "unreadable" in answer:
        raise Unreadable(answer["unreadable"])
    people = pd.DataFrame(answer["people"])
    texts = {column: "str" for column in ("id", "measure", "sex", "issue")}
    return people.astype(texts | {column: "float64" for column in ("age_years", "bmi_kg_m2", "value")})


def score(people: pd.DataFrame) -> pd.DataFrame:
    """Return the people with their percentiles and limits in percent, and in `issue` why there is none, as a code."""
    rows = snapshot.compute(PERCENTILES, people=people)
    for given in ("by_age", "by_age_and_bmi"):
        limits = rows.pop(f"limits_{given}")
        for end in ("low", "high"):
            rows[f"percentile_{given}_{end}"] = [
                cell[f"ci_{end}"] if isinstance(cell, dict) else None for cell in limits
            ]
    is_outside = rows["percentile_by_age"].isna() & rows["issue"].isna()
    return rows.assign(issue=rows["issue"].mask(is_outside, "outside"))


def show_result(rows: pd.DataFrame, registry: pd.DataFrame) -> None:
    """Show the percentiles and offer them as a file."""
    n_without = int(rows["issue"].notna().sum())
    st.markdown(say("batch.done", n=wording.number(len(rows) - n_without, 0), without=wording.number(n_without, 0)))
    rows = rows.assign(reason=[say(f"batch.issue_{code}") if pd.notna(code) else "" for code in rows["issue"]])
    shown = rows.head(SHOWN_ROWS)
    texts = pd.DataFrame(
        {
            say("column.row"): shown["row"].astype(str) + shown["id"].map(lambda text: f"  {text}" if text else ""),
            say("field.sex"): [wording.sex(code) if pd.notna(code) else wording.ABSENT for code in shown["sex"]],
            say("field.age"): [wording.number(age, 0) for age in shown["age_years"]],
            "BMI": [wording.number(bmi, 1) for bmi in shown["bmi_kg_m2"]],
            say("field.value"): [wording.number(value, wording.decimals(value)) for value in shown["value"]],
            say("batch.by_age"): [text(row, "by_age") for row in shown.to_dict("records")],
            say("batch.by_age_and_bmi"): [text(row, "by_age_and_bmi") for row in shown.to_dict("records")],
            say("column.remark"): shown["reason"],
        }
    )
    parts.show_table(texts.set_index(say("column.row")), caption=say("people.several"))
    if len(rows) > len(shown):
        st.caption(say("batch.first_rows", n=SHOWN_ROWS))
    norms = snapshot.analysis_set()["analysis_set"]
    parts.offer(rows.drop(columns="issue").round(4).assign(norms=norms), "percentiles", say("batch.download"))


def text(row: dict[str, object], given: str) -> str:
    """Return a percentile with its limits."""
    percentile, low, high = (row[f"percentile_{given}{end}"] for end in ("", "_low", "_high"))
    if pd.isna(percentile):
        return wording.ABSENT
    limits = f" ({wording.rank(low)}–{wording.rank(high)})" if pd.notna(low) else ""
    return wording.rank(percentile) + limits
