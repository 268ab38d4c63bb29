"""CDC's BMI-for-age table in the same functions as our own norms."""

import numpy as np
import pandas as pd
import pytest

from models.statistics import box_cox, norm_table, reference

NAMED = (3, 5, 10, 25, 50, 75, 85, 90, 95, 97)


@pytest.fixture(scope="module")
def cdc(real_data):
    path = real_data / "tables" / "cdc_bmiagerev_LMS_with_centiles.csv"
    return reference.read_cdc_table(path), pd.read_csv(path).apply(pd.to_numeric, errors="coerce").dropna()


@pytest.mark.parametrize(("sex", "code"), [("M", 1), ("F", 2)])
def test_every_centile_is_reproduced(cdc, sex, code):
    tables, published = cdc
    rows = published[published["Sex"] == code]
    age = rows["Agemos"] / 12
    assert len(rows) > 200
    for percent in NAMED:
        assert np.abs(box_cox.value_of(tables[sex], age, None, percent) - rows[f"P{percent}"]).max() < 1e-6
        found = box_cox.percentile_of(tables[sex], age, None, rows[f"P{percent}"])
        assert np.abs(found - percent).max() < 1e-4


def test_outside_the_table_there_is_no_answer(cdc):
    tables, _ = cdc
    assert np.isnan(box_cox.percentile_of(tables["F"], [1.5, 25], None, [16, 22])).all()
    inside = box_cox.percentile_of(tables["F"], [10.0, 10.02, 10.04], None, 17)
    assert inside[0] > inside[1] > inside[2]


def test_our_norms_can_be_compared_with_foreign_ones(cdc):
    tables, _ = cdc
    age = np.arange(2, 21)
    frames = {
        sex: pd.DataFrame(dict(zip("lms", tables[sex].lms(age), strict=True))).assign(
            age_years=age, bmi_kg_m2=np.nan, measure="bmi"
        )
        for sex in "FM"
    }
    same = norm_table.compare(frames["F"], frames["F"], ["measure"])
    assert same["largest_shift_points"].abs().max() < 1e-9
    other = norm_table.compare(frames["F"], frames["M"], ["measure"])
    assert other["n_cells"].iloc[0] > 10 and abs(other["largest_shift_points"].iloc[0]) > 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Sex,Agemos,L,M\n1,24,-2,16", "lacks the column S"),
        ("Sex,Agemos,L,M,S\n1,24,-2,x,0.1", "no number"),
        ("Sex,Agemos,L,M,S\n1,24,-2,-16,0.1", "not positive"),
        ("Sex,Agemos,L,M,S\n3,24,-2,16,0.1", "sex other"),
    ],
)
def test_other_tables_are_refused_with_a_sentence(tmp_path, text, says):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(reference.UnusableTable, match=says):
        reference.read_cdc_table(tmp_path / "table.csv")
