"""All of a million forecast rows over OData, page by page: `python -m bench.odata [--rows N]`.

Made forecasts are put into the ledger, folded into rows, and read over HTTP from a server in a process of its own:
first all pages, then what a client asks for often. Prints rows a second and the server's resident memory over the
pages: it may not grow with the rows.
"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import resource
import socket
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median

import httpx
import orjson

from api.fold import fold_some
from api.grouped import MOST
from api.ledger import Issued, Ledger
from api.receipts import receipt_at
from api.settings import Settings
from bench.arguments import whole_number
from bench.machine import machine

PERIODS = 26
CATEGORIES = 2_000
START = dt.datetime(2026, 1, 5, 6)
DRIVERS = ("level", "trend", "season")
QUESTIONS = {
    "one entity": "Forecasts({id})",
    "count of all": "Forecasts/$count",
    "newest of one category": "Forecasts?$filter=Category eq 'Category 00042' and IsLatest eq true",
    "newest, first page": "Forecasts?$filter=IsLatest eq true",
    "one start date": "Forecasts?$filter=ForecastStartDate eq 2026-02-02T00:00:00Z&$top=1000",
    "changed since": "Forecasts?$filter=ModifiedAt gt 2126-01-01T00:00:00Z",
    "100 with contributions": "Forecasts?$top=100&$expand=Contributions",
    "sorted by quantity, first 100": "Forecasts?$orderby=ForecastedQuantity desc&$top=100",
}


def issued(number: int) -> Issued:
    """A made forecast: that of one category, `PERIODS` weeks ahead."""
    moment = START + dt.timedelta(days=number // CATEGORIES, seconds=number % CATEGORIES)
    category = f"Category {number % CATEGORIES:05d}"
    first = moment.date() + dt.timedelta(days=6 - moment.weekday())
    answer = {
        "receipt": receipt_at(moment, number),
        "category": category,
        "unit": "pairs",
        "frequency": "W-SUN",
        "as_of": moment.isoformat() + "Z",
        "data_version": 1 + number // CATEGORIES,
        "history": {"start": "2023-01-01", "end": "2026-01-04", "periods": 157},
        "engine": {"name": "fast"},
        "forecast": [_period(first + dt.timedelta(weeks=i), 100 + (number * 7 + i) % 97) for i in range(PERIODS)],
        "signals": [],
        "importance": [],
        "quality": {
            "origins": 12, "wape": 0.08, "mase": 0.7, "bias_pct": -0.4, "vs_seasonal_naive_pct": -22.5,
            "coverage": {"80": 0.81, "95": 0.95},
        },
        "warnings": [],
        "timing_ms": {"read": 0.4, "fit": 2.1, "total": 3.4},
    }  # fmt: skip
    return Issued(str(answer["receipt"]), category, orjson.dumps(answer), b"{}", issued=moment)


def _period(label: dt.date, value: float) -> dict[str, object]:
    return {
        "period": label.isoformat(),
        "kind": "forecast",
        "value": value + 0.4321,
        "median": value + 0.1234,
        "intervals": {"80": [value - 9.9, value + 10.1], "95": [value - 19.9, value + 20.1]},
        "contributions": {"level": value - 5.0, "trend": 1.0, "season": 4.4321},
    }


def fill(settings: Settings, rows: int) -> None:
    """Issue and fold forecasts of so many periods, and say how long it took."""
    ledger, forecasts = Ledger(settings), -(-rows // PERIODS)
    began = time.perf_counter()
    for first in range(0, forecasts, MOST):
        ledger.append(*(issued(number) for number in range(first, min(first + MOST, forecasts))))
    kept = time.perf_counter()
    print(f"issued {forecasts:,} forecasts: {kept - began:.0f} s")
    while fold_some(settings):
        pass
    seconds = time.perf_counter() - kept
    print(f"folded {forecasts * PERIODS:,} forecast rows and their contributions: {seconds:.0f} s, "
          f"{forecasts * PERIODS / seconds:,.0f} forecast rows/s")  # fmt: skip


def serve(home: str, port: int) -> None:
    """The server, in a process of its own."""
    import uvicorn

    from api.app import create_app

    uvicorn.run(create_app(Settings(home=Path(home))), port=port, log_level="warning")


def resident_mb(process: int) -> float:
    """Resident memory of another process, in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def read_all(client: httpx.Client, server: int) -> None:
    """Follow the pages to the end."""
    address, rows, pages, memory = "Forecasts", 0, [], [resident_mb(server)]
    began = time.perf_counter()
    while address:
        asked = time.perf_counter()
        page = orjson.loads(client.get(address).raise_for_status().content)
        pages.append(time.perf_counter() - asked)
        memory.append(resident_mb(server))
        rows += len(page["value"])
        address = page.get("@odata.nextLink", "")
    seconds = time.perf_counter() - began
    third = max(1, len(memory) // 3)
    print(
        f"read {rows:,} rows in {len(pages)} pages: {seconds:.1f} s, {rows / seconds:,.0f} rows/s; "
        f"a page {median(pages) * 1e3:.0f} ms, longest {max(pages) * 1e3:.0f} ms\n"
        f"server memory: {memory[0]:.0f} MB before, at most {max(memory[:third]):.0f} MB over the first third of the "
        f"pages, {max(memory[-third:]):.0f} MB over the last"
    )


def ask(client: httpx.Client) -> None:
    """What a client asks for often, the median of five."""
    key = client.get("Forecasts?$top=1").json()["value"][0]["Id"]
    for name, address in QUESTIONS.items():
        times = []
        for _ in range(5):
            began = time.perf_counter()
            answer = client.get(address.replace("{id}", key)).raise_for_status()
            times.append(time.perf_counter() - began)
        print(f"{name:<32} {median(times) * 1e3:8.1f} ms  {len(answer.content) / 1e3:10,.0f} kB")


def _started(home: str) -> tuple[BaseProcess, int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(home, port))
    process.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health/live")
        except httpx.ConnectError:
            time.sleep(0.1)
        else:
            return process, port
    raise TimeoutError("the server did not start within 60 s")


def main() -> None:
    """Fill a home, serve it, read it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=whole_number, default=1_000_000)
    options = parser.parse_args()
    print(f"{options.rows:,} forecast rows, {CATEGORIES:,} categories; {machine()}")
    with tempfile.TemporaryDirectory() as home:
        fill(Settings(home=Path(home)), options.rows)
        process, port = _started(home)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/odata/v4/", timeout=600) as client:
            assert process.pid is not None
            read_all(client, process.pid)
            ask(client)
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
