"""How well a scenario finds a known effect: `python -m bench.scenarios [--repeats N]`.

Simulated weekly sales (a yearly season, a wandering level, 5 % noise) on which a signal has a known effect: an
autocorrelated one by so much a unit, raised by two units for four weeks; or promotions in one week of eight, with an
effect on the weeks before and after, of which one is planned. For each the total difference over its truth, and how
often the intervals held the truth.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from bench.arguments import whole_number
from bench.machine import machine
from bench.made import autocorrelated
from forecast import Change, what_if

HORIZON = 8
LEVELS = (80, 95)


def weeks(n: int) -> pd.DatetimeIndex:
    """The labels of n weeks, the last of which lie ahead."""
    return pd.date_range("2021-01-03", periods=n, freq="W-SUN")


def sales(rng: np.random.Generator, effect: np.ndarray) -> pd.DataFrame:
    """Weekly sales with an effect (n,) on the log scale."""
    n = effect.size
    log = 0.3 * np.sin(2 * np.pi * np.arange(n) / 52.18) + np.cumsum(0.02 * rng.normal(size=n))
    return pd.DataFrame({"ds": weeks(n), "y": 100 * np.exp(log + 0.05 * rng.normal(size=n) + effect)})


def raised(rng: np.random.Generator, n: int, effect: float) -> tuple[float, float, list[tuple[float, float]]]:
    """Estimate, truth and intervals of a signal that is two units higher for four weeks."""
    x = autocorrelated(rng, n)
    signal = pd.DataFrame({"signal": "x", "ds": weeks(n), "value": x})
    ahead = weeks(n + HORIZON)[n + 1 : n + 5]
    change = Change("x", f"{ahead[0]:%Y-%m-%d}", f"{ahead[-1]:%Y-%m-%d}", values=[float(x[-1]) + 2])
    return _answered(sales(rng, effect * x), signal, change, np.r_[0.0, np.full(4, 2 * effect), np.zeros(HORIZON - 5)])


def promoted(
    rng: np.random.Generator, n: int, before: float, at: float, after: float
) -> tuple[float, float, list[tuple[float, float]]]:
    """The same of one promotion in the fourth week ahead."""
    plan = (rng.uniform(size=n + HORIZON) < 1 / 8).astype(float)
    plan[n:] = 0.0
    effect = at * plan + before * np.r_[plan[1:], 0.0] + after * np.r_[0.0, plan[:-1]]
    signal = pd.DataFrame({"signal": "x", "ds": weeks(n + HORIZON), "value": plan, "future_known": True})
    change = Change("x", f"{weeks(n + HORIZON)[n + 3]:%Y-%m-%d}", values=[1.0])
    truth = np.zeros(HORIZON)
    truth[2:5] = before, at, after
    return _answered(sales(rng, effect[:n]), signal, change, truth)


def _answered(
    history: pd.DataFrame, signal: pd.DataFrame, change: Change, truth: np.ndarray
) -> tuple[float, float, list[tuple[float, float]]]:
    answer = what_if(history, HORIZON, {"case": [change]}, signals=signal, levels=LEVELS)
    outcome = answer.outcomes["case"]
    total = float(answer.baseline.mean @ np.expm1(truth))
    return outcome.total, total, [outcome.total_intervals[level] for level in LEVELS]


def _print(name: str, found: list[tuple[float, float, list[tuple[float, float]]]]) -> None:
    truth = float(np.mean([total for _, total, _ in found]))
    held = [np.mean([spans[i][0] <= total <= spans[i][1] for _, total, spans in found]) for i in range(len(LEVELS))]
    shares = "  ".join(f"{level} %: {100 * share:3.0f} %" for level, share in zip(LEVELS, held, strict=True))
    mean = float(np.mean([estimate for estimate, _, _ in found]))
    print(f"  {name:44} truth {truth:7.1f}  estimate {mean:7.1f}  held by {shares}", flush=True)


def main() -> None:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=whole_number, default=200)
    parser.add_argument("--weeks", type=whole_number, default=208)
    options = parser.parse_args()
    print(f"{machine()}; {options.weeks} weeks, {options.repeats} repeats")
    rngs = [np.random.default_rng([41, seed]) for seed in range(options.repeats)]
    for effect in (0.0, 0.01, 0.02, 0.06, 0.12):
        _print(f"effect of {100 * effect:g} % a unit", [raised(rng, options.weeks, effect) for rng in rngs])
    for around in ((0.0, 0.4, 0.0), (-0.1, 0.4, -0.15), (-0.05, 0.2, -0.1)):
        name = "promotion, {:+g} before, {:+g}, {:+g} after".format(*around)
        _print(name, [promoted(rng, options.weeks, *around) for rng in rngs])


if __name__ == "__main__":
    main()
