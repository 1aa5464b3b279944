"""`python -m bench.capacity [--count 300] [--price 0.05]`: what a request costs, and how many a machine can answer.

Starts `groundswell serve` on an empty home, sends requests of each kind one after the other, and tells the CPU time of
the server for each, all its processes taken together. Then it sends as many as four connections can, to one worker
and to one for each core: the most that this machine answers, the sender's own work included. From the CPU time follow
the cores for 10,000 requests a second at `BUSY` of each core, and the price of 1,000 at `--price` dollars for an hour
of a core.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.arguments import whole_number
from bench.load import closed, load
from bench.machine import machine
from bench.overload import drained
from bench.service import children
from bench.serving import bodies, cpu_seconds, served

NOW = "Prefer: wait=60\r\n"
LATER = "Prefer: respond-async\r\n"
BUSY = 0.6  # of a core's time: above it, those who come at random wait for one another
TARGET = 10_000
CONNECTIONS = 4
SETTLED_SECONDS = 5.0
GENTLY = 10.0  # requests a second while the cost of one is measured
DETAILED_SHARE = 10  # it takes a hundred times as long, and one request costs as much as the next
KINDS = (
    ("answered now, 104 weeks", 104, 0, NOW, "fast"),
    ("answered now, 260 weeks, 5 signals", 260, 5, NOW, "fast"),
    ("answered 202, then made, 104 weeks", 104, 0, LATER, "fast"),
    ("answered 202, then made, 260 weeks, 5 signals", 260, 5, LATER, "fast"),
    ("detailed, answered 202, then made, 104 weeks", 104, 0, LATER, "detailed"),
    ("detailed, answered 202, then made, 260 weeks, 5 signals", 260, 5, LATER, "detailed"),
)


@dataclass(frozen=True)
class Cost:
    """Of one request of a kind: CPU seconds of the server."""

    kind: str
    cpu: float

    def tell(self, price: float) -> None:
        """Print it, and what follows."""
        cores, dollars = TARGET * self.cpu / BUSY, 1000 * self.cpu / 3600 * price / BUSY
        print(f"  {self.kind}: {self.cpu * 1000:.1f} ms of CPU; {BUSY / self.cpu:.0f} a second for each core at "
              f"{BUSY:.0%}, {cores:.0f} cores for {TARGET:,} a second; $ {dollars:.5f} for 1,000")  # fmt: skip


def memory(pid: int) -> float:
    """Megabytes of a process and all below it; what they share is counted once."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return own + sum(memory(child) for child in children(pid))


def cost(port: int, pid: int, rest: float, kind: str, requests: Sequence[bytes], headers: str) -> Cost:
    """Measure one kind, above what the server takes at `rest`; what was put off is waited for, and OData's rows."""
    asyncio.run(
        load("127.0.0.1", port, "/v1/forecasts", requests[: len(requests) // 5], GENTLY, headers=headers)
    )  # warm
    drained(port)
    before, began = cpu_seconds(pid), time.monotonic()
    loaded = asyncio.run(load("127.0.0.1", port, "/v1/forecasts", requests, GENTLY, headers=headers))
    drained(port)
    time.sleep(SETTLED_SECONDS)
    spent = cpu_seconds(pid) - before - rest * (time.monotonic() - began)
    expected = "202" if headers == LATER else "200"
    assert loaded.statuses == {expected: len(requests)}, loaded.statuses
    return Cost(kind, spent / len(requests))


def asked(count: int, weeks: int, signals: int, engine: str) -> list[bytes]:
    """Requests of an engine, no two alike."""
    plain = bodies(count, weeks, signals, seed=weeks)
    return [orjson.dumps(orjson.loads(body) | {"engine": engine}) for body in plain]


def idle(pid: int, seconds: float = 10.0) -> float:
    """CPU seconds a second of a server that nobody asks for anything."""
    time.sleep(SETTLED_SECONDS)
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - began)


def most(workers: int, requests: Sequence[bytes]) -> float:
    """Forecasts a second at the most."""
    with served("--workers", str(workers)) as (port, _):
        asyncio.run(closed("127.0.0.1", port, "/v1/forecasts", requests[:40], CONNECTIONS, headers=NOW))  # warm
        began = time.perf_counter()
        loaded = asyncio.run(closed("127.0.0.1", port, "/v1/forecasts", requests, CONNECTIONS, headers=NOW))
        seconds = time.perf_counter() - began
    assert loaded.statuses == {"200": len(requests)}, loaded.statuses
    return len(requests) / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=whole_number, default=300, help="requests of each kind")
    parser.add_argument("--price", type=float, default=0.05, help="dollars for an hour of a core")
    given = parser.parse_args()
    print(machine())
    with served() as (port, pid):
        rest = idle(pid)
        print(f"  at rest {rest * 1000:.0f} ms of CPU a second")
        for kind, weeks, signals, headers, engine in KINDS:
            count = given.count if engine == "fast" else max(1, given.count // DETAILED_SHARE)
            cost(port, pid, rest, kind, asked(count, weeks, signals, engine), headers).tell(given.price)
        print(f"  memory of all processes after it: {memory(pid):.0f} MB")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/jobs/totals", timeout=60) as answer:
            print(f"  {orjson.loads(answer.read())}")
    for workers in sorted({1, os.cpu_count() or 1}):
        print(f"  {workers} worker{'s' * (workers > 1)}: at most "
              f"{most(workers, bodies(3 * given.count, 104, 0, seed=3)):.0f} forecasts a second")  # fmt: skip


if __name__ == "__main__":
    main()
