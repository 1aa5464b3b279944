"""docs/receipts.md: its commands print what it shows, its Python and its SQL run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import cli
from api.ledger_export import SCHEMAS
from api.settings import Settings
from tests.api.stores import fill, last_week

PAGE = (Path(__file__).parent.parent / "docs" / "receipts.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"^\$ groundswell (.+)\n((?:[^`$].*\n)*)", re.MULTILINE)
RECEIPT = re.compile("fc_[0-9A-Z]{26}")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has issued three forecasts of Boots and one of something else."""
    home = tmp_path_factory.mktemp("receipts")
    fill(home, last_week())
    with TestClient(create_app(Settings(home=home))) as client:
        for body in [{"category": "Boots", "horizon": 8}] * 2 + [{"category": "Boots", "horizon": 8, "engine": "ets"}]:
            assert client.post("/v1/forecasts", json=body).status_code == 200
        history = {"start": "2020-01-01", "frequency": "MS", "values": [float(i % 12) + 1 for i in range(60)]}
        assert client.post("/v1/forecasts", json={"history": history, "horizon": 8}).status_code == 200
    return home


@pytest.fixture(scope="module")
def receipt(home: Path) -> str:
    with TestClient(create_app(Settings(home=home))) as client:
        return str(client.get("/v1/forecasts?category=Boots").json()["items"][0]["receipt"])


def same(text: str) -> str:
    """How many rows there are hangs on the drivers that the data has."""
    return re.sub(r"\d+ (contribution|signal)", r"0 \1", text)


def test_the_commands_print_what_is_shown(
    home: Path, receipt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = COMMAND.findall(PAGE)
    assert len(found) == 5
    for arguments, shown in found:
        arguments, shown = (RECEIPT.sub(receipt, text) for text in (arguments, shown))
        result = CliRunner().invoke(cli, ["--home", str(home), *shlex.split(arguments)])
        assert result.exit_code == 0, result.output
        assert same(result.stdout) == same(shown)
    files = {file.name for file in tmp_path.iterdir()}
    assert files == {"ledger.duckdb", *(f"ledger.{name}.parquet" for name in SCHEMAS)}


def test_the_sql_runs(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "ledger.duckdb"
    assert CliRunner().invoke(cli, ["--home", str(home), "ledger", "export", str(out)]).exit_code == 0
    widths, changes = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    with duckdb.connect(out, read_only=True) as connection:
        rows = connection.execute(widths).fetchall()
        assert [row[1:3] for row in rows if row[0] == "Boots"] == [(lead, 3) for lead in range(1, 9)]
        assert all(row[3] > 0 for row in rows)
        moved = connection.execute(changes).fetchall()
    assert {row[0] for row in moved} == {"Boots"}
    assert len(moved) == 20
    assert abs(moved[0][4]) >= abs(moved[-1][4])


def test_the_python_runs(home: Path, receipt: str) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"home": home, "receipt": receipt}
    exec(code, names)
    assert names["found"].outcome == "identical"


def test_each_column_is_named() -> None:
    for name, schema in SCHEMAS.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", PAGE, re.MULTILINE)
        assert re.findall(r"`(\w+)`", row)[1:] == schema.names


def test_what_is_kept() -> None:
    assert f"`keep_inline_days` ({Settings.model_fields['keep_inline_days'].default})" in PAGE
    assert f"`keep_receipts_days` ({Settings.model_fields['keep_receipts_days'].default}: for ever)" in PAGE


def test_links_lead_somewhere() -> None:
    docs = Path(__file__).parent.parent / "docs"
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (docs / target).exists(), target
