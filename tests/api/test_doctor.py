"""Homes that are really broken: files cut off, bytes flipped, processes killed; then examined and mended."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from api.cli import cli
from api.database import FILE, engine_at, engine_of, job, writing
from api.doctor import Finding, examine
from api.jobs import Jobs
from api.keys import all_keys, create
from api.ledger import Issued, Ledger
from api.settings import Settings
from signals.home import Home
from signals.publish import current_name
from signals.store import Batch, Store, hand_over, open_snapshot, submit
from tests.api.stores import CATEGORIES, fill, last_week, sales
from tests.api.workers import wait_for

RECEIPTS = 400


def entry(number: int) -> Issued:
    filling = "".join(hashlib.sha256(f"{number}/{i}".encode()).hexdigest() for i in range(20))
    answer = json.dumps({"number": number, "filling": filling}).encode()
    return Issued(f"fc_{number:026d}", "Boots", answer, b"{}")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two published versions, a ledger, a key and a landed payload."""
    home = tmp_path_factory.mktemp("template") / "home"
    end = last_week()
    fill(home, end - pd.Timedelta(weeks=1))
    submit(home, Batch("test", sales=sales("Boots", end)))
    settings = Settings(home=home)
    Ledger(settings).append(*(entry(number) for number in range(RECEIPTS)))
    create(settings, "erp", ["admin"])
    body = b"as it was fetched"
    folder = home / "raw" / "fred"
    folder.mkdir()
    (folder / f"{hashlib.sha256(body).hexdigest()}.gz").write_bytes(gzip.compress(body))
    engine_of(settings).dispose()
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "home"))


def doctor(home: Path, *options: str) -> Result:
    engine_at.cache_clear()  # a file that was replaced must be opened anew
    return CliRunner().invoke(cli, ["--home", str(home), "doctor", *options])


def problems(result: Result) -> list[str]:
    return [line for line in result.output.splitlines() if line.startswith("problem ")]


def flip(path: Path, start: float = 0.3, end: float = 0.9) -> None:
    """Turn every hundredth byte of a part of a file over."""
    data = bytearray(path.read_bytes())
    for i in range(int(len(data) * start), int(len(data) * end), 97):
        data[i] ^= 0xFF
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def database(home: Path) -> Path:
    return Home(home).database


def snapshot(home: Path) -> Path:
    name = current_name(Home(home))
    assert name is not None
    return Home(home).snapshots / name


def payload(home: Path) -> Path:
    return next((home / "raw" / "fred").glob("*.gz"))


def waiting(home: Path) -> Path:
    """One hand-over that waits."""
    ticket = hand_over(home, Batch("late", sales=sales("Hats/Caps & more", last_week())))
    return home / "inbox" / ticket


def test_a_sound_home_is_well(home: Path) -> None:
    result = doctor(home)
    assert result.exit_code == 0, result.output
    assert "warning" not in result.output
    assert f"{RECEIPTS} forecasts, 0 jobs, 1 keys" in result.output
    assert result.output.endswith(" is well\n")


def test_a_home_that_is_not_there(tmp_path: Path) -> None:
    result = doctor(tmp_path / "none")
    assert result.exit_code == 1
    assert "is no directory" in result.output
    assert not (tmp_path / "none").exists()


STORE: dict[str, Callable[[Path], object]] = {
    "store-cut": lambda home: cut(database(home)),
    "store-flipped": lambda home: flip(database(home)),
    "store-empty": lambda home: database(home).write_bytes(b""),
    "store-text": lambda home: database(home).write_bytes(b"no database"),
    "store-missing": lambda home: database(home).unlink(),
    "snapshot-cut": lambda home: cut(snapshot(home)),
    "snapshot-flipped": lambda home: flip(snapshot(home)),
    "snapshot-missing": lambda home: snapshot(home).unlink(),
    "current-torn": lambda home: Home(home).current.write_bytes(b"snap-0000\xff"),
    "current-empty": lambda home: Home(home).current.write_bytes(b""),
    "current-missing": lambda home: Home(home).current.unlink(),
}


@pytest.mark.parametrize("what", STORE)
def test_a_broken_store_is_told_and_mended(home: Path, what: str) -> None:
    before = open_snapshot(home).sales("Boots")
    STORE[what](home)
    told = doctor(home)
    assert told.exit_code == 1
    assert problems(told), told.output
    assert "doctor --mend" in told.output
    mended = doctor(home, "--mend")
    assert mended.exit_code == 0, mended.output
    assert doctor(home).exit_code == 0
    pd.testing.assert_frame_equal(open_snapshot(home).sales("Boots"), before)
    submit(home, Batch("more", sales=sales("Boots", last_week() + pd.Timedelta(weeks=1))))  # it goes on
    assert len(open_snapshot(home).sales("Boots")) == len(before) + 1


