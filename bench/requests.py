"""CPU milliseconds of one request by endpoint, all in one process: `python -m bench.requests [--count N]`.

The requests go through the whole application, from ASGI to the ledger on disk; reading the socket is not in it. Every
forecast is of another series, so that no answer repeats. `wall` is the median time to the answer, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import orjson

from api.app import create_app
from api.commands.running import load_demo
from api.settings import Settings
from bench.arguments import whole_number
from bench.machine import machine

WARM_UP = 10
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"


@dataclass(frozen=True)
class Call:
    """One request: method, address, headers, body; `parts` is what its CPU time is divided by."""

    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    parts: int = 1


@dataclass(frozen=True)
class Case:
    """One kind of request: `make` gives the number of the request its Call."""

    name: str
    make: Callable[[int], Call]


def inline(number: int, signals: int = 0) -> dict[str, Any]:
    """A weekly history of 260 values with signals as long, given inline, as Python values."""
    rng = np.random.default_rng(number)
    season = 100 + 20 * np.sin(np.arange(260) * 2 * np.pi / 52)
    base = {"start": "2021-11-14", "frequency": "W-SUN"}
    body: dict[str, Any] = {"horizon": 26, "history": {**base, "values": (season + rng.normal(0, 4, 260)).tolist()}}
    if signals:
        values = rng.normal(0, 1, (signals, 260)).tolist()
        body["signals"] = [{"signal": f"signal {i}", **base, "values": row} for i, row in enumerate(values)]
    return body


def posted(body: Any, target: str = "/v1/forecasts", parts: int = 1, **headers: str) -> Call:
    """A POST of JSON."""
    given = {"content-type": JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Call("POST", target, orjson.dumps(body), given, parts)


def cases(category: str, receipt: str) -> list[Case]:
    """What is measured."""
    stored = {"category": category, "horizon": 8}
    again = f"/v1/forecasts/{receipt}"
    named = quote(category)
    return [
        Case("POST forecasts, inline 260", lambda i: posted(inline(i))),
        Case("POST forecasts, inline 260, five signals", lambda i: posted(inline(i, 5))),
        Case("POST forecasts, inline 260, key", lambda i: posted(inline(i), idempotency_key=f"new-{i}")),
        Case("POST forecasts, key sent again", lambda _: posted(inline(0), idempotency_key="again")),
        Case("POST forecasts, respond-async (202)", lambda i: posted(inline(i), prefer="respond-async")),
        Case("POST forecasts, category of the demo", lambda _: posted(stored)),
        Case("POST bulk, a list of 32 inline, each", _bulk),
        Case("GET receipt", lambda _: Call("GET", again)),
        Case("GET receipt, CSV", lambda _: Call("GET", again, headers={"accept": CSV})),
        Case("GET receipt, Parquet", lambda _: Call("GET", again, headers={"accept": PARQUET})),
        Case("GET receipt, 304", lambda _: Call("GET", again, headers={"if-none-match": f'"{receipt}"'})),
        Case("GET forecasts of a category", lambda _: Call("GET", f"/v1/forecasts?category={named}&limit=20")),
        Case("GET last forecast", lambda _: Call("GET", f"/v1/categories/{named}/forecast")),
        Case("GET categories", lambda _: Call("GET", "/v1/categories")),
        Case("GET health/live", lambda _: Call("GET", "/health/live")),
    ]


def _bulk(number: int) -> Call:
    return posted([inline(32 * number + i) for i in range(32)], "/v1/forecasts/bulk", 32)


async def answered(app: Any, call: Call) -> tuple[int, bytes]:
    """Status and body of one call, through ASGI."""
    path, _, query = call.target.partition("?")
    headers = {"host": "localhost", "content-length": str(len(call.body))} | call.headers
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": call.method, "scheme": "http",
        "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "state": {},
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("localhost", 80),
    }  # fmt: skip
    status, parts = 0, []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": call.body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, b"".join(parts)


async def measure(app: Any, case: Case, count: int) -> tuple[float, float, int]:
    """CPU and wall milliseconds, and bytes, of one request (or part of it)."""
    for number in range(WARM_UP):
        await answered(app, case.make(10**6 + number))
    calls = [case.make(number) for number in range(max(count // case.make(0).parts, 5))]
    walls, size = [], 0
    began = time.process_time()
    for call in calls:
        asked = time.perf_counter()
        status, body = await answered(app, call)
        walls.append(time.perf_counter() - asked)
        if status not in (200, 202, 304):
            raise RuntimeError(f"{case.name}: {status} {body[:300]!r}")
        size = len(body)
    cpu, parts = time.process_time() - began, calls[0].parts
    return 1e3 * cpu / len(calls) / parts, 1e3 * float(np.median(walls)) / parts, size // parts


async def table(home: Path, count: int) -> None:
    """Print a line a case."""
    app = create_app(Settings(home=home))
    status, page = await answered(app, Call("GET", "/v1/categories?limit=1"))
    category = orjson.loads(page)["items"][0]["category"]
    status, body = await answered(app, posted({"category": category, "horizon": 8}))
    if status != 200:
        raise RuntimeError(f"the demo cannot be forecast: {body!r}")
    print(f"  {'':42} {'CPU ms':>8} {'wall ms':>8} {'bytes':>8}")
    for case in cases(category, orjson.loads(body)["receipt"]):
        cpu, wall, size = await measure(app, case, count)
        print(f"  {case.name:42} {cpu:8.2f} {wall:8.2f} {size:8}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=whole_number, default=300, help="requests a case")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as home:
        load_demo(Path(home))
        asyncio.run(table(Path(home), options.count))


if __name__ == "__main__":
    main()
