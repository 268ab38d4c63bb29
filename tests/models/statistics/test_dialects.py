"""Delivered tables as text: separators, encodings, endings, column choice, records that do not fit, code books."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.statistics import dialects

TEXT = "id;Größe;x\n1;165,5;a\n2;;b\n"
CODE_BOOK = "Variablenname;Label;Ausprägung-Wert;Ausprägung-Label\n"


def write(tmp_path, content, name="table.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path, chosen):
    return dialects.read_columns(path, chosen)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_semicolon_tables_come_in_either_encoding(tmp_path, encoding, line_break):
    path = write(tmp_path, TEXT.replace("a\n", "Köln\n").replace("\n", line_break).encode(encoding))
    assert dialects.read_header(path) == ["id", "Größe", "x"]
    table = read(path, {"height_cm": "Größe", "centre": "x"})
    assert table.cells["height_cm"].fillna("?").tolist() == ["165,5", "?"]
    assert table.cells["centre"].tolist() == ["Köln", "b"]
    assert table.has_semicolons


def test_cells_are_stripped_and_nothing_is_null(tmp_path):
    table = read(write(tmp_path, "a , b\n 1 ,NA\n\u00a0, \nnan,<NA>\n"), {"a": "a", "b": "b"})
    assert table.cells["a"].fillna("?").tolist() == ["1", "?", "?"]
    assert table.cells["b"].isna().all()
    assert not table.has_semicolons


def test_misfits_are_numbered_among_the_records_and_blank_lines_do_not_count(tmp_path):
    table = read(write(tmp_path, "\n\na,b\n\n1,2\n3\n\n4,5\n6,7,8\n9,10\n"), {"b": "b"})
    assert table.misfits.tolist() == [2, 4]
    assert table.cells["b"].to_dict() == {1: "2", 3: "5", 5: "10"}


def test_misfits_of_a_large_table_are_numbered_right(tmp_path):
    lines = [f"{number},{'x' * 40}" for number in range(1, 60_001)]
    lines[50_000] = "50001"
    table = read(write(tmp_path, "\n".join(["a,b", *lines])), {"a": "a"})
    assert table.misfits.tolist() == [50_001]
    assert (table.cells["a"] == table.cells.index.astype(str)).all()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("a,b\n1\n2\n", "no record has as many fields"),
        ('a,b\n1,"x\n2,y\n3,z"\n', "several lines"),
        ('a,b,c\n1,"x,3\n4,"y,6\n', "several lines"),
        ("a,b\n1,Köln\n".encode("latin-1"), "UTF-8"),
        (b"\xef\xbb\xbfa;b\n1;\xe4\n", "UTF-8"),
        (b"a,b\n1," + b"x" * 3_000_000, "damaged"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, content, says):
    path = write(tmp_path, content)
    with pytest.raises(dialects.UnreadableTable, match=f"not a readable table: .*{says}"):
        read(path, {"a": dialects.read_header(path)[0]})


def test_parquet_cells_read_like_text(tmp_path):
    frame = pd.DataFrame(
        {
            "id": [100001, 100002, 100003],
            "visit": pd.array([30.0, None, 60.0]),
            "height": [1.745, float("nan"), 165.5],
            "weight": pd.array([70.2, 68.3, 7777], dtype="float32"),
            "sex": pd.Categorical(["m", None, " w "]),
            "unused": [[1], [2], [3]],
        }
    )
    frame.to_parquet(tmp_path / "table.PARQUET", index=False)
    cells = read(tmp_path / "table.PARQUET", {name: name for name in frame if name != "unused"}).cells
    assert cells.fillna("?").to_numpy().tolist() == [
        ["100001", "30", "1.745", "70.2", "m"],
        ["100002", "?", "?", "68.3", "?"],
        ["100003", "60", "165.5", "7777", "w"],
    ]
    assert cells.index.tolist() == [1, 2, 3]
    with pytest.raises(dialects.UnreadableTable, match="neither numbers nor text"):
        read(tmp_path / "table.PARQUET", {"id": "unused"})


def test_a_cut_parquet_file_is_refused(tmp_path):
    pd.DataFrame({"a": range(1000)}).to_parquet(tmp_path / "whole.parquet")
    path = write(tmp_path, (tmp_path / "whole.parquet").read_bytes()[:-100], "cut.parquet")
    with pytest.raises(dialects.UnreadableTable, match="complete Parquet file"):
        dialects.read_header(path)


def test_text_in_parquet_that_is_no_text_is_refused(tmp_path):
    column = pa.StringArray.from_buffers(1, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xc3("))
    pq.write_table(pa.table({"a": column}), tmp_path / "table.parquet")
    with pytest.raises(dialects.UnreadableTable, match="damaged"):
        read(tmp_path / "table.parquet", {"a": "a"})


def test_columns_are_chosen_by_mapping_then_by_order_of_names():
    accepted = {"a": ("a", "a_old"), "b": ("b",)}
    assert dialects.choose_columns(["a_old", "b"], accepted, {}) == {"a": "a_old", "b": "b"}
    assert dialects.choose_columns(["a_old", "a", "b"], accepted, {})["a"] == "a"
    assert dialects.choose_columns(["a", "b", "z"], accepted, {"a": "z"})["a"] == "z"
    assert dialects.choose_columns(["a", "x", "x"], accepted, {}, ["b"]) == {"a": "a"}


@pytest.mark.parametrize(
    ("header", "mapping", "says"),
    [
        (["b"], {}, r"lacks the required columns a \(or a_old\)"),
        (["a", "b"], {"a": "z"}, "lacks the required columns a"),
        (["a"], {"b": "z"}, "lacks the required columns b"),
        (["a", "b"], {"c": "a"}, "names c: only a, b can be mapped"),
        (["a", "a", "b"], {}, "more than one column for a"),
    ],
)
def test_a_choice_that_fails_says_why(header, mapping, says):
    with pytest.raises(dialects.UnreadableTable, match=says):
        dialects.choose_columns(header, {"a": ("a", "a_old"), "b": ("b",)}, mapping, ["b"])


def test_code_book(tmp_path):
    text = CODE_BOOK + "basis_sex;Geschlecht;1,0;männlich\n;;2;weiblich\nbasis_age;Alter;;\nanthro_groe;Höhe;7777;\n"
    expected = {"basis_sex": {"1": "männlich", "2": "weiblich"}, "anthro_groe": {"7777": ""}}
    for encoding in ("latin-1", "utf-8", "utf-8-sig"):
        assert dialects.read_code_book(write(tmp_path, text.encode(encoding))) == expected
    plain = text.replace("Ausprägung", "Auspraegung").replace("männlich", "maennlich")
    assert dialects.read_code_book(write(tmp_path, plain))["basis_sex"]["1"] == "maennlich"


@pytest.mark.parametrize("text", ["Variablenname;Label\na;b\n", CODE_BOOK + "a;b;1;c\na;b;2\n"])
def test_a_damaged_code_book_is_refused(tmp_path, text):
    with pytest.raises(dialects.UnreadableTable, match="The code book"):
        dialects.read_code_book(write(tmp_path, text))


def test_the_one_code_book_beside_a_table_is_found(tmp_path):
    table = write(tmp_path, TEXT)
    assert dialects.find_code_book(table) is None
    book = write(tmp_path, CODE_BOOK, "NAKO_Metadaten.csv")
    assert dialects.find_code_book(table) == book
    write(tmp_path, CODE_BOOK, "old_metadaten.csv")
    with pytest.raises(dialects.UnreadableTable, match="Several code books"):
        dialects.find_code_book(table)
