"""Backups that are made under writes, and restored elsewhere."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from api.app import create_app
from api.backup import MANIFEST, BackupRefused, back_up, restore
from api.cli import cli
from api.database import engine_of
from api.doctor import examine
from api.ingest import run_ingest
from api.jobs import Jobs
from api.ledger import Ledger
from api.settings import Settings
from signals.store import Batch, hand_over, open_snapshot, submit
from tests.api.stores import fill, last_week, sales
from tests.api.test_doctor import entry
from tests.api.workers import wait_for


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("template") / "home"
    fill(home, last_week())
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "home"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@contextmanager
def owned(home: Path) -> Iterator[None]:
    """The ingest process of `serve`, as a thread."""
    stop, ready = threading.Event(), threading.Event()
    owner = threading.Thread(target=run_ingest, args=(home, 0.5, stop, ready.set))
    owner.start()
    assert ready.wait(180)
    try:
        yield
    finally:
        stop.set()
        owner.join(180)


def forecast(home: Path, data_version: int) -> dict[str, object]:
    body = {"category": "Boots", "horizon": 3, "as_of": "2026-11-01T00:00:00Z", "data_version": data_version}
    answer = TestClient(create_app(Settings(home=home))).post("/v1/forecasts", json=body)
    assert answer.status_code == 200, answer.text
    passing = ("receipt", "timing_ms")
    return {name: value for name, value in answer.json().items() if name not in passing}


def test_receipts_and_forecasts_come_out_the_same(home: Path, tmp_path: Path) -> None:
    (home / "groundswell.toml").write_text("port = 8123\n")
    client = TestClient(create_app(Settings(home=home)))
    answer = client.post("/v1/forecasts", json={"category": "Boots", "horizon": 3})
    version, receipt = open_snapshot(home).data_version, answer.json()["receipt"]
    before = forecast(home, version)
    result = run("--home", home, "backup", tmp_path / "kept.tar")
    assert result.exit_code == 0, result.output
    fresh = tmp_path / "elsewhere" / "new"
    result = run("--home", fresh, "restore", tmp_path / "kept.tar")
    assert result.exit_code == 0, result.output
    again = TestClient(create_app(Settings(home=fresh))).get(f"/v1/forecasts/{receipt}")
    assert again.content == answer.content
    assert forecast(fresh, version) == before
    assert (fresh / "groundswell.toml").read_text() == "port = 8123\n"
    assert not [one for one in examine(Settings(home=fresh), mend=False) if one.state == "problem"]
    submit(fresh, Batch("more", sales=sales("Boots", last_week() + pd.Timedelta(weeks=1))))
    assert open_snapshot(fresh).data_version == version + 1


def has_kept(ledger: Ledger, number: int) -> bool:
    found = ledger.resolve(entry(number).receipt)
    return found is not None and found.answer == entry(number).answer


@pytest.mark.heavy
def test_a_backup_under_writes_has_all_that_was_acknowledged_before(home: Path, tmp_path: Path) -> None:
    settings, stop = Settings(home=home), threading.Event()
    ledger, jobs = Ledger(settings), Jobs(settings)
    kept: list[int] = []
    weeks: list[str] = []

    def append() -> None:
        number = 0
        while not stop.is_set():
            ledger.append(entry(number))
            kept.append(number)
            number += 1

    def import_weeks() -> None:
        for week in range(1, 200):
            if stop.is_set():
                return
            end = last_week() + pd.Timedelta(weeks=week)
            submit(home, Batch("later", sales=sales("Boots", end, 1)))
            weeks.append(str(end.date()))

    def ahead(number: int) -> bool:
        return len(kept) > 40 * number and len(weeks) > number

    with owned(home):
        threads = [threading.Thread(target=target) for target in (append, import_weeks)]
        for thread in threads:
            thread.start()
        for number in range(3):
            wait_for(partial(ahead, number))
            job = jobs.accept("slow", b"1")
            promised, stored = list(kept), list(weeks)
            file, _ = back_up(settings, tmp_path / f"{number}.tar")
            fresh = tmp_path / f"fresh-{number}"
            restore(file, fresh)
            assert all(has_kept(Ledger(Settings(home=fresh)), one) for one in promised)
            assert Jobs(Settings(home=fresh)).status(job) is not None
            assert set(stored) <= {str(day.date()) for day in open_snapshot(fresh).sales("Boots")["start"]}
            engine_of(Settings(home=fresh)).dispose()
        stop.set()
        for thread in threads:
            thread.join(180)


def test_what_waits_in_the_inbox_is_in_it(home: Path, tmp_path: Path) -> None:
    ticket = hand_over(home, Batch("late", sales=sales("Boots", last_week() + pd.Timedelta(weeks=1), 1)))
    file, told = back_up(Settings(home=home), tmp_path / "kept.tar")
    restore(file, tmp_path / "fresh")
    assert (tmp_path / "fresh" / "inbox" / ticket / "manifest.json").exists()
    assert told.data_version == 1
    submit(tmp_path / "fresh", Batch("more", sales=sales("Boots", last_week(), 1)))
    assert len(open_snapshot(tmp_path / "fresh").sales("Boots")) == 131


def test_into_a_folder_it_gets_a_name(home: Path, tmp_path: Path) -> None:
    result = run("--home", home, "backup", tmp_path, "--json")
    told = json.loads(result.output)
    assert Path(told["file"]).parent == tmp_path
    assert told["data_version"] == 1
    with tarfile.open(told["file"]) as tar:
        assert tar.getnames()[-1] == MANIFEST
    assert not list(tmp_path.glob(".tmp-*"))


def test_an_empty_home_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    file, told = back_up(Settings(home=tmp_path / "empty"), tmp_path / "kept.tar")
    restore(file, tmp_path / "fresh")
    assert (told.data_version, told.files) == (0, 0)
    fill(tmp_path / "fresh", last_week())


def test_nothing_is_overwritten(home: Path, tmp_path: Path) -> None:
    settings = Settings(home=home)
    file, _ = back_up(settings, tmp_path / "kept.tar")
    with pytest.raises(BackupRefused, match="exists"):
        back_up(settings, file)
    with pytest.raises(BackupRefused, match="is not empty"):
        restore(file, home)
    result = run("--home", home, "restore", file)
    assert result.exit_code == 1
    assert "is not empty" in result.output
    with pytest.raises(BackupRefused, match="is no directory"):
        back_up(Settings(home=tmp_path / "none"), tmp_path / "x.tar")


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.95])
@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_backup_is_refused_and_leaves_nothing(home: Path, tmp_path: Path, how: str, share: float) -> None:
    file, _ = back_up(Settings(home=home), tmp_path / "kept.tar")
    data = bytearray(file.read_bytes())
    data = data.rstrip(b"\0")  # a tar ends with blocks of zeros
    place = int(len(data) * share)
    if how == "flipped":
        for i in range(place, place + 2000, 7):
            data[i % len(data)] ^= 0xFF
    file.write_bytes(data if how == "flipped" else data[:place])
    with pytest.raises(BackupRefused):
        restore(file, tmp_path / "fresh")
    assert not list((tmp_path / "fresh").iterdir())


def test_a_backup_cannot_write_elsewhere(tmp_path: Path) -> None:
    evil, body, manifest = tmp_path / "evil.tar", tmp_path / "body", tmp_path / MANIFEST
    body.write_bytes(b"x")
    contents = {"../../outside": {"sha256": hashlib.sha256(b"x").hexdigest(), "size": 1}}
    told = {"format": 1, "made": "", "groundswell": "", "data_version": 0, "database": "sqlite", "files": 1, "bytes": 1}
    manifest.write_text(json.dumps({**told, "contents": contents}))
    with tarfile.open(evil, "w") as tar:
        tar.add(body, "../../outside")
        tar.add(manifest, MANIFEST)
    with pytest.raises(BackupRefused, match="no file of a home"):
        restore(evil, tmp_path / "fresh")
    assert not (tmp_path / "outside").exists()
