"""What stitching costs: `python -m bench.stitching` draws windows of made-up search interest and joins them again.

The truth has a yearly and a weekly season, a trend, a wandering level and spikes of demand; each window is drawn and
scaled as the fake of Google Trends does. Errors are root mean squares of the logarithm of the 28-day mean (and of
single days), once the overall scale, which nobody can know, is taken out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from bench.arguments import whole_number
from bench.machine import machine
from signals.connectors.google_trends import weeks_asked, windows_asked
from signals.connectors.google_trends_series import Timeline, daily_series
from signals.stitch import fit_windows
from tests.fakes.google_trends import sample

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]
Line = list[Timeline]
Method = Callable[[Line, Line, Days], Array]  # days, weeks, wanted days -> levels

TODAY = date(2026, 11, 25)
VOLUMES = {"low": 50.0, "high": 1000.0}  # sampled searches on a day of level 1
EVERY = 2  # days between pulls
MEAN = 28
SPIKES = 6


def truth(rng: np.random.Generator, size: int, spikes: bool) -> Array:
    """Relative searches of each day (size,), mean about 1."""
    t = np.arange(size)
    season = 0.4 * np.sin(2 * np.pi * (t / 365.25 + rng.uniform())) + 0.1 * np.sin(2 * np.pi * t / 7)
    level = 0.2 * t / size + np.cumsum(0.01 * rng.normal(size=size))
    curve = np.exp(season + level)
    curve /= curve.mean()
    for start in rng.integers(0, size, SPIKES if spikes else 0):
        curve[start : start + 14] += rng.uniform(3, 9) * np.exp(-np.arange(14) / 3)[: size - start]
    return np.asarray(curve)


def drawn(
    curve: Array, begin: date, first: date, last: date, step: int, volume: float, rng: np.random.Generator
) -> Timeline:
    """One answer: the buckets from `first` to `last`; `begin` is the day of curve[0]."""
    size = ((last - first).days + 1) // step
    at = (first - begin).days
    expected = volume * curve[at : at + size * step].reshape(size, step).sum(axis=1)
    value, texts = sample(expected[None, :], rng)[0]
    read = np.where(np.array(texts) == "<1", 0.5, value)
    return Timeline((first - date(1970, 1, 1)).days + step * np.arange(size), read, step)


def answers(curve: Array, begin: date, pulls: int, volume: float, rng: np.random.Generator) -> tuple[Line, Line]:
    """The days and the weeks that so many pulls get, oldest first."""
    days: Line = []
    weeks: Line = []
    for back in range(EVERY * (pulls - 1), -1, -EVERY):
        today = TODAY - timedelta(days=back)
        weeks.append(drawn(curve, begin, *weeks_asked(today), 7, volume, rng))
        days += [drawn(curve, begin, *span, 1, volume, rng) for span in windows_asked(today)]
    return days, weeks


def naive(days: Line, _: Line, wanted: Days) -> Array:
    """Each day from the newest window that holds it, as it is."""
    level = np.full(len(wanted), np.nan)
    for line in days:
        level[line.day - wanted[0]] = line.value
    return level


def one_point(days: Line, _: Line, wanted: Days) -> Array:
    """Each window scaled so that its first day agrees with what is there."""
    level = np.full(len(wanted), np.nan)
    for line in days:
        place = line.day - wanted[0]
        known = np.isfinite(level[place]) & (level[place] > 0) & (line.value > 0)
        factor = level[place[known][0]] / line.value[known][0] if known.any() else 1.0
        open_places = ~np.isfinite(level[place])
        level[place[open_places]] = factor * line.value[open_places]
    return level


def joint(days: Line, _: Line, wanted: Days) -> Array:
    """All windows fitted together."""
    readings = np.full((len(wanted), len(days)), np.nan)
    for column, line in enumerate(days):
        readings[line.day - wanted[0], column] = line.value
    return fit_windows(readings).level


def benchmarked(days: Line, weeks: Line, wanted: Days) -> Array:
    """As the connector does."""
    series = daily_series(days, weeks)
    return np.asarray(series.level[series.day >= wanted[0]])


METHODS: dict[str, Method] = {
    "naive concatenation": naive,
    "chain, one-point overlap": one_point,
    "joint fit": joint,
    "joint fit + weekly benchmark": benchmarked,
}


def error(level: Array, curve: Array, span: int) -> float:
    """Root mean square of log(mean of `span` days / its truth), without their mean."""
    kernel = np.ones(span) / span
    seen, right = (np.convolve(np.maximum(one, 1e-3 * one.mean()), kernel, "valid") for one in (level, curve))
    return float(np.std(np.log(seen / right)))


def errors(seed: int, volume: float, spikes: bool, pulls: int) -> Iterator[tuple[str, float, float]]:
    """Method, error of 28 days, error of a day, on one truth."""
    rng = np.random.default_rng(seed)
    begin = windows_asked(TODAY - timedelta(days=EVERY * (pulls - 1)))[0][0]
    curve = truth(rng, (TODAY - begin).days, spikes)
    days, weeks = answers(curve, begin, pulls, volume, rng)
    wanted = (begin - date(1970, 1, 1)).days + np.arange(len(curve))
    for name, method in METHODS.items():
        level = method(days, weeks, wanted)
        yield name, error(level, curve, MEAN), error(level, curve, 1)


def table(seeds: int, first: int) -> Iterator[str]:
    """The lines to print."""
    yield f"{'searches a day':14} {'spikes':6} {'pulls':5}  {'method':28} {'28 days':>8} {'worst':>7} {'a day':>7}"
    for volume in VOLUMES:
        for spikes in (False, True):
            for pulls in (1, 4):
                runs = [list(errors(first + seed, VOLUMES[volume], spikes, pulls)) for seed in range(seeds)]
                for i, name in enumerate(METHODS):
                    month, day = (np.array([run[i][column] for run in runs]) for column in (1, 2))
                    rms = [float(np.sqrt((one**2).mean())) for one in (month, day)]
                    shown = f"{volume:14} {'yes' if spikes else 'no':6} {pulls:5}  {name:28}"
                    yield f"{shown} {rms[0]:8.4f} {month.max():7.4f} {rms[1]:7.4f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=whole_number, default=12, help="truths to draw for each line")
    parser.add_argument("--first", type=whole_number, default=1001, help="the first seed")
    options = parser.parse_args()
    print(machine())
    for line in table(options.seeds, options.first):
        print(line, flush=True)


if __name__ == "__main__":
    main()
