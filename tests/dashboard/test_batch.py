"""Several people at once: tables of strangers, read in a child process, and nothing kept."""

import math
from pathlib import Path

import pytest
from scipy import special, stats
from streamlit.testing.v1 import AppTest

from dashboard import batch, confined, read_people, snapshot

HEADER = "id,sex,age_years,bmi_kg_m2,height_cm,weight_kg,value\n"


@pytest.mark.parametrize(
    "content",
    [
        b"sex,age_years,bmi_kg_m2,value\nF,54,27,22.5\n",
        "Sex;Age;BMI;Value\r\nw;54;27;22,5\r\n".encode("utf-8-sig"),
        "Geschlecht\tAlter\tBMI\tWert\nweiblich\t54\t27,0\t22,5".encode("latin-1"),
    ],
)
def test_dialects(content: bytes) -> None:
    """Comma, semicolon and tab, decimal point and comma, English and German."""
    (person,) = batch.read(content).to_dict("records")
    assert (person["sex"], person["age_years"], person["bmi_kg_m2"], person["value"]) == ("F", 54, 27, 22.5)


def test_bmi_from_height_and_weight() -> None:
    """81 kg at 180 cm are 25 kg/m2; a delivered BMI goes first."""
    people = batch.read((HEADER + "A,F,54,,180,81,22.5\nB,F,54,26,180,81,22.5\n").encode())
    assert people["bmi_kg_m2"].tolist() == pytest.approx([25, 26])


@pytest.mark.parametrize(
    ("row", "issue"),
    [
        (",X,54,27,,,22.5", "sex"),
        (",F,,27,,,22.5", "age_years"),
        (",F,54,27,,,", "value"),
        (",F,54,27,,,-1", "value"),
        (",F,54,27,,,nan", "value"),
        (",F,54,27,,,=1+1", "value"),
    ],
)
def test_a_row_that_cannot_be_used_says_why_and_the_rest_goes_on(row: str, issue: str) -> None:
    """One bad cell does not lose the table."""
    people = batch.read(f"{HEADER}{row}\nB,M,38,27,,,39\n".encode())
    assert people["issue"].fillna("").tolist() == [issue, ""]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (HEADER.encode(), "empty"),
        (b"name,value\nx,1\n", "columns"),
        (b"PK\x03\x04\x00\x00", "not_text"),
        (HEADER.encode() + b",F,54,27,,,22\n" * (read_people.MOST_ROWS + 1), "too_many"),
        (b'sex,age_years,value\n"' + b"x" * 200_000 + b"\n", "not_text"),
    ],
)
def test_a_table_that_cannot_be_read_has_a_code(content: bytes, code: str) -> None:
    """Whatever was sent."""
    with pytest.raises(batch.Unreadable, match=code):
        batch.read(content)


def test_ids_cannot_be_formulas_of_a_spreadsheet() -> None:
    """The file comes back to whoever opens it in one."""
    (person,) = batch.read((HEADER + "=cmd|' /C calc'!A0,F,54,27,,,22.5\n").encode()).to_dict("records")
    assert person["id"] == "cmd|' /C calc'!A0"


def test_percentiles_of_a_table(home: Path) -> None:
    """Against scipy; outside the range the reason says so."""
    snapshot.open_newest()
    people = batch.read(
        (HEADER + "A,F,54,27,,,22.5\nB,M,38.5,,180,81,30\nC,F,54,45,,,22.5\nD,F,80,27,,,22.5\n").encode()
    )
    rows = batch.score(people.assign(measure="csa_psoas_total_cm2"))
    median, s = 15 * math.exp(0.004 * 38.5 + 0.5), 0.1385
    expected = 100 * stats.norm.cdf(special.boxcox(30 / median, 0.3) / s)
    assert rows["percentile_by_age_and_bmi"][1] == pytest.approx(expected, abs=1e-4)
    assert rows["percentile_by_age_and_bmi_low"][0] < rows["percentile_by_age_and_bmi"][0]
    assert rows["percentile_by_age"].notna().tolist() == [True, True, True, False]
    assert rows["percentile_by_age_and_bmi"].notna().tolist() == [True, True, False, False]
    assert rows["issue"].fillna("").tolist() == ["", "", "", "outside"]


def test_the_page_takes_a_pasted_table(home: Path, app: AppTest) -> None:
    """And shows it with percentiles; it is neither in the URL nor in a cache."""
    app.query_params["people"] = "several"
    app.run()
    app.text_area(key="pasted").set_value(HEADER + "A,F,54,27,,,22.5\n,F,54,27,,,\n").run()
    assert not app.exception
    assert any("**1 people with a percentile**, 1 without." in element.value for element in app.markdown)
    assert dict(app.query_params) == {"people": "several"}
    app.text_area(key="pasted").set_value("nonsense").run()
    assert "no columns" in app.error[0].value


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time; time.sleep(30)", "time"),
        ("x = b'x' * (1 << 30)", "memory"),
        ("f = open('/tmp/leak', 'w'); f.write('x'); f.flush()", "memory"),
    ],
)
def test_a_child_is_confined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str) -> None:
    """It ends in time, within its memory, and writes no file."""
    (tmp_path / "child.py").write_text(code)
    monkeypatch.setattr(confined, "HERE", tmp_path)
    with pytest.raises(confined.Exceeded, match=reason):
        confined.run("child.py", b"", 1, 300)
