"""`groundswell serve` as real processes: imports while it runs, a killed ingest process, a clean end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.stores import fill, last_week

MAIN = [sys.executable, "-c", "from api.cli import main; main()"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


def status(address: str) -> int:
    try:
        return httpx.get(f"{address}/health/ready", timeout=10).status_code
    except httpx.TransportError:
        return 0


def owner(home: Path) -> int:
    return int((home / "ingest.lock").read_text())


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    command = [*MAIN, "--home", str(home), "serve", "--port", str(port), "--workers", "1"]
    environment = {**os.environ, "GROUNDSWELL_PUBLISH_SECONDS": "0.1"}
    with (home / "log").open("wb") as log, subprocess.Popen(command, stderr=log, env=environment) as process:
        try:
            wait_for(lambda: status(f"http://127.0.0.1:{port}") != 0)
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.terminate()
            process.wait(180)


@pytest.mark.heavy
def test_an_import_while_it_runs_is_seen_without_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path) as (address, _):
        assert status(address) == 503
        fill(tmp_path, last_week())
        assert status(address) == 200
        answer = httpx.post(f"{address}/v1/forecasts", json={"category": "Boots", "horizon": 2}, timeout=30)
        assert [row["kind"] for row in answer.json()["forecast"]] == ["forecast"] * 2


@pytest.mark.heavy
def test_a_killed_ingest_process_starts_again(tmp_path: Path) -> None:
    with serving(tmp_path) as (address, _):
        killed = owner(tmp_path)
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: owner(tmp_path) != killed)
        fill(tmp_path, last_week())
        wait_for(lambda: status(address) == 200)  # it has the lock a moment before its first sign of life


@pytest.mark.heavy
def test_a_killed_ingest_process_gets_the_home_back_from_a_stream_of_imports(tmp_path: Path) -> None:
    fill(tmp_path, last_week())
    code = "import sys; from tests.api.stores import *\nwhile True: fill(Path(sys.argv[1]), last_week())"
    with serving(tmp_path) as (address, _):
        os.kill(owner(tmp_path), signal.SIGKILL)
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as imports:
            wait_for(lambda: owner(tmp_path) == imports.pid)
            wait_for(lambda: owner(tmp_path) != imports.pid, 20)
            wait_for(lambda: status(address) == 200)
            imports.kill()
    assert b"is taken by" not in (tmp_path / "log").read_bytes()


@pytest.mark.heavy
def test_sigterm_ends_everything_cleanly(tmp_path: Path) -> None:
    with serving(tmp_path) as (address, process):
        ingest = owner(tmp_path)
        process.terminate()
        assert process.wait(180) == 0
        assert status(address) == 0
        with pytest.raises(ProcessLookupError):
            os.kill(ingest, 0)
    assert not (tmp_path / "ingest.heartbeat").exists()
    assert b"Traceback" not in (tmp_path / "log").read_bytes()


@pytest.mark.heavy
def test_children_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    with serving(tmp_path) as (address, process):
        process.kill()
        process.wait(180)
        wait_for(lambda: status(address) == 0)
        wait_for(lambda: not (tmp_path / "ingest.heartbeat").exists())


@pytest.mark.heavy
def test_a_second_server_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as (address, _):
        port = address.rsplit(":", 1)[1]
        for home, options, message in [
            (tmp_path, ["--port", str(free_port())], f"is taken by process {owner(tmp_path)}"),
            (tmp_path / "other", ["--port", port], "Address already in use; choose another with --port"),
        ]:
            command = [*MAIN, "--home", str(home), "serve", *options]
            result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert result.returncode == 1
            assert message in result.stderr.splitlines()[-1]
            assert "Traceback" not in result.stderr
