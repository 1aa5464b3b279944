"""`python -m bench.ledger [--forecasts 20000] [--processes 2] [--waiting 64]`: what one ledger can keep.

Makes a hundred real forecasts of 104 weeks through the whole application, then appends their rows under new receipts
from several processes, each with so many requests that wait for the disk at the same time (group commit), as API
workers do: on SQLite, and on PostgreSQL where it is installed. Tells rows a second, the time until a row is safe, and
bytes a row. It is the one thing that all workers share.
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
from api.database import engine_of, issued, now, reading
from api.ledger import Issued, Ledger, as_issued
from api.receipts import new_receipt
from api.settings import Settings
from bench.arguments import whole_number
from bench.machine import machine
from bench.postgresql import PROGRAMS, postgresql
from bench.requests import answered, posted
from bench.serving import bodies

SAMPLES = 100
PAGES = ("page_count", "page_size")
Times: TypeAlias = "multiprocessing.Queue[list[float]]"


def made(settings: Settings) -> list[Issued]:
    """Forecasts as the application keeps them."""
    app = create_app(settings)
    for body in bodies(SAMPLES, 104, 0):
        status, answer = asyncio.run(answered(app, posted(orjson.loads(body))))
        assert status == 200, answer
    with reading(engine_of(settings)) as connection:
        return [as_issued(row) for row in connection.execute(sa.select(issued)).mappings()]


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
        return int(connection.execute(sa.text("SELECT pg_total_relation_size('issued')")).scalar_one())


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
    print(f"  {name}: {waits.size / took:,.0f} a second, the start of the processes included; "
          f"safe after p50 {p50:.0f} ms, p99 {p99:.0f} ms; {each:,.0f} bytes each", flush=True)  # fmt: skip


def main() -> None:
    """Measure each database, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forecasts", type=whole_number, default=20_000)
    parser.add_argument("--processes", type=whole_number, default=2)
    parser.add_argument("--waiting", type=whole_number, default=64, help="requests of a process that wait at once")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        samples = made(settings)
        measure("SQLite", settings, samples, given)
        if PROGRAMS is not None:
            with postgresql() as server:
                measure("PostgreSQL", Settings(home=Path(home), database_url=server.address), samples, given)


if __name__ == "__main__":
    main()
