"""What is found of events, and what is found where there are none: `python -m bench.events`.

Simulated sales of several kinds, each without an event and with one of each kind: how many are found (recall), how many
of the proposals are the planted event (precision), and how many proposals a series without any has in a year.
With `--tasks DIR` the same events are planted into real sales, whose own events nobody knows: so only recall tells, and
how much is proposed of the sales as they are. Limits are chosen on every other series (`--choose`), told for the rest.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench.arguments import whole_number
from bench.events_planted import PLANTED, Planted, plant
from bench.events_sales import SALES, periods_a_year, real_sales
from bench.machine import machine
from forecast.events import KINDS, LEVEL_SHIFT
from forecast.proposals import Found, Limits, found
from forecast.series import Series

LOW = Limits(3.0, 3.0, 3.0)  # what is found below the limits, to choose them
GRID = (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0)
LATE = 4  # periods by which a level shift may be found elsewhere

Case = tuple[Series, Planted | None]


@dataclass(frozen=True)
class Outcome:
    """What was found of one case: the score of each proposal by its kind, and that of the planted event, if found."""

    planted: str | None
    years: float
    others: tuple[tuple[str, float], ...]
    hit: tuple[str, float] | None


def outcome(series: Series, planted: Planted | None, limits: Limits) -> Outcome:
    """Look for events in one series."""
    proposals = list(found(series, (), limits))
    hits = [one for one in proposals if planted is not None and is_hit(one, planted)]
    others = tuple((one.kind, one.score) for one in proposals if one not in hits)
    best = max(hits, key=lambda one: one.score, default=None)
    years = len(series) / periods_a_year(series)
    hit = None if best is None else (best.kind, best.score)
    return Outcome(None if planted is None else planted.kind, years, others, hit)


def is_hit(one: Found, planted: Planted) -> bool:
    """Whether a proposal is the planted event; bumps and stock-outs that overlap it count, whatever they are called."""
    if (one.kind == LEVEL_SHIFT) != (planted.kind == LEVEL_SHIFT):
        return False
    if one.kind == LEVEL_SHIFT:
        return abs(one.start - planted.start) <= LATE
    return one.start < planted.stop and planted.start < one.stop


def simulated(make: Callable[[np.random.Generator], Series], repeats: int) -> Iterator[tuple[int, Case]]:
    """Cases by number: without an event, and with one of each kind in turn."""
    for number in range(repeats):
        rng = np.random.default_rng(number)
        series = make(rng)
        yield number, (series, None)
        for kind in PLANTED:
            yield number, plant(series, kind, rng)


def planted_into(sales: dict[str, Series]) -> Iterator[tuple[int, Case]]:
    """Real sales as they are, and with one event of each kind."""
    for number, name in enumerate(sorted(sales)):
        rng = np.random.default_rng(number)
        yield number, (sales[name], None)
        for kind in PLANTED:
            yield number, plant(sales[name], kind, rng)


def table(cases: Iterator[tuple[int, Case]], limits: Limits, part: int | None) -> dict[str, float]:
    """Proposals a year of series without an event, recall by kind, and precision; of every other case where `part`."""
    outcomes = [outcome(*case, limits) for number, case in cases if part is None or number % 2 == part]
    plain = [one for one in outcomes if one.planted is None]
    row = {"a year": sum(len(one.others) for one in plain) / sum(one.years for one in plain)}
    for kind in PLANTED:
        of_kind = [one for one in outcomes if one.planted == kind]
        row[kind] = float(np.mean([one.hit is not None for one in of_kind]))
    planted = [one for one in outcomes if one.planted is not None]
    hits = sum(one.hit is not None for one in planted)
    row["named right"] = sum(one.hit is not None and one.hit[0] == one.planted for one in planted) / max(hits, 1)
    row["precision"] = hits / max(hits + sum(len(one.others) for one in planted), 1)
    return row


def by_limit(outcomes: list[Outcome]) -> pd.DataFrame:
    """For each limit and kind of proposal: proposals a year where there is no event, and recall."""
    plain = [one for one in outcomes if one.planted is None]
    years = sum(one.years for one in plain)
    rows = {}
    for limit in GRID:
        row: dict[str, float] = {}
        for kind in KINDS:
            row[f"{kind} a year"] = sum(k == kind and s >= limit for one in plain for k, s in one.others) / years
            hits = [one.hit is not None and one.hit[1] >= limit for one in outcomes if one.planted == kind]
            row[f"{kind} found"] = float(np.mean(hits))
        rows[limit] = row
    return pd.DataFrame(rows).T


def milliseconds(series: Series, repeats: int = 20) -> float:
    """Processor time of one look."""
    start = time.process_time()
    for _ in range(repeats):
        list(found(series))
    return 1000 * (time.process_time() - start) / repeats


def main() -> None:
    """Print one table a half, or the choice of limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=whole_number, default=100)
    parser.add_argument("--tasks", type=Path, help="folder of a benchmark with real sales")
    parser.add_argument("--series", type=whole_number, default=40, help="real series of a task at most")
    parser.add_argument("--choose", action="store_true", help="what each limit would find, on the half that chooses")
    options = parser.parse_args()
    print(f"{machine()}; {options.repeats} repeats")
    sets = {name: simulated(make, options.repeats) for name, make in SALES.items()}
    if options.tasks:
        sets |= {name: planted_into(real) for name, real in real_sales(options.tasks, options.series).items()}
    cases = {name: list(each) for name, each in sets.items()}
    if options.choose:
        for name, each in cases.items():
            chosen = [outcome(*case, LOW) for number, case in each if number % 2 == 0]
            print(f"\n{name}\n{by_limit(chosen).round(3).to_string()}", flush=True)
        return
    for part, title in ((0, "choosing half"), (1, "the rest")):
        rows = {name: table(iter(each), Limits(), part) for name, each in cases.items()}
        print(f"\n{title}\n{pd.DataFrame(rows).T.round(3).to_string()}", flush=True)
    for name, each in cases.items():
        print(f"  {name}: {milliseconds(each[0][1][0]):.1f} ms of processor time a series")


if __name__ == "__main__":
    main()
