"""The ingest process: it waits for the lock, waits out a full disk, and says what hinders it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.ingest import Heart, run_ingest, sign_of_life
from signals.store import DiskFull, Store, StoreBusy, StoreDamaged
from tests.api.stores import fill, last_week


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


@contextmanager
def ingesting(home: Path) -> Iterator[threading.Event]:
    """The ingest loop in a thread; the event is set once it owns the home."""
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=run_ingest, args=(home, 0.1, stop, ready.set))
    thread.start()
    try:
        yield ready
    finally:
        stop.set()
        thread.join(180)
        assert not thread.is_alive()


def trouble(home: Path) -> str:
    sign = sign_of_life(home)
    return "" if sign is None else sign.trouble


def test_it_waits_for_the_lock_and_readiness_says_for_whom(
    tmp_path: Path, client_of: Callable[..., TestClient]
) -> None:
    fill(tmp_path, last_week())
    client = client_of(tmp_path)
    with Store.open(tmp_path):
        waiting = ingesting(tmp_path)
        ready = waiting.__enter__()
        wait_for(lambda: trouble(tmp_path) != "")
        response = client.get("/health/ready")
        assert response.status_code == 503
        assert f"waits for process {os.getpid()}, which writes to the home" in response.json()["detail"]
        assert not ready.is_set()
    assert ready.wait(180)
    assert client.get("/health/ready").json() == {"status": "ready"}
    waiting.__exit__(None, None, None)
    assert sign_of_life(tmp_path) is None


def test_at_the_start_its_patience_ends(tmp_path: Path) -> None:
    with Store.open(tmp_path), pytest.raises(StoreBusy):
        run_ingest(tmp_path, 1.0, threading.Event(), lambda: None, patience=0.1)
    assert sign_of_life(tmp_path) is None  # another process may own that home and give its own


def test_a_full_disk_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.ingest.FULL_SECONDS", 0.05)
    full = threading.Event()
    full.set()
    real = Store.publish

    def publish(store: Store) -> int:
        if full.is_set():
            raise DiskFull("no space is left")
        return real(store)

    monkeypatch.setattr(Store, "publish", publish)
    with ingesting(tmp_path) as ready:
        wait_for(lambda: trouble(tmp_path) == "no space is left")
        wait_for(ready.is_set)
        full.clear()
        wait_for(lambda: trouble(tmp_path) == "")


def test_a_damaged_store_is_told_after_the_end(tmp_path: Path, client_of: Callable[..., TestClient]) -> None:
    fill(tmp_path, last_week())
    (tmp_path / "state" / "ingest.duckdb").write_bytes(b"torn" * 5000)
    with pytest.raises(StoreDamaged):
        run_ingest(tmp_path, 1.0, threading.Event(), lambda: None)
    detail = client_of(tmp_path).get("/health/ready").json()["detail"]
    assert detail.startswith("the ingest process takes no imports: cannot use the store: ")
    assert "copy" in detail


def test_the_heart_beats_and_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.ingest.BEAT_SECONDS", 0.01)
    heart = Heart(tmp_path)
    heart.tell("busy")
    file = tmp_path / "ingest.heartbeat"
    os.utime(file, (1, 1))
    wait_for(lambda: file.stat().st_mtime > 1)
    assert trouble(tmp_path) == "busy"
    heart.end()
    assert list(tmp_path.iterdir()) == []
