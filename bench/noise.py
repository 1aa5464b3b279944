"""What admission lets in: `python -m bench.noise` offers noise and planted signals to simulated weekly sales.

Sales have a yearly season, a wandering level and noise. Noise is white, autocorrelated, a random walk, or a season of
its own with or without noise on it. A planted signal is autocorrelated and leads by one week; each week's shock is
worth a share of the one-step error variance. Sixteen weak ones of a group are worth 1 % each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np

from bench.arguments import whole_number
from bench.machine import machine
from forecast.admission import Admitted, admit
from forecast.engines.base import Problem
from forecast.engines.fast import Fit
from forecast.regressors import Regressor
from forecast.surprise import surprises

HORIZON = 8
LEVEL_STEP, NOISE = 0.03, 0.08
YEAR = 52.1775
KINDS = ("white", "autocorrelated", "random walk", "season and noise", "season")
WEAK = 0.01  # of the one-step variance, each of sixteen

Case = tuple[np.ndarray, dict[str, np.ndarray]]


def sales(rng: np.random.Generator, n: int) -> np.ndarray:
    """The logarithm of weekly sales (n,)."""
    t = np.arange(n)
    season = 0.25 * np.sin(2 * np.pi * t / YEAR) + 0.1 * np.cos(4 * np.pi * t / YEAR)
    return np.asarray(season + np.cumsum(LEVEL_STEP * rng.normal(size=n)) + NOISE * rng.normal(size=n))


def noise(rng: np.random.Generator, n: int, kind: str) -> np.ndarray:
    """A signal that has nothing to do with sales, (n,)."""
    x = rng.normal(size=n)
    if kind == "white":
        return x
    if kind == "random walk":
        return np.asarray(np.cumsum(x))
    if kind.startswith("season"):
        angle, phase = 2 * np.pi * np.arange(n) / YEAR, rng.uniform(0, 2 * np.pi, 2)
        season = 5 + 3 * np.sin(angle + phase[0]) + rng.uniform(0, 1.5) * np.sin(2 * angle + phase[1])
        return np.asarray(season + 0.3 * x * kind.endswith("noise"))
    for i in range(1, n):
        x[i] += 0.8 * x[i - 1]
    return x


def fitted(z: np.ndarray, horizon: int) -> Fit:
    """The engine's own record on weekly sales without signals."""
    ds = np.datetime64("2021-01-03") + 7 * np.arange(len(z) + horizon)
    return Fit(Problem(ds.astype("datetime64[D]"), z, np.ones(len(z), dtype=bool), (YEAR,), (), horizon))


def judged(fit: Fit, signals: dict[str, np.ndarray], horizon: int) -> Admitted:
    """What becomes of signals that are known as far as sales are."""
    unknown = np.full(horizon, np.nan)
    laid = [Regressor(name, np.r_[x, unknown], len(x) - 1, future_known=False) for name, x in signals.items()]
    offered = surprises(laid, fit.filter, fit.grid, horizon)
    return admit(fit.errors, fit.grid, offered, horizon, fit.half_life)


def one_step_error(n: int, repeats: int = 20) -> float:
    """Standard deviation of the engine's one-step error on such sales, over the last year."""
    fits = (fitted(sales(np.random.default_rng(9000 + seed), n), HORIZON) for seed in range(repeats))
    return float(np.nanstd(np.concatenate([fit.errors[0, -52:] for fit in fits])))


def single(n: int, kind: str, share: float = 0.0) -> Callable[[np.random.Generator], Case]:
    """One signal; where it is planted, a week's shock is worth `share` of the one-step variance."""
    size = one_step_error(n) * np.sqrt(share / (1 - share))

    def case(rng: np.random.Generator) -> Case:
        z, x = sales(rng, n), noise(rng, n, kind)
        return z + size * np.r_[0.0, x[:-1]], {"x": x}

    return case


def sixteen(n: int, share: float = 0.0) -> Callable[[np.random.Generator], Case]:
    """Sixteen signals: noise of several kinds, or one group of weak ones, each worth `share`."""
    size = one_step_error(n) * np.sqrt(share / (1 - 16 * share))

    def case(rng: np.random.Generator) -> Case:
        z = sales(rng, n)
        kinds = ("autocorrelated",) if share else KINDS[:3]
        x = {f"{'group/' if share else ''}x{i}": noise(rng, n, kinds[i % len(kinds)]) for i in range(16)}
        return z + size * np.r_[0.0, np.sum(list(x.values()), axis=0)[:-1]], x

    return case


def admissions(case: Callable[[np.random.Generator], Case], repeats: int, first: int = 0) -> Iterator[Admitted]:
    """What is admitted in each repeat."""
    for seed in range(first, first + repeats):
        z, signals = case(np.random.default_rng(seed))
        yield judged(fitted(z, HORIZON), signals, HORIZON)


def share_of(results: Iterator[Admitted], *, pooled: bool | None = None) -> float:
    """Per cent of requests in which anything was admitted; only groups, or only single signals, where `pooled` says."""
    hits = [any(pooled in (None, bool(e.members)) for e in r.evidence if e.admitted) for r in results]
    return 100 * float(np.mean(hits))


def milliseconds(n: int, horizon: int = 26, repeats: int = 100) -> float:
    """Processor time of judging five signals."""
    rng = np.random.default_rng(0)
    fit = fitted(sales(rng, n), horizon)
    signals = {kind: noise(rng, n, kind) for kind in KINDS}
    judged(fit, signals, horizon)
    start = time.process_time()
    for _ in range(repeats):
        judged(fit, signals, horizon)
    return 1000 * (time.process_time() - start) / repeats


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=whole_number, default=200)
    parser.add_argument("--weeks", type=whole_number, default=260)
    options = parser.parse_args()
    n, repeats = options.weeks, options.repeats
    print(f"{machine()}; {n} weeks, horizon {HORIZON}, {repeats} repeats")
    for kind in KINDS:
        print(f"  noise, {kind:17} admitted {share_of(admissions(single(n, kind), repeats)):5.1f} %")
    print(f"  16 noise signals, any     admitted {share_of(admissions(sixteen(n), repeats, 5000)):5.1f} %")
    for share in (0.05, 0.10):
        found = share_of(admissions(single(n, "autocorrelated", share), repeats, 2000))
        print(f"  planted at {100 * share:3.0f} %           found    {found:5.1f} %")
    weak = list(admissions(sixteen(n, WEAK), repeats, 5000))
    pooled, alone = (share_of(iter(weak), pooled=pooled) for pooled in (True, False))
    print(
        f"  16 weak ones of {100 * WEAK:.0f} % each  found as a group {pooled:5.1f} %, any of them alone {alone:5.1f} %"
    )
    print(f"  five signals are judged in {milliseconds(n):.2f} ms of processor time")


if __name__ == "__main__":
    main()
