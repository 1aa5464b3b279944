"""One clear error for each thing that a caller can do wrong."""

import numpy as np
import pandas as pd
import pytest
from series_makers import signal, weekly_sales, weeks

from forecast import ForecastError, HistoryError, OptionError, SignalsError, backtest, forecast

GOOD = weekly_sales(60)


@pytest.mark.parametrize(
    ("history", "field"),
    [
        (GOOD.rename(columns={"y": "sales"}), "history"),
        (GOOD.iloc[:0], "history"),
        (GOOD.assign(y="many"), "history.y"),
        (GOOD.assign(y=np.inf), "history.y"),
        (GOOD.assign(y=np.nan), "history"),
        (GOOD.assign(y=True), "history.y"),
        (GOOD.assign(ds="yesterday"), "history.ds"),
        (pd.concat([GOOD, GOOD]), "history.ds"),
        (GOOD.iloc[:1], "history.ds"),
        (GOOD.assign(ds=pd.date_range("2020-01-01", periods=60, freq="3D")), "history.ds"),
        (pd.concat([GOOD, GOOD.iloc[-1:].assign(ds=pd.Timestamp("2026-11-18"))]), "history.ds"),
        ([1, 2, 3], "history"),
    ],
)
def test_a_bad_history_is_refused_by_field(history: pd.DataFrame, field: str) -> None:
    with pytest.raises(HistoryError) as caught:
        forecast(history, 4)
    assert caught.value.field == field
    assert caught.value.allowed in str(caught.value)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"horizon": 0}, "horizon"),
        ({"horizon": True}, "horizon"),
        ({"horizon": 2.5}, "horizon"),
        ({"horizon": 10_000}, "horizon"),
        ({"engine": "magic"}, "engine"),
        ({"levels": (101,)}, "levels"),
        ({"levels": ()}, "levels"),
        ({"frequency": "5min"}, "frequency"),
        ({"as_of": "soon"}, "as_of"),
        ({"season_length": 0}, "season_length"),
        ({"deadline_ms": -1}, "deadline_ms"),
        ({"calendar": "Atlantis"}, "calendar"),
    ],
)
def test_a_bad_option_is_refused_by_field(options: dict[str, object], field: str) -> None:
    with pytest.raises(OptionError) as caught:
        forecast(GOOD, **({"horizon": 4} | options))  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize(
    "signals",
    [
        GOOD,
        signal("x", np.full(60, np.inf), weeks(60)),
        signal("x", np.ones(60), weeks(60)).assign(value="a"),
        signal("x", np.ones(60), weeks(60)).assign(ds=None),
        pd.concat([signal("x", np.ones(60), weeks(60))] * 2),
        signal("x", np.ones(60), weeks(60), aggregation="median"),
        signal("level", np.arange(60.0), weeks(60)),
    ],
)
def test_a_bad_signal_is_refused(signals: pd.DataFrame) -> None:
    with pytest.raises(SignalsError):
        forecast(GOOD, 4, signals=signals)


def test_all_errors_are_forecast_errors_and_value_errors() -> None:
    with pytest.raises(ForecastError, match="origins: got 0; wanted a whole number from 1") as caught:
        backtest(GOOD, 4, origins=0)
    assert isinstance(caught.value, ValueError)


def test_a_signal_called_like_the_calendars_own_is_refused() -> None:
    own = pd.DataFrame(
        {"signal": "calendar/US", "ds": pd.date_range("2026-01-04", periods=30, freq="W-SUN"), "value": 1.0}
    )
    history = pd.DataFrame({"ds": own["ds"], "y": np.arange(30.0) + 5})
    with pytest.raises(SignalsError, match="calendar/US"):
        forecast(history, 2, signals=own, calendar="US")