def test_looking_changes_nothing(home: Path) -> None:
    flip(database(home))
    cut(snapshot(home))
    cut(payload(home))
    seen = {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file() and path.suffix != ".lock"}
    doctor(home)
    assert {
        path: path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.suffix != ".lock" and not path.name.endswith(("-wal", "-shm"))
    } == seen


def test_what_is_replaced_lies_aside(home: Path) -> None:
    flip(database(home))
    broken = database(home).read_bytes()
    doctor(home, "--mend")
    kept = list((home / "aside").rglob("ingest.duckdb"))
    assert [path.read_bytes() for path in kept] == [broken]


def test_store_and_newest_snapshot_broken_the_one_before_is_taken(home: Path) -> None:
    earlier = open_snapshot(home).sales("Boots")[:-1]
    flip(database(home))
    flip(snapshot(home))
    result = doctor(home, "--mend")
    assert "data version 1, the last sound snapshot" in result.output
    assert result.exit_code == 0, result.output
    assert len(open_snapshot(home).sales("Boots")) == len(earlier)
    assert doctor(home).exit_code == 0


def test_nothing_sound_is_a_problem_and_nothing_is_moved(home: Path) -> None:
    flip(database(home))
    for path in Home(home).snapshots.glob("snap-*"):
        flip(path)
    result = doctor(home, "--mend")
    assert result.exit_code == 1
    assert "groundswell restore" in result.output
    assert database(home).exists()


def test_what_was_stored_after_the_snapshot_is_named(home: Path) -> None:
    batch = Batch("late", sales=sales(CATEGORIES[1], last_week()))
    with Store.open(home) as store:
        ticket = hand_over(home, batch)
        store.drain_inbox()  # stored, and killed before it was published
    flip(database(home))
    result = doctor(home, "--mend")
    assert ticket in result.output
    assert "import these files again" in result.output
    assert hand_over(home, batch, ticket=ticket) == ticket  # its receipt no longer says that it is stored
    assert (home / "inbox" / ticket).exists()


def test_a_store_of_a_newer_program_is_left_alone(home: Path) -> None:
    with duckdb.connect(str(database(home))) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    seen = database(home).read_bytes()
    result = doctor(home, "--mend")
    assert "schema version 99" in problems(result)[0]
    assert result.exit_code == 1
    assert database(home).read_bytes() == seen


INBOX: dict[str, Callable[[Path], object]] = {
    "manifest-torn": lambda folder: cut(folder / "manifest.json"),
    "manifest-missing": lambda folder: (folder / "manifest.json").unlink(),
    "rows-flipped": lambda folder: flip(folder / "sales.parquet"),
    "rows-cut": lambda folder: cut(folder / "sales.parquet"),
}


@pytest.mark.parametrize("what", INBOX)
def test_a_torn_hand_over_is_told_and_refused(home: Path, what: str) -> None:
    folder = waiting(home)
    INBOX[what](folder)
    assert folder.name in problems(doctor(home))[0]
    assert doctor(home, "--mend").exit_code == 0
    assert (home / "inbox" / "refused" / folder.name / "reason.txt").exists()


def test_a_sound_hand_over_is_stored_by_mending(home: Path) -> None:
    folder = waiting(home)
    result = doctor(home, "--mend")
    assert "1 hand-overs that waited are stored" in result.output
    assert not folder.exists()


def test_small_files(home: Path) -> None:
    cut(payload(home))
    (home / "inbox" / "receipts" / "20260101T000000000000-00000000.json").write_text('{"sto')
    with sqlite3.connect(home / "state" / "pull.sqlite") as connection:
        numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 9000) SELECT n FROM c"
        connection.execute(f"CREATE TABLE x AS {numbers}")
    connection.close()
    flip(home / "state" / "pull.sqlite")
    old = home / "inbox" / ".tmp-old"
    old.mkdir()
    os.utime(old, (0, 0))
    result = doctor(home)
    assert len(problems(result)) == 3, result.output
    assert doctor(home, "--mend").exit_code == 0
    assert {path.name for path in (home / "aside").rglob("*")} >= {".tmp-old", "pull.sqlite"}
    assert doctor(home).exit_code == 0


LEDGER: dict[str, Callable[[Path], object]] = {
    "flipped": lambda path: flip(path, 0.6, 0.8),
    "flipped-much": lambda path: flip(path, 0.4, 0.95),
    "cut": cut,
}


@pytest.mark.parametrize("what", LEDGER)
def test_a_damaged_ledger_keeps_what_can_be_read(home: Path, what: str) -> None:
    LEDGER[what](home / FILE)
    assert "operations.sqlite" in problems(doctor(home))[0]
    result = doctor(home, "--mend")
    assert result.exit_code == 0, result.output
    assert doctor(home).exit_code == 0
    ledger = Ledger(Settings(home=home))
    found = [one for one in map(ledger.resolve, (entry(i).receipt for i in range(RECEIPTS))) if one is not None]
    assert all(one.answer == entry(int(one.receipt[3:])).answer for one in found)
    assert len(found) > 20
    ledger.append(entry(RECEIPTS + 1))  # and takes more


