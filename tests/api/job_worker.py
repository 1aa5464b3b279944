"""A job worker in a process of its own, for tests that kill it: each part of a job writes one line to a file."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from api.settings import Settings
from api.worker import Made, Work, Worker


class Slow:
    """Parts of 20 ms, each of which leaves a line when it is done."""

    def parts(self, work: Work) -> int:
        return int(work.job.request)

    def part(self, work: Work, number: int) -> None:
        time.sleep(0.02)
        with (work.settings.home / "done.txt").open("a") as file:
            file.write(f"{work.job.job} {number}\n")

    def finish(self, work: Work) -> Made:
        return Made(b'"made"')


if __name__ == "__main__":
    worker = Worker(Settings(home=Path(sys.argv[1])), {"slow": Slow()})
    worker.run(threading.Event(), lambda: print("ready", flush=True))  # noqa: T201 - its parent waits for it
