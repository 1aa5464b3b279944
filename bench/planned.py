"""What is admitted around plans: `python -m bench.planned` offers planned 0/1 signals to simulated weekly sales.

Sales are those of `bench.noise`. A plan, such as a promotion, is known over the horizon: single weeks at random, runs
of three weeks, the same weeks each year, or every other week on average. It has no effect, one in its own weeks only,
or one in the weeks before and after as well; where there is none around, a neighbour that is admitted is a mistake.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from bench.arguments import whole_number
from bench.machine import machine
from bench.noise import HORIZON, YEAR, fitted, sales
from forecast.admission import Admitted, admit
from forecast.regressors import Regressor
from forecast.surprise import surprises

AT, AROUND = (0.1, 0.3), -0.1  # effects on the log scale: in its own weeks, and in those before and after
SINGLE, OFTEN, RUN = 0.12, 0.5, 3
FIRST = 30_000  # seed

Plan = Callable[[np.random.Generator, int], np.ndarray]


def single(rng: np.random.Generator, n: int) -> np.ndarray:
    """Weeks at random, (n,) of 0 and 1."""
    return np.asarray((rng.uniform(size=n) < SINGLE).astype(float))


def runs(rng: np.random.Generator, n: int) -> np.ndarray:
    """Three weeks in a row, as many weeks in all."""
    begins = rng.uniform(size=n) < SINGLE / RUN
    return np.asarray((np.convolve(begins, np.ones(RUN))[:n] > 0).astype(float))


def yearly(rng: np.random.Generator, n: int) -> np.ndarray:
    """Six weeks a year, about the same ones each year."""
    weeks, t = rng.uniform(0, YEAR, 6), np.arange(n)
    moved = {round(year * YEAR + week + rng.uniform(-1, 1)) for year in range(int(n / YEAR) + 2) for week in weeks}
    return np.asarray(np.isin(t, list(moved)).astype(float))


def often(rng: np.random.Generator, n: int) -> np.ndarray:
    """Every other week on average."""
    return np.asarray((rng.uniform(size=n) < OFTEN).astype(float))


PLANS: dict[str, Plan] = {"single weeks": single, "three in a row": runs, "the same each year": yearly, "often": often}


def judged(rng: np.random.Generator, n: int, plan: Plan, at: float, around: float) -> Admitted:
    """What becomes of one plan and of its neighbours."""
    x = plan(rng, n + HORIZON)
    effect = at * x + around * (np.r_[x[1:], 0.0] + np.r_[0.0, x[:-1]])
    fit = fitted(sales(rng, n) + effect[:n], HORIZON)
    laid = [Regressor("x", x, len(x) - 1, future_known=True)]
    return admit(fit.errors, fit.grid, surprises(laid, fit.filter, fit.grid, HORIZON), HORIZON, fit.half_life)


def admissions(n: int, plan: Plan, at: float, around: float, repeats: int) -> Iterator[tuple[bool, bool]]:
    """In each repeat whether the plan was admitted, and whether any neighbour was."""
    for seed in range(FIRST, FIRST + repeats):
        found = [e for e in judged(np.random.default_rng(seed), n, plan, at, around).evidence if e.admitted]
        yield any(e.signal == "x" for e in found), any(e.members == ("x",) for e in found)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=whole_number, default=500)
    parser.add_argument("--weeks", type=whole_number, default=260)
    options = parser.parse_args()
    print(f"{machine()}; {options.weeks} weeks, horizon {HORIZON}, {options.repeats} repeats")
    cases = [(0.0, 0.0), *((at, 0.0) for at in AT), (AT[1], AROUND)]
    for name, plan in PLANS.items():
        for at, around in cases:
            found = np.mean(list(admissions(options.weeks, plan, at, around, options.repeats)), axis=0)
            told = f"{name}: {at:+.1f} in it, {around:+.1f} around"
            print(f"  {told:45} plan admitted {100 * found[0]:5.1f} %, a neighbour {100 * found[1]:5.1f} %", flush=True)


if __name__ == "__main__":
    main()
