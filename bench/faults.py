"""`python -m bench.faults [database disk writes clock duplicates] [--rate 20] [--seed 1]`: what an outage loses.

Each case runs `groundswell serve` on a home of its own under load and breaks something beneath it:

    database    PostgreSQL as `database_url`, stopped the hard way four times and started again
    disk        the disk of the home full, four times (a small tmpfs; needs root)
    writes      one of a hundred, then one of ten writes and syncs of the home's files fails (needs a C compiler)
    clock       the clock jumps forward and back by an hour and by a day (needs a C compiler)
    duplicates  the same request at the same time over many connections, and clients that repeat after a kill

and tells what was sent, how it was answered, and what became of all that was acknowledged: answered, pending or dead,
or lost. Nothing is started again by hand but what was broken.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.acknowledged import JSON, Account, Load, Told, account, sales_that_differ
from bench.arguments import whole_number
from bench.duplicates import at_once, executed_twice, receiver
from bench.enqueuer import Enqueuers
from bench.machine import machine
from bench.postgresql import postgresql
from bench.preloaded import Preloaded
from bench.service import JOBS, Service, ask, killed
from bench.serving import bodies

RATES = (10_000, 100_000)  # of a million writes
JUMPS = (3600, 86_400, -3600, -86_400)  # seconds
BACK_SECONDS = 120.0  # within which it must answer again


@dataclass(frozen=True)
class Plan:
    """How much of it: how often something is broken, for how long (seconds), and the requests a second meanwhile."""

    times: int = 4
    seconds: float = 6.0
    rate: float = 20.0
    seed: int = 1


@dataclass
class Outcome:
    """What a case came to. `back`: seconds after each repair until a forecast was answered again."""

    account: Account
    sent: dict[str, int]
    problems: dict[str, int]
    longest: float
    back: list[float]
    sales: int  # acknowledged uploads whose values are not in the store

    @property
    def lost(self) -> int:
        """All that is not as it was acknowledged."""
        return self.account.lost + self.account.mistaken + self.sales

    def tell(self) -> None:
        """Print it."""
        print(f"  answers: {self.sent}; of 503: {self.problems}; the longest wait {self.longest:.1f} s")
        if self.back:
            print(f"  answered again after {', '.join(f'{seconds:.1f}' for seconds in self.back)} s")
        self.account.tell()
        print(f"  uploads whose sales are not in the store: {self.sales}; in all lost {self.lost}\n", flush=True)


def database(plan: Plan) -> Outcome:
    """Stop PostgreSQL: by pg_ctl -m immediate and by SIGKILL in turn."""
    with postgresql() as server, tempfile.TemporaryDirectory() as home:

        def broken(number: int) -> Callable[[], None]:
            (server.kill if number % 2 else server.stop_hard)()
            return server.start

        return _case(Service(Path(home), {"GROUNDSWELL_DATABASE_URL": server.address}), plan, broken)


def disk(plan: Plan) -> Outcome:
    """Fill the disk of the home to the last byte."""
    with small_disk() as home:

        def broken(_: int) -> Callable[[], None]:
            return fill(home)

        return _case(Service(home / "home"), plan, broken)


def fill(folder: Path) -> Callable[[], None]:
    """Take all the room there is, also what is freed meanwhile; the way to give it back."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as out:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while out.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return ballast.unlink


