"""`python -m bench.serving [--rate 200] [--seconds 300]`: forecasts over HTTP under a steady load.

Starts `groundswell serve` on an empty home and sends requests from this process at random times (open loop: Poisson
arrivals). Each has another weekly history inline, is retrained, explained, given a receipt and kept in the ledger
before it is answered. Tells the share that was answered within a second, percentiles, and the CPU of the server.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import orjson

from bench.arguments import whole_number
from bench.load import Loaded, load
from bench.machine import machine
from bench.service import children


def bodies(count: int, periods: int, signals: int, seed: int = 1) -> list[bytes]:
    """Requests, no two of which are alike."""
    chance = np.random.default_rng(seed)
    season = np.sin(2 * np.pi * np.arange(periods) / 52)
    first = str(np.datetime64("2026-11-22") - 7 * (periods - 1))
    made = []
    for _ in range(count):
        level, swing = chance.uniform(50, 5000), chance.uniform(0, 0.5)
        sales = (level * (1 + swing * season + 0.08 * chance.normal(size=periods))).clip(0).round(1)
        body = {"history": {"start": first, "frequency": "W-SUN", "values": sales.tolist()}, "horizon": 8}
        body["signals"] = [
            {"signal": f"signal {i}", "start": first, "frequency": "W-SUN", "values": row}
            for i, row in enumerate(chance.normal(size=(signals, periods)).round(3).tolist())
        ]
        made.append(orjson.dumps(body))
    return made


@contextmanager
def served(*arguments: str) -> Iterator[tuple[int, int]]:
    """A running `groundswell serve` on a home of its own: its port and its process."""
    with socket.socket() as free, tempfile.TemporaryDirectory() as home:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        environment = {**os.environ, "GROUNDSWELL_LOG_LEVEL": "error", "GROUNDSWELL_PULL_CHECK_SECONDS": "0"}
        command = [sys.executable, "-c", "from api.cli import main; main()", "--home", home, "serve"]
        process = subprocess.Popen([*command, "--port", str(port), *arguments], env=environment)
        try:
            _wait(port)
            yield port, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/startup", timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and all below it, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(child) for child in children(pid))


def tell(loaded: Loaded, cpu: float) -> None:
    """Print what a load came to."""
    times = np.array(loaded.seconds)
    within = 100 * float((times <= 1).mean())
    p50, p95, p99 = np.percentile(times, [50, 95, 99]) * 1000
    print(f"  {len(times):,} answers, {loaded.statuses}; within 1 s {within:.2f} %")
    print(f"  p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, longest {times.max() * 1000:.0f} ms")
    print(f"  CPU of the server {cpu / len(times) * 1000:.1f} ms a request")


def main() -> None:
    """Load, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=whole_number, default=200, help="requests a second")
    parser.add_argument("--seconds", type=whole_number, default=300)
    parser.add_argument("--periods", type=whole_number, default=104, help="weeks of history in each request")
    parser.add_argument("--signals", type=int, default=0, help="inline signals in each request")
    given = parser.parse_args()
    requests = bodies(given.rate * given.seconds, given.periods, given.signals)
    print(machine())
    print(f"{given.rate} requests a second for {given.seconds} s, {given.periods} weeks, {given.signals} signals")
    with served() as (port, pid):
        asyncio.run(load("127.0.0.1", port, "/v1/forecasts", requests[:50], 20.0))  # warm
        before = cpu_seconds(pid)
        loaded = asyncio.run(load("127.0.0.1", port, "/v1/forecasts", requests, given.rate))
        tell(loaded, cpu_seconds(pid) - before)


if __name__ == "__main__":
    main()
