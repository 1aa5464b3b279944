"""`groundswell serve --only`: parts of the service in servers of their own, over one home."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.commands.running import PARTS as OFFERED
from api.serve import PARTS
from signals.batch import Batch
from signals.handing import Handing
from tests.api.stores import fill, last_week, sales
from tests.api.test_serve import MAIN, free_port, status, wait_for


@contextmanager
def part(home: Path, *options: str, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = home / f"log-{'-'.join(options[1::2])}"
    command = [*MAIN, "--home", str(home), "serve", *options]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, env={**os.environ, **variables})
    try:
        yield process, log
    finally:
        process.terminate()
        assert process.wait(180) == 0, log.read_text()


def test_the_command_offers_every_part() -> None:
    assert OFFERED == PARTS


@pytest.mark.heavy
def test_parts_make_a_whole(tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with part(tmp_path, "--only", "ingest", "--only", "puller") as (_, log):
        wait_for(lambda: b"running puller" in log.read_bytes())
        fill(tmp_path, last_week())
        with part(tmp_path, "--only", "api", "--port", str(port), "--workers", "1"):
            wait_for(lambda: status(address) == 200)
            body = {"category": "Boots", "horizon": 2}
            job = httpx.post(f"{address}/v1/forecasts", json=body, headers={"Prefer": "respond-async"}).json()
            assert job["state"] == "pending", job
            with part(tmp_path, "--only", "jobs", GROUNDSWELL_EXECUTOR="groundswell-jobs-0"):
                wait_for(lambda: "forecast" in httpx.get(f"{address}/v1/jobs/{job['job']}").json())  # what it made


def test_a_store_that_lies_elsewhere_is_left_to_its_owner(tmp_path: Path) -> None:
    fill(tmp_path, last_week())
    (tmp_path / "state" / "ingest.duckdb").unlink()  # another machine's folder `state`
    handing = Handing(tmp_path)
    ticket = handing.give(Batch("late", sales=sales("Boots", last_week())))
    assert not handing.store()
    assert handing.settle([ticket], 0.1) == {ticket: None}
    assert (tmp_path / "inbox" / ticket).exists()
