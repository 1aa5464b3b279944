import pandas as pd
import pytest

from signals.refused import ImportRefused
from signals.tables import read_table, strings


def written(tmp_path, content, name="sales.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(tmp_path, delimiter):
    rows = [["Datum", "Menge"], ["01.02.2025", "1.5"], ["02.02.2025", "2"]]
    table = read_table(written(tmp_path, "\n".join(delimiter.join(row) for row in rows)))
    assert table.data.to_pylist() == [{"Datum": "01.02.2025", "Menge": "1.5"}, {"Datum": "02.02.2025", "Menge": "2"}]


def test_semicolons_win_over_decimal_commas(tmp_path):
    table = read_table(written(tmp_path, "Warengruppe;Datum;Menge\nA;01.02.2025;1,5\nB;02.02.2025;2,5\n"))
    assert table.columns == ["Warengruppe", "Datum", "Menge"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encoding_is_found(tmp_path, encoding):
    table = read_table(written(tmp_path, "Größe,Menge\nMädchen – groß,3\n".encode(encoding)))
    assert table.data.to_pylist() == [{"Größe": "Mädchen – groß", "Menge": "3"}]
    assert bool(table.notes) == (encoding == "cp1252")


def test_quoted_values_may_hold_delimiters_quotes_and_line_ends(tmp_path):
    table = read_table(written(tmp_path, 'category,units\n"Boots, ""warm""\nand dry",3\nHats,4\n'))
    assert table.data["category"].to_pylist() == ['Boots, "warm"\nand dry', "Hats"]
    assert table.line(1) == 4


def test_line_counts_blank_lines(tmp_path):
    table = read_table(written(tmp_path, "\na,b\n1,2\n\n\n3,4\n"))
    assert [table.line(row) for row in (0, 1)] == [3, 6]
    assert table.data.num_rows == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("category,date\n", "has a header but no rows"),
        ("a,a\n1,2\n", "two columns named 'a'"),
        ("2025-01-05,12\n2025-01-12,13\n", "holds values, not the names of the columns"),
        (b"PK\x03\x04rest", "is an Excel workbook"),
        (b"\x1f\x8brest", "is a gzip archive"),
        (b"PAR1rest", "begins like a Parquet file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, problem):
    with pytest.raises(ImportRefused, match=problem) as refusal:
        read_table(written(tmp_path, content))
    assert refusal.value.remedy


def test_ragged_row_is_named(tmp_path):
    with pytest.raises(ImportRefused, match="the row has 2 values, the header has 3 columns") as refusal:
        read_table(written(tmp_path, "a,b,c\n1,2,3\n\n4,5\n6,7,8\n9,9\n"))
    assert refusal.value.row == 4
    assert "1 more line" in str(refusal.value)


def test_unclosed_quote_is_named(tmp_path):
    with pytest.raises(ImportRefused, match="not valid CSV") as refusal:
        read_table(written(tmp_path, 'a,b\n1,2\n"3,4\n5,6\n'))
    assert refusal.value.row == 3


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ImportRefused, match="No such file"):
        read_table(tmp_path / "absent.csv")


def test_parquet_keeps_its_types(tmp_path):
    frame = pd.DataFrame({"category": ["A"], "date": [pd.Timestamp("2025-01-05")], "units": [3]})
    frame.to_parquet(tmp_path / "sales.parquet")
    table = read_table(tmp_path / "sales.parquet")
    assert table.data.to_pandas()["units"].dtype == "int64"
    assert not table.is_text("date")


def test_frame_with_dates_as_index():
    frame = pd.DataFrame({"units": [1, 2]}, index=pd.DatetimeIndex(["2025-01-05", "2025-01-12"], name="week"))
    assert read_table(frame).columns == ["week", "units"]


def test_codes_that_became_floats_are_whole_again():
    encoded = read_table(pd.DataFrame({"item": [1000.0, None, 1001.0]})).encoded("item")
    assert strings(encoded.values)[encoded.codes].tolist() == ["1000", "", "1001"]


def test_frame_without_rows_is_refused():
    with pytest.raises(ImportRefused, match="has no rows"):
        read_table(pd.DataFrame({"a": []}))
