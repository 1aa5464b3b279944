"""A configuration: what it changes in a forecast, what its name tells, what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecast import Configuration, ForecastError, OptionError, forecast

WEEKS = 160


def sales(seed: int = 4) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    week = np.arange(WEEKS)
    y = 100 * np.exp(0.2 * np.sin(week / 52.18 * 2 * np.pi) + random.normal(0, 0.05, WEEKS).cumsum() * 0.3)
    return pd.DataFrame({"ds": pd.date_range("2023-01-01", periods=WEEKS, freq="W-SUN"), "y": y})


def leading_signal(history: pd.DataFrame) -> pd.DataFrame:
    """A signal that runs a week ahead of sales."""
    value = np.append(history["y"].to_numpy()[1:], history["y"].iloc[-1])
    return pd.DataFrame({"signal": "search", "ds": history["ds"], "value": value})


def test_the_default_is_the_same_forecast_as_no_configuration() -> None:
    history = sales()
    plain, configured = (forecast(history, 8, engine=engine) for engine in ("fast", Configuration()))
    assert plain.to_dict()["forecast"] == configured.to_dict()["forecast"]
    assert plain.engine.configuration == configured.engine.configuration == Configuration().name


def test_only_the_newest_periods_are_used() -> None:
    history = sales()
    found = forecast(history, 8, engine=Configuration(history=60))
    cut = forecast(history.tail(60), 8)
    assert found.to_dict()["forecast"] == cut.to_dict()["forecast"]
    assert found.to_dict()["history"]["periods"] == 60


def test_versions_of_kept_periods_stay_and_those_of_older_ones_go() -> None:
    history = sales()
    history["known_at"] = history["ds"] + pd.Timedelta(days=1)
    revised = history.iloc[[10, -5]].assign(y=lambda rows: rows["y"] * 1.1, known_at=pd.Timestamp("2026-02-01"))
    every = pd.concat([history, revised])
    found = forecast(every, 4, engine=Configuration(history=60), as_of="2026-03-01")
    kept = every[every["ds"] >= history["ds"].iloc[-60]]
    assert found.to_dict()["forecast"] == forecast(kept, 4, as_of="2026-03-01").to_dict()["forecast"]


def test_signals_that_are_left_out_are_not_looked_at() -> None:
    history = sales()
    signals = leading_signal(history)
    assert forecast(history, 4, signals=signals).signals[0].admitted
    without = forecast(history, 4, signals=signals, engine=Configuration(signals=()))
    assert without.signals == []
    assert without.to_dict()["forecast"] == forecast(history, 4).to_dict()["forecast"]
    named = forecast(history, 4, signals=signals, engine=Configuration(signals=("search",)))
    assert named.signals[0].admitted


def test_the_working_scale_may_be_the_plain_one() -> None:
    history = sales()
    plain, identity = (forecast(history, 8, engine=Configuration(transform=scale)) for scale in ("log", "identity"))
    assert not np.allclose(plain.mean, identity.mean)
    for found in (plain, identity):
        parts = found.contributions().drop(columns="ds").sum(axis=1)
        np.testing.assert_allclose(parts, found.mean, rtol=1e-9)


def test_a_shorter_memory_follows_a_change_of_what_works_sooner() -> None:
    """For two years the season tells all; then sales wander without one."""
    random = np.random.default_rng(5)
    week = np.arange(208)
    season = np.where(week < 156, 0.5 * np.sin(week / 52.18 * 2 * np.pi), 0.0)
    walk = np.where(week < 156, random.normal(0, 0.02, 208), random.normal(0, 0.1, 208).cumsum())
    history = pd.DataFrame(
        {"ds": pd.date_range("2022-01-02", periods=208, freq="W-SUN"), "y": 100 * np.exp(season + walk)}
    )

    def season_part(memory: float) -> float:
        found = forecast(history, 13, engine=Configuration(memory=memory))
        return float(np.abs(found.parts["season"]).mean())

    assert season_part(0.2) < season_part(5.0)


def test_its_name_is_that_of_its_settings() -> None:
    one = Configuration("fast", ("b", "a"), history=104)
    assert (
        one.name == Configuration.from_dict(one.to_dict()).name == Configuration("fast", ("a", "b"), "auto", 104).name
    )
    others = [Configuration(), Configuration("ets"), Configuration(memory=2.0), Configuration(signals=())]
    assert len({one.name, *(other.name for other in others)}) == 5


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"transform": "cube"}, "configuration.transform"),
        ({"history": 3}, "configuration.history"),
        ({"history": 60.5}, "configuration.history"),
        ({"history": True}, "configuration.history"),
        ({"memory": 0.0}, "configuration.memory"),
        ({"memory": "long"}, "configuration.memory"),
        ({"signals": "search"}, "configuration.signals"),
        ({"signals": [1]}, "configuration.signals"),
        ({"horizon": 3}, "configuration"),
    ],
)
def test_a_setting_that_is_none_is_refused(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(OptionError) as refused:
        Configuration.from_dict(settings)
    assert refused.value.field == field


def test_an_engine_that_is_none_is_refused() -> None:
    with pytest.raises(ForecastError, match="engine"):
        forecast(sales(), 4, engine=Configuration("crystal_ball"))
