from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from signals.refused import ImportRefused
from signals.sales_import import prepare_sales
from signals.store import open_snapshot, submit

NOW = datetime(2026, 11, 23, 9)  # a Monday


def sales(days, values=None, **columns):
    days = list(days)
    return pd.DataFrame({"category": "Shoes", "date": days, "units": values or [10.0] * len(days), **columns})


def weeks(count, last="2026-11-22", anchor="W-SUN"):
    return pd.date_range(end=last, periods=count, freq=anchor)


def prepare(data, **options):
    return prepare_sales(data, **{"now": NOW, **options})


def frequencies(prepared):
    return dict(zip(prepared.batch.categories["category"], prepared.batch.categories["frequency"], strict=True))


def refused(data, problem, **options):
    with pytest.raises(ImportRefused, match=problem) as refusal:
        prepare(data, **options)
    assert refusal.value.remedy
    return refusal.value


# Columns


def test_german_export_is_understood(tmp_path):
    file = tmp_path / "absatz.csv"
    rows = [f"Schuhe;{day:%d.%m.%Y};1.234,5" for day in weeks(8)]
    file.write_bytes("\r\n".join(["Warengruppe;Woche;Menge", *rows]).encode("cp1252"))
    prepared = prepare(file)
    assert prepared.mapping == {"category": "Warengruppe", "date": "Woche", "quantity": "Menge"}
    assert prepared.batch.sales["quantity"].tolist() == [1234.5] * 8
    assert frequencies(prepared) == {"Schuhe": "W-SUN"}


@pytest.mark.parametrize(
    "header",
    [
        ("Product Category", "Order Date", "Qty"),
        ("categorie", "semaine", "quantité"),
        ("unique_id", "ds", "y"),
        ("KATEGORIE", "Monat", "Absatz"),
        ("what", "when", "how many"),
    ],
)
def test_columns_are_guessed_by_name_or_content(header):
    frame = sales(weeks(8)).set_axis(list(header), axis=1)
    assert list(prepare(frame).mapping.values()) == list(header)


def test_named_columns_win_and_unused_ones_are_told():
    frame = sales(weeks(8), revenue=99.0)
    prepared = prepare(frame, quantity="Revenue")
    assert prepared.mapping["quantity"] == "revenue"
    assert "Columns not used: units." in prepared.notes


def test_absent_column_is_refused_with_the_nearest():
    error = refused(sales(weeks(8)), "no column 'unts'", quantity="unts")
    assert error.remedy == "Did you mean 'units'? The columns are: category, date, units"


def test_ambiguous_guess_is_refused_with_candidates():
    frame = sales(weeks(8)).rename(columns={"units": "size a"}).assign(**{"size b": 2.0})
    refused(frame, "several columns could be the quantity: size a, size b")


def test_one_column_for_two_fields_is_refused():
    refused(sales(weeks(8)), "column 'units' is already the date", date="units", quantity="units")


def test_file_of_one_category_needs_its_name():
    frame = sales(weeks(8)).drop(columns="category")
    assert "--category '=Name'" in refused(frame, "no column looks like the category").remedy
    assert frequencies(prepare(frame, category="=Boots")) == {"Boots": "W-SUN"}


# Frequencies and labels


@pytest.mark.parametrize(
    ("days", "frequency"),
    [
        (pd.date_range("2026-01-01", "2026-11-22"), "D"),
        (pd.bdate_range("2026-01-01", "2026-11-20"), "D"),
        (weeks(9), "W-SUN"),
        (weeks(9, "2026-11-21", "W-SAT"), "W-SAT"),
        (weeks(9, "2026-11-16", "W-MON"), "W-SUN"),
        (weeks(9, "2026-11-18", "W-WED"), "W-WED"),
        (pd.date_range("2026-01-01", periods=10, freq="MS"), "MS"),
        (pd.date_range("2026-01-31", periods=10, freq="ME"), "MS"),
        (pd.date_range("2024-01-01", periods=8, freq="QS"), "QS"),
        (pd.date_range("2024-03-31", periods=8, freq="QE"), "QS"),
        ([f"2026-W{week:02d}" for week in range(30, 40)], "W-SUN"),
        ([f"2026-{month:02d}" for month in range(1, 11)], "MS"),
        (["2025-Q1", "2025-Q2", "2025-Q3"], "QS"),
    ],
)
def test_frequency_is_found(days, frequency):
    prepared = prepare(sales(days))
    assert frequencies(prepared) == {"Shoes": frequency}
    assert prepared.rows == len(days)


