"""Forecasts sales and shows which outside signals moved the number: pure functions, no I/O, no global state.

from forecast import forecast
result = forecast(history, horizon=8, signals=signals)
"""

from forecast.arrays import SignalValues, Values
from forecast.backtest import Backtest, Quality
from forecast.changes import Change
from forecast.configuration import Configuration
from forecast.core import backtest, forecast, what_if
from forecast.errors import ForecastError, HistoryError, OptionError, SignalsError
from forecast.events import Event
from forecast.like import forecast_like
from forecast.phases import Phases, phase_of
from forecast.proposals import Proposal, detect
from forecast.reconcile import Hierarchy, reconcile
from forecast.result import EngineUsed, Forecast, SignalReport
from forecast.what_if import Outcome, WhatIf

__all__ = [
    "Backtest",
    "Change",
    "Configuration",
    "EngineUsed",
    "Event",
    "Forecast",
    "ForecastError",
    "Hierarchy",
    "HistoryError",
    "OptionError",
    "Outcome",
    "Phases",
    "Proposal",
    "Quality",
    "SignalReport",
    "SignalValues",
    "SignalsError",
    "Values",
    "WhatIf",
    "backtest",
    "detect",
    "forecast",
    "forecast_like",
    "phase_of",
    "reconcile",
    "what_if",
]
