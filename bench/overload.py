"""`python -m bench.overload [--rate 60] [--seconds 20] [--times 1 3 6]`: what a service does with more than it can.

Starts `groundswell serve` on an empty home and sends, from this process and at random times whatever the server does
(open loop), the rated number of forecasts a second and multiples of it. Tells how many were answered at once (200),
accepted for later (202), refused (503), or not answered within `CLIENT_SECONDS`; goodput are those answered with their
forecast within a second. Then all that was accepted is waited for: `accepted - answered - pending - dead` is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import urllib.request
from dataclasses import dataclass

import numpy as np
import orjson

from bench.arguments import whole_number
from bench.load import Loaded, load
from bench.machine import machine
from bench.serving import bodies, cpu_seconds, served

CLIENT_SECONDS = 5.0
DRAIN_SECONDS = 600.0


@dataclass(frozen=True)
class Row:
    """One load."""

    times: int
    loaded: Loaded
    seconds: float
    cpu: float

    @property
    def goodput(self) -> float:
        """Forecasts a second that were there within a second."""
        good = [s for s, status in zip(self.loaded.seconds, self.loaded.answered, strict=True) if status == "200"]
        return sum(s <= 1 for s in good) / self.seconds

    def tell(self, first: Row) -> None:
        """Print it."""
        answered = np.array(self.loaded.seconds)
        late, p99 = int((answered > CLIENT_SECONDS).sum()), np.percentile(answered, 99)
        print(f"  {self.times} x: {len(answered):,} sent, {self.loaded.statuses}, after {CLIENT_SECONDS:g} s: {late}; "
              f"p50 {np.median(answered) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms; goodput {self.goodput:.0f} a second, "
              f"{self.goodput / first.goodput:.2f} of that at {first.times} x; "
              f"CPU {self.cpu / len(answered) * 1000:.1f} ms a request")  # fmt: skip


def totals(port: int) -> dict[str, int]:
    """What the service says became of all that it accepted."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/jobs/totals", timeout=60) as answer:
        found: dict[str, int] = orjson.loads(answer.read())
    return found


def drained(port: int) -> dict[str, int]:
    """The totals once nothing is pending, or after `DRAIN_SECONDS`."""
    until = time.monotonic() + DRAIN_SECONDS
    while (found := totals(port))["pending"] and time.monotonic() < until:
        time.sleep(1.0)
    return found


def main() -> None:
    """Load, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=whole_number, default=60, help="the rated requests a second: 1 x")
    parser.add_argument("--seconds", type=whole_number, default=20)
    parser.add_argument("--times", type=whole_number, nargs="+", default=[1, 3, 6])
    given = parser.parse_args()
    print(machine())
    print(f"{given.rate} requests a second are 1 x, {given.seconds} s each, 104 weeks, full retrain and explanation")
    rows: list[Row] = []
    with served() as (port, pid):
        asyncio.run(load("127.0.0.1", port, "/v1/forecasts", bodies(100, 104, 0), 20.0))  # warm
        for times in given.times:
            requests = bodies(times * given.rate * given.seconds, 104, 0, seed=times)
            before, began = cpu_seconds(pid), totals(port)["accepted"]
            loaded = asyncio.run(load("127.0.0.1", port, "/v1/forecasts", requests, float(times * given.rate)))
            rows.append(Row(times, loaded, given.seconds, cpu_seconds(pid) - before))
            rows[-1].tell(rows[0])
            accepted, clock = loaded.statuses.get("202", 0), time.monotonic()
            found = drained(port)
            lost = accepted - (found["accepted"] - began) + found["accepted"] - sum(
                found[name] for name in ("answered", "pending", "dead"))  # fmt: skip
            print(f"     {accepted:,} accepted with 202, made {time.monotonic() - clock:.0f} s after the load: "
                  f"{found}; lost {lost}")  # fmt: skip


if __name__ == "__main__":
    main()
