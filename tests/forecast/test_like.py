"""Forecasts of what is new: the level is its own, the moves are those of what it is like, and that is told."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from forecast import Forecast, HistoryError, OptionError, forecast, forecast_like
from forecast.like import DRIVER, is_short, known_periods

N = 156
WEEKS = pd.date_range("2022-01-02", periods=N, freq="W-SUN")
AHEAD = pd.date_range(WEEKS[-1] + pd.Timedelta(weeks=1), periods=8, freq="W-SUN")
SIZES = {"boots": 100.0, "hats": 30.0, "shoes": 500.0}


def season(weeks: pd.DatetimeIndex) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * (weeks - WEEKS[0]).days.to_numpy() / 365.25)


def sales(size: float, seed: int, noise: float = 0.05) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"ds": WEEKS, "y": size * np.exp(season(WEEKS) + noise * rng.normal(size=N))})


LIKE = {name: sales(size, seed) for seed, (name, size) in enumerate(SIZES.items())}
NEW = sales(50.0, 9)


def new(periods: int) -> pd.DataFrame:
    return NEW.tail(periods)


@pytest.mark.parametrize("periods", [0, 1, 3, 10, 52])
def test_an_answer_is_whole(periods: int) -> None:
    found = forecast_like(new(periods), 8, LIKE, category="new", unit="pairs")
    assert pd.DatetimeIndex(found.ds).equals(AHEAD)
    assert (found.category, found.unit, found.frequency, found.engine.name) == ("new", "pairs", "W-SUN", "like")
    parts = found.contributions().drop(columns="ds")
    assert set(parts) == {"level", *(DRIVER + name for name in LIKE)}
    np.testing.assert_allclose(parts.sum(axis=1), found.mean, rtol=1e-9)
    assert (np.diff(found.grid, axis=1) >= 0).all()
    assert np.isfinite(found.grid).all()
    told = found.to_dict()
    assert told["history"]["periods"] == periods
    assert told["quality"]["origins"] == 0
    assert [row["kind"] for row in told["forecast"]] == ["forecast"] * 8


@pytest.mark.parametrize("periods", [1, 3, 10])
def test_its_own_level_moves_as_they_do(periods: int) -> None:
    found = forecast_like(new(periods), 8, LIKE)
    np.testing.assert_allclose(found.median, 50.0 * np.exp(season(AHEAD)), rtol=0.15)


def test_without_sales_it_is_as_large_as_they_are_and_that_is_said() -> None:
    found = forecast_like(None, 8, LIKE)
    size = np.exp(np.mean(np.log(list(SIZES.values()))))
    np.testing.assert_allclose(found.median, size * np.exp(season(AHEAD)), rtol=0.15)
    assert (found.interval(80)[0] < 0.5 * found.median).all()
    assert (found.interval(80)[1] > 2 * found.median).all()
    assert any("no sale is known yet" in text for text in found.warnings)
    assert found.engine.reason.startswith("no sale is known; 100 % of the mean moves of boots, hats and shoes")
    history = found.to_dict()["history"]
    assert (history["start"], history["end"], history["periods"]) == ("2024-12-23", "2024-12-22", 0)


def test_weeks_without_a_sale_before_the_first_say_nothing() -> None:
    before = NEW.assign(y=0.0).tail(6)
    same = forecast_like(before, 4, LIKE)
    assert same.to_dict()["history"]["periods"] == 0
    np.testing.assert_allclose(same.mean, forecast_like(None, 4, LIKE).mean)
    then = pd.concat([NEW.assign(y=0.0).iloc[-9:-3], new(3)])
    np.testing.assert_allclose(forecast_like(then, 4, LIKE).mean, forecast_like(new(3), 4, LIKE).mean)


def test_the_longer_the_history_the_narrower_the_interval() -> None:
    noisy = {name: sales(size, seed, noise=0.3) for seed, (name, size) in enumerate(SIZES.items())}
    level = sales(50.0, 9, noise=0.3)
    widths = []
    for periods in (0, 1, 10):
        low, high = forecast_like(level.tail(periods), 4, noisy).interval(80)
        widths.append(float(np.log(high / low).mean()))
    assert widths[0] > widths[1] > widths[2]


def test_what_does_not_move_together_is_borrowed_less() -> None:
    rng = np.random.default_rng(3)
    apart = {}
    for name in ("a", "b", "c", "d"):
        walk = np.cumsum(0.1 * rng.normal(size=N))
        apart[name] = pd.DataFrame({"ds": WEEKS, "y": 100 * np.exp(walk - walk.mean())})
    shares = [borrowed_pct(forecast_like(new(6), 8, like)) for like in (LIKE, apart)]
    assert shares[0] > 90
    assert shares[1] < 75


def borrowed_pct(found: Forecast) -> int:
    told = re.search(r"; (\d+) % of the mean moves", found.engine.reason)
    assert told
    return int(told[1])


def test_from_one_alone_all_is_borrowed_and_the_interval_assumed() -> None:
    found = forecast_like(new(3), 8, {"boots": LIKE["boots"]})
    assert found.engine.reason == "the level is that of its 3 known periods; 100 % of the moves of boots are borrowed"
    assert any("like one category only" in text for text in found.warnings)
    alone = forecast(LIKE["boots"], 8)
    np.testing.assert_allclose(found.median / found.median[0], alone.median / alone.median[0], rtol=1e-6)
    width, own = (np.log(np.divide(*one.interval(80)[::-1])) for one in (found, alone))
    assert (width > own).all()


def test_nothing_after_the_origin_is_seen() -> None:
    stamped = {name: one.assign(known_at=one["ds"] + pd.Timedelta(days=2)) for name, one in LIKE.items()}
    then = WEEKS[120] + pd.Timedelta(days=3)
    own = NEW.iloc[116:].assign(known_at=NEW["ds"] + pd.Timedelta(days=2))
    changed = {name: one.assign(y=one["y"].where(one["ds"] <= WEEKS[120], 1.0)) for name, one in stamped.items()}
    one = forecast_like(own, 4, stamped, as_of=then)
    two = forecast_like(own.assign(y=own["y"].where(own["ds"] <= WEEKS[120], 7.0)), 4, changed, as_of=then)
    assert one.to_dict()["history"]["periods"] == 5
    np.testing.assert_array_equal(one.grid, two.grid)
    assert (dataclasses.replace(one, fit_ms=0).to_dict()) == (dataclasses.replace(two, fit_ms=0).to_dict())


def test_those_that_are_late_are_forecast_up_to_it() -> None:
    late = LIKE | {"hats": LIKE["hats"].iloc[:-3]}
    found = forecast_like(new(3), 8, late)
    assert pd.DatetimeIndex(found.ds).equals(AHEAD)
    np.testing.assert_allclose(found.median, forecast_like(new(3), 8, LIKE).median, rtol=0.05)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (LIKE["hats"].tail(10), "10 periods of it are known, and more than 52 are needed"),
        (LIKE["hats"].assign(y=lambda frame: frame["y"] - 40), "it has sales below zero"),
        (LIKE["hats"].iloc[:-20], "its sales end with 2024-08-04"),
        (LIKE["hats"].iloc[N - 60 :], "its sales begin with"),
    ],
    ids=["short", "negative", "stale", "younger"],
)
def test_who_is_left_out_is_told(other: pd.DataFrame, reason: str) -> None:
    found = forecast_like(new(70), 4, LIKE | {"hats": other})
    assert any(text.startswith("nothing is borrowed from hats: " + reason) for text in found.warnings)
    assert DRIVER + "hats" not in found.parts
    with pytest.raises(HistoryError, match="hats: "):
        forecast_like(new(70), 4, {"hats": other})


def test_sales_below_zero_have_no_working_scale_to_share() -> None:
    with pytest.raises(HistoryError, match="it has sales below zero itself"):
        forecast_like(new(5).assign(y=[4.0, -1.0, 3.0, 2.0, 5.0]), 4, LIKE)


def test_sales_of_zero_among_few() -> None:
    zeros = new(5).assign(y=[4.0, 0.0, 3.0, 0.0, 5.0])
    found = forecast_like(zeros, 4, LIKE)
    assert (found.grid >= 0).all()
    assert 0 < found.median[0] < 10


def test_relatives_that_never_move_do_not_make_it_certain() -> None:
    still = {name: one.assign(y=5.0) for name, one in LIKE.items()}
    low, high = forecast_like(new(4).assign(y=[4.0, 8.0, 3.0, 6.0]), 4, still).interval(80)
    assert (low < 4).all()
    assert (high > 7).all()


def test_gaps_in_a_short_history() -> None:
    gap = new(5).drop(index=NEW.index[-3])
    found = forecast_like(gap, 4, LIKE)
    assert found.to_dict()["history"]["periods"] == 4
    np.testing.assert_allclose(found.median, forecast_like(new(5), 4, LIKE).median, rtol=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"like": {}}, "like: got nobody"),
        ({"like": {"boots": LIKE["boots"].assign(y=0.0)}}, "like: got boots; wanted one category at least"),
        ({"frequency": "MS"}, "history.ds"),
        ({"horizon": 0}, "horizon: got 0"),
        ({"levels": (0,)}, "levels"),
    ],
)
def test_what_cannot_be_forecast(arguments: dict[str, object], message: str) -> None:
    given = {"horizon": 4, "like": LIKE} | arguments
    with pytest.raises((HistoryError, OptionError), match=message):
        forecast_like(new(3), **given)  # type: ignore[arg-type]


def test_others_of_another_frequency() -> None:
    months = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=40, freq="MS"), "y": 10.0})
    with pytest.raises(OptionError, match="months, of MS; wanted categories of the frequency W-SUN"):
        forecast_like(new(3), 4, LIKE | {"months": months})


def test_how_many_periods_are_known() -> None:
    assert known_periods(new(0), "W-SUN") == 0
    assert known_periods(new(3), "W-SUN") == 3
    assert known_periods(pd.concat([NEW.assign(y=0.0).iloc[-9:-3], new(3)]), "W-SUN") == 3
    assert known_periods(new(20), "W-SUN", pd.Timestamp("2024-12-02")) == 17
    assert [is_short(n, "W-SUN") for n in (0, 52, 53)] == [True, True, False]
    assert [is_short(n, "MS") for n in (12, 13)] == [is_short(n, "QS") for n in (12, 13)] == [True, False]


def wandering(rng: np.random.Generator, common: np.ndarray) -> np.ndarray:
    own = np.cumsum(0.03 * rng.normal(size=common.size)) + 0.1 * rng.normal(size=common.size)
    return np.asarray(rng.uniform(10, 1000) * np.exp(common + own))


def test_intervals_hold_what_comes() -> None:
    """Each of eight similar series plays the new one at five origins: four weeks known, of the others years."""
    rng = np.random.default_rng(11)
    ds = pd.date_range(WEEKS[0], periods=N + 8, freq="W-SUN")
    common = np.cumsum(0.03 * rng.normal(size=N + 8))
    frames = {f"s{i}": pd.DataFrame({"ds": ds, "y": wandering(rng, common)}) for i in range(8)}
    inside = []
    for cut in range(N - 36, N + 1, 9):
        for name, own in frames.items():
            like = {other: one.iloc[:cut] for other, one in frames.items() if other != name}
            low, high = forecast_like(own.iloc[cut - 4 : cut], 8, like).interval(80)
            actual = own["y"].to_numpy()[cut : cut + 8]
            inside.append(((actual >= low) & (actual <= high)).mean())
    assert 0.7 < np.mean(inside) < 0.93


def test_a_value_far_above_the_median_and_upper_ends_that_are_held_are_told() -> None:
    wide = forecast_like(None, 8, LIKE)
    above = 100 * (wide.mean.sum() / wide.median.sum() - 1)
    assert any(f"lies {above:.0f} % above the median" in text for text in wide.warnings)
    np.testing.assert_array_less(wide.interval(80)[1], wide.interval(95)[1] + 1e-9)
    assert any("upper ends of intervals" in text for text in wide.warnings)
    known = forecast_like(new(52), 8, LIKE).warnings
    assert not any("above the median" in text or "upper ends" in text for text in known)
