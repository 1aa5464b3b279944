"""What comes in is laid on the periods as a slow, plain reading of the law says: any cadence, any holes, any form."""

from dataclasses import replace
from itertools import accumulate

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from series_makers import signal, weekly_sales, weeks

from forecast import SignalsError, forecast
from forecast import frequency as freq
from forecast.regressors import SignalRows, lay, read
from forecast.series import Series, versions

CADENCES = ("D", "W-SUN", "W-WED", "MS", "QS")
DAY = pd.Timedelta(days=1)
Day = pd.Timestamp


def _span(day: Day, frequency: str) -> tuple[Day, Day]:
    """First day of the period that contains `day`, and the day after its last."""
    if frequency == "D":
        return day, day + DAY
    if frequency.startswith("W"):
        while day.dayofweek != freq.WEEKDAYS.index(frequency[2:]):
            day += DAY
        return day - 6 * DAY, day + DAY
    months = 3 if frequency == "QS" else 1
    first = Day(day.year, day.month - (day.month - 1) % months, 1)
    return first, first + pd.DateOffset(months=months)


def _days_of(rows: list[tuple[Day, Day, float]], total: bool) -> dict[Day, float]:
    """The value of each day; where spans overlap, that of the span which starts last."""
    out: dict[Day, float] = {}
    for start, end, value in sorted(rows):
        length = (end - start).days
        out |= {start + i * DAY: value / length if total else value for i in range(length)}
    return out


def _laid(rows: list[tuple[Day, Day, float]], periods: list[tuple[Day, Day]], total: bool) -> list[float]:
    """Day by day: the mean (or sum) over the days of each period of which at least half are known and that is over."""
    daily, last = _days_of(rows, total), max(rows)[1]
    out = []
    for start, end in periods:
        days = (end - start).days
        known = [daily[start + i * DAY] for i in range(days) if start + i * DAY in daily]
        full = end <= last and 2 * len(known) >= days
        out.append(sum(known) / len(known) * (days if total else 1) if full else np.nan)
    return out


def _held(rows: list[tuple[Day, Day, float]], periods: list[tuple[Day, Day]], now: Day, planned: bool) -> list[float]:
    """Period by period: the newest value that was known by its end, unless the signal has stopped.

    Values become known in the order of their spans.
    """
    rows = sorted(rows)
    since = list(accumulate((start + DAY if planned else end for start, end, _ in rows), max))
    last_start, last_end, _ = rows[-1]
    out = []
    for _, end in periods:
        known = [value for (_, _, value), at in zip(rows, since, strict=True) if at <= end]
        stopped = end > max(last_end, since[-1]) + (last_end - last_start)
        unpublished = not planned and end > max(now, since[-1])
        out.append(np.nan if not known or stopped or unpublished else known[-1])
    return out


def _series(frequency: str, n: int) -> Series:
    ds = pd.date_range(end="2024-03-31", periods=n, freq=frequency)
    return versions(pd.DataFrame({"ds": ds, "y": np.arange(1.0, n + 1)}), frequency, None).read(None)


def _check(laid: np.ndarray, rows: SignalRows, series: Series, horizon: int) -> None:
    """Compare with the slow reading of the very spans that were read."""
    spans = [(Day(a), Day(b), float(v)) for a, b, v in zip(rows.start, rows.end, rows.value, strict=True)]
    spans = [row for row in spans if np.isfinite(row[2])]
    labels = np.concatenate([series.ds, series.future(horizon)])
    periods = [_span(Day(day), series.frequency) for day in labels]
    lengths = [np.median([(b - a).days for a, b, *_ in some]) for some in (spans, periods)]
    if lengths[0] > 1.5 * lengths[1]:
        expected = _held(spans, periods, periods[len(series) - 1][1], rows.future_known)
    else:
        expected = _laid(spans, periods, rows.total)
    np.testing.assert_allclose(laid, expected, rtol=1e-9, atol=1e-12)


