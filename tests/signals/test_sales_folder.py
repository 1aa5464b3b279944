"""Several files as one table: which are taken, in what order, and how messages name them."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from signals.refused import ImportRefused
from signals.sales_folder import NotSettled, list_folder
from signals.sales_import import prepare_sales

NOW = datetime(2026, 11, 23, 9)


def write(folder: Path, name: str, rows: str, header: str = "group,week,units", age: float = 60.0) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{header}\n{rows}\n")
    os.utime(path, (time.time() - age,) * 2)
    return path


def weeks(first: str, count: int, units: int = 10) -> str:
    return "\n".join(f"Boots,{day:%Y-%m-%d},{units}" for day in pd.date_range(first, periods=count, freq="W-SUN"))


def listed(folder: Path, pattern: str = "*.csv", **more: object):
    options = {"settle": timedelta(seconds=10), "max_megabytes": 10} | more
    return list_folder(folder, pattern, folder / "home", **options)


def sales(folder: Path, **options: object) -> pd.DataFrame:
    return prepare_sales(listed(folder).read(), now=NOW, **options).batch.sales


def test_files_are_one_table_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "week10.csv", weeks("2026-10-04", 3, units=3))
    write(tmp_path, "week9.csv", weeks("2026-09-06", 4, units=2))
    assert list(listed(tmp_path).marks) == ["week9.csv", "week10.csv"]
    assert sales(tmp_path)["quantity"].tolist() == [2, 2, 2, 2, 3, 3, 3]


def test_a_later_file_corrects_an_earlier_one(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", weeks("2026-09-06", 4, units=2))
    write(tmp_path, "b.csv", weeks("2026-09-20", 4, units=5))
    prepared = prepare_sales(listed(tmp_path).read(), now=NOW)
    assert prepared.batch.sales["quantity"].tolist() == [2, 2, 5, 5, 5, 5]
    assert "2 rows corrected by a later file (first: 'Boots' on 2026-09-20)." in prepared.notes


def test_receipts_of_a_day_are_added_up_within_a_file_and_replaced_by_a_later_one(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", weeks("2026-09-06", 7) + "\n" + weeks("2026-09-06", 7))
    write(tmp_path, "b.csv", weeks("2026-10-18", 1, units=1) + "\n" + weeks("2026-10-18", 1, units=2))
    assert sales(tmp_path, duplicates="sum")["quantity"].tolist() == [20] * 6 + [3]


def test_versions_with_their_own_known_at_are_all_kept(tmp_path: Path) -> None:
    header = "group,week,units,known_at"
    write(tmp_path, "a.csv", "Boots,2026-09-06,1,2026-09-07\nBoots,2026-09-13,2,2026-09-14", header)
    write(tmp_path, "b.csv", "Boots,2026-09-06,9,2026-09-21\nBoots,2026-09-20,3,2026-09-21", header)
    found = sales(tmp_path, frequency="W-SUN")
    assert found["quantity"].tolist() == [1, 9, 2, 3]


def test_two_rows_in_one_file_are_refused_with_its_name(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", weeks("2026-09-06", 7))
    write(tmp_path, "b.csv", weeks("2026-11-01", 1) + "\n" + weeks("2026-11-01", 1))
    with pytest.raises(ImportRefused, match=r"^b\.csv, line 3, column 'week': category 'Boots' has a second row"):
        sales(tmp_path)


def test_a_wrong_value_names_file_and_line(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", weeks("2026-09-06", 4))
    write(tmp_path, "b.csv", "Boots,2026-10-04,3\nBoots,2026-10-11,many")
    with pytest.raises(ImportRefused, match=r"^b\.csv, line 3, column 'units': .*many") as refused:
        sales(tmp_path)
    assert (refused.value.row, refused.value.column) == (3, "units")


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", weeks("2026-09-06", 4))
    write(tmp_path, "b.csv", "Boots,2026-10-04,3,4")
    with pytest.raises(ImportRefused, match=r"^b\.csv, line 2: the row has 4 values"):
        sales(tmp_path)


def test_columns_must_agree_but_not_in_order(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", weeks("2026-09-06", 4))
    write(tmp_path, "b.csv", "3,Boots,2026-10-04", header="units,group,week")
    assert len(sales(tmp_path)) == 5
    write(tmp_path, "c.csv", "3,Boots,2026-10-11", header="sold,group,week")
    with pytest.raises(ImportRefused, match=r"c\.csv has other columns than a\.csv: it lacks units and has sold"):
        sales(tmp_path)


def test_parquet_and_folders_below_are_taken(tmp_path: Path) -> None:
    days = pd.date_range("2026-09-06", periods=6, freq="W-SUN")
    for number, part in enumerate((days[:3], days[3:])):
        path = write(tmp_path, f"y{number}/part.parquet", "")
        pd.DataFrame({"group": "Boots", "week": part, "units": float(number)}).to_parquet(path)
        os.utime(path, (time.time() - 60,) * 2)
    table = listed(tmp_path, "**/*.parquet").read()
    assert prepare_sales(table, now=NOW).batch.sales["quantity"].tolist() == [0, 0, 0, 1, 1, 1]


def test_columns_of_other_types_are_refused(tmp_path: Path) -> None:
    for name, units in (("a.parquet", 1), ("b.parquet", "one")):
        path = write(tmp_path, name, "")
        pd.DataFrame({"units": [units]}).to_parquet(path)
        os.utime(path, (time.time() - 60,) * 2)
    with pytest.raises(ImportRefused, match="different types"):
        listed(tmp_path, "*.parquet").read()


@pytest.mark.parametrize("name", [".hidden.csv", "_SUCCESS.csv", "~a.csv", "_tmp/a.csv", "a.csv.part", "a.csv.tmp"])
def test_unfinished_files_are_left_alone(name: str, tmp_path: Path) -> None:
    write(tmp_path, "a.csv", weeks("2026-09-06", 4))
    write(tmp_path, name, "half a ro")
    assert list(listed(tmp_path, "**/*").marks) == ["a.csv"]


def test_a_file_that_has_just_changed_is_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", weeks("2026-09-06", 4))
    write(tmp_path, "b.csv", "Boots,2026-10-0", age=0)
    with pytest.raises(NotSettled, match=r"b\.csv changed less than 10 seconds ago"):
        listed(tmp_path)
    assert len(listed(tmp_path, settle=timedelta(0)).marks) == 2


def test_a_file_from_the_future_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", weeks("2026-09-06", 4), age=-90_000)
    assert len(sales(tmp_path)) == 4


def test_a_file_that_changes_while_it_is_read_is_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", weeks("2026-09-06", 4))
    listing = listed(tmp_path)
    write(tmp_path, "a.csv", weeks("2026-09-06", 5))
    with pytest.raises(NotSettled, match=r"a\.csv changed while"):
        listing.read()


def test_the_hash_tells_any_change(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", weeks("2026-09-06", 4))
    before = listed(tmp_path).content
    assert listed(tmp_path).content == before
    os.utime(path, (1, 1))
    assert listed(tmp_path).content != before


def test_what_cannot_be_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="there is no folder"):
        listed(tmp_path / "absent")
    with pytest.raises(ImportRefused, match="no file in"):
        listed(tmp_path)
    write(tmp_path, "a.csv", "x" * 1_100_000)
    with pytest.raises(ImportRefused, match="more than max_megabytes = 1"):
        listed(tmp_path, max_megabytes=1)


def test_files_of_the_home_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "home/state/x.csv", weeks("2026-09-06", 4))
    (tmp_path / "link.csv").symlink_to(tmp_path / "home/state/x.csv")
    for pattern in ("home/**/*.csv", "*.csv"):
        with pytest.raises(ImportRefused, match="lies in the home"):
            listed(tmp_path, pattern)
