from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.dates import parse_dates
from signals.refused import ImportRefused
from signals.tables import read_table


def parsed(values, column="date", **options):
    return parse_dates(read_table(pd.DataFrame({column: pd.Series(values)})), column, **options)


@pytest.mark.parametrize(
    ("text", "day", "precision"),
    [
        ("2025-12-31", "2025-12-31", "day"),
        ("2025/12/31", "2025-12-31", "day"),
        ("20251231", "2025-12-31", "day"),
        ("31/12/2025", "2025-12-31", "day"),
        ("12/31/2025", "2025-12-31", "day"),
        ("31.12.2025", "2025-12-31", "day"),
        ("31-12-25", "2025-12-31", "day"),
        ("31 Dec 2025", "2025-12-31", "day"),
        ("31-Dec-2025", "2025-12-31", "day"),
        ("31. Dezember 2025", "2025-12-31", "day"),
        ("Dec 31, 2025", "2025-12-31", "day"),
        ("2025-12-31T14:30:00Z", "2025-12-31", "day"),
        ("2025-12-31 14:30:00.123", "2025-12-31", "day"),
        ("12/31/2025 2:30 PM", "2025-12-31", "day"),
        ("2025-W07", "2025-02-10", "week"),
        ("2020W53", "2020-12-28", "week"),
        ("KW 7/2025", "2025-02-10", "week"),
        ("202507", "2025-07-01", "month"),
        ("2025-01", "2025-01-01", "month"),
        ("01/2025", "2025-01-01", "month"),
        ("2025M03", "2025-03-01", "month"),
        ("Jan 2025", "2025-01-01", "month"),
        ("März 2025", "2025-03-01", "month"),
        ("août 2025", "2025-08-01", "month"),
        ("Feb-25", "2025-02-01", "month"),
        ("2025-Q2", "2025-04-01", "quarter"),
        ("Q4 2025", "2025-10-01", "quarter"),
    ],
)
def test_formats(text, day, precision):
    dates = parsed([text])
    assert (str(dates.days[0]), dates.precision) == (day, precision)


def test_one_value_above_12_settles_the_order():
    assert parsed(["01/02/2025", "31/12/2025"]).days[0] == np.datetime64("2025-02-01")
    assert parsed(["01/02/2025", "12/31/2025"]).days[0] == np.datetime64("2025-01-02")


def test_unsettled_order_is_refused_unless_said():
    with pytest.raises(ImportRefused, match="could have the day or the month first") as refusal:
        parsed(["01/02/2025", "03/04/2025"])
    assert "--day-first" in refusal.value.remedy
    assert parsed(["01/02/2025"], dayfirst=True).days[0] == np.datetime64("2025-02-01")
    assert parsed(["01/02/2025"], dayfirst=False).days[0] == np.datetime64("2025-01-02")


def test_both_orders_are_refused_with_both_rows():
    with pytest.raises(ImportRefused, match="has the month first, but row 1 has the day first") as refusal:
        parsed(["13/01/2025", "01/13/2025"])
    assert refusal.value.row == 2


@pytest.mark.parametrize("value", ["2025-02-30", "2025-13-01", "yesterday", "2025-W54", "24:00"])
def test_what_is_no_date_is_refused_with_its_row(value):
    with pytest.raises(ImportRefused, match="is not a date") as refusal:
        parsed(["2025-01-05", value])
    assert (refusal.value.row, refusal.value.column, refusal.value.value) == (2, "date", value)


def test_excel_serials_are_explained():
    with pytest.raises(ImportRefused, match=r"looks like a date as Excel counts it \(2025-12-01\)"):
        parsed(["45992"])


def test_days_and_months_do_not_mix():
    with pytest.raises(ImportRefused, match="names a day, but row 1 names a month"):
        parsed(["2025-01", "2025-01-02"])


def test_six_digits_are_weeks_where_they_go_beyond_12_or_the_column_says_so():
    assert parsed(["202507", "202544"]).days[0] == np.datetime64("2025-02-10")
    assert parsed(["202507"], column="Kalenderwoche").precision == "week"
    assert parsed(["202507"]).notes == ("Column 'date': 202507 was read as month 7 of 2025.",)


def test_offsets_keep_the_written_day_unless_a_zone_is_asked_for():
    text = ["2025-01-05T23:30:00-05:00"]
    assert parsed(text).days[0] == np.datetime64("2025-01-05")
    assert parsed(text, timezone="UTC").stamps[0] == np.datetime64("2025-01-06T04:30:00")
    assert parsed(text, timezone="Europe/Berlin").stamps[0] == np.datetime64("2025-01-06T05:30:00")


def test_typed_dates():
    assert parsed([date(2025, 1, 5)]).days[0] == np.datetime64("2025-01-05")
    assert parsed(pd.to_datetime(["2025-01-05"]).tz_localize("Europe/Berlin")).days[0] == np.datetime64("2025-01-05")
    assert parsed(pd.period_range("2025-01", periods=1, freq="M")).days[0] == np.datetime64("2025-01-01")
    with pytest.raises(ImportRefused, match="outside the years"):
        parsed([datetime(1492, 1, 1)])


_FORMATS = ["%Y-%m-%d", "%d.%m.%Y", "%d %b %Y", "%B %d, %Y", "%Y%m%d", "%d-%B-%Y", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d"]


@pytest.mark.parametrize("form", _FORMATS)
@settings(max_examples=25, deadline=None)
@given(st.lists(st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)), min_size=1, max_size=5))
def test_written_dates_come_back(form, days):
    assert parsed([day.strftime(form) for day in days]).days.tolist() == [day.date() for day in days]


@pytest.mark.parametrize(
    "value",
    ["0026-01-04", "0001-01-01", "0202-01-01", "1799-12-31", "2201-01-01", "04.01.0026", "4 Jan 0026", "0026-W02"],
)
def test_years_that_are_no_years_of_sales_are_refused(value):
    with pytest.raises(ImportRefused, match="lies outside the years 1800 to 2200") as refusal:
        parsed(["2025-01-05", value])
    assert (refusal.value.row, refusal.value.value) == (2, value)
    assert "four digits" in refusal.value.remedy


def test_years_of_two_digits_are_of_this_century():
    assert parsed(["04.01.26", "11.01.26"]).days.astype(str).tolist() == ["2026-01-04", "2026-01-11"]
