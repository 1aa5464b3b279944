"""Runs and webhooks with PostgreSQL as the operational database."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pandas as pd
import pytest
from fastapi.testclient import TestClient

import api.deliveries
from api.database import engine_of
from api.settings import Settings
from signals.store import Batch, submit
from tests.api.stores import CATEGORIES, described, fill, last_week
from tests.api.workers import wait_for, working
from tests.fakes.server import Answer, serving
from tests.signals.test_sales_postgresql import PROGRAMS, program

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed (Debian package postgresql)"),
]


@pytest.fixture
def address() -> Iterator[str]:
    """A PostgreSQL of the test's own, on a socket; its SQLAlchemy address."""
    folder = Path(tempfile.mkdtemp(prefix="groundswell-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    try:
        program("initdb", "-D", folder / "data", "-U", "admin", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        program("pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options, "start")
        yield f"postgresql+psycopg://admin@/postgres?host={folder}"
        program("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def test_a_run_is_done_and_told(
    tmp_path: Path, client_of: Callable[..., TestClient], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.deliveries, "FIRST_PAUSE", 0.1)
    fill(tmp_path, last_week())
    submit(tmp_path, Batch("test", categories=pd.DataFrame([described("Belts")])))
    settings = Settings(home=tmp_path, database_url=address, webhook_targets="private")
    with (
        serving(lambda _: Answer()) as receiver,
        client_of(tmp_path, database_url=address, webhook_targets="private") as client,
        working(settings),
    ):
        receiver.faults.next.append(Answer(b"", 503))
        webhook = client.post("/v1/webhooks", json={"callbackUrl": receiver.url}).json()["id"]
        where = client.post("/v1/runs", json={"horizon": 1}).headers["location"]
        wait_for(lambda: client.get(where).status_code == 200)
        made = client.get(where).json()
        assert (made["status"], made["counts"]) == ("succeeded", {"asked": 3, "made": 2, "failed": 1})
        found = client.get(f"{where}/results").text.splitlines()
        assert [orjson.loads(line)["status"] for line in found].count(200) == len(CATEGORIES)
        assert len(client.get(f"{where}/csv").text.splitlines()) == 3
        deliveries = f"/v1/webhooks/{webhook}/deliveries"
        wait_for(lambda: [i["state"] for i in client.get(deliveries).json()["items"]] == ["delivered"])
        assert len(receiver.asked) == 2
    engine_of(settings).dispose()
