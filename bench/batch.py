"""A night's batch on one machine: `python -m bench.batch [--series N] [--signals N] [--jobs N]`.

Weekly series of 260 points, every one forecast with all outputs (answer, frame, contributions), the frames written to
Parquet a chunk of series at a time. Prints seconds, series a second and the largest resident memory of all processes
together. Making the series is left out of the seconds: a worker makes a chunk and only then starts its clock.
Goal: 100,000 series in 8 minutes and 2 GB on two cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from bench.arguments import whole_number
from bench.machine import machine
from bench.made import Request, request
from bench.service import children
from forecast import forecast

_CHUNK = 250
_WATCH_SECONDS = 0.1


@dataclass(frozen=True)
class Task:
    """One chunk of series, and where its forecasts go."""

    numbers: range
    periods: int
    horizon: int
    signals: int
    folder: Path


def forecast_chunk(task: Task) -> tuple[float, float]:
    """Seconds of making the series of a chunk, and seconds of forecasting and writing them."""
    began = time.perf_counter()
    made = [
        request(np.random.default_rng([1, number]), task.periods, task.horizon, task.signals) for number in task.numbers
    ]
    ready = time.perf_counter()
    answers = [_answer(one) for one in made]
    frame = pd.concat([frame for frame, _ in answers], ignore_index=True)
    parts = pd.concat([parts for _, parts in answers], ignore_index=True).drop(columns="ds")
    frame.insert(0, "unique_id", np.repeat(np.array(task.numbers), task.horizon))
    file = task.folder / f"{task.numbers.start:08d}.parquet"
    pd.concat([frame, parts], axis=1).to_parquet(file, index=False)
    return ready - began, time.perf_counter() - ready


def _answer(one: Request) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The distribution and the contributions, one row a period; the answer for JSON is made too."""
    result = forecast(one.history, one.horizon, signals=one.signals)
    result.to_dict()
    return result.to_frame(), result.contributions()


def resident_mb(process: int) -> float:
    """Resident memory of a process and all below it, in MB; 0 where it has just ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * resource.getpagesize() / 1e6 + sum(resident_mb(child) for child in children(process))


@contextmanager
def watched(peak: list[float]) -> Iterator[None]:
    """Keep in `peak[0]` the largest resident memory of this process and those below it, in MB."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_WATCH_SECONDS):
            peak[0] = max(peak[0], resident_mb(os.getpid()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield
    over.set()
    watcher.join()


def run(tasks: list[Task], jobs: int) -> tuple[float, float]:
    """Wall seconds without the workers' making of series, and peak MB; the workers are up before the clock starts."""
    peak = [0.0]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool, watched(peak):
        list(pool.map(_warm, range(jobs)))
        began = time.perf_counter()
        times = list(pool.map(forecast_chunk, tasks))
        wall = time.perf_counter() - began
    return wall - sum(making for making, _ in times) / jobs, peak[0]


def _warm(number: int) -> None:
    """Imports, and whatever is made once, before the clock starts; long enough that every worker takes one."""
    for i in range(10):
        _answer(request(np.random.default_rng([2, number, i]), 104, 8, 1))


def main() -> None:
    """Forecast the batch and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=whole_number, default=100_000)
    parser.add_argument("--periods", type=whole_number, default=260)
    parser.add_argument("--horizon", type=whole_number, default=26)
    parser.add_argument("--signals", type=int, default=0)
    parser.add_argument("--jobs", type=whole_number, default=2)
    options = parser.parse_args()
    n = options.series
    shape = f"{n:,} weekly series of {options.periods} points, {options.signals} signals, horizon {options.horizon}"
    print(f"{machine()}; {shape}, {options.jobs} processes")
    with TemporaryDirectory() as name:
        folder = Path(name)
        chunks = [range(first, min(first + _CHUNK, n)) for first in range(0, n, _CHUNK)]
        tasks = [Task(chunk, options.periods, options.horizon, options.signals, folder) for chunk in chunks]
        seconds, peak = run(tasks, options.jobs)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        rows = sum(len(pd.read_parquet(file, columns=["unique_id"])) for file in folder.iterdir())
    print(f"  forecast and written  {seconds:10.1f} s")
    print(f"  series a second       {n / seconds:10.1f}")
    print(f"  peak, all processes   {peak:10.0f} MB")
    print(f"  Parquet               {size:10.1f} MB, {rows:,} rows")


if __name__ == "__main__":
    main()
