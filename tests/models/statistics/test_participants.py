"""Cohort tables: dialects, missing codes, refusals, and that no record vanishes without an issue."""

import io
import time

import numpy as np
import pandas as pd
import pytest

from models.statistics import dialects
from models.statistics import participants as tables

COLUMNS = ["participant_id", "visit", "sex", "age_years", "height_cm", "weight_kg", "bmi_kg_m2", "centre"]
OLDER = "ID;basis_age;basis_sex;basis_uort;anthro_groe;anthro_gew\n"
NEWER = "ID;basis_age;basis_sex;basis_uort;a_anthro_groe;a_anthro_gew;a_anthro_bmi\n"
CODE_BOOK = """Variablenname;Label;Ausprägung-Wert;Ausprägung-Label
basis_sex;Geschlecht;1;männlich
basis_sex;Geschlecht;2;weiblich
basis_sex;Geschlecht;8;keine Angabe (Missing)
basis_uort;Studienort;13;Münster
basis_uort;Studienort;14;Düsseldorf
basis_uort;Studienort;98;Nicht erhoben
basis_age;Alter;;
a_anthro_groe;Größe;999;nicht beurteilbar
a_anthro_groe;Größe;888,8;anything
"""
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
    lines = "P1,30,X,45,170,68,A\nP2,30,m,121,99,24.9,A\nP3,30,F,forty,inf,68,A\nP4,30,F,40,100,350,A\n"
    table = tables.read_participants(write(tmp_path, HEADER + lines))
    assert table.rows["sex"].isna().tolist() == [True, False, False, False]
    assert table.rows.loc[1, ["age_years", "height_cm", "weight_kg"]].isna().all()
    assert table.rows.loc[3, ["height_cm", "weight_kg"]].tolist() == [100, 350]
    assert table.issues.value_counts("code").to_dict() == {"implausible_value": 4, "invalid_value": 2}
    assert "The age_years is not within 0 to 120 years." in set(table.issues["message"])


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
        (HEADER.replace(",centre", ",x,centre") + GOOD, "not a readable table"),
        (HEADER.replace(",centre", "") + GOOD, "lacks the required columns centre"),
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


def test_records_with_other_field_counts_are_listed_and_the_rest_goes_on(tmp_path):
    lines = "P0,30,F,45,170,68,Ber,lin\n" + GOOD + "P2,30,F\n"
    table = tables.read_participants(write(tmp_path, HEADER + lines))
    assert table.rows["participant_id"].tolist() == ["P1"]
    assert list(codes(table)) == [("1", "wrong_field_count"), ("3", "wrong_field_count")]
    assert table.issues["participant_id"].isna().all()


