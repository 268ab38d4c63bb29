"""Cohort tables: dialects, missing codes, refusals, and that no record vanishes without an issue."""

import time

import numpy as np
import pandas as pd
import pytest

from models.statistics import participants as tables

HEADER = "participant_id,visit,sex,age_years,height_cm,weight_kg,centre\n"
GOOD = "P1,30,F,45.5,170,68,Berlin\n"


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding=encoding)
    return path


def codes(table):
    return table.issues[["item", "code"]].itertuples(index=False, name=None)


def test_plain_row_gets_its_bmi(tmp_path):
    table = tables.read_participants(write(tmp_path, HEADER + GOOD))
    row = table.rows.iloc[0]
    assert list(table.rows) == [
        *("participant_id", "visit", "sex", "age_years", "height_cm", "weight_kg", "bmi_kg_m2", "centre")
    ]
    assert (row["participant_id"], row["visit"], row["sex"], row["centre"]) == ("P1", "30", "F", "Berlin")
    assert row["bmi_kg_m2"] == pytest.approx(68 / 1.7**2)
    assert table.issues.empty
    assert list(table.issues) == ["item", "code", "message", "participant_id"]


def test_byte_order_mark_and_extra_columns_are_taken(tmp_path):
    text = "\ufeff" + HEADER.strip() + ",mri_centre\n" + GOOD.strip() + ",x\n"
    assert len(tables.read_participants(write(tmp_path, text)).rows) == 1


@pytest.mark.parametrize("code", ["7775", "7776", "7777", "7777.0"])
def test_missing_codes_never_become_numbers(tmp_path, code):
    table = tables.read_participants(write(tmp_path, HEADER + f"P1,30,M,{code},{code},{code},Berlin\n"))
    assert table.rows[["age_years", "height_cm", "weight_kg", "bmi_kg_m2"]].isna().all(axis=None)
    assert table.issues["code"].tolist() == ["missing_code"] * 3
    assert table.issues["participant_id"].tolist() == ["P1"] * 3


def test_implausible_and_invalid_values_are_emptied_and_listed(tmp_path):
    lines = "P1,30,X,45,170,68,A\nP2,30,m,121,1.82,24.9,A\nP3,30,F,forty,inf,68,A\nP4,30,F,40,100,350,A\n"
    table = tables.read_participants(write(tmp_path, HEADER + lines))
    assert table.rows["sex"].isna().tolist() == [True, False, False, False]
    assert table.rows.loc[1, ["age_years", "height_cm", "weight_kg"]].isna().all()
    assert table.rows.loc[3, ["height_cm", "weight_kg"]].tolist() == [100, 350]
    assert table.issues.value_counts("code").to_dict() == {"implausible_value": 4, "invalid_value": 2}
    assert "age_years" in table.issues["message"].str.cat(sep=" ")


def test_bad_identifiers_are_dropped_and_not_repeated(tmp_path):
    lines = "../etc,30,F,45,170,68,A\n,30,F,45,170,68,A\nP1,v 1,F,45,170,68,A\n-x,30,F,45,170,68,A\n" + GOOD
    table = tables.read_participants(write(tmp_path, HEADER + lines))
    assert table.rows["participant_id"].tolist() == ["P1"]
    assert list(codes(table)) == [
        ("1", "invalid_participant_id"),
        ("2", "invalid_participant_id"),
        ("3", "invalid_visit"),
        ("4", "invalid_participant_id"),
    ]
    assert not table.issues["message"].str.contains("etc|-x", regex=True).any()
    assert table.issues["participant_id"].isna().tolist() == [True, True, False, True]


def test_the_first_of_two_equal_keys_wins(tmp_path):
    lines = GOOD + "P1,30,M,20,180,80,B\nP1,60,F,50,170,70,Berlin\n"
    table = tables.read_participants(write(tmp_path, HEADER + lines))
    assert table.rows[["visit", "sex"]].values.tolist() == [["30", "F"], ["60", "F"]]
    assert list(codes(table)) == [("2", "duplicate_row")]


