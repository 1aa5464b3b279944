"""`python -m bench.ledger [--forecasts 20000] [--processes 2] [--waiting 64]`: what one ledger can keep, and costs.

Makes a hundred real forecasts of 104 weeks through the whole application, then appends their rows under new receipts
from several processes, each with so many requests that wait for the disk at the same time (group commit), as API
workers do: on SQLite, and on PostgreSQL where it is installed. Tells rows a second, the time until a row is safe, and
bytes a row, with the history that came along and once it is kept no longer. It is the one thing that all workers share.

Then what it adds to one forecast: while another process keeps forecasts at random times, 200 a second, this one makes
one after the other and takes the time when each is made and when it is safe on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import orjson
import sqlalchemy as sa

from api.app import create_app
from api.database import engine_of, issued, issued_inline, now, reading, writing
from api.forecasting import Forecaster
from api.ledger import Issued, Ledger, as_issued
from api.models import ForecastRequest
from api.receipts import new_receipt
from api.settings import Settings
from api.snapshots import Snapshots
from bench.arguments import whole_number
from bench.machine import machine
from bench.postgresql import PROGRAMS, postgresql
from bench.requests import answered, posted
from bench.serving import bodies

SAMPLES = 100
PAGES = ("page_count", "page_size")
FREE = ("freelist_count", "page_size")
Times: TypeAlias = "multiprocessing.Queue[list[float]]"


def made(settings: Settings) -> list[Issued]:
    """Forecasts as the application keeps them."""
    app = create_app(settings)
    for body in bodies(SAMPLES, 104, 0):
        status, answer = asyncio.run(answered(app, posted(orjson.loads(body))))
        assert status == 200, answer
    with reading(engine_of(settings)) as connection:
        found = [as_issued(row) for row in connection.execute(sa.select(issued)).mappings()]
    ledger = Ledger(settings)
    return [replace(one, inline=ledger.inline_of(one.receipt)) for one in found]


def append(settings: Settings, samples: Sequence[Issued], count: int, waiting: int, out: Times) -> None:
    """Append so many, and give the seconds of each."""
    ledger, room, seconds = Ledger(settings), threading.Semaphore(waiting), []

    def one(entry: Issued) -> None:
        began = time.perf_counter()

        def safe(kept: Future[None]) -> None:
            kept.result()
            seconds.append(time.perf_counter() - began)
            room.release()

        ledger.append_soon(entry).add_done_callback(safe)

    for number in range(count):
        room.acquire()
        one(replace(samples[number % SAMPLES], receipt=new_receipt(), issued=now()))
    for _ in range(waiting):
        room.acquire()
    out.put(seconds)


def size(settings: Settings) -> int:
    """Bytes that the database takes."""
    with reading(engine_of(settings)) as connection:
        if connection.dialect.name == "sqlite":
            pages, each = (connection.execute(sa.text(f"PRAGMA {name}")).scalar_one() for name in PAGES)
            return int(pages * each)
        return sum(int(connection.execute(sa.text(f"SELECT pg_total_relation_size('{name}')")).scalar_one())
                   for name in ("issued", "issued_inline"))  # fmt: skip


def size_later(settings: Settings, before: int, count: int) -> float:
    """Bytes a forecast once the histories that came along are removed, and their space is free for others."""
    with writing(engine_of(settings)) as connection:
        connection.execute(issued_inline.delete())
    with reading(engine_of(settings)) as connection:
        if connection.dialect.name == "sqlite":
            free, each = (connection.execute(sa.text(f"PRAGMA {name}")).scalar_one() for name in FREE)
            return float(size(settings) - before - free * each) / count
        own = connection.execute(sa.text("SELECT pg_total_relation_size('issued')")).scalar_one()
        return float(own) / count


def measure(name: str, settings: Settings, samples: Sequence[Issued], given: argparse.Namespace) -> None:
    """Append from several processes, and print."""
    before, context = size(settings), multiprocessing.get_context("spawn")
    out: Times = context.Queue()
    arguments = (settings, samples, given.forecasts // given.processes, given.waiting, out)
    processes = [context.Process(target=append, args=arguments) for _ in range(given.processes)]
    began = time.perf_counter()
    for process in processes:
        process.start()
    waits = np.concatenate([out.get() for _ in processes]) * 1000
    took = time.perf_counter() - began
    for process in processes:
        process.join()
    p50, p99 = np.percentile(waits, [50, 99])
    each = (size(settings) - before) / waits.size
    later = size_later(settings, before, waits.size)
    print(f"  {name}: {waits.size / took:,.0f} a second, the start of the processes included; "
          f"safe after p50 {p50:.0f} ms, p99 {p99:.0f} ms; {each:,.0f} bytes each, "
          f"{later:,.0f} without the history", flush=True)  # fmt: skip


def paced(settings: Settings, samples: Sequence[Issued], rate: float, seconds: int, out: Times) -> None:
    """Append at random times, and give the seconds until each is safe."""
    ledger, waited = Ledger(settings), []
    pauses = np.random.default_rng(1).exponential(1 / rate, int(rate * seconds))

    def one(number: int, due: float) -> Future[None]:
        kept = ledger.append_soon(replace(samples[number % SAMPLES], receipt=new_receipt(), issued=now()))
        kept.add_done_callback(lambda _: waited.append(time.perf_counter() - due))
        return kept

    due, futures = time.perf_counter(), []
    for number, pause in enumerate(pauses.tolist()):
        due += pause
        time.sleep(max(0.0, due - time.perf_counter()))
        futures.append(one(number, due))
    for future in futures:
        future.result()
    out.put(waited)


def added(settings: Settings, samples: Sequence[Issued], rate: int, seconds: int) -> None:
    """What the ledger adds to the time of a forecast while others are kept, printed."""
    context = multiprocessing.get_context("spawn")
    out: Times = context.Queue()
    others = context.Process(target=paced, args=(settings, samples, rate, seconds, out))
    others.start()
    forecaster, ledger = Forecaster(settings, Snapshots(settings.home)), Ledger(settings)
    requests = [ForecastRequest.model_validate_json(body) for body in bodies(SAMPLES, 104, 0, 2)]
    ledger.append(forecaster.make(requests[0]))  # the first one opens files and loads modules
    times: tuple[list[float], list[float]] = ([], [])  # without the ledger, and with it
    while others.is_alive() and out.empty():
        for body in requests:
            began = time.perf_counter()
            entry = forecaster.make(body)
            times[0].append(time.perf_counter() - began)
            ledger.append(entry)
            times[1].append(time.perf_counter() - began)
    told = [_percentiles(found) for found in (out.get(), *times)]
    others.join()
    gained = _percentiles((np.array(times[1]) - np.array(times[0])).tolist())
    print(f"  beside {rate} a second, safe after {told[0]}: a forecast one by one takes {told[1]} without the ledger, "
          f"{told[2]} with it; it adds {gained}", flush=True)  # fmt: skip


def _percentiles(seconds: Sequence[float]) -> str:
    p50, p99 = np.percentile(np.array(seconds) * 1000, [50, 99])
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


def main() -> None:
    """Measure each database, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forecasts", type=whole_number, default=20_000)
    parser.add_argument("--processes", type=whole_number, default=2)
    parser.add_argument("--waiting", type=whole_number, default=64, help="requests of a process that wait at once")
    parser.add_argument("--rate", type=whole_number, default=200, help="forecasts a second that others keep meanwhile")
    parser.add_argument("--seconds", type=whole_number, default=60)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        samples = made(settings)
        measure("SQLite", settings, samples, given)
        added(settings, samples, given.rate, given.seconds)
        if PROGRAMS is not None:
            with postgresql() as server:
                measure("PostgreSQL", Settings(home=Path(home), database_url=server.address), samples, given)


if __name__ == "__main__":
    main()
