"""Nasty sales through `forecast()`, every answer checked: `python -m bench.nasty [--series N] [--jobs N] [--seed N]`.

Prints how many of each kind were forecast and how many failed, and for every different fault how often it was found and
how to see the first such case again (`--only KIND --index I`). Warnings count as failures. Exits with 1 where anything
failed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import sys
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np

from bench.arguments import whole_number
from bench.machine import machine
from bench.nasty_series import KINDS, Case, case
from forecast import Forecast, ForecastError, forecast
from forecast.scale import GUARD

_SHOWN = 20
_CHUNK = 200
_CLOSE = 1e-9
_SMALLEST = 5e-324  # a step of the smallest floats: sums of these cannot be closer


class Failure(NamedTuple):
    """One wrong answer."""

    kind: str
    number: int
    what: str


def wrong(one: Case) -> str | None:
    """What is wrong with the answer to a case; None where nothing is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = forecast(one.history, one.horizon, **one.options)
            return "an answer where a ForecastError is due" if one.refused else _faults(one, result)
    except ForecastError as error:
        return None if one.refused else f"refused: {error}"
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding
        ours = [at for at in traceback.extract_tb(error.__traceback__) if "site-packages" not in at.filename]
        where = ours[-1]
        return f"{type(error).__name__}: {error} ({where.name}, {where.filename.rsplit('/', 1)[-1]}:{where.lineno})"


def _faults(one: Case, result: Forecast) -> str | None:
    frame, parts = result.to_frame().drop(columns="ds"), result.contributions().drop(columns="ds")
    sold = one.history["y"].to_numpy(float)
    checks = {
        "rows": len(frame) == len(parts) == one.horizon,
        "not finite": bool(np.isfinite(frame.to_numpy()).all() and np.isfinite(parts.to_numpy()).all()),
        "quantiles cross": _ordered(result),
        "contributions do not add up": _adds_up(result.mean, parts.to_numpy()),
        "negative sales": bool(np.nanmin(sold) < 0 or frame.to_numpy().min() >= 0),
        "outside the guard": _guarded(frame.to_numpy(), sold),
    }
    broken = [name for name, good in checks.items() if not good]
    json.dumps(result.to_dict(), allow_nan=False)
    return ", ".join(broken) or None


def _ordered(result: Forecast) -> bool:
    """Whether the bounds of all levels and the median lie in order."""
    pairs = [result.interval(level) for level in sorted(result.levels, reverse=True)]
    rows = [low for low, _ in pairs] + [result.median] + [high for _, high in reversed(pairs)]
    return bool((np.diff(np.array(rows), axis=0) >= 0).all())


def _adds_up(mean: np.ndarray, parts: np.ndarray) -> bool:
    largest = np.maximum(np.abs(mean), np.abs(parts).max(axis=1))
    return bool((np.abs(parts.sum(axis=1) - mean) <= _CLOSE * largest + 64 * _SMALLEST).all())


def _guarded(numbers: np.ndarray, sold: np.ndarray) -> bool:
    """Nothing beyond the stated multiple of the largest sale; of a history of zeros, nothing beyond 1."""
    limit = GUARD * float(np.nanmax(np.abs(sold))) or 1.0
    return bool(np.abs(numbers).max() <= limit * (1 + _CLOSE) + 64 * _SMALLEST)


def plan(series: int, only: str | None = None) -> list[tuple[str, int]]:
    """Kind and index of each case: the kinds in turn."""
    kinds = [only] if only else list(KINDS)
    return [(kinds[i % len(kinds)], i // len(kinds)) for i in range(series)]


def failures(cases: list[tuple[str, int]], seed: int) -> list[Failure]:
    """The cases whose answers are wrong."""
    found = [Failure(kind, index, wrong(case(kind, seed, index)) or "") for kind, index in cases]
    return [failure for failure in found if failure.what]


def run(cases: list[tuple[str, int]], seed: int, jobs: int) -> list[Failure]:
    """All cases, on `jobs` processes."""
    chunks = [cases[i : i + _CHUNK] for i in range(0, len(cases), _CHUNK)]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return [failure for found in pool.map(failures, chunks, [seed] * len(chunks)) for failure in found]


def report(cases: list[tuple[str, int]], failed: list[Failure], seed: int) -> None:
    """Counts by kind, then each different fault with the command that repeats its first case."""
    counts, broken = Counter(kind for kind, _ in cases), Counter(failure.kind for failure in failed)
    print(f"  {'kind':24} {'series':>8} {'failed':>8}")
    for kind, count in counts.items():
        print(f"  {kind:24} {count:8,} {broken[kind]:8,}")
    print(f"  {'all':24} {len(cases):8,} {len(failed):8,}")
    alike: dict[str, list[Failure]] = {}
    for failure in failed:  # numbers apart, messages of one fault are the same
        alike.setdefault(re.sub(r"[0-9.e+-]+", "#", failure.what), []).append(failure)
    for found in sorted(alike.values(), key=len, reverse=True)[:_SHOWN]:
        kind, number, what = found[0]
        print(f'\n  {len(found):,} x {what}\n    python -m bench.nasty --only "{kind}" --seed {seed} --index {number}')


def main() -> None:
    """Run the cases and report; exit with 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=whole_number, default=100_000)
    parser.add_argument("--jobs", type=whole_number, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(KINDS), metavar="KIND", help="one kind: " + ", ".join(KINDS))
    parser.add_argument("--index", type=int, default=None, help="one case of that kind, which is printed")
    options = parser.parse_args()
    if options.index is not None and options.only is None:
        parser.error("--index counts the cases of one kind: name it with --only")
    print(machine())
    began = time.perf_counter()
    if options.index is not None:
        cases = [(options.only, options.index)]
        print(case(options.only, options.seed, options.index))
        failed = failures(cases, options.seed)
    else:
        cases = plan(options.series, options.only)
        failed = run(cases, options.seed, options.jobs)
    report(cases, failed, options.seed)
    print(f"\n  {time.perf_counter() - began:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
