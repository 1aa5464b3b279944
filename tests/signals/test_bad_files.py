"""Files that no importer should fall over: each is refused with the place, the value and the remedy."""

import os
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from signals.refused import ImportRefused
from signals.sales_import import prepare_sales
from signals.signal_import import prepare_signals
from signals.store import BatchRefused, Store, submit
from signals.tables import read_table

NOW = datetime(2026, 11, 23, 9)
WEEKS = pd.date_range(end="2026-11-22", periods=8, freq="W-SUN")


def columns(**changed):
    return {"category": ["Shoes"] * 8, "date": WEEKS, "units": [1.0] * 8} | changed


def parquet(tmp_path, **changed):
    path = tmp_path / "sales.parquet"
    pq.write_table(pa.table(columns(**changed)), path)
    return path


def refused(data, problem, prepare=prepare_sales, **options):
    with pytest.raises(ImportRefused, match=problem) as refusal:
        prepare(data, now=NOW, **options)
    assert refusal.value.remedy
    return refusal.value


# Names


@pytest.mark.parametrize("name", ["level", "trend", "season", "guard", "closed", "ds", "scenario/x", "x" * 201, "a\tb"])
def test_signals_that_the_forecast_could_not_use_are_refused_long_and_wide(name):
    frame = pd.DataFrame({"signal": ["rain"] * 8 + [name] * 8, "date": [*WEEKS] * 2, "value": range(16)})
    error = refused(frame, "a signal cannot be called|the name of ", prepare_signals)
    assert (error.row, error.column, error.value) == (9, "signal", name[:80])
    wide = pd.DataFrame({"date": WEEKS, "rain": range(8), name: range(8)})
    assert refused(wide, "a signal cannot be called|the name of ", prepare_signals).column == name[:80]
    with pytest.raises(ImportRefused, match=r"a signal cannot be called|the name of "):
        prepare_signals(frame.drop(columns="signal").head(8), signal=f"={name}", now=NOW)


def test_a_name_like_a_driver_is_taken():
    frame = pd.DataFrame({"date": WEEKS, "Level": range(8), "trends": range(8)})
    assert prepare_signals(frame, now=NOW).batch.signals["signal"].tolist() == ["Level", "trends"]


@pytest.mark.parametrize("name", ["*", "a\nb", "a\x07b", "x" * 201])
def test_categories_that_nothing_could_ask_for_are_refused(name):
    error = refused(pd.DataFrame(columns(category=["Shoes"] * 7 + [name])), "a category|the name of ")
    assert (error.row, error.column) == (8, "category")
    refused(pd.DataFrame(columns()), "a category|the name of ", category=f"={name}")


def test_a_long_name_is_taken_up_to_its_limit():
    assert prepare_sales(pd.DataFrame(columns(category="x" * 200)), now=NOW).rows == 8


def test_a_signal_for_every_category_is_still_one():
    frame = pd.DataFrame({"signal": "rain", "date": WEEKS, "value": range(8), "category": "*"})
    assert prepare_signals(frame, now=NOW).batch.candidates.values.tolist() == [["*", "rain"]]


# Types


@pytest.mark.parametrize(
    ("values", "value"),
    [
        ([{"a": 1}] * 8, "{'a': 1}"),
        (pa.array([b"\xff\xfe"] * 8), "b'\\xff\\xfe'"),
        ([[1]] * 8, "[1]"),
        ([1.0, np.inf, *[1.0] * 6], "inf"),
        ([1.0, 1e30, *[1.0] * 6], "1e+30"),
        (pa.array(np.ones(8, dtype="float16")), "1.0"),
    ],
)
def test_categories_that_are_no_text_are_refused(tmp_path, values, value):
    error = refused(parquet(tmp_path, category=values), "cannot be read|is no name")
    assert (error.column, error.value) == ("category", value)


def test_bytes_that_are_text_are_read():
    frame = pd.DataFrame(columns(category=[b"Shoes"] * 8))
    assert prepare_sales(frame, now=NOW).batch.categories["category"].tolist() == ["Shoes"]


@pytest.mark.parametrize(
    ("values", "value"),
    [([True, False] * 4, "True"), (pa.array(np.ones(8, dtype="float16")), "1.0"), ([{"a": 1}] * 8, "{'a': 1}")],
)
def test_quantities_that_are_no_numbers_are_refused(tmp_path, values, value):
    error = refused(parquet(tmp_path, units=values), "values of type .* are not taken for numbers")
    assert (error.column, error.value, error.row) == ("units", value, 1)


@pytest.mark.parametrize(
    "dates",
    [
        pa.array([1_700_000_000_000_000] * 8, pa.timestamp("us", "Mars/Olympus")),
        pa.array([2**62] * 8, pa.timestamp("ms")),
        pa.array([2**31 - 1] * 8, pa.int32()).cast(pa.date32()),
        pa.array([{"a": 1}] * 8),
    ],
)
def test_dates_that_cannot_be_placed_are_refused(tmp_path, dates):
    error = refused(parquet(tmp_path, date=dates), "cannot be read", date="date")
    assert error.column == "date"
    assert error.value


def test_an_unused_column_of_any_type_does_no_harm(tmp_path):
    prepared = prepare_sales(parquet(tmp_path, tags=[["a"]] * 8, blob=[b"\xff"] * 8), now=NOW)
    assert "Columns not used: tags, blob." in prepared.notes


def test_a_corrupt_page_names_the_file(tmp_path):
    path = parquet(tmp_path, units=np.random.default_rng(1).random(8))
    data = bytearray(path.read_bytes())
    data[30:200] = b"\xff" * 170
    path.write_bytes(data)
    refused(path, r"sales\.parquet begins like a Parquet file but cannot be read")