@settings(max_examples=150, deadline=None)
@given(
    sales=st.sampled_from(CADENCES),
    cadence=st.sampled_from(CADENCES),
    n=st.integers(2, 12),
    count=st.integers(3, 40),
    offset=st.integers(-60, 90),
    keep=st.floats(0.4, 1.0),
    aggregation=st.sampled_from(("mean", "sum")),
    planned=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_any_cadence_is_laid_day_by_day(
    sales: str, cadence: str, n: int, count: int, offset: int, keep: float, aggregation: str, planned: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    series = _series(sales, n)
    ds = pd.date_range(end=pd.Timestamp("2024-03-31") + offset * DAY, periods=count, freq=cadence)
    values = np.where(rng.uniform(size=count) < keep, rng.normal(size=count), np.nan)
    values[rng.integers(count)] = 1.0
    frame = signal("x", values, ds, aggregation=aggregation, future_known=planned).sample(frac=1.0, random_state=seed)
    rows = read(frame)[0]
    for start, end, day in zip(rows.start, rows.end, ds, strict=True):
        assert (Day(start), Day(end)) == _span(day, cadence)
    _check(lay(rows, series, 3, None).x, rows, series, 3)


@settings(max_examples=150, deadline=None)
@given(
    sales=st.sampled_from(CADENCES),
    spans=st.lists(
        st.tuples(st.integers(-80, 60), st.integers(1, 12)), min_size=1, max_size=25, unique_by=lambda s: s[0]
    ),
    total=st.booleans(),
)
def test_any_spans_are_laid_day_by_day(sales: str, spans: list[tuple[int, int]], total: bool) -> None:
    series = _series(sales, 9)
    start = pd.DatetimeIndex([pd.Timestamp("2024-03-01") + days * DAY for days, _ in spans])
    end = start + pd.to_timedelta([length for _, length in spans], unit="D")
    frame = pd.DataFrame({"signal": "x", "start": start, "end": end, "value": np.arange(1.0, len(spans) + 1)})
    rows = read(frame.assign(aggregation="sum" if total else "mean"))[0]
    _check(lay(rows, series, 2, None).x, rows, series, 2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), moment=st.integers(0, 40))
def test_each_span_has_the_last_version_known(seed: int, moment: int) -> None:
    rng = np.random.default_rng(seed)
    day = pd.date_range("2024-01-01", periods=20)[rng.integers(0, 20, 60)]
    known = pd.Timestamp("2024-01-05") + pd.to_timedelta(rng.permutation(60), unit="D")
    value = np.where(rng.uniform(size=60) < 0.2, np.nan, np.arange(60.0))
    frame = pd.DataFrame({"signal": "x", "start": day, "end": day + DAY, "value": value, "known_at": known})
    as_of = pd.Timestamp("2024-01-25") + moment * DAY
    told = frame[frame["known_at"] <= as_of].sort_values("known_at").groupby("start").last(skipna=False)
    seen = told["value"].dropna()
    for rows in (read(frame)[0].as_of(as_of), read(frame, as_of)[0].as_of(None)):
        np.testing.assert_array_equal(rows.start, seen.index.to_numpy().astype("datetime64[D]"))
        np.testing.assert_array_equal(rows.value, seen)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), names=st.permutations(["b", "a", "é", "10", "9"]))
def test_signals_keep_apart_whatever_the_order_of_rows(seed: int, names: list[str]) -> None:
    rng = np.random.default_rng(seed)
    parts = {name: signal(name, rng.normal(size=30), weeks(30)) for name in names}
    for frame in (pd.concat(parts.values()), pd.concat(parts.values()).sample(frac=1.0, random_state=seed)):
        rows = read(frame)
        assert [r.name for r in rows] == sorted(names)
        for r in rows:
            np.testing.assert_array_equal(r.value, parts[r.name]["value"])


@pytest.mark.parametrize(
    "form",
    [
        lambda column: column,
        lambda column: column.astype(str),
        lambda column: column.dt.date,
        lambda column: column.astype("datetime64[ns]"),
        lambda column: column + pd.Timedelta(hours=17),
        lambda column: column.dt.tz_localize("America/New_York"),
        lambda column: column.astype("timestamp[us][pyarrow]"),
    ],
)
def test_dates_of_any_form_are_the_same_days(form) -> None:  # type: ignore[no-untyped-def]
    history, x = weekly_sales(20), signal("x", np.arange(20.0), weeks(20))
    series = versions(history.assign(ds=form(history["ds"])), None, None).read(None)
    rows = read(x.assign(ds=form(x["ds"])))[0]
    np.testing.assert_array_equal(series.ds, weeks(20).to_numpy().astype("datetime64[D]"))
    np.testing.assert_array_equal(lay(rows, series, 1, None).x[:-1], np.arange(20.0))


def test_names_and_numbers_of_any_form_are_the_same_signal() -> None:
    x = pd.concat([signal("1", np.arange(9.0), weeks(9)), signal("2", np.arange(9.0), weeks(9))])
    for names in (x["signal"].astype(object), x["signal"].astype(int), x["signal"].astype("category")):
        rows = read(x.assign(signal=names, value=x["value"].astype("Float64")))
        assert [r.name for r in rows] == ["1", "2"]
        np.testing.assert_array_equal(rows[1].value, np.arange(9.0))
    mixed = x.assign(signal=[*[1, "1"] * 4, "1", *["2"] * 9])
    assert [(r.name, r.value.size) for r in read(mixed)] == [("1", 9), ("2", 9)]


def test_a_row_without_a_name_is_refused() -> None:
    x = signal("x", np.arange(9.0), weeks(9))
    x.loc[4, "signal"] = None
    with pytest.raises(SignalsError, match="no name in row 4"):
        read(x)


def test_the_history_of_a_forecast_is_a_frame_whoever_made_it() -> None:
    history = weekly_sales(40)
    history.loc[7, "y"] = np.nan
    result = forecast(history, 3)
    lazy = replace(result, history=versions(history, None, None).read(None))  # type: ignore[arg-type]
    assert lazy.to_dict() == result.to_dict()
    assert lazy.to_dict()["history"]["periods"] == 39
    pd.testing.assert_frame_equal(lazy.history, result.history)
    assert len(replace(lazy, history=lazy.history.tail(9)).history) == 9
