"""Measure pulling: `python -m bench.pulling` pulls 500 series from a fake with faults, and kills pulls as readers read.

Checked, not only timed: every value is there once, the source is not asked more often than its limit allows, and no
reader sees an error, a torn state or an older one after a newer. Takes about three minutes; less with `--kills 5
--series 50`.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.arguments import whole_number
from bench.machine import machine
from signals.runner import Options, Outcome, pull_signals
from signals.store import StoreEmpty, open_snapshot
from tests.fakes.counter import Things, installed
from tests.fakes.server import Fake, Faults, serving

INTERVAL = 0.1  # seconds between two requests
FAULTS = 0.05
NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
DAYS = 30


def names_of(series: int) -> list[str]:
    """The names of so many things."""
    return [f"thing{i:04d}" for i in range(series)]


def write_config(home: Path, url: str, series: int) -> None:
    """A groundswell.toml that wants so many series, in entries of fifty."""
    names = names_of(series)
    entries = [names[i : i + 50] for i in range(0, series, 50)]
    tables = [f'[[signals]]\nconnector = "counter"\nthings = {entry!r}\n'.replace("'", '"') for entry in entries]
    (home / "groundswell.toml").write_text(f'[connectors.counter]\nbase_url = "{url}"\n' + "".join(tables))


def check(home: Path, things: Things, series: int) -> None:
    """Raise AssertionError unless every value of every series is there, once."""
    snapshot = open_snapshot(home)
    signals = [f"counter/{name}/US" for name in names_of(series)]
    frame = snapshot.observations(signals, vintages=True)
    assert len(frame) == series * DAYS, f"{len(frame):,} values, {series * DAYS:,} expected"
    assert not frame.duplicated(["signal", "start"]).any(), "a value is there twice"
    truth = [
        things.value(name.split("/")[1], day.date()) for name, day in zip(frame["signal"], frame["start"], strict=True)
    ]
    assert list(frame["value"]) == truth, "a value differs from the source's"


def gaps(fake: Fake) -> np.ndarray:
    """Seconds between requests as the source saw them."""
    return np.diff(sorted(asked.at for asked in fake.asked))


def measure_pull(series: int) -> None:
    """Pull `series` series with faults until all are there, as a schedule would."""
    things = Things(NOW)
    with TemporaryDirectory() as folder, serving(things, Faults(FAULTS)) as fake:
        home, began, rounds = Path(folder), time.perf_counter(), 0
        write_config(home, fake.url, series)
        outcomes: list[Outcome] = []
        while not outcomes or not all(outcome.is_good for outcome in outcomes):
            outcomes = pull_signals(home, Options(), now=NOW)
            rounds += 1
        seconds = time.perf_counter() - began
        check(home, things, series)
        apart, limit = gaps(fake) * 1e3, seconds / INTERVAL + 1
        assert len(fake.asked) <= limit, "the source was asked too often"
        met = f"{FAULTS:.0%} faults ({fake.faults.count} met)"
        print(f"pull of {series} series, {met}: {seconds:.1f} s in {rounds} round(s)")
        print(f"  {series * DAYS:,} values: all present, none twice; {len(fake.asked)} requests, {limit:.0f} allowed")
        print(f"  between requests: median {np.median(apart):.1f} ms, least allowed {INTERVAL * 1e3:.0f} ms on average")


def measure_kills(series: int, kills: int) -> None:
    """kill -9 pulls at random moments while two readers read; then let one end."""
    things, chance = Things(NOW), random.Random(11)
    with TemporaryDirectory() as folder, serving(things) as fake:
        home = Path(folder)
        write_config(home, fake.url, series)
        readers = [start("read", home) for _ in range(2)]
        killed = 0
        while killed < kills:
            with start("pull", home) as pull:
                assert pull.stdout is not None
                pull.stdout.readline()  # it has begun
                try:
                    pull.wait(chance.uniform(0.2, 10.0))
                except subprocess.TimeoutExpired:
                    pull.kill()
                    killed += 1
        pull_signals(home, Options(), now=NOW)
        told = [reader.communicate("")[0].split() for reader in readers]
        assert all(reader.returncode == 0 for reader in readers), "a reader failed"
        check(home, things, series)
        reads = sum(int(one[0]) for one in told)
        worst = max(float(one[1]) for one in told)
        print(f"{kills} kills of a pull of {series} series: nothing lost, nothing twice; {len(fake.asked)} requests")
        print(f"  {reads:,} reads by two readers meanwhile, 0 errors, never backwards; 99th percentile {worst:.1f} ms")


def start(role: str, home: Path) -> subprocess.Popen[str]:
    """This module as a process of its own."""
    command = [sys.executable, "-m", "bench.pulling", "--role", role, "--home", str(home)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def pull_forever(home: Path) -> None:
    """Pull again and again, the whole history each time, until killed."""
    print("begun", flush=True)
    while True:
        pull_signals(home, Options(again=True), now=NOW)


def read(home: Path) -> None:
    """Read until standard input closes; print the number of reads and the 99th percentile of their time in ms."""
    import threading

    closed = threading.Event()
    threading.Thread(target=_wait_for_end, args=(closed,), daemon=True).start()
    times: list[float] = []
    snapshot, last = None, 0
    while not closed.is_set():
        began = time.perf_counter()
        try:
            snapshot = snapshot or open_snapshot(home)
        except StoreEmpty:
            closed.wait(0.05)
            continue
        snapshot.refresh()
        version = snapshot.data_version
        assert version >= last, f"went back from {last} to {version}"
        cursors = snapshot.cursors(version)
        frame = snapshot.observations(list(cursors)[:20], data_version=version)
        counts = frame.groupby("signal").size()
        assert (counts == DAYS).all(), "a series is torn"
        times.append(time.perf_counter() - began)
        last = version
        closed.wait(0.002)
    print(len(times), float(np.percentile(times, 99)) * 1e3 if times else 0.0)


def _wait_for_end(closed: threading.Event) -> None:
    sys.stdin.read()
    closed.set()


def main() -> None:
    """Run both measurements, or one role of the second."""
    parser = argparse.ArgumentParser(prog="python -m bench.pulling", description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=whole_number, default=500)
    parser.add_argument("--kills", type=whole_number, default=25)
    parser.add_argument("--role", choices=["pull", "read"], help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    with installed(interval=INTERVAL):
        if given.role:
            {"pull": pull_forever, "read": read}[given.role](given.home)
            return
        print(machine())
        measure_pull(given.series)
        measure_kills(min(given.series, 40), given.kills)


if __name__ == "__main__":
    main()