@pytest.mark.parametrize("lag", ["1000000000", "9" * 40, "²", "3661"])
def test_an_absurd_publication_lag_is_refused(lag):
    frame = pd.DataFrame({"signal": "rain", "date": WEEKS, "value": range(8), "publication_lag": lag})
    error = refused(frame, "is not a number of days up to 3,660", prepare_signals)
    assert (error.row, error.column, error.value) == (1, "publication_lag", lag)
    refused(pd.DataFrame(columns()), "--lag-days is 1000000000", lag_days=10**9)


# Bytes and files


@pytest.mark.parametrize("at", [1, 3, 900])
def test_a_nul_byte_in_a_csv_file_is_named_with_its_line(tmp_path, at):
    lines = ["category,date,units", *(f"Shoes,{day:%Y-%m-%d},1" for day in [*WEEKS] * 125)]
    lines[at] = lines[at].replace("Shoes", "Sho\0es")
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(lines))
    assert refused(path, "the line holds a NUL byte, in sales.csv").row == at + 1


def test_a_nul_byte_in_a_frame_is_refused_in_any_column():
    error = refused(pd.DataFrame(columns(note=["x", "a\0b"] * 4)), "holds a NUL byte")
    assert (error.row, error.column) == (2, "note")


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(ImportRefused, match="is not a regular file"):
            read_table(path)


# Wide sales, mistyped years, prints of one moment, slips of the decimal


def test_a_wide_table_of_sales_is_told_how_to_become_a_long_one():
    wide = pd.DataFrame({"week": WEEKS, "Boots": 1.0, "Hats": 2.0})
    error = refused(wide, r"a column for each category \(Boots, Hats\), which is not supported for sales")
    long = eval(error.remedy.partition("in pandas: ")[2].partition(";")[0], {"frame": wide})
    assert prepare_sales(long, now=NOW).batch.categories["category"].tolist() == ["Boots", "Hats"]
    assert prepare_sales(wide, category="=Boots", quantity="Boots", now=NOW).rows == 8


def test_a_mistyped_year_is_told_as_the_future_before_the_rhythm(tmp_path):
    days = [f"{day:%d.%m.%Y}" for day in WEEKS]
    days[3] = days[3].replace("2026", "2042")
    error = refused(pd.DataFrame(columns(date=days)), "2042-10-25 lies in the future")
    assert (error.row, error.column) == (4, "date")
    signals = pd.DataFrame({"signal": "rain", "date": days, "value": range(8)})
    assert refused(signals, "2042-10-25 lies in the future", prepare_signals).row == 4


def test_two_prints_of_one_moment_are_not_to_be_added_up():
    frame = pd.DataFrame(columns(known_at="2026-11-22T23:00:00Z"))
    twice = pd.concat([frame, frame.head(1).assign(units=9.0)])
    assert refused(twice, "has a second row").remedy.startswith("Give --duplicates last to keep the last")
    assert refused(twice.drop(columns="known_at"), "has a second row").remedy.startswith("Keep one of them")
    assert prepare_sales(twice, duplicates="last", now=NOW).batch.sales["quantity"].iloc[0] == 9.0


def test_a_category_without_sales_is_told_in_the_user_s_words(tmp_path):
    frame = pd.DataFrame({"signal": "rain", "date": WEEKS, "value": range(8), "category": "Shoes"})
    error = refused(frame, "there is no category 'Shoes'", prepare_signals, known_categories={})
    assert error.remedy == "Import sales of 'Shoes' first, or leave the category column out"
    with pytest.raises(BatchRefused, match="import sales of 'Shoes' first, or leave the category column out"):
        submit(tmp_path, prepare_signals(frame, now=NOW).batch)
    with Store.open(tmp_path) as store:
        assert store.data_version == 0


def test_a_lost_decimal_character_is_pointed_out():
    days = pd.date_range(end="2026-11-22", periods=30, freq="W-SUN")
    usual = np.random.default_rng(1).uniform(1000, 2500, 30).round(2)
    usual[[4, 5, 6]] = 0
    slip = usual.copy()
    slip[[20, 25]] = [177634, -190000]
    notes = prepare_sales(pd.DataFrame({"category": "Shoes", "date": days, "units": slip}), now=NOW).notes
    note = next(note for note in notes if "check the decimal separator" in note)
    median = np.median(np.abs(slip[slip != 0]))
    first = f"(first: row 21, 177634 of 'Shoes', whose median is {median:.6g})"
    assert f"2 values are more than 20 times the usual size of the category {first}" in note
    quiet = [usual, slip[15:26], usual * 1000]
    for values in quiet:
        frame = pd.DataFrame({"category": "Shoes", "date": days[: len(values)], "units": values})
        assert not any("decimal separator" in note for note in prepare_sales(frame, now=NOW).notes)


def test_the_usual_size_is_that_of_the_value_s_own_category():
    frame = pd.concat(
        [
            pd.DataFrame({"category": name, "date": WEEKS.union(WEEKS - pd.Timedelta(weeks=8)), "units": size})
            for name, size in (("Shoes", 5.0), ("Hats", 5000.0), ("Tents", 5.0))
        ],
        ignore_index=True,
    )
    frame.loc[40, "units"] = 101.0
    notes = [note for note in prepare_sales(frame, now=NOW).notes if "decimal" in note]
    assert len(notes) == 1
    assert "1 value is more than 20 times" in notes[0]
    assert "row 41, 101 of 'Tents', whose median is 5" in notes[0]
