"""Adding daily rows up to longer periods, against pandas: no sum of some of its days passes for a whole period."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from signals.sales_import import prepare_sales

NOW = datetime(2026, 11, 23, 9)
DAYS = pd.date_range("2025-01-01", "2026-10-31")
RULE = {"W-SUN": "W-SUN", "W-WED": "W-WED", "MS": "M", "QS": "Q-DEC"}


def daily(seed, names=("Shoes", "Hats"), closed=(), absent=0.02):
    rng = np.random.default_rng(seed)
    open_days = DAYS[~DAYS.dayofweek.isin(closed)]
    frame = pd.DataFrame([(name, day) for name in names for day in open_days], columns=["category", "date"])
    frame["units"] = rng.integers(1, 50, len(frame)).astype(float)
    return frame[rng.random(len(frame)) >= absent].sample(frac=1, random_state=seed).reset_index(drop=True)


def by_pandas(frame, frequency, closed, gaps):
    """Sums by whole periods of pandas, of the days that the file covers: those that lack an open day left out."""
    first, last = frame["date"].min(), frame["date"].max()
    sums = {}
    for (name, period), rows in frame.groupby(["category", frame["date"].dt.to_period(RULE[frequency])]):
        days = pd.date_range(period.start_time, period.end_time.normalize())
        days = set(days[~days.dayofweek.isin(closed)])
        whole = days <= set(rows["date"]) or (gaps == "zero" and min(days) >= first and max(days) <= last)
        if whole:
            sums[name, period.start_time] = rows["units"].sum()
    return sums


def by_import(prepared):
    sales = prepared.batch.sales
    return dict(zip(zip(sales["category"], sales["start"], strict=True), sales["quantity"], strict=True))


@pytest.mark.parametrize("frequency", RULE)
@pytest.mark.parametrize("closed", [(), (6,), (0, 6)])
@pytest.mark.parametrize("gaps", ["missing", "zero"])
def test_sums_are_those_of_pandas(frequency, closed, gaps):
    frame = daily(len(frequency) + len(closed), closed=closed, absent={"QS": 0.002, "MS": 0.01}.get(frequency, 0.02))
    expected = by_pandas(frame, frequency, closed, gaps)
    assert len(expected) > 2
    assert by_import(prepare_sales(frame, frequency=frequency, gaps=gaps, now=NOW)) == expected


def test_a_week_with_one_day_is_missing_or_that_day():
    frame = pd.DataFrame({"category": "Shoes", "date": pd.date_range("2026-08-31", "2026-11-22"), "units": 100.0})
    holes = frame[~frame["date"].between("2026-10-06", "2026-10-11")]  # all but the Monday of one week
    missing = prepare_sales(holes, frequency="W-SUN", now=NOW)
    assert missing.rows == 11
    assert pd.Timestamp("2026-10-05") not in missing.batch.sales["start"].tolist()
    note = "1 week was left missing, for rows inside are absent (first: 'Shoes', the week from 2026-10-05 has rows for"
    assert f"{note} 1 of 7 days); if no row means no sale, give --gaps zero." in missing.notes
    zero = prepare_sales(holes, frequency="W-SUN", gaps="zero", now=NOW)
    assert sorted(zero.batch.sales["quantity"]) == [100.0] + [700.0] * 11
    assert "6 absent rows inside 1 periods were taken as zero." in zero.notes


def test_days_on_which_the_shop_hardly_ever_opens_do_not_make_other_weeks_incomplete():
    frame = daily(1, names=("Shoes",), closed=(6,), absent=0)
    sunday = pd.DataFrame({"category": "Shoes", "date": [pd.Timestamp("2025-12-21")], "units": [40.0]})
    prepared = prepare_sales(pd.concat([frame, sunday], ignore_index=True), frequency="W-SUN", now=NOW)
    plain = by_pandas(frame, "W-SUN", (6,), "missing")
    assert by_import(prepared) == plain | {
        ("Shoes", pd.Timestamp("2025-12-15")): plain["Shoes", pd.Timestamp("2025-12-15")] + 40
    }
    assert any("count as closed" in note and "'Shoes' on Sundays" in note for note in prepared.notes)


def test_a_category_that_began_in_the_middle_of_a_week_begins_with_the_next():
    frame = daily(2, absent=0)
    frame = frame[(frame["category"] == "Shoes") | (frame["date"] >= "2026-09-02")]
    sales = prepare_sales(frame, frequency="W-SUN", now=NOW).batch.sales
    assert sales.loc[sales["category"] == "Hats", "start"].min() == pd.Timestamp("2026-09-07")


def test_a_quarter_needs_its_three_months_and_a_monthly_category_is_not_taken_for_daily():
    months = pd.date_range("2025-01-01", periods=21, freq="MS").delete(7)
    monthly = pd.DataFrame({"category": "Tents", "date": months, "units": 10.0})
    quarters = prepare_sales(monthly, frequency="QS", now=NOW)
    assert quarters.batch.sales["quantity"].tolist() == [30.0] * 6
    assert any("2025-07-01 has rows for 2 of 3 months" in note for note in quarters.notes)
    both = prepare_sales(pd.concat([daily(3, absent=0), monthly]), frequency="MS", now=NOW).batch.sales
    assert both.groupby("category").size().to_dict() == {"Hats": 22, "Shoes": 22, "Tents": 20}


def test_incomplete_periods_do_not_withdraw_what_was_known_and_nothing_left_is_told():
    frame = daily(4, names=("Shoes",), absent=0)
    odd = frame[frame["date"].dt.day.isin([3, 9, 14, 15, 17, 26, 28])]
    with pytest.raises(ValueError, match=r"no whole period is left.*--gaps zero makes it so"):
        prepare_sales(odd, frequency="MS", now=NOW)
    assert not prepare_sales(daily(5), frequency="W-SUN", now=NOW).batch.sales["quantity"].isna().any()
