"""`groundswell signals` and the sources of the API, with the connector that needs no network."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from api.cli import cli
from api.puller import run_puller
from signals.store import open_snapshot
from tests.api.stores import fill, last_week

TABLE = '[[signals]]\nconnector = "holidays"\ncategories = ["Boots"]\ncountries = ["US"]\n'


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A home of one's own, with sales."""
    fill(tmp_path, last_week())
    return tmp_path


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--home", str(home), "signals", *words])


def test_pull_then_status_then_list(own: Path) -> None:
    (own / "groundswell.toml").write_text(TABLE, encoding="utf-8")
    assert "done" in run(own, "pull").stdout
    assert [one["state"] for one in json.loads(run(own, "status", "--json").stdout)] == ["ok"]
    assert "holidays/US" in run(own, "--category", "Boots").stdout


def test_the_next_forecast_tries_it(own: Path) -> None:
    (own / "groundswell.toml").write_text(TABLE, encoding="utf-8")
    run(own, "pull")
    result = CliRunner().invoke(cli, ["--home", str(own), "forecast", "Boots", "--json"])
    assert "holidays/US" in [one["signal"] for one in json.loads(result.stdout)["signals"]]


def test_nothing_wanted_says_how_to_begin(own: Path) -> None:
    result = run(own, "pull")
    assert result.exit_code == 1
    assert "groundswell signals suggest CATEGORY" in result.stderr


def test_a_wrong_file_is_wrong_use(own: Path) -> None:
    (own / "groundswell.toml").write_text('[[signals]]\nconnector = "holiday"\n', encoding="utf-8")
    result = run(own, "pull")
    assert result.exit_code == 2
    assert "did you mean holidays?" in result.stderr


def test_a_failure_is_told_by_the_exit_code(own: Path) -> None:
    (own / "groundswell.toml").write_text(TABLE.replace("Boots", "Bots"), encoding="utf-8")
    result = run(own, "pull")
    assert result.exit_code == 1
    assert "did you mean 'Boots'?" in result.stdout


def test_suggest_adds_to_the_file_and_keeps_what_is_there(own: Path) -> None:
    (own / "groundswell.toml").write_text("# mine\nport = 8080\n", encoding="utf-8")
    result = run(own, "suggest", "Boots", "--connector", "socrata", "--add")
    text = (own / "groundswell.toml").read_text(encoding="utf-8")
    assert text.startswith("# mine\nport = 8080\n")
    assert result.stdout.strip() in text


def test_the_api_shows_sources(own: Path, client_of: Callable[..., TestClient]) -> None:
    (own / "groundswell.toml").write_text(TABLE, encoding="utf-8")
    (item,) = client_of(own).get("/v1/sources").json()["items"]
    assert (item["connector"], item["state"]) == ("holidays", "never")


def test_the_api_says_what_is_wrong_with_the_file(own: Path, client_of: Callable[..., TestClient]) -> None:
    client = client_of(own)
    (own / "groundswell.toml").write_text('[[signals]]\nconnector = "x"\n', encoding="utf-8")
    answer = client.get("/v1/sources")
    assert answer.status_code == 503
    assert answer.json()["type"].endswith(":configuration-unusable")


def test_the_puller_pulls_what_is_due(own: Path) -> None:
    (own / "groundswell.toml").write_text(TABLE, encoding="utf-8")
    stop = threading.Event()
    thread = threading.Thread(target=run_puller, args=(own, 0.1, stop))
    thread.start()
    deadline = time.monotonic() + 30
    while "holidays/US" not in set(open_snapshot(own).signals()["signal"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
