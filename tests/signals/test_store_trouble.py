"""Damaged snapshots, a damaged database, a full disk: what readers, the owner and the submitter are told."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest

from signals.home import Home
from signals.publish import published_version
from signals.store import (
    BatchRefused,
    DiskFull,
    PublishFailed,
    Store,
    StoreBusy,
    StoreDamaged,
    StoreEmpty,
    open_mended,
    open_snapshot,
    submit,
)
from tests.signals.store_frames import append, batch, observations, sales, signals


def current(home: Path) -> Path:
    return Home(home).snapshots / Home(home).current.read_text().strip()


def flip(path: Path, place: int, count: int = 4096) -> None:
    data = bytearray(path.read_bytes())
    data[place : place + count] = bytes(byte ^ 0xFF for byte in data[place : place + count])
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda home: Home(home).current.write_text("snap-latest"),
    "path": lambda home: Home(home).current.write_text("../snap-1.duckdb"),
    "empty": lambda home: Home(home).current.write_text(""),
    "not utf-8": lambda home: Home(home).current.write_bytes(b"\xff\xfe\x00"),
    "no current": lambda home: Home(home).current.unlink(),
    "no file": lambda home: current(home).unlink(),
    "empty file": lambda home: current(home).write_bytes(b""),
    "truncated": lambda home: current(home).write_bytes(current(home).read_bytes()[:20_000]),
    "no database": lambda home: current(home).write_text("x" * 100_000),
    "header": lambda home: flip(current(home), 0, 12_288),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_snapshot_is_told_and_published_afresh(tmp_path: Path, damage: str) -> None:
    append(tmp_path, batch(sales([1, 2])))
    DAMAGES[damage](tmp_path)
    with pytest.raises(StoreDamaged, match=r"safe in .*ingest\.duckdb: the next import, of any file, publishes"):
        open_snapshot(tmp_path)
    again = submit(tmp_path, batch(sales([1, 2])))
    assert (again.inserted, again.data_version) == (0, 1)
    assert list(open_snapshot(tmp_path).sales("Shoes")["quantity"]) == [1, 2]


@pytest.mark.parametrize("damage", ["garbage", "truncated", "no file"])
def test_what_is_known_can_be_read_before_an_import(tmp_path: Path, damage: str) -> None:
    append(tmp_path, batch(sales([1, 2])))
    DAMAGES[damage](tmp_path)
    assert open_mended(tmp_path).categories()["category"].tolist() == ["Shoes"]
    assert open_snapshot(tmp_path).data_version == 1


def test_nothing_is_mended_where_nothing_is_stored(tmp_path: Path) -> None:
    with pytest.raises(StoreEmpty):
        open_mended(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with Store.open(tmp_path), pytest.raises(StoreEmpty):  # at once, though another owns the store
        open_mended(tmp_path, timeout=60)


def test_a_flipped_block_shows_when_it_is_read_and_a_fresh_snapshot_is_followed(tmp_path: Path) -> None:
    append(tmp_path, batch(sales(np.random.default_rng(1).random(5000).tolist())))
    snapshot = open_snapshot(tmp_path)
    path = current(tmp_path)
    size = path.stat().st_size
    for place in range(16_384, size, 16_384):
        flip(path, place, 64)
    with pytest.raises(StoreDamaged, match="cannot be read"):
        (snapshot.sales("Shoes"), open_snapshot(tmp_path).sales("Shoes"))
    with Store.open(tmp_path) as store:
        store.publish()
    snapshot.refresh()
    assert len(open_snapshot(tmp_path).sales("Shoes")) == len(snapshot.sales("Shoes")) == 5000


def test_a_reader_stays_on_a_sound_snapshot_while_current_names_none(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1, 2])))
    snapshot = open_snapshot(tmp_path)
    Home(tmp_path).current.write_text("garbage")
    assert not snapshot.refresh()
    assert len(snapshot.sales("Shoes")) == 2


@pytest.mark.parametrize("left", [0, 5_000, 20_000, 0.5])
def test_a_truncated_database_is_told_with_the_snapshot_to_copy(tmp_path: Path, left: float) -> None:
    append(tmp_path, batch(sales([1, 2])))
    path = Home(tmp_path).database
    data = path.read_bytes()
    path.write_bytes(data[: int(left if left >= 1 else left * len(data))])
    with (
        pytest.raises(StoreDamaged, match=r"copy .*snap-0+1\.duckdb to .*ingest\.duckdb"),
        Store.open(tmp_path) as store,
    ):
        store.append(batch(sales([3, 4])))
    assert list(open_snapshot(tmp_path).sales("Shoes")["quantity"]) == [1, 2]


def test_an_old_database_is_refused_even_if_current_is_damaged(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])))
    old = Home(tmp_path).database.read_bytes()
    append(tmp_path, batch(sales([2])))
    Home(tmp_path).database.write_bytes(old)
    Home(tmp_path).current.write_text("garbage")
    with pytest.raises(StoreDamaged, match="older than what was published"):
        Store.open(tmp_path).__enter__()


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    duckdb.TransactionException("Failed to commit: Could not write file: No space left on device"),
    duckdb.OutOfMemoryException("failed to offload data block of size 256.0 KiB (0 bytes/0 bytes used)"),
]


@pytest.mark.parametrize("error", FULL)
def test_a_full_disk_at_the_append_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    append(tmp_path, batch(sales([1])))
    monkeypatch.setattr("signals.merge.add", failing(error))
    with pytest.raises(DiskFull, match="nothing of the batch was stored: free some space"):
        submit(tmp_path, batch(sales([2])))
    monkeypatch.undo()
    assert submit(tmp_path, batch(sales([2]))).data_version == 2


@pytest.mark.parametrize("error", FULL)
def test_a_full_disk_at_the_publish_says_that_the_data_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    append(tmp_path, batch(sales([1])))
    monkeypatch.setattr("signals.publish.fsync", failing(error))
    with pytest.raises(PublishFailed, match=r"the data IS stored, as data version 2, .* next publish") as told:
        submit(tmp_path, batch(sales([2])))
    monkeypatch.undo()
    assert (told.value.result.inserted, published_version(Home(tmp_path))) == (1, 1)
    assert not list(Home(tmp_path).snapshots.glob(".tmp-*"))
    assert submit(tmp_path, batch(sales([2]))).inserted == 0
    assert list(open_snapshot(tmp_path).sales("Shoes")["quantity"]) == [2]


def test_a_small_store_is_published_in_little_space(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1.0] * 20)))
    assert current(tmp_path).stat().st_size < 300_000


def test_the_owner_waits_for_one_who_will_soon_have_ended(tmp_path: Path) -> None:
    first = Store.open(tmp_path)
    first.__enter__()
    leave = threading.Timer(0.3, first.__exit__, (None, None, None))
    leave.start()
    with Store.open(tmp_path, timeout=20) as store:
        began = time.monotonic()
        assert store.data_version == 0
        with pytest.raises(StoreBusy):
            Store.open(tmp_path, timeout=0.2).__enter__()
        assert time.monotonic() - began >= 0.2
    leave.join()


@pytest.mark.parametrize("name", ["level", "trend", "season", "guard", "closed", "ds", "scenario/rain", "a\nb", "a\0b"])
def test_signals_that_the_forecast_could_not_use_are_refused(tmp_path: Path, name: str) -> None:
    bad = batch(signals=signals("rain", name), observations=observations([1], name))
    with Store.open(tmp_path) as store:
        with pytest.raises(BatchRefused, match=r"(?s)signals row 2 .*(driver of the forecast|holds a)"):
            store.append(bad)
        assert store.data_version == 0


@pytest.mark.parametrize("name", ["*", "a\tb", "x" * 201])
def test_categories_that_nothing_could_ask_for_are_refused(tmp_path: Path, name: str) -> None:
    with Store.open(tmp_path) as store, pytest.raises(BatchRefused, match=r"categories row 1 .*: (Rename|Take)"):
        store.append(batch(sales([1], category=name)))


def test_a_nul_byte_in_any_text_is_refused(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, pytest.raises(BatchRefused, match=r"source is .*NUL byte"):
        store.append(batch(sales([1], source="a\0b")))
