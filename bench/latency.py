"""CPU milliseconds of one retrain with all outputs, on one core: `python -m bench.latency [--count N]`.

A retrain is `forecast(history, horizon, signals=signals)` and `.to_dict()`; the column `+ frames` has `.to_frame()` and
`.contributions()` on top. Every request is another series, so that no answer repeats. Then how the median grows with
the length of the history, the number of signals and the horizon; `--plot FILE.html` (or `.png`, where chromium is
installed) draws it. `--parts` tells in which modules the time goes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.arguments import whole_number
from bench.latency_parts import print_parts
from bench.latency_plot import Growth, draw
from bench.machine import machine
from bench.made import Request, request
from forecast import forecast

WARM_UP = 20
_CHUNK = 50  # requests made at a time: all of them would fill the memory


@dataclass(frozen=True)
class Case:
    """One kind of request, and the CPU milliseconds that it may take."""

    name: str
    periods: int
    horizon: int
    signals: int = 0
    frequency: str = "W-SUN"
    vintages: bool = False
    goal: str = ""


WEEKLY = Case("weekly 260, five signals, horizon 26", 260, 26, 5, goal="median <= 4, p99 <= 10")
CASES = (
    WEEKLY,
    Case("weekly 260, five signals, vintages", 260, 26, 5, vintages=True),
    Case("weekly 104, five signals, horizon 26", 104, 26, 5),
    Case("daily 1,100, horizon 28", 1100, 28, 0, "D", goal="median <= 8"),
    Case("daily 1,100, five signals, horizon 28", 1100, 28, 5, "D", goal="median <= 8"),
    Case("monthly 120, two signals, horizon 12", 120, 12, 2, "MS"),
)
GROWTH = {
    "periods": (52, 104, 156, 208, 260, 364, 520, 780, 1040),
    "signals": (0, 1, 2, 5, 8, 16, 32),
    "horizon": (1, 4, 8, 13, 26, 52, 104),
}


@dataclass
class Times:
    """CPU milliseconds of each request: of the retrain, and with the frames as well."""

    retrain: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)


def requests(case: Case, count: int, seed: int) -> Iterator[Request]:
    """`count` requests, every one with a series of its own, made some dozens ahead."""
    for first in range(0, count, _CHUNK):
        numbers = range(first, min(first + _CHUNK, count))
        yield from [_made(case, seed, number) for number in numbers]


def _made(case: Case, seed: int, number: int) -> Request:
    rng = np.random.default_rng([seed, number])
    return request(rng, case.periods, case.horizon, case.signals, case.frequency, case.vintages)


def measure(case: Case, count: int, seed: int, warm_up: int = WARM_UP) -> Times:
    """CPU milliseconds of `count` requests after `warm_up` others."""
    times = Times()
    for one in requests(case, count + warm_up, seed):
        began = time.process_time()
        result = forecast(one.history, one.horizon, signals=one.signals)
        result.to_dict()
        answered = time.process_time()
        result.to_frame()
        result.contributions()
        over = time.process_time()
        times.retrain.append(1e3 * (answered - began))
        times.frames.append(1e3 * (over - began))
    return Times(times.retrain[warm_up:], times.frames[warm_up:])


def print_cases(count: int, seed: int) -> None:
    """One line a case: median, p90, p99, max of the retrain; the median with frames."""
    print(f"  {'CPU ms':40} {'median':>8} {'p90':>8} {'p99':>8} {'max':>8} {'+ frames':>9}  goal")
    for case in CASES:
        times = measure(case, count, seed)
        figures = [*np.percentile(times.retrain, [50, 90, 99]), max(times.retrain)]
        cells = " ".join(f"{figure:8.2f}" for figure in figures)
        print(f"  {case.name:40} {cells} {np.median(times.frames):9.2f}  {case.goal}", flush=True)


def growth(count: int, seed: int) -> list[Growth]:
    """Median CPU milliseconds as one of length, signals and horizon changes; the others are those of the first case."""
    found = []
    for name, sizes in GROWTH.items():
        medians = []
        for size in sizes:
            options = {"periods": 260, "signals": 5, "horizon": 26, name: size}
            case = Case(f"{name} {size}", options["periods"], options["horizon"], options["signals"])
            medians.append(float(np.median(measure(case, count, seed, min(count, 5)).retrain)))
        found.append(Growth(name, sizes, tuple(medians)))
        print(f"  {name:8} " + " ".join(f"{size:>8}" for size in sizes))
        print(f"  {'CPU ms':8} " + " ".join(f"{ms:8.2f}" for ms in medians), flush=True)
    return found


def main() -> None:
    """Print the table of cases and how they grow, or where the time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=whole_number, default=1000, help="requests a case")
    parser.add_argument("--growth", type=int, default=60, help="requests a point of the growth; 0 leaves it out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, default=None, metavar="FILE", help="draw the growth: .html or .png")
    parser.add_argument("--parts", action="store_true", help="only print in which modules the time goes")
    options = parser.parse_args()
    print(machine())
    if options.parts:
        print_parts(list(requests(WEEKLY, min(options.count, 200), options.seed)), WEEKLY.name)
        return
    print_cases(options.count, options.seed)
    if options.growth:
        print("\n  weekly; where not said: 260 periods, 5 signals, horizon 26")
        found = growth(options.growth, options.seed)
        if options.plot:
            draw(found, options.plot)


if __name__ == "__main__":
    main()
