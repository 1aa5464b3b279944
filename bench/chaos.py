"""`python -m bench.chaos [--kills 50] [--rate 30] [--seed 1]`: is anything lost that was acknowledged?

Starts `groundswell serve` on an empty home, sends forecasts to be answered now and forecasts to be made later, and
kills (SIGKILL) one of its processes at a random moment, again and again: an API worker, the job worker, the ingest
process, the puller, or all of them with `serve` itself, which is then started again. In the end every forecast that was
answered must be in the ledger to the byte, and every job that was acknowledged must be answered, pending or dead.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from bench.arguments import whole_number
from bench.machine import machine
from bench.serving import bodies

DRAIN_SECONDS = 300.0


@dataclass
class Acknowledged:
    """What the senders were told."""

    answers: dict[str, bytes] = field(default_factory=dict)  # receipt: the answer as it came
    jobs: set[str] = field(default_factory=set)
    others: Counter[str] = field(default_factory=Counter)


class Service:
    """`groundswell serve` on a home, started again as often as it is killed."""

    def __init__(self, home: Path, port: int) -> None:
        self.port, self._home = port, home
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; a port or a lock of the killed one may be free a little later."""
        command = [sys.executable, "-c", "from api.cli import main; main()", "--home", str(self._home), "serve"]
        environment = {**os.environ, "GROUNDSWELL_LOG_LEVEL": "critical"}
        until = time.monotonic() + 120
        while True:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [*command, "--port", str(self.port)], env=environment, stderr=subprocess.DEVNULL
                )
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/health/startup", timeout=5).raise_for_status()
            except httpx.HTTPError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
            else:
                return

    def children(self) -> list[int]:
        """The processes below `serve`, in the order in which they were started."""
        assert self._process is not None
        try:
            found = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        except FileNotFoundError:
            return []
        return [int(pid) for pid in found]

    def kill(self, role: str, chance: random.Random) -> bool:
        """Kill one of its processes; for `serve` all of them, and start it again. Whether there was one."""
        assert self._process is not None
        children = self.children()
        if role == "serve":
            for pid in (self._process.pid, *children):
                _kill(pid)
            self._process.wait()
            self.start()
            return True
        return bool(children) and _kill(chance.choice(children))

    def stop(self) -> None:
        """End it in good order."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(90)


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def send(port: int, requests: list[bytes], rate: float, told: Acknowledged, stop: threading.Event, later: bool) -> None:
    """Post one request after the other; what fails is not acknowledged and not sent again."""
    headers = {"Content-Type": "application/json"} | ({"Prefer": "respond-async"} if later else {})
    number = 0
    while not stop.wait(1 / rate):
        number += 1
        try:
            with httpx.Client(timeout=20) as client:  # a connection of its own: none is left half dead by a kill
                answer = client.post(
                    f"http://127.0.0.1:{port}/v1/forecasts", content=requests[number % len(requests)], headers=headers
                )
        except httpx.HTTPError as error:
            told.others[type(error).__name__] += 1
            continue
        if answer.status_code == 200:
            told.answers[answer.json()["receipt"]] = answer.content
        elif answer.status_code == 202:
            told.jobs.add(answer.json()["job"])
        told.others[str(answer.status_code)] += 1


def account(port: int, told: Acknowledged) -> None:
    """Print what became of all that was acknowledged."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        until = time.monotonic() + DRAIN_SECONDS
        while (totals := client.get("/v1/jobs/totals").json())["pending"] and time.monotonic() < until:
            time.sleep(0.5)
        differ = sum(client.get(f"/v1/forecasts/{receipt}").content != body for receipt, body in told.answers.items())
        states: Counter[str] = Counter()
        receipts = set()
        for number in told.jobs:
            answer = client.get(f"/v1/jobs/{number}")
            states[{200: "answered", 202: "pending", 500: "dead", 404: "lost"}.get(answer.status_code, "answered")] += 1
            if answer.status_code == 200:
                receipts.add(orjson.loads(answer.content)["receipt"])
    unaccounted = totals["accepted"] - totals["answered"] - totals["pending"] - totals["dead"]
    print(f"  answered at once: {len(told.answers):,}, of which the ledger gives another answer: {differ}")
    print(f"  acknowledged with 202: {len(told.jobs):,}: {dict(states)}; distinct receipts {len(receipts):,}")
    print(f"  the service's own account: {totals}; accepted - answered - pending - dead = {unaccounted}")
    print(f"  lost: {states['lost'] + differ + abs(unaccounted)}; what senders saw: {dict(told.others)}")


def main() -> None:
    """Kill, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=whole_number, default=50)
    parser.add_argument("--rate", type=whole_number, default=30, help="requests a second, half of them for later")
    parser.add_argument("--seed", type=whole_number, default=1)
    given = parser.parse_args()
    chance, told, stop = random.Random(given.seed), Acknowledged(), threading.Event()
    print(machine())
    print(f"{given.kills} kills at {given.rate} requests a second, seed {given.seed}")
    with tempfile.TemporaryDirectory() as home, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        service = Service(Path(home), port)
        service.start()
        threads = [
            threading.Thread(
                target=send, args=(port, bodies(50, 104, 0, seed), given.rate / 4, told, stop, later), daemon=True
            )
            for seed, later in ((1, False), (2, True), (3, False), (4, True))
        ]
        for thread in threads:
            thread.start()
        killed: Counter[str] = Counter()
        while killed.total() < given.kills:
            time.sleep(chance.uniform(0.2, 3.0))
            role = "serve" if chance.random() < 0.15 else "one of its processes"
            killed[role] += service.kill(role, chance)
        stop.set()
        for thread in threads:
            thread.join()
        service.start()
        print(f"  killed: {dict(killed)}")
        account(port, told)
        service.stop()


if __name__ == "__main__":
    main()