@pytest.mark.parametrize(
    ("anchor", "column", "week", "frequency", "start"),
    [
        ("W-SUN", "week", None, "W-SUN", "2026-11-09"),
        ("W-SUN", "week_start", None, "W-SAT", "2026-11-15"),
        ("W-SUN", "week", "begins", "W-SAT", "2026-11-15"),
        ("W-MON", "week ending", None, "W-MON", "2026-11-10"),
        ("W-MON", "week", None, "W-SUN", "2026-11-16"),
    ],
)
def test_week_labels_begin_or_end_the_week(anchor, column, week, frequency, start):
    labels = weeks(9, "2026-11-16", anchor)
    prepared = prepare(sales(labels).rename(columns={"date": column}), week=week)
    assert frequencies(prepared) == {"Shoes": frequency}
    assert prepared.batch.sales["start"].iloc[-1] == pd.Timestamp(start)
    assert any(note.startswith("Weeks are labelled on") for note in prepared.notes)


def test_categories_may_differ_in_frequency():
    monthly = sales(pd.date_range("2026-01-01", periods=10, freq="MS")).assign(category="Hats")
    prepared = prepare(pd.concat([sales(weeks(9)), monthly], ignore_index=True))
    assert frequencies(prepared) == {"Hats": "MS", "Shoes": "W-SUN"}
    assert any("several frequencies" in note for note in prepared.notes)


def test_weeks_of_one_file_have_one_label_day():
    other = sales(weeks(9, "2026-11-21", "W-SAT")).assign(category="Tents")
    refused(pd.concat([sales(weeks(9)), other]), "'Shoes' are labelled on Sundays, those of 'Tents' on Saturdays")


def test_odd_week_is_refused_with_its_row():
    days = weeks(12).to_list()
    days[5] += pd.Timedelta(days=2)
    error = refused(sales(days), "is weekly on Sundays, but not here")
    assert (error.row, error.column, error.value) == (6, "date", "2026-10-13")


def test_daily_that_turns_weekly_is_refused_with_the_row_where_it_does():
    days = [*pd.date_range("2026-06-01", "2026-08-30"), *weeks(12)]
    error = refused(sales(days), "is daily before and weekly from here on")
    assert error.value == "2026-09-06"


def test_sparse_category_follows_the_rest_of_the_file():
    daily = sales(pd.date_range("2026-01-01", "2026-11-22"))
    sparse = sales(["2026-02-02", "2026-02-09", "2026-03-23"]).assign(category="Umbrellas")
    sparse["date"] = pd.to_datetime(sparse["date"])
    assert frequencies(prepare(pd.concat([daily, sparse])))["Umbrellas"] == "D"


def test_single_row_needs_what_the_store_knows():
    refused(sales(["2026-11-22"]), "a single date, which shows no frequency")
    prepared = prepare(sales(["2026-11-22"]), known_categories={"Shoes": "W-SUN"})
    assert frequencies(prepared) == {"Shoes": "W-SUN"}
    refused(sales(["2026-11-18"]), r"is weekly \(W-SUN\) in the store", known_categories={"Shoes": "W-SUN"})


def test_other_frequency_than_in_the_store_is_refused():
    days = pd.date_range("2026-01-01", "2026-11-22")
    error = refused(sales(days), r"in the store, these rows are daily \(D\)", known_categories={"Shoes": "W-SUN"})
    assert "--frequency W-SUN" in error.remedy
    assert prepare(sales(days), known_categories={"Shoes": "W-SUN"}, frequency="W-SUN").rows == 46


def test_finer_data_is_added_up_and_cut_off_periods_dropped():
    days = pd.date_range("2026-10-01", "2026-11-20")  # Thursday to Friday
    prepared = prepare(sales(days), frequency="W-SUN")
    assert prepared.batch.sales["quantity"].tolist() == [70.0] * 6
    assert sum("only a part of its" in note for note in prepared.notes) == 2


def test_closed_weekdays_do_not_cut_a_week_off():
    days = [day for day in pd.date_range("2026-10-05", "2026-11-21") if day.dayofweek != 6]
    assert prepare(sales(days), frequency="W-SUN").batch.sales["quantity"].tolist() == [60.0] * 7


def test_months_are_added_up_to_quarters():
    prepared = prepare(sales(pd.date_range("2026-02-28", periods=8, freq="ME")), frequency="QS")
    assert prepared.batch.sales["quantity"].tolist() == [30.0, 30.0]


