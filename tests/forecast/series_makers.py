"""Synthetic histories and signals with a known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd


def weeks(n: int, last: str = "2026-11-15") -> pd.DatetimeIndex:
    """The labels of `n` weeks that end on Sundays."""
    return pd.date_range(end=last, periods=n, freq="W-SUN")


def weekly_sales(n: int = 208, seed: int = 0, effect: np.ndarray | None = None, noise: float = 0.05) -> pd.DataFrame:
    """Weekly sales around 100: a yearly season, a wandering level and, on the log scale, an effect (n,)."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    log = 0.3 * np.sin(2 * np.pi * t / 52.18) + np.cumsum(0.02 * rng.normal(size=n)) + noise * rng.normal(size=n)
    return pd.DataFrame({"ds": weeks(n), "y": 100 * np.exp(log + (0 if effect is None else effect))})


def autocorrelated(n: int, seed: int, rho: float = 0.8) -> np.ndarray:
    """A first-order autoregression of unit innovation variance, shape (n,)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    for i in range(1, n):
        x[i] += rho * x[i - 1]
    return x


def signal(name: str, values: np.ndarray, ds: pd.DatetimeIndex, **columns: object) -> pd.DataFrame:
    """A long signal frame; extra keyword arguments become columns."""
    return pd.DataFrame({"signal": name, "ds": ds, "value": values, **columns})
