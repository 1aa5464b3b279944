"""Measure the store: `python -m bench.store` appends and publishes 1,000,000 rows and reads from 3,000,000.

Takes about half a minute. Every part runs in a process of its own, so that each peak of memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd

from bench.machine import machine
from signals.store import Batch, Store, open_snapshot

MEGABYTE = 1e6
PERIODS = 300
Figures = dict[str, float]


def batch_of(categories: int, seed: int = 0) -> Batch:
    """A made-up assortment of 300 weeks a category, rows in random order, as a Batch."""
    rng = np.random.default_rng(seed)
    names = pd.Series([f"category {i:05d}" for i in range(categories)], dtype="str")
    start = pd.date_range("2020-01-06", periods=PERIODS, freq="7D", unit="us")
    order = rng.permutation(categories * PERIODS)
    period = order % PERIODS
    sales = pd.DataFrame(
        {
            "category": names.take(order // PERIODS).reset_index(drop=True),
            "start": start[period],
            "end": start[period] + pd.Timedelta(days=7),
            "quantity": rng.gamma(2.0, 50.0, len(order)).round(1),
        }
    )
    return Batch("bench", sales=sales, categories=pd.DataFrame({"category": names, "frequency": "W-SUN"}))


def peak_rss_mb() -> float:
    """Highest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure_append(home: Path) -> Figures:
    """Append and publish 1,000,000 rows (3,334 categories) into an empty store, then the same again."""
    batch = batch_of(3334)
    before = peak_rss_mb()
    with Store.open(home) as store:
        append = seconds(lambda: store.append(batch))
        publish = seconds(store.publish)
        again = seconds(lambda: store.append(batch))
    snapshot = next((home / "snapshots").glob("snap-*.duckdb"))
    return {
        "append 1,000,200 rows, s": append,
        "publish, s": publish,
        "append + publish, s": append + publish,
        "append the same rows again, s": again,
        "peak RSS, MB": peak_rss_mb(),
        "of which frame and libraries before, MB": before,
        "snapshot file, MB": snapshot.stat().st_size / MEGABYTE,
    }


def prepare_reads(home: Path) -> Figures:
    """Fill a store with 3,000,000 rows: 10,000 categories of 300 weeks."""
    with Store.open(home) as store:
        for seed in range(2):  # twice, with revised quantities for a tenth, so that there are vintages to choose from
            batch = batch_of(10_000)
            assert batch.sales is not None
            if seed:
                batch = Batch("bench", sales=batch.sales.iloc[::10].assign(quantity=lambda f: f["quantity"] + 1.0))
            store.append(batch)
        return {"publish 3,300,000 versions, s": seconds(store.publish)}


def measure_reads(home: Path) -> Figures:
    """Open cold, then read random categories of 300 weeks, one at a time."""
    began = time.perf_counter()
    snapshot = open_snapshot(home)
    opened = time.perf_counter() - began
    first = seconds(lambda: snapshot.sales("category 00007"))
    names = [f"category {i:05d}" for i in np.random.default_rng(1).integers(0, 10_000, 600)]
    times = np.array([seconds(lambda name=name: snapshot.sales(name)) for name in names])[100:] * 1e3  # type: ignore[misc]
    as_of = pd.Timestamp("2024-01-01")
    past = np.array([seconds(lambda name=name: snapshot.sales(name, as_of)) for name in names[:200]]) * 1e3  # type: ignore[misc]
    assert len(snapshot.sales(names[0])) == PERIODS
    return {
        "open the snapshot, ms": opened * 1e3,
        "first read, ms": first * 1e3,
        "warm read of 300 periods, p50 ms": float(np.percentile(times, 50)),
        "warm read of 300 periods, p95 ms": float(np.percentile(times, 95)),
        "warm read as of 2024, p50 ms": float(np.percentile(past, 50)),
        "list all 10,000 categories, ms": seconds(snapshot.categories) * 1e3,
        "peak RSS, MB": peak_rss_mb(),
    }


PARTS: dict[str, Callable[[Path], Figures]] = {
    "append": measure_append,
    "prepare": prepare_reads,
    "read": measure_reads,
}


def main() -> None:
    """Run every part in its own process and print the table."""
    print(f"{machine()}, DuckDB {duckdb.__version__}, pandas {pd.__version__}")
    with TemporaryDirectory() as folder:
        for part, home in (("append", "a"), ("prepare", "b"), ("read", "b")):
            command = [sys.executable, "-m", "bench.store", part, str(Path(folder) / home)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"\n{part}")
            for name, value in json.loads(done.stdout).items():
                print(f"  {name:42} {value:10.2f}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(PARTS[sys.argv[1]](Path(sys.argv[2]))))
    else:
        main()
