"""Events: what is proposed, what is not, and what an accepted one changes in a forecast."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from series_makers import signal, weekly_sales, weeks

from forecast import Change, Event, Forecast, ForecastError, OptionError, Proposal, backtest, detect, forecast, what_if
from forecast.events import MOST_EVENTS, NAMES
from forecast.proposals import Limits

N = 208
Edit = Callable[[np.ndarray], None]


def edited(edit: Edit, history: pd.DataFrame | None = None) -> pd.DataFrame:
    history = weekly_sales(N, seed=3) if history is None else history
    y = history["y"].to_numpy(copy=True)
    edit(y)
    return history.assign(y=y)


def outlier(y: np.ndarray) -> None:
    y[100] *= 2.2


def stock_out(y: np.ndarray) -> None:
    y[100:105] = 0


def one_off(y: np.ndarray) -> None:
    y[100:104] *= 1.8


def level_shift(y: np.ndarray) -> None:
    y[130:] *= 1.7


EDITS = {"outlier": outlier, "stock_out": stock_out, "one_off": one_off, "level_shift": level_shift}
SPANS = {"outlier": (100, 100), "stock_out": (100, 104), "one_off": (100, 103), "level_shift": (130, 130)}


def spans(found: list[Proposal]) -> list[tuple[str, dt.date, dt.date]]:
    return [(one.kind, one.first, one.last) for one in found]


def event(kind: str) -> Event:
    first, last = (day.date() for day in weeks(N)[list(SPANS[kind])])
    return Event(kind, first, last)


def close(one: Forecast, other: Forecast) -> float:
    """The mean distance of two forecasts in per cent."""
    return float(100 * np.abs(one.mean / other.mean - 1).mean())


@pytest.mark.parametrize("kind", EDITS)
def test_an_event_is_proposed_with_its_periods(kind: str) -> None:
    (found,) = detect(edited(EDITS[kind]), unit="pairs")
    first, last = (day.date() for day in weeks(N)[list(SPANS[kind])])
    assert found.kind == kind
    assert abs((found.first - first).days) <= 7
    assert abs((found.last - last).days) <= 7
    assert found.periods == (found.last - found.first).days // 7 + 1


def test_size_and_sentence_say_what_was_planted() -> None:
    plain = weekly_sales(N, seed=3)["y"].to_numpy()
    (bump,) = detect(edited(one_off), unit="pairs")
    assert bump.size == pytest.approx(0.8 * plain[100:104].sum(), rel=0.35)
    assert bump.size_pct == pytest.approx(80, abs=30)
    assert bump.sentence.startswith(f"In the {bump.periods} weeks to ")
    assert bump.sentence.endswith("more than would be usual: a one-off event?")
    (empty,) = detect(edited(stock_out), unit="pairs")
    assert empty.size_pct == -100
    assert empty.size == pytest.approx(-plain[100:105].sum(), rel=0.35)
    assert "0 sold where about" in empty.sentence
    (shift,) = detect(edited(level_shift), unit="pairs")
    assert shift.size_pct == pytest.approx(70, abs=20)
    assert "sales rose by about" in shift.sentence
    assert "pairs a week" in shift.sentence


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_proposed_where_nothing_happened(seed: int) -> None:
    assert detect(weekly_sales(N, seed=seed)) == []


def test_a_peak_of_each_year_is_a_season() -> None:
    def peak(y: np.ndarray) -> None:
        for year in range(4):
            y[48 + 52 * year] *= 2.5

    assert detect(edited(peak)) == []


def test_a_holiday_that_moves_is_no_event() -> None:
    ds = weeks(N)
    easter = [pd.Timestamp(day) for day in ("2023-04-09", "2024-03-31", "2025-04-20", "2026-04-05")]

    def moved(y: np.ndarray) -> None:
        y[ds.isin(easter)] *= 2

    assert detect(edited(moved)) == []


def test_what_a_plan_explains_is_no_event() -> None:
    plan = np.zeros(N)
    plan[[30, 77, 100, 150]] = 1
    history = edited(lambda y: y.__imul__(np.where(plan > 0, 2.2, 1.0)))
    assert {one.first for one in detect(history)} & {day.date() for day in weeks(N)[plan > 0]}
    known = signal("promotions", plan, weeks(N), future_known=True)
    assert detect(history, signals=known) == []
    unplanned = detect(history, signals=known.assign(future_known=False))
    assert spans(unplanned) == spans(detect(history))


def test_an_event_is_found_once_sales_are_back() -> None:
    history = edited(outlier)
    assert detect(history.iloc[:101]) == []
    assert detect(history.iloc[:102]) == []
    assert spans(detect(history.iloc[:130])) == spans(detect(history))


def test_without_another_year_only_stock_outs_are_told() -> None:
    short = weekly_sales(60, seed=3)

    def both(y: np.ndarray) -> None:
        y[20] *= 3
        y[35:38] = 0

    assert [one.kind for one in detect(edited(both, short))] == ["stock_out"]
    assert {one.kind for one in detect(edited(both, short), season_length=1)} == {"outlier", "stock_out"}


def test_slow_and_seasonal_sellers_have_no_stock_outs() -> None:
    rng = np.random.default_rng(0)
    slow = pd.DataFrame({"ds": weeks(N), "y": rng.poisson(1.5, N).astype(float)})
    assert detect(slow) == []
    summer = np.maximum(np.sin(2 * np.pi * np.arange(N) / 52.18), 0) * 50 * np.exp(0.1 * rng.normal(size=N))
    assert detect(pd.DataFrame({"ds": weeks(N), "y": np.round(summer)})) == []


def test_closed_sundays_are_no_stock_outs_but_an_empty_week_is() -> None:
    ds = pd.date_range("2024-01-01", periods=900)
    y = 100 * np.exp(0.1 * np.random.default_rng(2).normal(size=900))
    y[ds.dayofweek == 6] = 0
    assert detect(pd.DataFrame({"ds": ds, "y": y})) == []
    y[400:407] = 0
    (found,) = detect(pd.DataFrame({"ds": ds, "y": y}))
    assert found.kind == "stock_out"
    assert found.first <= ds[400].date()
    assert found.last >= ds[406].date()


@pytest.mark.parametrize("frequency", ["D", "MS", "QS"])
def test_other_frequencies(frequency: str) -> None:
    n = {"D": 900, "MS": 96, "QS": 40}[frequency]
    ds = pd.date_range("2012-01-01", periods=n, freq=frequency)
    y = 100 * np.exp(0.04 * np.random.default_rng(5).normal(size=n))
    assert detect(pd.DataFrame({"ds": ds, "y": y})) == []
    y[n // 2] *= 2.5
    (found,) = detect(pd.DataFrame({"ds": ds, "y": y}))
    assert (found.kind, found.first) == ("outlier", ds[n // 2].date())


def test_gaps_constants_and_negative_sales() -> None:
    gappy = edited(one_off)
    gappy.loc[[40, 41, 101], "y"] = np.nan
    assert {one.kind for one in detect(gappy)} <= {"one_off", "outlier"}
    flat = pd.DataFrame({"ds": weeks(N), "y": 100.0})
    assert detect(flat) == []
    assert [one.kind for one in detect(edited(outlier, flat))] == ["outlier"]
    negative = weekly_sales(N, seed=3).assign(y=lambda frame: frame["y"] - 100)
    (found,) = detect(edited(lambda y: y.__setitem__(100, 300.0), negative))
    assert found.kind == "outlier"


def test_a_very_short_history_has_no_events() -> None:
    assert detect(weekly_sales(2)) == []
    with pytest.raises(ForecastError):
        detect(weekly_sales(1))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_proposals_as_of_a_moment_rest_on_what_was_known(seed: int) -> None:
    history = edited(outlier)
    history["known_at"] = history["ds"] + pd.Timedelta(days=3)
    moment = history["known_at"].iloc[150]
    noisy = history.assign(y=history["y"].where(history["known_at"] <= moment, seed))
    assert detect(noisy, as_of=moment) == detect(history, as_of=moment) != []


@pytest.mark.parametrize("kind", EDITS)
def test_an_accepted_event_brings_back_the_forecast_without_it(kind: str) -> None:
    history = edited(EDITS[kind])
    truth = weekly_sales(N, seed=3)
    if kind == "level_shift":
        truth["y"] *= 1.7
    whole = forecast(truth, 60)
    told, plain = forecast(history, 60, events=[event(kind)]), forecast(history, 60)
    assert close(told, whole) < 0.5 * close(plain, whole)
    assert [one.kind for one in told.events] == [kind]
    assert told.events[0].sentence.startswith(NAMES[kind])
    assert plain.events == ()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["outlier", "stock_out", "one_off"]))
def test_what_sold_in_an_accepted_event_changes_no_byte(seed: int, kind: str) -> None:
    first, last = SPANS[kind]
    rng = np.random.default_rng(seed)

    def noise(y: np.ndarray) -> None:
        y[first : last + 1] = rng.uniform(0, 1000, last + 1 - first)

    answers = []
    for history in (weekly_sales(N, seed=3), edited(noise)):
        answer = forecast(history, 6, events=[event(kind)]).to_dict()
        answers.append({name: value for name, value in answer.items() if name != "timing_ms"})
    assert answers[0] == answers[1]


def test_the_answer_says_which_events_were_taken_out() -> None:
    answer = forecast(edited(level_shift), 2, events=[event("level_shift"), event("outlier")]).to_dict()
    assert [one["kind"] for one in answer["events"]] == ["outlier", "level_shift"]
    first, shift = answer["events"]
    assert first["sentence"] == "outlier of the week to 20 Oct 2024: taken as missing".replace(
        "20 Oct 2024", f"{weeks(N)[100]:%-d %b %Y}"
    )
    assert shift["change_pct"] == pytest.approx(70, abs=15)
    assert not any("no value" in warning for warning in answer["warnings"])


def test_the_history_keeps_what_was_sold() -> None:
    history = edited(stock_out)
    result = forecast(history, 2, events=[event("stock_out")])
    assert result.history["y"].tolist() == history["y"].tolist()
    assert result.to_dict()["history"]["periods"] == N


def test_events_outside_the_history_change_nothing() -> None:
    history = weekly_sales(N, seed=3)
    far = [Event("outlier", dt.date(1999, 1, 1), dt.date(1999, 1, 1)), Event("level_shift", *[dt.date(2030, 1, 1)] * 2)]
    told = forecast(history, 4, events=far)
    assert told.events == ()
    assert told.mean.tolist() == forecast(history, 4).mean.tolist()


def test_a_shift_with_too_little_beside_it_is_told_and_changes_nothing() -> None:
    history = weekly_sales(N, seed=3)
    late = weeks(N)[-2].date()
    told = forecast(history, 4, events=[Event("level_shift", late, late)])
    assert told.events[0].change_pct is None
    assert "nothing was changed" in told.events[0].sentence
    assert told.mean.tolist() == forecast(history, 4).mean.tolist()


def test_two_shifts_are_both_taken_out() -> None:
    def twice(y: np.ndarray) -> None:
        y[80:] *= 1.5
        y[150:] *= 1.5

    days = [weeks(N)[at].date() for at in (80, 150)]
    told = forecast(edited(twice), 8, events=[Event("level_shift", day, day) for day in days])
    assert [one.change_pct for one in told.events] == [pytest.approx(50, abs=15)] * 2
    truth = weekly_sales(N, seed=3).assign(y=lambda frame: frame["y"] * 1.5**2)
    assert close(told, forecast(truth, 8)) < 5


def test_every_version_of_a_period_is_taken_out() -> None:
    history = edited(outlier)
    history["known_at"] = history["ds"] + pd.Timedelta(days=3)
    late = history.iloc[[100]].assign(known_at=history["known_at"].iloc[110], y=9999.0)
    both = pd.concat([history, late])
    one, other = (forecast(frame, 4, events=[event("outlier")]) for frame in (history, both))
    assert one.mean.tolist() == pytest.approx(other.mean.tolist(), rel=1e-3)


def test_backtest_and_scenarios_take_events() -> None:
    history = edited(stock_out)
    assert backtest(history, 4, events=[event("stock_out")]).quality.wape < backtest(history, 4).quality.wape
    plan = signal(
        "price", np.r_[np.random.default_rng(1).normal(10, 1, N), np.full(4, 10.0)], weeks(N + 4, "2026-12-13")
    )
    changed = {"cheap": [Change("price", "2026-12-06", values=[8.0])]}
    told = what_if(history, 4, changed, signals=plan.assign(future_known=True), events=[event("stock_out")])
    assert [one["kind"] for one in told.to_dict()["events"]] == ["stock_out"]


def test_wrong_events_are_named() -> None:
    history, day = weekly_sales(60), dt.date(2026, 1, 1)
    with pytest.raises(OptionError, match=r"events\.kind: got flood; wanted one of outlier, stock_out"):
        forecast(history, 2, events=[Event("flood", day, day)])
    with pytest.raises(OptionError, match=r"events\.last: got 2025-12-31; wanted a day that is not before 2026-01-01"):
        forecast(history, 2, events=[Event("outlier", day, dt.date(2025, 12, 31))])
    with pytest.raises(OptionError, match="events: got 201 events"):
        forecast(history, 2, events=[Event("outlier", day, day)] * (MOST_EVENTS + 1))


def test_a_history_that_is_all_events_is_refused() -> None:
    history = weekly_sales(20)
    first, last = history["ds"].iloc[0].date(), history["ds"].iloc[-1].date()
    with pytest.raises(ForecastError, match="known period"):
        forecast(history, 2, events=[Event("stock_out", first, last)])


def test_limits_are_plain_numbers() -> None:
    assert all(value > 3 for value in dataclasses.asdict(Limits()).values())
