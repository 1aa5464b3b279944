"""Small stores of simulated sales for the tests of the API."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from signals.store import Batch, submit

WEEKS = 130
LARGE = 10_000_000  # bytes of a body, where a test sends that many
CATEGORIES = ("Boots", "Hats/Caps & more")


def last_week() -> pd.Timestamp:
    """The Monday that begins the last complete week."""
    today = pd.Timestamp(dt.datetime.now(dt.UTC).date())
    return today - pd.Timedelta(days=today.weekday() + 7)


def sales(category: str, end: pd.Timestamp, weeks: int = WEEKS) -> pd.DataFrame:
    """Weekly sales with a season, that end with the week that begins at `end`."""
    start = pd.date_range(end=end, periods=weeks, freq="7D").astype("datetime64[us]")
    noise = np.random.default_rng(7).normal(0, 3, weeks)
    return pd.DataFrame(
        {
            "category": category,
            "start": start,
            "end": start + pd.Timedelta(days=7),
            "quantity": 100 + 20 * np.sin(np.arange(weeks) * 2 * np.pi / 52) + noise,
            "known_at": pd.Series([pd.NaT] * weeks, dtype="datetime64[us]"),
            "source": "test",
        }
    )


def described(category: str, unit: str | None = "pairs") -> dict[str, str | None]:
    """The metadata of one category."""
    return {
        "category": category,
        "frequency": "W-SUN",
        "unit": unit,
        "timezone": None,
        "calendar": None,
        "parent": None,
        "attributes": '{"item": "1000"}',
    }


def signal_frames(name: str, end: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """One weekly signal, candidate of the first category."""
    start = pd.date_range(end=end, periods=WEEKS, freq="7D").astype("datetime64[us]")
    observations = pd.DataFrame(
        {
            "signal": name,
            "start": start,
            "end": start + pd.Timedelta(days=7),
            "value": np.random.default_rng(3).normal(0, 1, WEEKS),
            "known_at": pd.Series([pd.NaT] * WEEKS, dtype="datetime64[us]"),
        }
    )
    signals = pd.DataFrame({"signal": [name], "source": "test", "aggregation": "mean", "future_known": False})
    candidates = pd.DataFrame({"category": [CATEGORIES[0]], "signal": [name]})
    return {"signals": signals, "observations": observations, "candidates": candidates}


def fill(home: Path, end: pd.Timestamp, weeks: int = WEEKS) -> None:
    """Put the two categories and the signal into the store of `home`."""
    frame = pd.concat([sales(name, end, weeks) for name in CATEGORIES], ignore_index=True)
    categories = pd.DataFrame([described(name) for name in CATEGORIES])
    submit(home, Batch("test", sales=frame, categories=categories, **signal_frames("weather", end)))
