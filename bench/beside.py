"""`python -m bench.beside [--series N] [--rate 200] [--seconds 600]`: what a buyer feels of a night's batch.

Starts `groundswell serve` on an empty home, uploads a run of weekly series of 260 weeks with five signals each, and
while it is made asks for forecasts at random times (open loop, from this process), each of another history of 104 weeks
that is retrained, explained and on disk before it is answered. Tells the share that was answered within a second, how
much of the run was made meanwhile, and when its last result was there.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bench.arguments import whole_number
from bench.load import load
from bench.machine import machine
from bench.runs import submitted, write_lines
from bench.serving import bodies, cpu_seconds, served, tell

WEEKS, SIGNALS, HORIZON = 260, 5, 26


def _made(client: httpx.Client, address: str) -> int:
    made: int = client.get(address).json()["counts"]["made"]
    return made


def beside(port: int, pid: int, file: Path, given: argparse.Namespace) -> None:
    """Submit the run, load, and print."""
    requests = bodies(given.rate * given.seconds, 104, 0)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client:
        asyncio.run(load("127.0.0.1", port, "/v1/forecasts", requests[:50], 20.0))  # warm
        began = time.perf_counter()
        address = submitted(client, file, began)
        before = cpu_seconds(pid)
        tell(asyncio.run(load("127.0.0.1", port, "/v1/forecasts", requests, given.rate)), cpu_seconds(pid) - before)
        print(f"  of the run made meanwhile: {_made(client, address):,}", flush=True)
        while client.get(address).status_code == 202:
            time.sleep(1.0)
        print(f"  its last result after {time.perf_counter() - began:.0f} s: {client.get(address).json()['counts']}")


def main() -> None:
    """Make the run, load beside it, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=whole_number, default=100_000)
    parser.add_argument("--rate", type=whole_number, default=200, help="requests a second")
    parser.add_argument("--seconds", type=whole_number, default=600)
    given = parser.parse_args()
    print(machine())
    print(f"{given.rate} requests a second for {given.seconds} s beside a run of {given.series:,} series", flush=True)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "requests.ndjson"
        write_lines(file, given.series, WEEKS, SIGNALS, HORIZON)
        with served() as (port, pid):
            beside(port, pid, file, given)


if __name__ == "__main__":
    main()
