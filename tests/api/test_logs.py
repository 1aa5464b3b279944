"""Logs as one JSON object a line."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.keys import create
from api.logs import JsonLine
from api.settings import Settings
from tests.api.test_serve import MAIN, free_port, status, wait_for


@pytest.fixture
def written() -> Iterator[list[str]]:
    """The lines that the service logs meanwhile, as JsonLine writes them."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler, log = Keep(), logging.getLogger("groundswell")
    handler.setFormatter(JsonLine())
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield lines
    log.removeHandler(handler)
    log.setLevel(level)


def test_a_request_is_one_object_with_all_that_its_line_says(home: Path, tmp_path: Path, written: list[str]) -> None:
    shutil.copytree(home, tmp_path / "own", ignore=shutil.ignore_patterns("state"))
    settings = Settings(home=tmp_path / "own")
    key, text = create(settings, "erp", ["data:read"])
    client = TestClient(create_app(settings))
    size = len(client.get("/v1/categories?limit=1", headers={"X-API-Key": text, "X-Request-ID": "r-1"}).content)
    line = json.loads(written[-1])
    assert {name: line[name] for name in line if name not in ("time", "message", "milliseconds")} == {
        "level": "info", "process": "MainProcess", "logger": "groundswell", "request_id": "r-1", "method": "GET",
        "address": "/v1/categories?limit=1", "status": 200, "key": key.id, "bytes": size,
    }  # fmt: skip
    assert line["message"].startswith("request r-1 GET /v1/categories?limit=1 200 ")
    assert line["time"].endswith("Z")
    assert text not in "".join(written)


def test_what_is_logged_within_a_request_names_it(
    home: Path, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.snapshots.Snapshots.current", lambda _: 1 / 0)
    client = TestClient(create_app(Settings(home=home)), raise_server_exceptions=False)
    client.get("/v1/categories", headers={"X-Request-ID": "r-2"})
    failed = next(line for line in map(json.loads, written) if " failed: " in line["message"])
    assert failed["request_id"] == "r-2"
    assert failed["level"] == "error"


def test_a_traceback_is_a_field(written: list[str]) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("groundswell").exception("it failed")
    assert json.loads(written[0])["exception"].endswith("ValueError: why")


def test_a_line_stays_one_line(written: list[str]) -> None:
    logging.getLogger("groundswell").warning("a\nb %s", "\u2028")
    assert "\n" not in written[0]
    assert json.loads(written[0])["message"] == "a\nb \u2028"


@pytest.mark.heavy
def test_every_line_of_a_server_is_json(tmp_path: Path) -> None:
    port = free_port()
    command = [*MAIN, "--home", str(tmp_path), "serve", "--port", str(port), "--workers", "1"]
    environment = {"GROUNDSWELL_LOG_FORMAT": "json", "GROUNDSWELL_LOG_LEVEL": "debug", "PYTHONPATH": ":".join(sys.path)}
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log, env=environment) as process:
        wait_for(lambda: status(f"http://127.0.0.1:{port}") != 0)
        httpx.get(f"http://127.0.0.1:{port}/v1/categories")
        process.terminate()
        process.wait(180)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"MainProcess", "api-1", "jobs"} <= {line["process"] for line in lines}
    assert any(line.get("address") == "/v1/categories" for line in lines)