def test_measurements_come_as_parquet_and_with_decimal_commas(tmp_path):
    text = "participant_id;visit;measure;value;unit\nP1;30;grip_kg;41,5;kg\nP2;30;grip_kg;40.5;kg\n"
    table = tables.read_measurements(write(tmp_path, text))
    assert table.rows["value"].tolist() == [41.5]
    assert list(codes(table)) == [("2", "mixed_decimals")]
    table.rows.to_parquet(tmp_path / "measurements.parquet", index=False)
    again = tables.read_measurements(tmp_path / "measurements.parquet")
    pd.testing.assert_frame_equal(again.rows, table.rows)
    comma = "participant_id,visit,measure,value,unit\n"
    assert list(codes(tables.read_measurements(write(tmp_path, comma + 'P1,30,a,"1,234",kg\n')))) == [
        ("1", "invalid_value")
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


def test_nako_newer_dialect_with_its_code_book(tmp_path):
    (tmp_path / "x_Metadaten.csv").write_text(CODE_BOOK, encoding="latin-1")
    lines = "100001_30;52;2;13;165,5;70,2;25,63\n100001_60;57;2;14;165,2;71;26,0\n100002;33;8;98;999;80;27\n"
    lines += "100003;33;1;15;888,8;7776,0;7777\n"
    path = write(tmp_path, NEWER + lines)
    table = tables.read_participants(path, code_book=dialects.find_code_book(path))
    assert table.rows[["participant_id", "visit"]].to_numpy().tolist()[:2] == [["100001", "30"], ["100001", "60"]]
    assert table.rows["sex"].fillna("?").tolist() == ["F", "F", "?", "M"]
    assert table.rows["centre"].fillna("?").tolist() == ["Münster", "Düsseldorf", "?", "15"]
    assert table.rows["height_cm"].fillna(0).tolist() == [165.5, 165.2, 0, 0]
    assert table.issues.value_counts(["item", "code"]).to_dict() == {
        ("3", "missing_code"): 3,
        ("4", "missing_code"): 3,
    }


def test_the_code_book_goes_before_the_usual_coding_of_sex(tmp_path):
    book = tmp_path / "x_Metadaten.csv"
    book.write_text(
        "Variablenname;Label;Auspraegung-Wert;Auspraegung-Label\nbasis_sex;s;1;weiblich\nbasis_sex;s;2;divers\n"
    )
    table = tables.read_participants(write(tmp_path, OLDER + "1;50;1;A;170;70\n2;50;2;A;170;70\n"), code_book=book)
    assert table.rows["sex"].fillna("?").tolist() == ["F", "?"]
    assert list(codes(table)) == [("2", "implausible_value")]


@pytest.mark.parametrize("label", ["(Missing)", "nicht anwendbar", "trifft nicht zu", "not assessable", "Keine Angabe"])
def test_labels_that_say_missing(tmp_path, label):
    book = tmp_path / "x_Metadaten.csv"
    book.write_text(f"Variablenname;Label;Auspraegung-Wert;Auspraegung-Label\nbasis_uort;c;5;{label}\n")
    table = tables.read_participants(write(tmp_path, OLDER + "1;50;1;5;170;70\n2;50;1;50;170;70\n"), code_book=book)
    assert table.rows["centre"].fillna("?").tolist() == ["?", "50"]
    assert list(codes(table)) == [("1", "missing_code")]


@pytest.mark.parametrize("newer", [True, False])
def test_derived_names_go_before_the_plain_ones_and_a_visit_column_before_the_id(tmp_path, newer):
    prefix = "a_" if newer else "x_"
    header = f"ID;visit;{prefix}basis_age;basis_age;basis_sex;basis_uort;anthro_groe;anthro_gew\n"
    table = tables.read_participants(write(tmp_path, header + "1_60;60;41;40;1;A;180;80\n2_60;30;41;40;1;A;180;80\n"))
    assert table.rows[["participant_id", "visit"]].to_numpy().tolist() == [["1", "60"]]
    assert table.rows["age_years"].tolist() == [41 if newer else 40]
    assert list(codes(table)) == [("2", "invalid_participant_id")]


SEX_CODES = {
    "F": ["2", "2.0", "f", "F", "w", "W", "female", "weiblich", "Weiblich"],
    "M": ["1", "1.0", "m", "M", "male", "MALE", "maennlich", "männlich"],
    "?": ["3", "0", "x", "11", "mf", "-1"],
}


@pytest.mark.parametrize(("sex", "code"), [(sex, code) for sex, listed in SEX_CODES.items() for code in listed])
def test_codings_of_sex(tmp_path, sex, code):
    table = tables.read_participants(write(tmp_path, HEADER + f"P1,30,{code},45,170,68,A\n"))
    assert table.rows["sex"].fillna("?").tolist() == [sex]
    assert table.issues["code"].tolist() == ["implausible_value"] * (sex == "?")


@pytest.mark.parametrize(
    ("text", "age"), [("018Y", 18), ("18", 18), ("045Y", 45), ("18Y", None), ("018M", None), ("-1", None), ("1e2", 100)]
)
def test_ages(tmp_path, text, age):
    table = tables.read_participants(write(tmp_path, HEADER + f"P1,30,F,{text},170,68,A\n"))
    assert table.rows["age_years"].fillna(-9).tolist() == [-9 if age is None else age]
    assert len(table.issues) == (age is None)


def test_a_column_in_metres_or_grams_is_converted_with_one_remark(tmp_path):
    lines = "P1,30,F,45,1.15,68300,A\nP2,30,F,45,1.82,80000,A\nP3,30,F,45,182,80,A\nP4,30,F,45,7777,,A\n"
    table = tables.read_participants(write(tmp_path, HEADER + lines))
    assert table.rows["height_cm"].fillna(0).tolist() == [115, 182, 0, 0]
    assert table.rows["weight_kg"].fillna(0).tolist() == [68.3, 80, 0, 0]
    issues = table.issues.fillna({"item": "column", "participant_id": "-"})
    assert issues[["item", "code", "participant_id"]].to_numpy().tolist() == [
        ["column", "unit_converted", "-"],
        ["column", "unit_converted", "-"],
        ["3", "unit_differs", "P3"],
        ["3", "unit_differs", "P3"],
        ["4", "missing_code", "P4"],
    ]
    assert "The height_cm looks like cm, unlike the rest of its column: correct it." in set(issues["message"])


def test_one_value_in_another_unit_is_emptied(tmp_path):
    lines = GOOD + "P2,30,F,45,1.82,80000,A\nP3,30,F,45,180,80,A\nP4,30,F,45,,,A\n"
    table = tables.read_participants(write(tmp_path, HEADER + lines))
    assert table.rows["height_cm"].fillna(0).tolist() == [170, 0, 180, 0]
    assert table.rows["weight_kg"].fillna(0).tolist() == [68, 0, 80, 0]
    assert list(codes(table)) == [("2", "unit_differs")] * 2
    assert table.issues["message"].str.contains("metres|grams").all()


def test_a_delivered_bmi_is_compared_and_not_kept(tmp_path):
    header = HEADER.strip() + ",bmi_kg_m2\n"
    lines = "P1,30,F,45,200,100,A,25.49\nP2,30,F,45,200,100,A,25.51\nP3,30,F,45,200,,A,30\nP4,30,F,45,200,100,A,7777\n"
    table = tables.read_participants(write(tmp_path, header + lines))
    assert table.rows["bmi_kg_m2"].fillna(0).tolist() == [25, 25, 0, 25]
    assert list(codes(table)) == [("2", "bmi_differs"), ("4", "missing_code")]


def test_mixed_decimals_are_emptied_where_commas_are_decimal(tmp_path):
    table = tables.read_participants(
        write(tmp_path, OLDER + "1;50;1;A;170,5;70.5\n2;50;1;A;171.5;70\n3;50;1;A;1.700,5;71\n")
    )
    assert table.rows["height_cm"].fillna(0).tolist() == [170.5, 0, 0]
    assert table.rows["weight_kg"].tolist() == [70.5, 70, 71]
    assert list(codes(table)) == [("2", "mixed_decimals"), ("3", "mixed_decimals")]


def test_columns_are_mapped_and_optional_ones_pass_through(tmp_path):
    text = "PSN,Sex,alter,cm,kg,Ort,MRT,J,visit,exam_years\nP1,w,40,170,70,Essen,Köln,3.5,60,9\nP2,w,40,170,70,X,Y,7775,60,9\n"
    mapping = {"participant_id": "PSN", "sex": "Sex", "age_years": "alter", "height_cm": "cm", "weight_kg": "kg"}
    mapping |= {"centre": "Ort", "mri_centre": "MRT", "exam_years": "J"}
    table = tables.read_participants(write(tmp_path, text), mapping)
    assert list(table.rows) == [*COLUMNS, "mri_centre", "exam_years"]
    assert table.rows.iloc[0][["participant_id", "sex", "mri_centre", "exam_years"]].tolist() == [
        "P1",
        "F",
        "Köln",
        3.5,
    ]
    assert list(codes(table)) == [("2", "missing_code")]
    book = tmp_path / "x_Metadaten.csv"
    book.write_text("Variablenname;Auspraegung-Wert;Auspraegung-Label\nMRT;Y;Ypern\nkg;70;refused\n")
    decoded = tables.read_participants(write(tmp_path, text), mapping, book).rows
    assert decoded["mri_centre"].tolist() == ["Köln", "Ypern"]
    assert decoded["weight_kg"].isna().all()
    with pytest.raises(tables.UnreadableTable, match="lacks the required columns height_cm"):
        tables.read_participants(write(tmp_path, text), mapping | {"height_cm": "absent"})


@pytest.mark.parametrize("code", ["7775", "7776", "7777", "7777,0"])
def test_missing_codes_in_every_column_of_a_decimal_comma_table(tmp_path, code):
    header = NEWER.strip() + ";exam_years;mri_centre\n"
    table = tables.read_participants(write(tmp_path, header + ";".join(["1", *[code] * 8]) + "\n"))
    assert table.rows.drop(columns=["participant_id", "visit"]).isna().all(axis=None)
    assert table.issues["code"].tolist() == ["missing_code"] * 8


def test_every_sentence_is_whole_and_no_cell_is_repeated(tmp_path):
    cell = "zzqx"
    lines = f"P1,30,{cell},{cell},{cell},{cell},{cell}\n{cell}/,30,F,4,170,70,A\nP3,{cell}/,F,4,170,70,A\n{cell}\n"
    table = tables.read_participants(write(tmp_path, HEADER + lines))
    assert len(table.issues) == 7
    assert not table.issues["message"].str.contains(cell).any()
    assert table.issues["message"].str.fullmatch(r"The [^{}]*\.").all()


def known_cohort(seed, n=400):
    """A clean cohort with one decimal, a sprinkling of nulls, both visits."""
    rng = np.random.default_rng(seed)
    height, weight = rng.uniform(145, 205, n).round(1), rng.uniform(45, 160, n).round(1)
    cohort = pd.DataFrame(
        {
            "participant_id": (100_000 + rng.permutation(n)).astype(str),
            "visit": rng.choice(["30", "60"], n),
            "sex": rng.choice(["F", "M"], n),
            "age_years": rng.uniform(19, 75, n).round(1),
            "height_cm": height,
            "weight_kg": weight,
            "bmi_kg_m2": weight / (height / 100) ** 2,
            "centre": rng.choice(["Münster", "Düsseldorf", "Halle (Saale)", "Berlin-Süd"], n),
        }
    )
    for column in ("sex", "age_years", "weight_kg", "centre"):
        cohort.loc[rng.random(n) < 0.05, column] = None
    return cohort.assign(bmi_kg_m2=cohort["bmi_kg_m2"].where(cohort["weight_kg"].notna()))


def as_nako(cohort, prefix):
    ids = cohort["participant_id"] + "_" + cohort["visit"]
    columns = {"ID": ids, "basis_age": cohort["age_years"], "basis_sex": cohort["sex"].map({"M": "1", "F": "2"})}
    measured = {"groe": cohort["height_cm"], "gew": cohort["weight_kg"], "bmi": cohort["bmi_kg_m2"].round(2)}
    columns |= {"basis_uort": cohort["centre"]} | {
        f"{prefix}anthro_{name}": column for name, column in measured.items()
    }
    return pd.DataFrame(columns)


def as_text(frame, separator, decimal):
    buffer = io.StringIO()
    frame.to_csv(buffer, sep=separator, decimal=decimal, index=False)
    return buffer.getvalue()


@pytest.mark.parametrize("seed", range(5))
def test_a_known_cohort_reads_back_from_every_dialect(tmp_path, seed):
    cohort = known_cohort(seed)
    texts = {
        "plain.csv": as_text(cohort, ",", ".").encode("utf-8-sig"),
        "older.csv": as_text(as_nako(cohort, ""), ";", ".").encode("latin-1"),
        "newer.csv": as_text(as_nako(cohort, "a_"), ";", ",").encode(),
        "marked.csv": as_text(as_nako(cohort, "a_"), ";", ",").encode("utf-8-sig"),
    }
    for name, content in texts.items():
        (tmp_path / name).write_bytes(content)
    cohort.to_parquet(tmp_path / "plain.parquet", index=False)
    as_nako(cohort, "a_").to_parquet(tmp_path / "nako.parquet", index=False)
    in_metres = cohort.assign(height_cm=cohort["height_cm"] / 100, weight_kg=cohort["weight_kg"] * 1000)
    in_metres.to_parquet(tmp_path / "metres.parquet", index=False)
    for path in sorted(tmp_path.iterdir()):
        table = tables.read_participants(path)
        pd.testing.assert_frame_equal(table.rows, cohort, check_dtype=False, rtol=1e-12)
        assert set(table.issues["code"]) <= ({"unit_converted"} if path.stem == "metres" else set()), path.name


@pytest.mark.parametrize("seed", range(3))
def test_no_record_vanishes_without_an_issue(tmp_path, seed):
    rng = np.random.default_rng(seed)
    lines = as_text(known_cohort(seed), ",", ".").splitlines()
    body = "\n".join(lines[1:]).replace(",", "\x1f")
    junk = np.array(list("\x1f,;_7-/ aä\x00"))
    characters = np.array(list(body))
    hit = (rng.random(len(characters)) < 0.01) & (characters != "\n")
    characters[hit] = rng.choice(junk, hit.sum())
    text = "".join(characters).replace(",", " ").replace("\x1f", ",")
    table = tables.read_participants(write(tmp_path, lines[0] + "\n" + text + "\n"))
    dropping = table.issues["code"].isin(
        ["wrong_field_count", "invalid_participant_id", "invalid_visit", "duplicate_row"]
    )
    assert len(table.rows) + dropping.sum() == len(lines) - 1
    assert table.issues.loc[dropping, "item"].is_unique
    assert table.rows["height_cm"].dropna().between(100, 230).all()


def test_a_full_size_nako_table_is_read_in_seconds(tmp_path):
    n, columns = 30_000, 279
    cohort = as_nako(known_cohort(1, n), "a_")
    header, *body = as_text(cohort, ";", ",").splitlines()
    n_rest = columns - cohort.shape[1]
    rest = "".join(f";d{number}" for number in range(n_rest))
    lines = [header + rest, *(line + n_rest * ";7777" for line in body)]
    path = write(tmp_path, "\n".join(lines), "latin-1")
    began = time.perf_counter()
    table = tables.read_participants(path)
    assert time.perf_counter() - began < 6
    assert len(table.rows) == n
    assert table.issues.empty
