"""Milliseconds of one call of Business Central over HTTP: `python -m bench.business_central [--count N]`.

A server process of its own, 24 buckets of months and a horizon of 12, every item with a history of its own, one call
after the other, as Business Central makes them; then four at a time. Items without signals in the store, and items of
a category with five signals of five years of days. A call ends when its answer is read; each forecast is on disk by
then. Last, a run over many items as older versions make it, with all rows of all earlier items in each call.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import orjson
import pandas as pd

from bench.arguments import whole_number
from bench.machine import machine
from signals.store import Batch, submit

ADDRESS = "/services.azureml.net/workspaces/bench/services/bench/execute?api-version=2.0&details=true"
COLUMNS = ["GranularityAttribute", "DateKey", "TransactionQty"]
NAMES = "horizon,seasonality,forecast_start_datekey,time_series_model,confidence_level"
BUCKETS, HORIZON, SIGNALS, DAYS = 24, 12, 5, 1826
GOAL = "p95 <= 300"
WARM_UP = 20


def rows_of(item: str, number: int) -> list[list[str]]:
    """The history of one item, cells as text: a season, a level of its own, noise."""
    rng, months = np.random.default_rng([7, number]), np.arange(BUCKETS)
    sales = rng.uniform(5, 500) * (1 + 0.3 * np.sin(months * np.pi / 6)) * rng.lognormal(0, 0.2, BUCKETS)
    return [[item, str(key), f"{quantity:.2f}"] for key, quantity in enumerate(sales, 1)]


def body_of(rows: list[list[str]]) -> bytes:
    """A request as Business Central makes it."""
    parameters = f"{NAMES}\n{HORIZON},12,{BUCKETS + 1},ARIMA,80"
    table = {"ColumnNames": COLUMNS, "Values": rows}
    return orjson.dumps({"Inputs": {"input1": table}, "GlobalParameters": {"Parameters": parameters}})


def fill(home: Path, items: list[str]) -> None:
    """A category with daily signals, which the items belong to."""
    today = pd.Timestamp.now().normalize().as_unit("us")
    start = pd.date_range(end=today - pd.Timedelta(days=2), periods=DAYS, freq="D", unit="us")
    names = [f"signal {number}" for number in range(SIGNALS)]
    rng = np.random.default_rng(1)
    spans = {"start": start, "end": start + pd.Timedelta(days=1), "known_at": start + pd.Timedelta(days=1)}
    observations = [pd.DataFrame({"signal": name, **spans, "value": rng.normal(size=DAYS)}) for name in names]
    category: dict[str, Any] = dict.fromkeys(("unit", "timezone", "parent"))
    category |= {
        "category": "Shoes",
        "frequency": "D",
        "calendar": "US",
        "attributes": orjson.dumps({"item": items}).decode(),
    }
    batch = Batch(
        "bench",
        categories=pd.DataFrame([category]),
        signals=pd.DataFrame({"signal": names, "source": "bench", "aggregation": "mean", "future_known": False}),
        observations=pd.concat(observations, ignore_index=True),
        candidates=pd.DataFrame({"category": "Shoes", "signal": names}),
    )
    submit(home, batch)


@contextmanager
def serving(home: Path) -> Iterator[httpx.Client]:
    """A client of `groundswell serve` over a home."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    code = "from api.cli import main; main()"
    command = [sys.executable, "-c", code, "--home", str(home), "serve", "--port", str(port), "--workers", "1"]
    environment = os.environ | {"GROUNDSWELL_LOG_LEVEL": "warning"}
    with subprocess.Popen(command, env=environment) as process, httpx.Client(timeout=60) as client:
        client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
        try:
            _wait(client)
            yield client
        finally:
            process.terminate()
            process.wait(60)


def _wait(client: httpx.Client) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            client.get("/health/live").raise_for_status()
            return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def call(client: httpx.Client, body: bytes, rows: int = HORIZON) -> float:
    """Milliseconds of one call, whose answer must have so many rows."""
    began = time.perf_counter()
    answer = client.post(ADDRESS, content=body, headers={"Content-Type": "application/json"})
    took = 1000 * (time.perf_counter() - began)
    found = len(answer.raise_for_status().json()["Results"]["Output1"]["value"]["Values"])
    assert found == rows, f"{found} rows, {rows} expected"
    return took


def report(name: str, times: list[float], goal: str = "") -> None:
    """One line: p50, p95, p99, max."""
    figures = [*np.percentile(times, [50, 95, 99]), max(times)]
    print(f"  {name:44} " + " ".join(f"{figure:8.1f}" for figure in figures) + f"  {goal}", flush=True)


def measure(client: httpx.Client, name: str, prefix: str, count: int) -> None:
    """`count` calls one by one, and as many four at a time."""
    bodies = [body_of(rows_of(f"{prefix}{number}", number)) for number in range(count + WARM_UP)]
    for body in bodies[count:]:
        call(client, body)
    report(f"{name}, one by one", [call(client, body) for body in bodies[:count]], GOAL)
    with ThreadPoolExecutor(4) as pool:
        report(f"{name}, four at a time", list(pool.map(lambda body: call(client, body), bodies[:count])))


def measure_run(client: httpx.Client, items: int) -> None:
    """A run in which each call has all rows of the items before it."""
    rows: list[list[str]] = []
    times = []
    for number in range(items):
        rows += rows_of(f"RUN{number}", number)
        times.append(call(client, body_of(rows), HORIZON * (number + 1)))
    report(f"call {items} of a run that sends all before it", times[-20:])


def main() -> None:
    """Print a table of milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=whole_number, default=500, help="calls a line")
    parser.add_argument("--run", type=whole_number, default=300, help="items of the run that sends all before it")
    options = parser.parse_args()
    print(machine())
    print(f"  {'ms over HTTP, one worker':44} {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8}  goal")
    with TemporaryDirectory() as folder:
        home = Path(folder)
        fill(home, [f"SHOE{number}" for number in range(options.count + WARM_UP)])
        with serving(home) as client:
            measure(client, "no signals", "OTHER", options.count)
            measure(client, f"{SIGNALS} daily signals, holidays", "SHOE", options.count)
            measure_run(client, options.run)


if __name__ == "__main__":
    main()
