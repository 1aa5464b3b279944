"""`python -m bench.chaos [--kills 50] [--rate 20] [--seed 1]`: is anything lost that was acknowledged?

Starts `groundswell serve` on an empty home, asks for forecasts now and for later, uploads sales, hands over forecasts
and runs under an Idempotency-Key, and kills (SIGKILL) a process at a random moment, again and again: an API worker,
the job worker, the ingest process, one of the clients that hand over (it repeats what it had begun), or all of the
server, which is then started again. In the end acknowledged - (answered + pending + dead) must be 0, the ledger must
give every answer again to the byte, and a sample of the answers is computed once more from its requests.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.acknowledged import Account, Load, Told, account, sales_that_differ
from bench.arguments import whole_number
from bench.enqueuer import Enqueuers
from bench.machine import machine
from bench.service import API, INGEST, JOBS, Service, killed

ENQUEUER, ALL = "enqueuer", "all of the server"
KINDS = (API, JOBS, INGEST, ENQUEUER)
LONGEST_PAUSE = 2.0  # seconds between two kills


def kill_one(service: Service, enqueuers: Enqueuers, chance: random.Random) -> str | None:
    """Kill something; what it was, None where it was not there (it starts again after a pause)."""
    kind = ALL if chance.random() < 0.12 else chance.choice(KINDS)
    if kind == ALL:
        service.kill()
    elif kind == ENQUEUER:
        enqueuers.kill(chance)
    else:
        there = [pid for pid, found in service.processes().items() if found == kind]
        if not there or not killed(chance.choice(there)):
            return None
    return kind


def chaos(home: Path, kills: int, rate: float, seed: int) -> tuple[Counter[str], Told, Account]:
    """Kill so often under load; what was killed, what the senders were told, and what became of it."""
    chance, service, done = random.Random(seed), Service(home), Counter[str]()
    service.start()
    try:
        load = Load(service.port, rate)
        with tempfile.TemporaryDirectory() as folder, load, Enqueuers(service.port, load.told, Path(folder)) as clients:
            while done.total() < kills:
                time.sleep(chance.uniform(0.1, LONGEST_PAUSE))
                kind = kill_one(service, clients, chance)
                done.update(filter(None, [kind]))
        found = account(service.port, load.told, chance)
    finally:
        service.stop()
    return done, load.told, found


def main() -> None:
    """Kill, and print; the exit code is 1 where something is lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=whole_number, default=50)
    parser.add_argument("--rate", type=whole_number, default=20, help="forecasts a second, half of them for later")
    parser.add_argument("--seed", type=whole_number, default=1)
    given = parser.parse_args()
    print(machine())
    print(f"{given.kills} kills at {given.rate} requests a second, seed {given.seed}")
    with tempfile.TemporaryDirectory() as home:
        done, told, found = chaos(Path(home), given.kills, given.rate, given.seed)
        differ = sales_that_differ(Path(home), told)
    for kind in (*KINDS, ALL):
        print(f"  {kind:18} killed {done[kind]:3} times")
    print(f"  what senders saw: {dict(told.others)}, the longest wait {told.longest:.1f} s")
    found.tell()
    print(f"  uploads whose sales are not in the store: {differ}")
    sys.exit(bool(found.lost or found.mistaken or differ))


if __name__ == "__main__":
    main()
