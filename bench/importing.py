"""Import of 1,000,000 sales rows from a CSV file, end to end: `python -m bench.importing [--rows N] [--categories N]`.

Prints the seconds and the peak resident memory of reading and checking the file, and of storing and publishing it.
"""

import argparse
import os
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from bench.arguments import whole_number
from bench.machine import machine
from signals.sales_import import prepare_sales
from signals.store import submit

NOW = datetime(2026, 11, 23, 9)


def write_file(path: Path, rows: int, categories: int) -> None:
    """A CSV of weekly sales: every category has the same number of weeks, rows in order of time."""
    weeks = pd.date_range(end="2026-11-22", periods=rows // categories, freq="W-SUN").strftime("%Y-%m-%d")
    draw = np.random.default_rng(7)
    names = np.array([f"Category {number:05d}" for number in range(categories)], dtype=object)
    pd.DataFrame(
        {
            "category": np.tile(names, len(weeks)),
            "week": np.repeat(weeks.to_numpy(dtype=object), categories),
            "units": draw.gamma(2, 50, len(weeks) * categories).round(2),
        }
    ).to_csv(path, index=False)


def resident_mb() -> float:
    """Resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


@contextmanager
def measured(stage: str) -> Iterator[None]:
    """Print the seconds of a stage and the highest resident memory in it."""
    peak, over = [resident_mb()], threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            peak[0] = max(peak[0], resident_mb())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    over.set()
    watcher.join()
    print(f"{stage:<28} {seconds:7.2f} s   peak {peak[0]:6.0f} MB")


def main() -> None:
    """Write the file in another process, import it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=whole_number, default=1_000_000)
    parser.add_argument("--categories", type=whole_number, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sales.csv"
        child = os.fork()
        if child == 0:  # in a process of its own, so that making the file does not count as memory of the import
            write_file(file, options.rows, options.categories)
            os._exit(0)
        os.waitpid(child, 0)
        size = file.stat().st_size / 1e6
        print(f"{options.rows:,} rows, {options.categories:,} categories, {size:.0f} MB of CSV; {machine()}")
        began = time.perf_counter()
        with measured("read, check, prepare"):
            prepared = prepare_sales(file, now=NOW)
        with measured("store and publish"):
            submit(Path(folder) / "home", prepared.batch)
        with measured("the same file again: prepare"):
            prepared = prepare_sales(file, now=NOW)
        with measured("the same file again: store"):
            submit(Path(folder) / "home", prepared.batch)
        highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(f"all of it: {time.perf_counter() - began:.1f} s, peak {highest:.0f} MB")


if __name__ == "__main__":
    main()