def test_nako_dialect(tmp_path):
    text = "ID;d1;basis_age;basis_sex;basis_uort;anthro_groe;anthro_gew\n100001_30;x;52;2;Münster;165.5;70.2\n"
    text += "100002;y;33;1;Berlin;7777;88\n100003;y;33;7775;Berlin;180;88\n100004;y;33;3;Berlin;180;88\n"
    table = tables.read_participants(write(tmp_path, text, "latin-1"))
    assert table.rows["participant_id"].tolist() == ["100001", "100002", "100003", "100004"]
    assert set(table.rows["visit"]) == {"30"}
    assert table.rows["sex"].fillna("?").tolist() == ["F", "M", "?", "?"]
    assert table.rows.loc[0, "centre"] == "Münster"
    assert table.rows["height_cm"].isna().tolist() == [False, True, False, False]
    assert list(codes(table)) == [("2", "missing_code"), ("3", "missing_code"), ("4", "implausible_value")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a readable table"),
        (HEADER.replace(",height_cm", "") + GOOD.replace("170,", ""), "lacks the required columns height_cm"),
        ("ID;basis_age;basis_sex\n1;2;3\n", "anthro_groe"),
        (HEADER + GOOD + "P2,30,F,45,170,68,Berlin,too,many\n", "not a readable table"),
        (HEADER.replace(",centre", "") + GOOD, "not a readable table"),
        (HEADER + '"P2,30\n', "not a readable table"),
    ],
)
def test_unreadable_tables_say_why(tmp_path, text, says):
    with pytest.raises(tables.UnreadableTable, match=says):
        tables.read_participants(write(tmp_path, text))


def test_a_table_without_records_is_empty(tmp_path):
    table = tables.read_participants(write(tmp_path, HEADER))
    assert table.rows.empty
    assert table.issues.empty


def test_measurements_keep_finite_numbers_only(tmp_path):
    text = "participant_id,visit,measure,value,unit\nP1,30,grip_kg,41.5,kg\nP1,30,grip_kg,42,kg\nP1,30,a,inf,kg\n"
    text += "P1,30,b,x,kg\nP1,30,c,,kg\nP1,30,d,7777,kg\nP1,30,Bad-Name,1,kg\nP1,30,e,-1e-3,kg\n"
    table = tables.read_measurements(write(tmp_path, text))
    assert table.rows[["measure", "value"]].values.tolist() == [["grip_kg", 41.5], ["e", -0.001]]
    assert list(codes(table)) == [
        ("2", "duplicate_row"),
        ("3", "invalid_value"),
        ("4", "invalid_value"),
        ("5", "invalid_value"),
        ("6", "missing_code"),
        ("7", "invalid_measure"),
    ]


def test_measures_and_withdrawals(tmp_path):
    measures = tables.read_measures(
        write(tmp_path, "measure,label,unit\ngrip_kg,Grip,kg\n1x,Bad,kg\ngrip_kg,Again,kg\n")
    )
    assert measures.rows["measure"].tolist() == ["grip_kg"]
    assert list(codes(measures)) == [("2", "invalid_measure"), ("3", "duplicate_row")]
    withdrawals = tables.read_withdrawals(write(tmp_path, "participant_id\nP1\n../x\n"))
    assert withdrawals.rows["participant_id"].tolist() == ["P1"]
    assert list(codes(withdrawals)) == [("2", "invalid_participant_id")]


def test_full_size_measurements_are_read_quickly(tmp_path):
    n = 111_000
    rows = pd.DataFrame(
        {"participant_id": np.arange(n).astype(str), "visit": "30", "measure": "a", "value": 1.5, "unit": "L"}
    )
    rows.loc[::2, "value"] = np.nan
    rows.to_csv(tmp_path / "table.csv", index=False)
    began = time.perf_counter()
    table = tables.read_measurements(tmp_path / "table.csv")
    assert time.perf_counter() - began < 4
    assert len(table.rows) == len(table.issues) == n / 2
