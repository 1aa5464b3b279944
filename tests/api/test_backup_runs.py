"""Runs in a backup: those under way go on in the restored home, those that are over keep their results."""

from __future__ import annotations

import io
import stat
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

import api.run_chunk
import api.runs
from api.backup import back_up, restore
from api.database import engine_of
from api.run_input import Landing, folder
from api.settings import Settings
from forecast.chunk import CHUNK
from tests.api.test_run_uploads import NDJSON, PARQUET, asked, lines_of, outcome, parquet_of, results, start
from tests.api.workers import wait_for, working

ClientOf = Callable[..., TestClient]


def restored(home: Path) -> Path:
    """The home of a backup that is made now."""
    file, _ = back_up(Settings(home=home), home.parent / "restored.tar")
    restore(file, home.parent / "fresh")
    return home.parent / "fresh"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.mark.parametrize("form", [NDJSON, PARQUET])
def test_a_run_under_way_goes_on_in_the_restored_home(
    home: Path, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    make, go_on = api.run_chunk.made, threading.Event()

    def made(work: Any, body: Any, number: int) -> Any:
        assert number < CHUNK + 1 or go_on.wait(180)
        return make(work, body, number)

    monkeypatch.setattr(api.run_chunk, "made", made)
    monkeypatch.setattr(api.runs, "HERE", 2 * CHUNK)  # in this process
    count = CHUNK + 3
    items = [asked(number, engine="seasonal_naive") for number in range(count)]
    with client_of(home) as client, working(Settings(home=home)):
        address = urlsplit(start(client, lines_of(items) if form == NDJSON else parquet_of(items), form)).path
        wait_for(lambda: client.get(address).json()["counts"]["made"] >= CHUNK)
        wait_for(lambda: bool(list(folder(Settings(home=home)).glob("*/part-*.parquet"))))
        try:
            fresh = restored(home)
        finally:
            go_on.set()
        outcome(client, address)
        whole = results(client, address)
    with client_of(fresh) as client, working(Settings(home=fresh)):
        made_ = outcome(client, address)
        assert (made_["status"], made_["counts"]) == ("succeeded", {"asked": count, "made": count, "failed": 0})
        found = results(client, address)
        assert [one["forecast"]["receipt"] for one in found] == [one["forecast"]["receipt"] for one in whole]
        assert found[:CHUNK] == whole[:CHUNK]  # not made again


def test_a_run_that_is_over_keeps_its_results(home: Path, client_of: ClientOf) -> None:
    wanted = {"Accept": PARQUET}
    with client_of(home) as client, working(Settings(home=home)):
        address = urlsplit(start(client, lines_of([asked(0), b"{", asked(2)]))).path
        outcome(client, address)
        before = client.get(f"{address}/results", headers=wanted).content
    with client_of(restored(home)) as client:
        after = client.get(f"{address}/results", headers=wanted).content
    assert pq.read_table(pa.BufferReader(after)).equals(pq.read_table(io.BytesIO(before)))
    assert after == before


def test_a_body_that_is_still_received_is_left_out(home: Path) -> None:
    landing = Landing(Settings(home=home), NDJSON)
    landing.write(lines_of([asked(0)]))
    file, told = back_up(Settings(home=home), home.parent / "kept.tar")
    with tarfile.open(file) as tar:
        assert (told.files, len(tar.getnames())) == (0, 1)
    landed = landing.close()["file"]
    assert (folder(Settings(home=restored(home))) / landed).read_bytes() == lines_of([asked(0)])
    landing.drop()
    assert not list(folder(Settings(home=home)).iterdir())


def test_parts_are_left_out_where_the_ledger_is_kept_apart(home: Path, client_of: ClientOf, tmp_path: Path) -> None:
    with client_of(home) as client, working(Settings(home=home)):
        outcome(client, start(client, lines_of([asked(0)])))
    engine_of(Settings(home=home)).dispose()
    apart = Settings(home=home, database_url="postgresql+psycopg://nobody@127.0.0.1/none")
    file, _ = back_up(apart, tmp_path / "kept.tar")  # that copy of the ledger is older
    with tarfile.open(file) as tar:
        assert not [name for name in tar.getnames() if "/part-" in name]


def test_only_its_owner_may_read_a_backup(home: Path) -> None:
    file, _ = back_up(Settings(home=home), home.parent / "kept.tar")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
