"""Forecasts sales and shows which outside signals moved the number: pure functions, no I/O, no global state.

from forecast import forecast
result = forecast(history, horizon=8, signals=signals)
"""

from forecast.arrays import SignalValues, Values
from forecast.backtest import Backtest, Quality
from forecast.core import backtest, forecast
from forecast.errors import ForecastError, HistoryError, OptionError, SignalsError
from forecast.result import EngineUsed, Forecast, SignalReport

__all__ = [
    "Backtest",
    "EngineUsed",
    "Forecast",
    "ForecastError",
    "HistoryError",
    "OptionError",
    "Quality",
    "SignalReport",
    "SignalValues",
    "SignalsError",
    "Values",
    "backtest",
    "forecast",
]
