"""Members by what each is for: intermittent demand, signals, trends that fade."""

import numpy as np
import pandas as pd
import pytest
from series_makers import weekly_sales

from forecast import forecast
from forecast.engines.base import Problem
from forecast.engines.intermittent import CrostonEngine, Sba, Tsb
from forecast.engines.members import damped
from forecast.engines.seasonal_naive import SeasonalNaive

EVERY_FOURTH = np.tile([0.0, 0.0, 0.0, 8.0], 30)


def test_a_sale_of_eight_in_every_fourth_period_is_a_rate_of_two() -> None:
    assert CrostonEngine().rate(EVERY_FOURTH) == pytest.approx(2.0)
    assert Sba().rate(EVERY_FOURTH) == pytest.approx(1.9)
    assert Tsb().rate(EVERY_FOURTH) == pytest.approx(2.0, rel=0.2)


def test_only_tsb_forgets_what_is_no_longer_bought() -> None:
    faded = np.append(EVERY_FOURTH, np.zeros(40))
    assert CrostonEngine().rate(faded) == pytest.approx(2.0)
    assert Tsb().rate(faded) < 0.1


def test_nothing_sold_is_a_rate_of_nothing() -> None:
    assert [kind().rate(np.zeros(20)) for kind in (CrostonEngine, Sba, Tsb)] == [0.0, 0.0, 0.0]


def test_the_rate_is_in_sales_units_whatever_the_working_scale() -> None:
    history = pd.Series(EVERY_FOURTH, index=pd.date_range("2024-01-07", periods=120, freq="W-SUN"))
    result = forecast(history, 3, engine="croston")
    np.testing.assert_allclose(result.median, 2.0, rtol=1e-6)


def test_half_of_a_trend_is_left_after_a_season() -> None:
    z = np.arange(100.0)
    ds = np.datetime64("2020-01-05") + 7 * np.arange(124)
    problem = Problem(ds, z, np.ones(100, dtype=bool), (12.0,), (), 24)
    steps = np.diff(damped(np.arange(1.0, 25.0), problem), prepend=0.0)
    assert steps[11] == pytest.approx(0.5)
    assert steps[23] == pytest.approx(0.25)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["sarimax", "unobserved_components", "prophet", "boosting"])
def test_an_admitted_signal_is_a_driver_of_its_own(name: str) -> None:
    sales = weekly_sales(180)
    rng = np.random.default_rng(3)
    news = rng.normal(size=181)
    sales["y"] *= np.exp(0.25 * news[:180])
    dates = pd.date_range(sales["ds"].iloc[0], periods=181, freq="W-SUN")
    signals = pd.DataFrame({"signal": "search", "ds": dates, "value": 50 + 5 * news})
    result = forecast(sales, 2, signals=signals, engine=name)
    assert [s.admitted for s in result.signals] == [True]
    assert result.contributions()["search"].abs().max() > 0


def test_a_stack_takes_any_engine() -> None:
    assert forecast(weekly_sales(60), 2, engine=SeasonalNaive()).engine.reason == "handed over"
