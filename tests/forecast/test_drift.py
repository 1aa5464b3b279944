"""Alarms of drift: what is found, what it says, and what raises none."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from bench.drift_records import World, made
from forecast.drift import Alarm, Record, log_ratio, watch
from forecast.errors import OptionError

YEAR = 52


def record(seed: int = 0, **world: object) -> Record:
    return made(np.random.default_rng([77, seed]), World(years=3, at=104, **world))  # type: ignore[arg-type]


def place(one: Record, alarm: Alarm) -> int:
    return int(np.searchsorted(one.ds, alarm.found))


def first(one: Record, kind: str) -> Alarm:
    return next(alarm for alarm in watch(one) if alarm.kind == kind and place(one, alarm) >= 104)


def test_a_loss_is_found_within_a_year_with_since_when_how_much_and_why() -> None:
    one = record(change="loss", size=0.3)
    alarm = first(one, "loss")
    assert abs(int((alarm.since - one.ds[104]).astype(int))) <= 35
    assert alarm.low is not None
    assert alarm.high is not None
    assert alarm.low < alarm.change < alarm.high
    assert 10 < alarm.change < 60
    assert alarm.cause == "configuration"
    pattern = (
        r"Since the week to \d+ \w{3} \d{4} the loss has been \d+ % higher against the reference \(95 % interval .+\); "
    )
    assert re.match(pattern, alarm.sentence)


def test_detection_and_false_alarms_by_simulation() -> None:
    """A small run of `python -m bench.drift`, on seeds of its own."""
    delays = []
    for seed in range(12):
        one = record(seed, change="loss", size=0.4)
        delays += [place(one, a) - 103 for a in watch(one) if a.kind == "loss" and place(one, a) >= 104][:1]
    assert len(delays) == 12
    assert np.median(delays) <= 8
    calm = [alarm for seed in range(12) for alarm in watch(record(seed))]
    assert len(calm) <= 6  # 30 category-years


def test_a_pandemic_that_hits_both_alike_is_no_loss() -> None:
    assert [a.kind for seed in range(8) for a in watch(record(seed, pandemic=True)) if a.kind == "loss"] == []


def test_where_the_reference_does_worse_too_the_cause_is_the_regime() -> None:
    one = record(change="loss", size=0.8)
    late = np.arange(one.ds.size) >= 104
    worse = replace(one, loss=one.loss * np.where(late, 4, 1), reference=one.reference * np.where(late, 4, 1))
    assert first(worse, "loss").cause == "regime"
    assert "the market changed" in first(worse, "loss").sentence


def test_where_actuals_are_hard_to_believe_the_cause_is_the_data() -> None:
    one = record(change="loss", size=0.8)
    sales = one.sales.copy()
    sales[-40] = 0.0
    sales[-52:-46] = 0.0
    assert first(replace(one, sales=sales), "loss").cause == "data"


def test_where_a_signal_died_the_cause_is_the_signal() -> None:
    one = record(change="loss", size=0.8)
    (signal,) = one.signals
    values = np.where(np.arange(one.ds.size) >= 100, np.nan, signal.values)
    alarms = watch(replace(one, signals=(replace(signal, values=values),)))
    died = next(alarm for alarm in alarms if alarm.kind == "signal died")
    loss = next(a for a in alarms if a.kind == "loss")
    assert died.signal == "search/boots"
    assert died.since == one.ds[100]
    assert loss.cause == "signal" or loss.found < died.since


@pytest.mark.parametrize(("size", "since"), [(1.0, 104), (0.0, 105)])
def test_a_signal_that_is_missing_or_stands_still_has_died(size: float, since: int) -> None:
    one = record(change="signal", size=size)
    alarm = first(one, "signal died")
    assert one.ds[since - 1] <= alarm.since <= one.ds[since]
    assert "search/boots" in alarm.sentence


@pytest.mark.parametrize("size", [0.1, 10.0])
def test_a_signal_in_another_unit_has_changed_scale(size: float) -> None:
    one = record(change="signal scale", size=size)
    alarm = first(one, "signal changed scale")
    assert abs(int((alarm.since - one.ds[104]).astype(int))) <= 21
    assert ("large" if size > 1 else "small") in alarm.sentence


def test_of_a_signal_that_no_forecast_used_nothing_is_said() -> None:
    one = record(change="signal", size=1.0)
    idle = replace(one.signals[0], effect=np.zeros(one.ds.size))
    assert [a for a in watch(replace(one, signals=(idle,))) if a.kind.startswith("signal")] == []


@pytest.mark.parametrize("size", [0.15, -0.15])
def test_forecasts_that_become_too_high_or_too_low_are_biased(size: float) -> None:
    alarm = first(record(change="bias", size=size), "bias")
    assert np.sign(alarm.change) == np.sign(size)
    assert alarm.low is not None
    assert alarm.high is not None
    assert alarm.low < alarm.change < alarm.high
    assert f"too {'high' if size > 0 else 'low'}" in alarm.sentence


def test_intervals_that_became_too_narrow_lose_coverage() -> None:
    alarm = first(record(change="intervals", size=0.5), "coverage")
    assert alarm.change < -10
    assert "fewer actuals" in alarm.sentence


def test_a_season_that_comes_later_is_found_within_a_year_or_so() -> None:
    one = made(np.random.default_rng(5), World(years=4, at=104, change="season", size=6, members=5))
    moves = [alarm for alarm in watch(one) if alarm.kind == "season moved"]
    assert 4 <= moves[0].change <= 8  # the year that is compared is not yet all of the new season
    assert "weeks later than in the years before" in moves[0].sentence


def test_daily_records_are_watched_by_the_week_and_labelled_with_their_last_days() -> None:
    one = made(np.random.default_rng(3), World(frequency="D", years=3, at=728, change="loss", size=0.6))
    alarm = next(alarm for alarm in watch(one) if alarm.kind == "loss")
    assert "week to" in alarm.sentence
    assert alarm.found in one.ds


def test_what_was_found_is_found_again_in_a_longer_record() -> None:
    one = record(4, change="loss", size=0.5)
    n = 130
    parts = {name: getattr(one, name)[:n] for name in ("ds", "loss", "reference", "error", "inside")}
    signals = tuple(replace(signal, values=signal.values[:n], effect=None) for signal in one.signals)
    short = replace(one, **parts, sales=one.sales[: n - one.ds.size], signals=signals)
    assert watch(short) == [alarm for alarm in watch(one) if alarm.found < one.ds[n]]


def test_a_category_that_sells_rarely_has_a_ratio_in_every_period() -> None:
    one = record(members=1, sells_rarely=True)
    assert (one.loss == 0).any()
    assert np.isfinite(log_ratio(one, 26)).all()


def test_a_category_without_any_loss_raises_no_alarm() -> None:
    one = record()
    nothing = np.zeros(one.ds.size)
    quiet = replace(
        one, loss=nothing, reference=nothing, error=nothing, inside=nothing + 1, sales=one.sales, signals=()
    )
    assert watch(quiet) == []


def test_a_short_record_raises_no_alarm() -> None:
    one = record(change="loss", size=0.5)
    parts = {name: getattr(one, name)[:5] for name in ("ds", "loss", "reference", "error", "inside")}
    assert watch(replace(one, **parts, sales=one.sales[:5], signals=())) == []
    empty = {name: values[:0] for name, values in parts.items()}
    assert watch(replace(one, **empty, sales=one.sales[:0], signals=())) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"loss": np.ones(3)}, "loss"),
        ({"reference": -np.ones(156)}, "reference"),
        ({"inside": np.full(156, 2.0)}, "inside"),
        ({"sales": np.ones(3)}, "sales"),
    ],
)
def test_a_record_that_cannot_be_right_is_refused_by_its_field(change: dict[str, np.ndarray], field: str) -> None:
    with pytest.raises(OptionError) as caught:
        watch(replace(record(), **change))
    assert caught.value.field == field
