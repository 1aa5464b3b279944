"""Sales and signals that are made up, like those of a shop, for benchmarks of speed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

_YEAR = {"D": 365.2425, "W-SUN": 52.1775, "MS": 12.0, "QS": 4.0}
_LAST = {"D": "2026-11-22", "W-SUN": "2026-11-22", "MS": "2026-10-01", "QS": "2026-07-01"}


@dataclass(frozen=True)
class Request:
    """What one call of `forecast()` takes."""

    history: pd.DataFrame
    horizon: int
    signals: pd.DataFrame | None


def autocorrelated(rng: np.random.Generator, n: int, rho: float = 0.8) -> np.ndarray:
    """A first-order autoregression of unit innovations, (n,)."""
    x = rng.normal(size=n)
    for i in range(1, n):
        x[i] += rho * x[i - 1]
    return x


def request(
    rng: np.random.Generator,
    periods: int,
    horizon: int,
    signals: int = 0,
    frequency: str = "W-SUN",
    vintages: bool = False,
) -> Request:
    """Sales with a season and a wandering level, of which the first signal explains a part one period ahead."""
    t = np.arange(periods)
    offered = [autocorrelated(rng, periods) for _ in range(signals)]
    log = 0.25 * np.sin(2 * np.pi * t / _YEAR[frequency]) + np.cumsum(0.02 * rng.normal(size=periods))
    log += 0.06 * rng.normal(size=periods) + (0.15 * (t % 7 > 4) if frequency == "D" else 0.0)
    if offered:
        log += 0.04 * np.r_[0.0, offered[0][:-1]]
    ds = pd.date_range(end=_LAST[frequency], periods=periods, freq=frequency)
    history = pd.DataFrame({"ds": ds, "y": np.exp(rng.uniform(3, 9) + log).round(2)})
    long = _long(offered, ds)
    if vintages:
        history, long = _revised(rng, history, "y", days=10), None if long is None else _known(long, days=3)
    return Request(history, horizon, long)


def _long(signals: list[np.ndarray], ds: pd.DatetimeIndex) -> pd.DataFrame | None:
    if not signals:
        return None
    names = np.repeat([f"signal {i:02d}" for i in range(len(signals))], len(ds))
    return pd.DataFrame({"signal": names, "ds": np.tile(ds.to_numpy(), len(signals)), "value": np.concatenate(signals)})


def _known(frame: pd.DataFrame, days: int) -> pd.DataFrame:
    return frame.assign(known_at=frame["ds"] + pd.Timedelta(days=days))


def _revised(rng: np.random.Generator, frame: pd.DataFrame, column: str, days: int) -> pd.DataFrame:
    """Every value printed first with an error, and four weeks later as it stays."""
    final = _known(frame, days + 28)
    first = _known(frame.assign(**{column: frame[column] * (1 + 0.02 * rng.normal(size=len(frame)))}), days)
    both = pd.concat([first, final]).sort_values(["ds", "known_at"], ignore_index=True)
    newest = frame["ds"].iloc[-1] + pd.Timedelta(days=days)
    printed: pd.DataFrame = both[both["known_at"] <= newest].reset_index(drop=True)
    return printed