@contextmanager
def small_disk(megabytes: int = 192) -> Iterator[Path]:
    """A file system of that size."""
    folder = Path(tempfile.mkdtemp(prefix="groundswell-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def writes(plan: Plan) -> Outcome:
    """Writes fail at random, with an error of the disk."""
    with tempfile.TemporaryDirectory() as folder:
        failing = Preloaded(Path(folder), "failing_writes")
        home = Path(folder) / "home"

        def broken(number: int) -> Callable[[], None]:
            failing.set(RATES[number % len(RATES)])
            return lambda: failing.set(0)

        return _case(Service(home, failing.variables | {"FAILING_WRITES_BELOW": str(home)}), plan, broken)


def clock(plan: Plan) -> Outcome:
    """The clock jumps; the job worker is killed each time, so that its signs of life are from another time."""
    with tempfile.TemporaryDirectory() as folder:
        jumping = Preloaded(Path(folder), "jumping_clock")
        service = Service(Path(folder) / "home", jumping.variables)

        def jump(seconds: int) -> None:
            jumping.set(seconds)
            for pid, kind in service.processes().items():
                if kind == JOBS:
                    killed(pid)

        def broken(number: int) -> Callable[[], None]:
            jump(JUMPS[number % len(JUMPS)])
            return lambda: jump(0)

        return _case(service, plan, broken)


def _case(service: Service, plan: Plan, broken: Callable[[int], Callable[[], None]]) -> Outcome:
    """Load it, break something again and again, and mend it after a while."""
    back: list[float] = []
    service.start()
    try:
        load = Load(service.port, plan.rate)
        with tempfile.TemporaryDirectory() as folder, load, Enqueuers(service.port, load.told, Path(folder)):
            for number in range(plan.times):
                time.sleep(plan.seconds)
                mend = broken(number)
                time.sleep(plan.seconds)
                mend()
                back.append(seconds_until_answered(service.port))
            time.sleep(plan.seconds)
        found = account(service.port, load.told, random.Random(plan.seed))
    finally:
        service.stop()
    told = load.told
    return Outcome(
        found, dict(told.others), dict(told.problems), told.longest, back, sales_that_differ(service.home, told)
    )


def seconds_until_answered(port: int) -> float:
    """Until a forecast is answered at once or accepted."""
    began, request = time.monotonic(), bodies(1, 104, 0, 99)[0]
    while ask(port, "POST", "/v1/forecasts", request, JSON).status != 200:
        if time.monotonic() - began > BACK_SECONDS:
            raise RuntimeError(f"it did not answer again within {BACK_SECONDS:g} s")
        time.sleep(0.1)
    return time.monotonic() - began


def duplicates(plan: Plan) -> Outcome:
    """The same request over twelve connections at once, runs executed twice, their webhooks sent twice."""
    told = Told()
    with tempfile.TemporaryDirectory() as home, receiver() as (address, received):
        service = Service(Path(home), {"GROUNDSWELL_WEBHOOK_TARGETS": "private"})
        service.start()
        try:
            ask(service.port, "POST", "/v1/webhooks", orjson.dumps({"callbackUrl": address}), JSON)
            for number, request in enumerate(bodies(5 * plan.times, 104, 0, plan.seed)):
                at_once(service.port, number, request, told)
            for number in range(plan.times):
                executed_twice(service, 1000 + number, told)
            found = account(service.port, told, random.Random(plan.seed))
            until = time.monotonic() + BACK_SECONDS
            while len(received.numbers) < 2 * plan.times and time.monotonic() < until:
                time.sleep(0.5)  # the second attempt comes ten seconds later
        finally:
            service.stop()
    attempts, events = len(received.numbers), len(set(received.numbers))
    print(f"  webhooks: {attempts} attempts, {events} events of {len(told.runs)} runs")
    found.alike += abs(events - len(told.runs))
    return Outcome(found, dict(told.others), dict(told.problems), 0.0, [], 0)


CASES: dict[str, Callable[[Plan], Outcome]] = {
    "database": database,
    "disk": disk,
    "writes": writes,
    "clock": clock,
    "duplicates": duplicates,
}


def main() -> None:
    """Break, mend, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], default=list(CASES), metavar="case")
    parser.add_argument("--times", type=whole_number, default=4, help="how often each is broken")
    parser.add_argument("--seconds", type=whole_number, default=6, help="how long it is broken, and whole in between")
    parser.add_argument("--rate", type=whole_number, default=20, help="requests a second")
    parser.add_argument("--seed", type=whole_number, default=1)
    given = parser.parse_args()
    print(machine())
    for name in given.cases:
        print(f"{name}: {' '.join((CASES[name].__doc__ or '').split())}", flush=True)
        CASES[name](Plan(given.times, given.seconds, given.rate, given.seed)).tell()


if __name__ == "__main__":
    main()
