"""Sales without any planted event: simulated ones of several kinds, and real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import HistoryError
from forecast.series import Series, versions

YEAR = {"D": 365.25, "W": 52.1775, "M": 12.0, "Q": 4.0}
EASTER = np.array(["2021-04-04", "2022-04-17", "2023-04-09", "2024-03-31", "2025-04-20"], "datetime64[D]")
FEWEST = 0.5  # of the periods that must have sold for events to be planted


def periods_a_year(series: Series) -> float:
    """How many periods of a series make a year."""
    return YEAR[series.frequency[0]]


def _level(rng: np.random.Generator, n: int, year: float, step: float) -> np.ndarray:
    """A wandering level with a season of three waves and a peak, on the scale of logarithms, (n,)."""
    angle = 2 * np.pi * np.arange(n) / year
    waves = sum(rng.normal() * 0.2 / k * np.sin(k * angle + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3))
    peak = 0.5 * np.exp(-0.5 * (((np.arange(n) % year) - 0.93 * year) / (0.02 * year + 0.3)) ** 2)
    return np.asarray(waves + peak + np.cumsum(step * rng.normal(size=n)))


def _series(y: np.ndarray, frequency: str) -> Series:
    ds = pd.date_range("2021-01-01", periods=len(y), freq=frequency)
    return versions(pd.DataFrame({"ds": ds, "y": y}), frequency, None).read(None)


def _weekly(noise: Callable[[np.random.Generator, int], np.ndarray], n: int = 208) -> Callable[..., Series]:
    return lambda rng: _series(100 * np.exp(_level(rng, n, YEAR["W"], 0.02) + noise(rng, n)), "W-SUN")


def _autocorrelated(rng: np.random.Generator, n: int) -> np.ndarray:
    x = 0.07 * rng.normal(size=n)
    for i in range(1, n):
        x[i] += 0.6 * x[i - 1]
    return x


def _easter(rng: np.random.Generator) -> Series:
    """A holiday that moves, and makes a week half as large again."""
    series = _weekly(lambda r, n: 0.08 * r.normal(size=n))(rng)
    week = np.isin(series.ds, EASTER)
    return _series(np.where(week, 1.5, 1.0) * series.y, "W-SUN")


def _slow(rng: np.random.Generator) -> Series:
    """A few pieces a week, counted."""
    return _series(rng.poisson(6 * np.exp(_level(rng, 208, YEAR["W"], 0.01))).astype(float), "W-SUN")


def _monthly(rng: np.random.Generator) -> Series:
    return _series(1000 * np.exp(_level(rng, 84, YEAR["M"], 0.02) + 0.06 * rng.normal(size=84)), "MS")


def _daily(rng: np.random.Generator) -> Series:
    n = 1000
    weekday = np.tile(rng.normal(0, 0.3, 7), n // 7 + 1)[:n]
    return _series(100 * np.exp(_level(rng, n, YEAR["D"], 0.008) + weekday + 0.12 * rng.normal(size=n)), "D")


SALES: dict[str, Callable[[np.random.Generator], Series]] = {
    "weekly": _weekly(lambda rng, n: 0.08 * rng.normal(size=n)),
    "heavy tails": _weekly(lambda rng, n: 0.06 * rng.standard_t(4, size=n)),
    "autocorrelated": _weekly(_autocorrelated),
    "moving holiday": _easter,
    "slow": _slow,
    "two years": _weekly(lambda rng, n: 0.08 * rng.normal(size=n), 104),
    "monthly": _monthly,
    "daily": _daily,
}


def real_sales(folder: Path, most: int) -> dict[str, dict[str, Series]]:
    """By task of a benchmark with several, up to `most` of its series by name: the last known values."""
    found: dict[str, dict[str, Series]] = {}
    for task in sorted(path.parent for path in folder.glob("tasks/*/sales.parquet")):
        sales = pd.read_parquet(task / "sales.parquet").sort_values(["series", "ds", "known_at"])
        sales = sales.drop_duplicates(["series", "ds"], keep="last")
        names = sorted(sales["series"].unique())
        chosen = names[:: max(1, len(names) // most)][:most]
        read = {str(name): _read(sales[sales["series"] == name]) for name in chosen}
        found[task.name] = {name: series for name, series in read.items() if series is not None}
    return {task: series for task, series in found.items() if len(series) > 1}


def _read(rows: pd.DataFrame) -> Series | None:
    """One series; None where it is too short or sells too rarely for an event to be planted."""
    try:
        series = versions(rows[["ds", "y"]], None, None).read(None)
    except HistoryError:
        return None
    long_enough = len(series) >= 1.5 * periods_a_year(series)
    return series if long_enough and np.nanmean(series.y > 0) > FEWEST else None
