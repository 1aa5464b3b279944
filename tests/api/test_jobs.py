"""Jobs: accepted in one transaction, done part by part, told, cancelled, and never lost to a kill."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.database import engine_of
from api.errors import problem_body
from api.jobs import Job, Jobs
from api.settings import Settings
from api.worker import JobFailed, Made, Work, Worker

ROOT = Path(__file__).parents[2]


class Counting:
    """A job of three parts; what it is asked for decides how it ends."""

    def __init__(self) -> None:
        self.parts_done: list[int] = []
        self.going_on = threading.Event()

    def parts(self, work: Work) -> int:
        return 3

    def part(self, work: Work, number: int) -> None:
        self.parts_done.append(number)
        if work.job.request == b"wait" and number == 1:
            assert self.going_on.wait(20)
        if work.job.request == b"refuse":
            raise JobFailed(problem_body(422, "no-good", "it is no good", {}))
        if work.job.request == b"break":
            raise ZeroDivisionError("oh")
        if work.job.request == b"pass" and self.parts_done.count(number) == 1:
            raise OSError("it may pass")

    def finish(self, work: Work) -> Made:
        return Made(b"all", "text/plain")


@contextmanager
def working(settings: Settings, handler: Counting) -> Iterator[Jobs]:
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=Worker(settings, {"count": handler}).run, args=(stop, ready.set))
    thread.start()
    try:
        assert ready.wait(30)
        yield Jobs(settings)
    finally:
        stop.set()
        thread.join()
        handler.going_on.set()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, shutdown_seconds=5)


def ended(jobs: Jobs, number: str, seconds: float = 180.0) -> Job:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = jobs.status(number)
        assert found is not None
        if found.is_over:
            return found
        time.sleep(0.02)
    raise AssertionError(f"job {number} is not over after {seconds:g} s")


def test_what_becomes_of_jobs(settings: Settings) -> None:
    handler = Counting()
    before = Jobs(settings).accept("count", b"", key_id="k")  # nobody works yet: it waits
    with working(settings, handler) as jobs:
        done = ended(jobs, before)
        assert (done.state, done.result, done.media_type, done.done, done.total) == (
            "succeeded", b"all", "text/plain", 3, 3,
        )  # fmt: skip
        assert done.key_id == "k"
        assert done.started is not None
        assert done.finished is not None
        assert done.accepted <= done.started <= done.finished

        refused = ended(jobs, jobs.accept("count", b"refuse"))
        assert (refused.state, refused.done) == ("failed", 0)
        assert b"it is no good" in (refused.error or b"")

        handler.parts_done.clear()
        assert ended(jobs, jobs.accept("count", b"pass")).state == "succeeded"
        assert handler.parts_done == [0, 0, 1, 1, 2, 2], "what may pass is tried again"

        broken = ended(jobs, jobs.accept("count", b"break"))
        assert broken.state == "dead"
        assert b"ZeroDivisionError" in (broken.error or b"")


def test_a_job_that_is_cancelled_stays_so(settings: Settings) -> None:
    handler = Counting()
    with working(settings, handler) as jobs:
        number = jobs.accept("count", b"wait")
        while not handler.parts_done:
            time.sleep(0.01)
        assert jobs.cancel(number)
        handler.going_on.set()
        time.sleep(0.5)
        found = jobs.status(number)
        assert found is not None
        assert (found.state, found.result) == ("cancelled", None)
        assert not jobs.cancel(number)


def test_what_is_under_way_when_the_process_ends_is_not_dead(settings: Settings) -> None:
    handler = Counting()
    settings = Settings(home=settings.home, shutdown_seconds=1)
    with working(settings, handler) as jobs:
        number = jobs.accept("count", b"wait")
        while not handler.parts_done:
            time.sleep(0.01)
        time.sleep(0.3)  # it is in the part that waits, longer than the process gives it
    found = jobs.status(number)
    assert found is not None
    assert found.state == "running"
    time.sleep(1)
    with working(settings, handler) as jobs:
        assert ended(jobs, number).state == "succeeded"


def test_a_name_gives_one_job(settings: Settings) -> None:
    jobs = Jobs(settings)
    assert jobs.accept("count", b"a", name="key") == jobs.accept("count", b"a", name="key")
    assert jobs.accept("count", b"a") != jobs.accept("count", b"a")
    assert jobs.status("no such job") is None


@pytest.mark.heavy
def test_kills_lose_no_job(tmp_path: Path) -> None:
    settings, chance = Settings(home=tmp_path), random.Random(4)
    jobs = Jobs(settings)
    numbers = [jobs.accept("slow", b"20") for _ in range(10)]
    kills = 0
    while not all((found := jobs.status(number)) and found.is_over for number in numbers):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.api.job_worker", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.wait(chance.uniform(0.2, 1.0) if kills < 8 else 5.0)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]
        kills += 1
        assert kills < 60
    assert kills > 4
    assert {jobs.status(number).state for number in numbers} == {"succeeded"}  # type: ignore[union-attr]
    lines = (tmp_path / "done.txt").read_text().splitlines()
    assert {line.split()[0] for line in lines} == set(numbers)
    assert len(set(lines)) == 200, "each part of each job was done"
    assert len(lines) <= 200 + 4 * kills, "only what was under way at a kill is done again"
    engine_of(settings).dispose()
