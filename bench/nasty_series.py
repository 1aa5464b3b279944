"""Sales that are hard to forecast, and signals that are hard to use: every kind by name, every case from its seed."""

# ruff: noqa: ARG005  (makers of one table take the same arguments, whether they need them or not)

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bench.nasty_signals import nasty_signals

Array = np.ndarray
Draw = np.random.Generator
LONGEST = {"D": 900, "W": 700, "MS": 400, "QS": 120}
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


@dataclass(frozen=True)
class Case:
    """One request; `refused` where `forecast()` has to answer with a ForecastError."""

    kind: str
    history: pd.DataFrame
    horizon: int
    options: dict[str, Any] = field(default_factory=dict)
    refused: bool = False


def _intermittent(rng: Draw, n: int) -> Array:
    return np.where(rng.uniform(size=n) < rng.uniform(0.05, 0.4), rng.gamma(2, 5, n).round(), 0.0)


def _with_one(rng: Draw, y: Array, value: float) -> Array:
    y[rng.integers(len(y))] = value
    return y


def _usual(rng: Draw, n: int) -> Array:
    season = 0.3 * np.sin(2 * np.pi * np.arange(n) / rng.choice([4, 7, 12, 52]))
    return np.asarray(100 * np.exp(season + np.cumsum(0.03 * rng.normal(size=n)) + 0.05 * rng.normal(size=n)))


def _returns(rng: Draw, n: int) -> Array:
    y = _usual(rng, n)
    back = rng.uniform(size=n) < 0.1
    return np.where(back, -y * rng.uniform(0, 3, n), y)


def _leading_zeros(rng: Draw, n: int) -> Array:
    y = _usual(rng, n)
    y[: rng.integers(1, n)] = 0.0
    return y


def _shifted(rng: Draw, n: int) -> Array:
    y = _usual(rng, n)
    y[rng.integers(1, n) :] *= rng.choice([100.0, 0.01])
    return y


def _growing(rng: Draw, n: int) -> Array:
    return np.asarray(np.exp(rng.choice([-1, 1]) * np.linspace(0, rng.uniform(1, 40), n)))


def _missing_stretch(rng: Draw, n: int) -> Array:
    y = _usual(rng, n)
    first = rng.integers(1, n)
    y[first : min(first + rng.integers(1, n), n - 1)] = np.nan
    return y


def _missing_often(rng: Draw, n: int) -> Array:
    y = np.where(rng.uniform(size=n) < 0.6, np.nan, _usual(rng, n))
    y[[0, -1]] = 5.0
    return y