@pytest.mark.parametrize(
    ("days", "frequency", "problem"),
    [
        (weeks(9), "MS", "weeks straddle months"),
        (pd.date_range("2026-01-01", periods=9, freq="MS"), "W-SUN", "is monthly and cannot be turned into"),
        (["2026-01", "2026-02", "2026-03"], "D", "the dates name whole months"),
        (pd.date_range("2024-02-01", periods=9, freq="3MS"), "QS", "not those of the calendar"),
        (weeks(9, "2026-11-18", "W-WED"), "W-SUN", "weeks labelled on Wednesdays run"),
    ],
)
def test_frequency_that_the_dates_do_not_allow_is_refused(days, frequency, problem):
    refused(sales(days), problem, frequency=frequency)


# Periods: duplicates, gaps, the present


def test_duplicates_are_refused_with_both_rows():
    days = [*weeks(8), weeks(8)[3]]
    error = refused(sales(days, list(range(9))), r"has a second row for 2026-10-25 \(8\); the first is row 4 \(3\)")
    assert (error.row, error.column) == (9, "date")


@pytest.mark.parametrize(("how", "value"), [("sum", 11.0), ("last", 8.0)])
def test_duplicates_are_handled_as_asked(how, value):
    prepared = prepare(sales([*weeks(8), weeks(8)[3]], [float(n) for n in range(9)]), duplicates=how)
    assert prepared.batch.sales["quantity"].iloc[3] == value
    assert any(note.startswith("1 row was more than one") for note in prepared.notes)


def test_gaps_stay_missing_or_become_zero():
    days = weeks(10).delete([4, 5])
    prepared = prepare(sales(days))
    assert prepared.rows == 8
    assert any("2 weeks have no row" in note and "--gaps zero" in note for note in prepared.notes)
    filled = prepare(sales(days), gaps="zero").batch.sales["quantity"]
    assert filled.tolist() == [10.0] * 4 + [0.0] * 2 + [10.0] * 4


def test_gaps_zero_reach_to_the_last_period_of_the_file():
    ended = sales(weeks(10)[:6]).assign(category="Hats")
    prepared = prepare(pd.concat([sales(weeks(10)), ended]), gaps="zero")
    assert prepared.batch.sales.groupby("category").size().to_dict() == {"Hats": 10, "Shoes": 10}


def test_closed_sundays_are_named():
    days = [day for day in pd.date_range("2026-01-01", "2026-11-21") if day.dayofweek != 6]
    assert any("there is never one on Sundays" in note for note in prepare(sales(days)).notes)


def test_partial_last_period_is_dropped_with_the_day_of_its_end():
    prepared = prepare(sales(weeks(9, "2026-11-29")))
    assert prepared.batch.sales["end"].max() == pd.Timestamp("2026-11-23")
    assert any("it will be complete on 2026-11-30" in note for note in prepared.notes)


def test_time_zone_decides_what_day_it_is():
    late = datetime(2026, 11, 22, 12)  # already the 23rd on Kiritimati
    assert prepare(sales(weeks(9)), now=late).rows == 8
    assert prepare(sales(weeks(9)), now=late, timezone="Pacific/Kiritimati").rows == 9


def test_sales_of_the_future_are_refused():
    error = refused(sales(weeks(9, "2026-12-06")), "2026-12-06 lies in the future")
    assert error.row == 9


def test_mistyped_year_is_refused():
    days = weeks(9).to_list()
    days[4] = pd.Timestamp("1926-10-24")
    assert refused(sales(days), r"no row for more than 20 years .* row 5 \(1926-10-24\)").row == 1


def test_nothing_but_a_partial_period_is_refused():
    refused(sales(["2026-11-29"]), "no whole period is left", frequency="W-SUN")


# Values


def test_returns_are_kept_and_counted():
    prepared = prepare(sales(weeks(8), [5.0, -2.0] * 4))
    assert prepared.batch.sales["quantity"].min() == -2
    assert any("4 rows with a negative quantity (first: row 2)" in note for note in prepared.notes)


def test_blank_quantity_withdraws():
    prepared = prepare(sales(weeks(8), ["5", "", *["3"] * 6]))
    assert np.isnan(prepared.batch.sales["quantity"].iloc[1])
    assert any("1 period without a quantity: it withdraws" in note for note in prepared.notes)


