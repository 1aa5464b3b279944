"""`python -m bench.enqueuer PORT SEED FILE`: a client that hands work over and may be killed at any moment.

Sends forecasts to be made later and, each tenth time, a run, under an Idempotency-Key each, and again until it is
acknowledged; then a line in FILE says so. Started anew it begins with what it noted last: that must come out the same.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import orjson

from bench.acknowledged import Told
from bench.service import ask
from bench.serving import bodies

IN_RUN = 12
PAUSE_SECONDS = 0.15


def requests_of(seed: int, number: int) -> list[bytes]:
    """What is asked for under a number: one request, or those of a run."""
    return bodies(IN_RUN if number % 10 == 0 else 1, 104, 0, 1000 * seed + number)


def noted(file: Path) -> list[dict[str, object]]:
    """The lines of a file; a kill may have torn the last one."""
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [orjson.loads(line) for line in lines]


def hand_over(port: int, seed: int, number: int) -> dict[str, object] | None:
    """Send it once; what was acknowledged, None where nothing was."""
    headers = {"Idempotency-Key": f"{seed}-{number}", "Prefer": "respond-async"}
    made = requests_of(seed, number)
    if len(made) > 1:
        path, headers["Content-Type"], name = "/v1/runs", "application/x-ndjson", "id"
    else:
        path, headers["Content-Type"], name = "/v1/forecasts", "application/json", "job"
    answer = ask(port, "POST", path, b"\n".join(made), headers)
    if answer.status != 202:
        return None
    return {"number": number, "kind": "run" if name == "id" else "job", "id": orjson.loads(answer.body)[name]}


class Enqueuers:
    """Some of them over one service, started again as often as they are killed; in the end `told` has it all."""

    def __init__(self, port: int, told: Told, folder: Path, count: int = 3) -> None:
        self._told = told
        self._files = {seed: folder / f"enqueuer-{seed}" for seed in range(1, count + 1)}
        self._commands = {
            seed: [sys.executable, "-m", "bench.enqueuer", str(port), str(seed), str(file)]
            for seed, file in self._files.items()
        }
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Enqueuers:
        for seed in self._commands:
            self._start(seed)
        return self

    def _start(self, seed: int) -> None:
        self._running[seed] = subprocess.Popen(self._commands[seed])

    def kill(self, chance: random.Random) -> None:
        """Kill one, and start it again: it goes on with what it had begun."""
        seed = chance.choice(sorted(self._running))
        self._running[seed].kill()
        self._running[seed].wait()
        self._start(seed)

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.kill() if kind else process.wait(120)
        for seed, file in self._files.items():
            self._collect(seed, noted(file))

    def _collect(self, seed: int, lines: list[dict[str, object]]) -> None:
        known: dict[object, object] = {}
        for line in lines:
            number, told = int(str(line["number"])), str(line["id"])
            self._told.different += known.setdefault(number, told) != told
            if line["kind"] == "run":
                self._told.runs[told] = requests_of(seed, number)
            else:
                self._told.jobs[told] = requests_of(seed, number)[0]


def main() -> None:
    """Hand over until SIGTERM: what is under way then is acknowledged first."""
    port, seed, file = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    lines = noted(file)
    if file.exists():
        os.truncate(file, file.read_bytes().rfind(b"\n") + 1)
    with file.open("ab") as out:
        for number in itertools.count(int(str(lines[-1]["number"])) if lines else 0):
            while (told := hand_over(port, seed, number)) is None:
                time.sleep(PAUSE_SECONDS)
            out.write(orjson.dumps(told) + b"\n")
            out.flush()
            if stop.wait(PAUSE_SECONDS):
                return


if __name__ == "__main__":
    main()
