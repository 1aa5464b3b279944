"""Forecasts for the tests of OData, put into the ledger of a home and folded."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import orjson

from api.fold import fold_some
from api.ledger import Issued, Ledger
from api.receipts import receipt_at
from api.settings import Settings

MOMENT = dt.datetime(2026, 11, 23, 9)


REQUEST = b'{"data_version": 1, "as_of": null}'  # of the store


def answer_of(receipt: str, category: str | None, periods: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    """A forecast as REST gives it."""
    return {
        "receipt": receipt,
        "category": category,
        "unit": "pairs",
        "frequency": "W-SUN",
        "as_of": "2026-11-23T09:00:00Z",
        "data_version": 7,
        "history": {"start": "2024-01-07", "end": "2026-11-22", "periods": 151},
        "engine": {"name": "fast", "configuration": "cfg_1"},
        "forecast": periods,
        "signals": [],
        "importance": [],
        "quality": {
            "origins": 12,
            "wape": 0.08,
            "mase": None,
            "bias_pct": -0.4,
            "vs_seasonal_naive_pct": -22.5,
            "coverage": {"80": 0.81, "95": None},
        },
        "warnings": [],
        "timing_ms": {"read": 0.4, "fit": 2.1, "total": 3.4},
    } | members


def period_of(label: str, value: float = 10.0, **members: Any) -> dict[str, Any]:
    """The forecast of one period."""
    return {
        "period": label,
        "kind": "forecast",
        "value": value,
        "median": value - 0.5,
        "intervals": {"80": [value - 2, value + 2], "95": [value - 4, value + 4]},
        "contributions": {"level": value - 1.0, "google_trends/boots/US": 1.0},
    } | members


def signal_of(name: str, **members: Any) -> dict[str, Any]:
    """What one signal did."""
    return {
        "signal": name,
        "admitted": True,
        "gain_pct": 4.1,
        "gain_interval_pct": [1.2, 7.3],
        "lag": 2,
        "lead": 1,
        "known_to": "2026-11-22",
        "importance": 0.18,
        "reason": "it helps",
        "members": [],
    } | members


def issue(
    home: Path,
    number: int,
    category: str | None,
    periods: list[dict[str, Any]],
    *,
    run: str | None = None,
    **members: Any,
) -> str:
    """Keep one forecast; its receipt, which sorts by `number`."""
    moment = MOMENT + dt.timedelta(minutes=number)
    receipt = receipt_at(moment, number)
    answer = orjson.dumps(answer_of(receipt, category, periods, **members))
    Ledger(Settings(home=home)).append(Issued(receipt, category, answer, REQUEST, run=run, issued=moment))
    return receipt


def fold_all(home: Path) -> None:
    """Fold whatever waits."""
    while fold_some(Settings(home=home)):
        pass
