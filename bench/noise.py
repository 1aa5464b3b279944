"""What admission lets in: `python -m bench.noise` offers noise and planted signals to simulated weekly sales.

Sales have a yearly season, a wandering level and noise. Noise is white, autocorrelated or a random walk. A planted
signal is autocorrelated and leads by one week; each week's shock is worth a share of the one-step error variance.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from bench.machine import machine
from forecast import SignalReport, backtest, forecast

HORIZON = 8
LEVEL_STEP, NOISE = 0.03, 0.08


def sales(rng: np.random.Generator, n: int) -> np.ndarray:
    """Weekly sales (n,)."""
    t = np.arange(n)
    season = 0.25 * np.sin(2 * np.pi * t / 52.18) + 0.1 * np.cos(4 * np.pi * t / 52.18)
    level = np.cumsum(LEVEL_STEP * rng.normal(size=n))
    return np.asarray(100 * np.exp(season + level + NOISE * rng.normal(size=n)))


def noise(rng: np.random.Generator, n: int, kind: str) -> np.ndarray:
    """A signal that has nothing to do with sales, (n,)."""
    x = rng.normal(size=n)
    if kind == "white":
        return x
    if kind == "random walk":
        return np.asarray(np.cumsum(x))
    for i in range(1, n):
        x[i] += 0.8 * x[i - 1]
    return x


def reports(y: np.ndarray, signals: dict[str, np.ndarray]) -> list[SignalReport]:
    """What the engine says of each signal."""
    ds = pd.date_range("2021-01-03", periods=len(y), freq="W-SUN")
    long = pd.concat([pd.DataFrame({"signal": name, "ds": ds, "value": x}) for name, x in signals.items()])
    return forecast(pd.DataFrame({"ds": ds, "y": y}), HORIZON, signals=long).signals


def one_step_error(n: int, repeats: int = 10) -> float:
    """Standard deviation of the engine's one-step error on such sales, on the log scale."""
    errors = []
    for seed in range(repeats):
        y = sales(np.random.default_rng(9000 + seed), n)
        ds = pd.date_range("2021-01-03", periods=n, freq="W-SUN")
        frame = backtest(pd.DataFrame({"ds": ds, "y": y}), 1).to_frame()
        errors.append(np.log(frame["actual"].to_numpy() / frame["median"].to_numpy()))
    return float(np.concatenate(errors).std())


def admitted_noise(kind: str, n: int, repeats: int) -> float:
    """Share of single noise signals that are admitted."""
    hits = 0
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        hits += reports(sales(rng, n), {"x": noise(rng, n, kind)})[0].admitted
    return hits / repeats


def any_of_sixteen(n: int, repeats: int) -> float:
    """Share of requests with 16 noise signals in which any is admitted."""
    kinds = ("white", "autocorrelated", "random walk")
    hits = 0
    for seed in range(repeats):
        rng = np.random.default_rng(5000 + seed)
        y = sales(rng, n)
        hits += any(r.admitted for r in reports(y, {f"x{i}": noise(rng, n, kinds[i % 3]) for i in range(16)}))
    return hits / repeats


def found(share: float, n: int, repeats: int) -> float:
    """Share of planted signals that are admitted; the shock of each week is worth `share` of the one-step variance."""
    size = one_step_error(n) * np.sqrt(share / (1 - share))
    hits = 0
    for seed in range(repeats):
        rng = np.random.default_rng(2000 + seed)
        y, x = sales(rng, n), noise(rng, n, "autocorrelated")
        hits += reports(y * np.exp(size * np.r_[0.0, x[:-1]]), {"x": x})[0].admitted
    return hits / repeats


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--weeks", type=int, default=260)
    options = parser.parse_args()
    n, repeats = options.weeks, options.repeats
    print(f"{machine()}; {n} weeks, horizon {HORIZON}, {repeats} repeats")
    for kind in ("white", "autocorrelated", "random walk"):
        print(f"  noise, {kind:15} admitted {100 * admitted_noise(kind, n, repeats):5.1f} %")
    print(f"  16 noise signals, any   admitted {100 * any_of_sixteen(n, repeats // 2):5.1f} %")
    for share in (0.05, 0.10):
        print(f"  planted at {100 * share:3.0f} %         found    {100 * found(share, n, repeats):5.1f} %")


if __name__ == "__main__":
    main()
