"""Signals that are hard to use, as long frames of `signal, ds, value` and, for some, `future_known` and `known_at`."""

# ruff: noqa: ARG005  (makers of one table take the same arguments, whether they need them or not)

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Draw = np.random.Generator
Laid = tuple[pd.DatetimeIndex, np.ndarray]  # dates (n,) and values (n,)


def _elsewhere(rng: Draw, ds: pd.DatetimeIndex, frequency: str) -> Laid:
    """At another cadence than the sales."""
    others = [name for name in ("D", "W-WED", "MS", "QS") if name != frequency]
    last = ds[-1] if len(ds) < 1000 else ds[999]
    dates = pd.date_range(ds[0], last + pd.Timedelta(days=200), freq=str(rng.choice(others)))
    return dates, rng.normal(size=len(dates)).cumsum()


def _with_holes(rng: Draw, ds: pd.DatetimeIndex, values: np.ndarray) -> Laid:
    """A fifth of the rows are not there: with more holes no cadence could be read off the dates."""
    keep = np.sort(rng.choice(len(ds), len(ds) - len(ds) // 5, replace=False))
    return ds[keep], values[keep]


Maker = Callable[[Draw, pd.DatetimeIndex, np.ndarray, str], Laid]
SIGNALS: dict[str, Maker] = {
    "noise": lambda rng, ds, y, f: (ds, rng.normal(size=len(ds))),
    "walk": lambda rng, ds, y, f: (ds, rng.normal(size=len(ds)).cumsum()),
    "constant": lambda rng, ds, y, f: (ds, np.full(len(ds), 3.0)),
    "all missing": lambda rng, ds, y, f: (ds, np.full(len(ds), np.nan)),
    "one value": lambda rng, ds, y, f: (ds[:1], np.ones(1)),
    "one pulse": lambda rng, ds, y, f: (ds, np.eye(1, len(ds), int(rng.integers(len(ds))))[0]),
    "ends early": lambda rng, ds, y, f: (ds[: max(1, len(ds) // 2)], rng.normal(size=max(1, len(ds) // 2))),
    "begins late": lambda rng, ds, y, f: (ds[len(ds) // 2 :], rng.normal(size=len(ds) - len(ds) // 2)),
    "with holes": lambda rng, ds, y, f: _with_holes(rng, ds, rng.normal(size=len(ds))),
    "other cadence": lambda rng, ds, y, f: _elsewhere(rng, ds, f),
    "equal to sales": lambda rng, ds, y, f: (ds[: len(y)], y.copy()),
    "sales to come": lambda rng, ds, y, f: (ds[: max(len(y) - 1, 1)], y[1:].copy() if len(y) > 1 else y.copy()),
    "huge": lambda rng, ds, y, f: (ds, 1e90 * rng.normal(size=len(ds))),
    "tiny": lambda rng, ds, y, f: (ds, 1e-300 * rng.normal(size=len(ds))),
    "one outlier": lambda rng, ds, y, f: (ds, np.where(np.arange(len(ds)) == len(ds) // 2, 1e12, 1.0)),
    "steps": lambda rng, ds, y, f: (ds, np.floor(np.arange(len(ds)) / 10)),
}


def nasty_signals(rng: Draw, history: pd.DataFrame, horizon: int, frequency: str) -> pd.DataFrame:
    """One to four signals of different kinds, some known over the horizon."""
    names = rng.choice(list(SIGNALS), int(rng.integers(1, 5)), replace=False)
    return pd.concat([_signal(rng, str(name), history, horizon, frequency) for name in names], ignore_index=True)


def _signal(rng: Draw, name: str, history: pd.DataFrame, horizon: int, frequency: str) -> pd.DataFrame:
    planned = rng.uniform() < 0.25
    ahead = horizon if planned else int(rng.integers(0, 4))
    ds = pd.date_range(history["ds"].iloc[0], periods=len(history) + ahead, freq=frequency)
    y = history["y"].to_numpy()
    sold = np.where(np.abs(y) <= 1e100, y, np.nan)  # what a signal may hold too
    dates, values = SIGNALS[name](rng, ds, sold, frequency)
    return pd.DataFrame({"signal": name, "ds": dates, "value": values, "future_known": planned})
