"""One owner writes; what happens to everybody else, and to a home that has lost something."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE

import duckdb
import pytest

from signals.home import Home
from signals.publish import published_version
from signals.store import (
    BatchRefused,
    DiskFull,
    HandOverPending,
    Store,
    StoreBusy,
    StoreDamaged,
    hand_over,
    open_snapshot,
    receipt,
    submit,
)
from tests.signals.store_frames import append, batch, observations, sales


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    with Store.open(tmp_path), pytest.raises(StoreBusy, match=f"process {os.getpid()} writes to the home") as error:
        Store.open(tmp_path).__enter__()
    assert error.value.pid == os.getpid()
    with Store.open(tmp_path) as store:
        assert store.data_version == 0


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Store.open(tmp_path):
        raise ZeroDivisionError
    with Store.open(tmp_path) as store:
        assert store.append(batch(sales([1]))).inserted == 1


def test_a_database_held_by_another_program_is_busy(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])))
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(Home(tmp_path).database)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreBusy, match="another process"):
            Store.open(tmp_path).__enter__()
        other.communicate("")


def test_submit_stores_and_publishes_when_nobody_owns_the_store(tmp_path: Path) -> None:
    result = submit(tmp_path, batch(sales([1, 2])))
    assert (result.inserted, result.data_version) == (2, 1)
    assert list(open_snapshot(tmp_path).sales("Shoes")["quantity"]) == [1, 2]


def test_submit_waits_for_the_owner_to_store_and_publish(tmp_path: Path) -> None:
    done = threading.Event()

    def own() -> None:
        with Store.open(tmp_path) as store:
            owned.set()
            while not done.wait(0.05):
                store.drain_inbox()
                store.publish()

    owned = threading.Event()
    owner = threading.Thread(target=own)
    owner.start()
    owned.wait()
    try:
        assert submit(tmp_path, batch(sales([1, 2])), timeout=20).inserted == 2
        assert open_snapshot(tmp_path).data_version == 1
        with pytest.raises(BatchRefused, match="signal 'nobody'"):
            submit(tmp_path, batch(observations=observations([1], "nobody")), timeout=20)
    finally:
        done.set()
        owner.join()


def test_a_batch_that_nobody_takes_in_time_is_safe_and_stored_later(tmp_path: Path) -> None:
    with Store.open(tmp_path), pytest.raises(HandOverPending, match="Nothing is lost") as error:
        submit(tmp_path, batch(sales([1, 2])), timeout=0.1)
    ticket = error.value.ticket
    assert ticket in str(error.value)
    assert receipt(tmp_path, ticket) is None
    later = submit(tmp_path, batch(sales([1, 3])))
    first = receipt(tmp_path, ticket)
    assert first is not None
    assert (first.data_version, first.inserted, later.data_version, later.inserted) == (1, 2, 2, 1)


def test_submit_does_the_work_itself_when_the_owner_leaves(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.__enter__()
    leave = threading.Timer(0.3, store.__exit__, (None, None, None))
    leave.start()
    assert submit(tmp_path, batch(sales([1, 2])), timeout=20).inserted == 2
    leave.join()
    assert published_version(Home(tmp_path)) == 1


def test_a_lost_database_is_restored_from_a_snapshot(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])), batch(sales([2])))
    home = Home(tmp_path)
    home.database.unlink()
    with pytest.raises(StoreDamaged, match=r"is missing; .* copy .*snap-0+2\.duckdb to"):
        Store.open(tmp_path).__enter__()
    shutil.copy(home.snapshots / home.current.read_text(), home.database)
    third, again = append(tmp_path, batch(sales([3])), batch(sales([3])))
    assert (third.data_version, again.inserted) == (3, 0)
    assert list(open_snapshot(tmp_path).sales("Shoes")["quantity"]) == [3]


def test_a_database_older_than_what_was_published_is_refused(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])))
    backup = tmp_path / "backup"
    shutil.copy(Home(tmp_path).database, backup)
    append(tmp_path, batch(sales([2])))
    shutil.copy(backup, Home(tmp_path).database)
    with pytest.raises(StoreDamaged, match="at version 1, older than what was published"):
        Store.open(tmp_path).__enter__()


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    Home(tmp_path).create()
    Home(tmp_path).database.write_text("not a database" * 1000)
    with pytest.raises(StoreDamaged, match="cannot be read"):
        Store.open(tmp_path).__enter__()


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_errors_of_the_disk_are_not_taken_for_errors_of_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = hand_over(tmp_path, batch(sales([1])))
    with Store.open(tmp_path) as store:
        monkeypatch.setattr("signals.merge.add", failing(duckdb.IOException("No space left on device")))
        with pytest.raises(DiskFull, match="nothing of the batch was stored"):
            store.drain_inbox()
        assert receipt(tmp_path, ticket) is None
        monkeypatch.undo()
        assert [result.data_version for result in store.drain_inbox()] == [1]


def test_a_batch_too_big_for_the_database_is_refused_and_does_not_block_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = hand_over(tmp_path, batch(sales([1])))
    with Store.open(tmp_path) as store:
        monkeypatch.setattr("signals.merge.add", failing(duckdb.OutOfMemoryException("could not allocate")))
        assert store.drain_inbox() == []
        monkeypatch.undo()
        assert store.append(batch(sales([1]))).data_version == 1
    with pytest.raises(BatchRefused, match="cannot store the batch: could not allocate"):
        receipt(tmp_path, ticket)


def test_a_damaged_log_of_the_database_is_told_with_the_remedy(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])))
    kill = (
        "import os; from pathlib import Path; from signals.store import Store; from tests.signals.store_frames import *"
    )
    kill += f"\nwith Store.open(Path({str(tmp_path)!r})) as s: s.append(batch(sales([2]))); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", kill], cwd=Path(__file__).parents[2], check=False)
    log = Home(tmp_path).database.with_suffix(".duckdb.wal")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 0xFF
    log.write_bytes(data)
    with pytest.raises(StoreDamaged, match=r"cannot be read.*copy .*snap-0+1\.duckdb to"):
        Store.open(tmp_path).__enter__()