def _flat_windows(rng: Draw, n: int) -> Array:
    """Constant for long, then moving, then constant again: no variance in many a window."""
    y = _usual(rng, n)
    y[: n // 3], y[-(n // 4 + 1) :] = y[0], y[-1]
    return y


def _closed(rng: Draw, n: int) -> Array:
    """Nothing sold on one day of seven, ever."""
    y = _usual(rng, n)
    y[rng.integers(7) :: 7] = 0.0
    return y


def _huge_season(rng: Draw, n: int) -> Array:
    return np.asarray(1 + 1e6 * (np.arange(n) % rng.choice([4, 7, 12, 52]) == 0) * rng.uniform(0.8, 1.2, n))


KINDS: dict[str, Callable[[Draw, int], Array]] = {
    "usual": _usual,
    "two periods": lambda rng, n: rng.choice([0.0, 1.0, -3.0, 1e6], 2) * rng.uniform(size=2),
    "zeros": lambda rng, n: np.zeros(n),
    "zeros but one": lambda rng, n: _with_one(rng, np.zeros(n), float(rng.choice([1.0, 1e-9, 1e9]))),
    "constant": lambda rng, n: np.full(n, rng.choice([1.0, -7.0, 0.1, 1e9])),
    "intermittent": _intermittent,
    "returns": _returns,
    "all negative": lambda rng, n: -_usual(rng, n),
    "one outlier": lambda rng, n: _with_one(rng, _usual(rng, n), 1e8),
    "last an outlier": lambda rng, n: np.r_[_usual(rng, n)[:-1], 1e8],
    "missing stretch": _missing_stretch,
    "missing often": _missing_often,
    "leading zeros": _leading_zeros,
    "trailing zeros": lambda rng, n: _leading_zeros(rng, n)[::-1].copy(),
    "level shift": _shifted,
    "exponential": _growing,
    "linear": lambda rng, n: rng.choice([1.0, 0.1, -2.0]) * np.arange(n) + rng.choice([0.0, 10.0]),
    "sawtooth": lambda rng, n: (np.arange(n) % rng.integers(2, 20)).astype(float),
    "scale 1e-9": lambda rng, n: 1e-9 * _usual(rng, n),
    "scale 1e-30": lambda rng, n: 1e-30 * _usual(rng, n),
    "scale 1e12": lambda rng, n: 1e12 * _usual(rng, n),
    "scale 1e90": lambda rng, n: rng.choice([1e90, -1e90]) * rng.uniform(0.1, 1, n),
    "denormal": lambda rng, n: 5e-324 * rng.integers(0, 1000, n),
    "alternating": lambda rng, n: 1e9 * (np.arange(n) % 2.0),
    "both signs": lambda rng, n: rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(-9, 9, n),
    "small counts": lambda rng, n: rng.poisson(rng.uniform(0.2, 3), n).astype(float),
    "huge season": _huge_season,
    "random walk": lambda rng, n: np.cumsum(rng.normal(size=n)),
    "flat windows": _flat_windows,
    "closed days": _closed,
    "refused: one value": lambda rng, n: _with_one(rng, np.full(n, np.nan), 3.0),
    "refused: infinite": lambda rng, n: _with_one(rng, _usual(rng, n), np.inf),
    "refused: too large": lambda rng, n: _with_one(rng, _usual(rng, n), 1e101),
}


def case(kind: str, seed: int, index: int) -> Case:
    """Case `index` of a kind: the same for the same seed, whatever other kinds there are."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), index])
    frequency = _frequency(rng)
    y = KINDS[kind](rng, _length(rng, frequency))
    ds = pd.date_range(_start(rng, frequency), periods=len(y), freq=frequency)
    horizon = int(rng.integers(1, 31))
    options = _options(rng, frequency)
    history = pd.DataFrame({"ds": ds, "y": y})
    if rng.uniform() < 0.5:
        options["signals"] = nasty_signals(rng, history, horizon, frequency)
    if "frequency" in options and rng.uniform() < 0.2:
        history = history[history["y"].notna()]  # rows that are not there in place of values that are not
    if rng.uniform() < 0.15:
        history = _published(rng, history)
    return Case(kind, history, horizon, options, kind.startswith("refused"))


def _published(rng: Draw, history: pd.DataFrame) -> pd.DataFrame:
    """Each value known some time after any period is over; half of such histories were printed lower at first."""
    known = history["ds"] + pd.Timedelta(days=int(rng.integers(92, 150)))
    final = history.assign(known_at=known)
    if rng.uniform() < 0.5:
        return final
    return pd.concat([final.assign(y=0.9 * final["y"]), final.assign(known_at=known + pd.Timedelta(days=28))])


def _frequency(rng: Draw) -> str:
    kind = rng.choice(["D", "W", "MS", "QS"], p=[0.3, 0.4, 0.2, 0.1])
    return f"W-{rng.choice(WEEKDAYS)}" if kind == "W" else str(kind)


def _length(rng: Draw, frequency: str) -> int:
    longest = LONGEST[frequency.split("-")[0]]
    low, high = [(2, 13), (13, 120), (120, 301), (301, 901)][rng.choice(4, p=[0.3, 0.4, 0.27, 0.03])]
    return min(int(rng.integers(low, high)), longest)


def _start(rng: Draw, frequency: str) -> pd.Timestamp:
    first = 1992 if frequency in ("MS", "QS") else 2016
    return pd.Timestamp(f"{first}-01-01") + pd.Timedelta(days=int(rng.integers(0, 1000)))


def _options(rng: Draw, frequency: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if rng.uniform() < 0.5:
        options["frequency"] = frequency
    if rng.uniform() < 0.05:
        options["calendar"] = str(rng.choice(["US", "DE"]))
    if rng.uniform() < 0.15:
        options["season_length"] = float(rng.choice([1, 2, 3, 5.5, 7, 12, 13, 52, 364]))
    if rng.uniform() < 0.1:
        options["levels"] = (0.1, 50, 99)
    return options