def test_an_answer_that_is_not_what_was_written_is_named(home: Path) -> None:
    with sqlite3.connect(home / FILE) as connection:
        connection.execute("UPDATE issued SET answer = substr(answer, 1, 60) WHERE receipt = ?", [entry(7).receipt])
    connection.close()
    assert entry(7).receipt in problems(doctor(home))[0]


def test_a_ledger_of_which_nothing_can_be_read_stays(home: Path) -> None:
    (home / FILE).write_bytes(b"\xff" * 8192)
    result = doctor(home, "--mend")
    assert result.exit_code == 1
    assert "nothing in it can be read" in result.output
    assert (home / FILE).read_bytes() == b"\xff" * 8192


def test_jobs_that_no_worker_knows_of_are_enqueued_again(home: Path, worker: Callable[..., None]) -> None:
    settings = Settings(home=home)
    jobs = Jobs(settings)
    lost, kept = jobs.accept("slow", b"1"), jobs.accept("slow", b"2")
    jobs._dbos().delete_workflow(lost)
    with writing(engine_of(settings)) as connection:
        connection.execute(job.update().values(accepted=dt.datetime(2026, 1, 1)))
    told = problems(doctor(home))
    assert lost in told[0]
    assert kept not in told[0]
    assert "2 jobs have waited for more than an hour" in told[1]
    assert lost in doctor(home, "--mend").output
    worker(home, {"slow": Quick()})
    wait_for(lambda: all(found.is_over for found in map(jobs.status, (lost, kept)) if found is not None))


class Quick:
    """Nothing to do."""

    def parts(self, work: object) -> int:
        return 1

    def part(self, work: object, number: int) -> None:
        pass

    def finish(self, work: object) -> object:
        from api.worker import Made

        return Made(b"1")


def test_keys_and_settings(home: Path) -> None:
    create(Settings(home=home), "soon", ["admin"], lifetime=dt.timedelta(days=3))
    assert "soon (" in doctor(home).output
    (home / "groundswell.toml").write_text('prot = 80\n[connectors.fred]\napi_key = "x"\n')
    result = doctor(home)
    assert result.exit_code == 1
    assert "did you mean port?" in result.output


def test_no_key_where_others_can_call(home: Path) -> None:
    with sqlite3.connect(home / FILE) as connection:
        connection.execute("DELETE FROM api_key")
    connection.close()
    engine_at.cache_clear()
    found = examine(Settings(home=home, host="0.0.0.0"), mend=False)
    assert [one.check for one in found if one.state == "problem"] == ["keys"]
    assert not all_keys(Settings(home=home))


def test_the_store_of_an_owner_is_left_to_it(home: Path) -> None:
    with Store.open(home):
        result = doctor(home, "--mend", "--json")
    assert result.exit_code == 0
    told = json.loads(result.output)
    assert told["problems"] == 0
    assert Finding(**told["findings"][2]).message.startswith(f"process {os.getpid()} writes to the home")
    assert "store" not in {finding["check"] for finding in told["findings"]}


@pytest.mark.heavy
@pytest.mark.parametrize("seconds", [0.0, 0.4, 1.5])
def test_a_killed_owner_leaves_nothing_that_matters(home: Path, seconds: float) -> None:
    code = (
        "import sys, threading; from pathlib import Path; from api.ingest import run_ingest\n"
        "run_ingest(Path(sys.argv[1]), 0.1, threading.Event(), lambda: print('ready', flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        for weeks in range(1, 6):
            hand_over(home, Batch("late", sales=sales("Boots", last_week() + pd.Timedelta(weeks=weeks))))
        time.sleep(seconds)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    result = doctor(home)
    assert result.exit_code == 0, result.output
    assert "it was killed" in result.output
    assert doctor(home, "--mend").exit_code == 0
    assert len(open_snapshot(home).sales("Boots")) == 130 + 1 + 5 - 0
    assert not (home / "ingest.heartbeat").exists()


def test_a_database_server_that_is_away_is_a_problem(home: Path) -> None:
    found = examine(Settings(home=home, database_url="postgresql://localhost:1/none"), mend=True)
    assert [one.check for one in found if one.state == "problem"] == ["operations"]


def test_tables_are_those_of_the_ledger(home: Path) -> None:
    """Salvage keeps DBOS's tables too, for they lie in the same file."""
    settings = Settings(home=home)
    number = Jobs(settings).accept("slow", b"1")
    engine_of(settings).dispose()
    flip(home / FILE, 0.5, 0.6)
    doctor(home, "--mend")
    names = sa.inspect(engine_of(settings)).get_table_names()
    assert {"workflow_status", "issued", "job"} <= set(names)
    assert Jobs(settings).status(number) is not None