def test_blank_rows_are_skipped_but_half_blank_ones_refused(tmp_path):
    file = tmp_path / "sales.csv"
    lines = ["category,date,units", *(f"A,{day:%Y-%m-%d},1" for day in weeks(8)), ",,", ",,"]
    file.write_text("\n".join(lines))
    assert "2 blank rows skipped." in prepare(file).notes
    file.write_text("\n".join([*lines, "A,,3"]))
    assert refused(file, "the row has no date").row == 12
    file.write_text("\n".join([*lines, ",2026-01-04,3"]))
    assert refused(file, "the row has no category").column == "category"


def test_text_in_the_quantity_is_refused_with_line_and_column(tmp_path):
    file = tmp_path / "sales.csv"
    file.write_text("category,date,units\nA,2026-01-04,3\n\nA,2026-01-11,many\n")
    error = refused(file, "'many' is not a number")
    assert (error.row, error.column, error.value) == (4, "units", "many")
    assert str(error).startswith("line 4, column 'units':")


# Known at


def test_known_at_makes_vintages():
    frame = pd.concat([sales(weeks(8), known_at="2026-11-22T23:00:00Z")] * 2, ignore_index=True)
    frame.loc[8:, "known_at"] = "2026-11-23T09:30:00+01:00"
    prepared = prepare(frame)
    assert prepared.rows == 16
    assert prepared.batch.sales["known_at"].max() == pd.Timestamp("2026-11-23 08:30")


def test_known_at_in_the_future_or_before_the_period_is_refused():
    refused(sales(weeks(8), known_at="2026-11-24"), "known at 2026-11-24T00:00:00.000000 UTC, which lies in the future")
    refused(sales(weeks(8), known_at="2026-01-01"), "before the period began")


def test_vintages_cannot_be_added_up():
    frame = pd.concat(
        [sales(pd.date_range("2026-10-01", "2026-11-15"), known_at=day) for day in ("2026-11-20", "2026-11-21")]
    )
    refused(frame, "known at different moments, which cannot be added up", frequency="W-SUN")


# Options and the whole


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"duplicates": "drop"}, "--duplicates is 'drop'"),
        ({"gaps": "fill"}, "--gaps is 'fill'"),
        ({"week": "monday"}, "--week is 'monday'"),
        ({"decimal": ";"}, "--decimal is ';'"),
        ({"lag_days": -1}, "--lag-days is -1"),
        ({"timezone": "Mars/Base"}, "time zone 'Mars/Base' is not known"),
        ({"frequency": "hourly"}, "frequency 'hourly' is not known"),
    ],
)
def test_wrong_options_are_refused(options, problem):
    refused(sales(weeks(8)), problem, **options)


def test_new_categories_and_their_near_twins_are_told():
    notes = prepare(sales(weeks(8)), known_categories={"shoes": "W-SUN"}).notes
    assert "1 new category: 'Shoes'." in notes
    assert any("differs from 'shoes' only in capitals" in note for note in notes)


def test_progress_reaches_its_total():
    seen = []
    prepare(sales(weeks(8)), progress=lambda done, total, stage: seen.append((done, total, stage)))
    assert [done for done, _, _ in seen] == list(range(5))
    assert seen[-1] == (4, 4, "done")


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(40)))
def test_order_of_rows_does_not_matter(order):
    frame = pd.concat([sales(weeks(20)), sales(weeks(20)).assign(category="Hats")], ignore_index=True)
    frame["units"] = range(40)
    first, second = prepare(frame), prepare(frame.iloc[list(order)].reset_index(drop=True))
    assert_frame_equal(first.batch.sales, second.batch.sales)
    assert first.batch.payload_sha == second.batch.payload_sha


def test_payload_sha_follows_content_and_options_not_the_format(tmp_path):
    frame = sales(weeks(8))
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "b.parquet")
    shas = [prepare(data).batch.payload_sha for data in (frame, tmp_path / "a.csv", tmp_path / "b.parquet")]
    assert len(set(shas)) == 1
    assert prepare(frame, lag_days=2).batch.payload_sha != shas[0]


def test_same_file_changes_nothing_and_a_corrected_one_adds_a_vintage(tmp_path):
    first = submit(tmp_path, prepare(sales(weeks(8))).batch)
    again = submit(tmp_path, prepare(sales(weeks(8))).batch)
    assert (first.inserted, again.inserted, again.data_version) == (8, 0, first.data_version)
    assert submit(tmp_path, prepare(sales(weeks(8), [10.0] * 7 + [12.0])).batch).inserted == 1
    kept = open_snapshot(tmp_path).sales("Shoes", vintages=True)
    assert kept["quantity"].tolist() == [10.0] * 8 + [12.0]
