"""Whether deadlines hold: `python -m bench.deadline` asks the detailed engine for forecasts within some budgets.

Each case is five requests of made-up sales (`bench.made`), each with a series of its own; the libraries are loaded by a
request before them, as they are in a service. Printed are the seconds that a request took, the mean and the longest,
and how many of them had each member in time.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np

from bench.arguments import whole_number
from bench.machine import machine
from bench.made import Request, request
from forecast import Forecast, forecast

BUDGETS = (500, 1000, 2000, 5000, 60_000)  # milliseconds
CASES = {
    "weekly, 260 points, horizon 26": ("W-SUN", 260, 26, 0, False),
    "with five signals": ("W-SUN", 260, 26, 5, False),
    "with revised vintages": ("W-SUN", 260, 26, 5, True),
    "monthly, 120 points, horizon 12": ("MS", 120, 12, 0, False),
}


def made(frequency: str, periods: int, horizon: int, signals: int, vintages: bool, seed: int) -> Request:
    """One request of a case."""
    return request(np.random.default_rng(seed), periods, horizon, signals, frequency, vintages)


def timed(asked: Request, budget: int | None) -> tuple[float, Forecast]:
    """Seconds that a request took, and its answer."""
    started = time.perf_counter()
    answer = forecast(asked.history, asked.horizon, signals=asked.signals, engine="detailed", deadline_ms=budget)
    return time.perf_counter() - started, answer


def told(case: tuple[str, int, int, int, bool], budget: int, count: int) -> str:
    """What came of some requests within one budget."""
    found = [timed(made(*case, seed=seed), budget) for seed in range(count)]
    seconds = [took for took, _ in found]
    members = Counter(name for _, answer in found for name in answer.engine.members)
    listed = ", ".join(f"{name} {times}" for name, times in members.items())
    return f"{np.mean(seconds):6.2f} s, longest {max(seconds):6.2f} s; in time: {listed}"


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=whole_number, default=5)
    options = parser.parse_args()
    print(f"{machine()}; {options.requests} requests a line")
    for name, case in CASES.items():
        timed(made(*case, seed=1000), None)
        for budget in BUDGETS:
            print(f"  {name:32} budget {budget / 1000:5.1f} s: {told(case, budget, options.requests)}", flush=True)


if __name__ == "__main__":
    main()
