"""`groundswell sales`: what it prints, stores and refuses."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import cli

ROWS = "group,week,units\n" + "".join(f"Boots,2025-{month:02d}-01,{month}\n" for month in range(1, 13))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (tmp_path / "in").mkdir()
    home.mkdir()
    write(tmp_path / "in" / "a.csv", ROWS)
    configure(home, f'[[sales]]\nname = "drop"\nfolder = "{tmp_path}/in"\n')
    return home


def write(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, (time.time() - 60,) * 2)


def configure(home: Path, text: str) -> None:
    (home / "groundswell.toml").write_text(text)


def run(home: Path, *args: str) -> Result:
    return CliRunner().invoke(cli, ["--home", str(home), "sales", *args])


def test_a_pull_tells_what_was_stored(home: Path) -> None:
    result = run(home, "pull")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("drop: 12 rows: 12 new, 0 unchanged; data version 1\n  category     group\n")
    assert "  note: 1 file read as one table.\n" in result.output
    assert run(home, "pull", "drop").output == "drop: unchanged\n"
    assert run(home, "pull", "--again").output.startswith("drop: 12 rows: 0 new, 12 unchanged")


def test_a_check_stores_nothing(home: Path) -> None:
    assert run(home, "check").output.startswith("drop: 12 rows read; nothing stored\n")
    assert CliRunner().invoke(cli, ["--home", str(home), "categories"]).exit_code == 1


def test_a_failure_is_told_and_is_exit_code_1(home: Path) -> None:
    write(home.parent / "in" / "b.csv", ROWS + "Boots,2025-12-01,many\n")
    result = run(home, "pull")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith("drop: failed: b.csv, line 14, column 'units'")


def test_the_status_shows_the_last_pull(home: Path) -> None:
    assert run(home, "status").output.splitlines()[1].split()[-2:] == ["new", "now"]
    run(home, "pull")
    assert "drop    " + str(home.parent / "in") + "/*.csv  stored" in run(home, "status").output
    write(home.parent / "in" / "a.csv", "broken")
    run(home, "pull")
    assert "drop: a.csv, a.csv has a header but no rows" in run(home, "status").output


def test_programs_get_json(home: Path) -> None:
    pulled = json.loads(run(home, "pull", "--json").output)[0]
    assert (pulled["status"], pulled["counts"]["inserted"]) == ("stored", 12)
    status = json.loads(run(home, "status", "--json").output)[0]
    assert (status["name"], status["rows"], status["files"]) == ("drop", 12, ["a.csv"])


def test_wrong_use_is_exit_code_2(home: Path) -> None:
    result = run(home, "pull", "dorp")
    assert (result.exit_code, result.stderr) == (2, "error: there is no source 'dorp'; did you mean 'drop'?\n")
    configure(home, '[[sales]]\nname = "drop"\n')
    assert run(home, "status").exit_code == 2
    configure(home, "port = 8001\n")
    assert "has no [[sales]] table" in run(home, "pull").stderr
