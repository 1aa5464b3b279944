"""Buckets: where they lie, and that sales and signals meet on the regular series."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.erp.bc_calendar import Buckets
from forecast import frequency as freq

starts = st.dates(dt.date(1990, 1, 1), dt.date(2060, 12, 31))
PERIODS = {365: "days", 52: "weeks", 12: "months", 4: "months", 1: "years"}


@given(starts, st.sampled_from([365, 52, 12, 4, 1]))
def test_buckets_are_whole_periods_from_the_day_after_the_work_date(start: dt.date, seasonality: int) -> None:
    numbers = np.arange(-40, 40)
    step = 3 if seasonality == 4 else 1
    expected = [(pd.Timestamp(start) + pd.DateOffset(**{PERIODS[seasonality]: step * int(n)})).date() for n in numbers]
    assert Buckets(seasonality, start).first_days(numbers).tolist() == expected


@given(starts, st.sampled_from([365, 52, 12, 4, 1]))
def test_the_regular_series_has_consecutive_labels_of_its_frequency(start: dt.date, seasonality: int) -> None:
    buckets, numbers = Buckets(seasonality, start), np.arange(-40, 40)
    labels = buckets.regular_labels(numbers)
    assert (freq.label(labels, freq.check(buckets.regular)) == labels).all()
    assert (freq.between(labels[0], labels[-1], buckets.regular) == labels).all()
    first, _ = freq.spans(labels[numbers == 0], buckets.regular)
    assert pd.Timestamp(first[0]) == buckets.moment


@given(starts, st.sampled_from([365, 52, 12, 4]))
def test_a_bucket_has_the_days_of_its_period_when_time_is_moved(start: dt.date, seasonality: int) -> None:
    buckets, numbers = Buckets(seasonality, start), np.arange(-40, 40)
    moved = buckets.first_days(numbers) + buckets.shift
    begins, _ = freq.spans(buckets.regular_labels(numbers), buckets.regular)
    off = np.abs((moved - begins).astype(int))
    assert off[numbers == 0] == 0
    most = {12: 1 if start.day in (29, 30) else 0, 4: 3}.get(seasonality, 0)
    assert off.max() <= most


@pytest.mark.parametrize("start", [dt.date(2026, 1, 31), dt.date(2026, 12, 31), dt.date(2027, 8, 31)])
def test_buckets_from_the_last_of_a_long_month_begin_on_the_last_of_each(start: dt.date) -> None:
    buckets, numbers = Buckets(12, start), np.arange(-40, 40)
    assert (buckets.first_days(numbers) + buckets.shift == buckets.regular_labels(numbers)).all()


def test_signals_move_with_what_was_known_of_them() -> None:
    day = pd.to_datetime(["2026-11-25"]).astype("datetime64[us]")
    frame = pd.DataFrame({"start": day, "end": day + pd.Timedelta(days=1), "known_at": day + pd.Timedelta(hours=30)})
    moved = Buckets(12, dt.date(2026, 11, 25)).moved(frame)
    assert moved["start"].tolist() == [pd.Timestamp("2026-11-01")]
    assert moved["end"].tolist() == [pd.Timestamp("2026-11-02")]
    assert moved["known_at"].tolist() == [pd.Timestamp("2026-11-02 06:00")]
    assert Buckets(52, dt.date(2026, 11, 25)).moved(frame) is frame


def test_holidays_are_those_of_the_true_days() -> None:
    buckets = Buckets(12, dt.date(2026, 11, 25))
    frame = buckets.holidays("US", np.arange(-2, 2))
    assert (frame["start"].iloc[0], frame["end"].iloc[-1]) == (pd.Timestamp("2026-09-25"), pd.Timestamp("2027-01-25"))
    found = frame["start"][frame["value"] == 1].dt.strftime("%m-%d").tolist()
    assert found == ["10-12", "11-11", "11-26", "12-25", "01-01", "01-18"]


def test_weeks_end_on_the_weekday_of_the_work_date() -> None:
    buckets = Buckets(52, dt.date(2026, 11, 25))  # the work date is a Tuesday
    assert buckets.regular == buckets.frequency == "W-TUE"
    assert buckets.labels(np.array([-1, 0])).astype(str).tolist() == ["2026-11-24", "2026-12-01"]
