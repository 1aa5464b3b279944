"""The ledger as tables: every forecast, in DuckDB and in Parquet, whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from api import ledger_export
from api.app import create_app
from api.cli import cli
from api.ledger import Ledger
from api.ledger_export import SCHEMAS, Chosen, export
from api.settings import Settings
from tests.api.erp.exchange import YEAR, asked
from tests.api.erp.exchange import answer as business_central
from tests.api.stores import CATEGORIES, fill, last_week
from tests.api.test_forecasts import HISTORY

BOOTS = CATEGORIES[0]
NAMES = list(SCHEMAS)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with a forecast of each kind."""
    home = tmp_path_factory.mktemp("home")
    fill(home, last_week())
    with TestClient(create_app(Settings(home=home))) as client:
        for body in ({"category": BOOTS, "horizon": 3}, {"category": CATEGORIES[1], "horizon": 2, "levels": [50, 80]},
                     {"history": HISTORY, "horizon": 1}):  # fmt: skip
            assert client.post("/v1/forecasts", json=body).status_code == 200
        business_central(client, asked(YEAR, item="1000"))
    return Settings(home=home)


def of(settings: Settings, out: Path, *arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(
        cli, ["--home", str(settings.home), "ledger", "export", str(out), "--json", *arguments], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.output)
    return told


def test_a_database_says_what_the_answers_say(settings: Settings, tmp_path: Path) -> None:
    told = of(settings, tmp_path / "ledger.duckdb")
    assert told["files"] == [str(tmp_path / "ledger.duckdb")]
    with duckdb.connect(tmp_path / "ledger.duckdb", read_only=True) as connection:
        assert told["rows"] == {name: connection.table(name).count("*").fetchall()[0][0] for name in NAMES}
        found = connection.execute("SELECT receipt, category, engine, horizon, data_version FROM issued").fetchall()
        told_periods = connection.execute("SELECT * FROM forecast_period ORDER BY receipt, lead")
        columns = SCHEMAS["forecast_period"].names
        periods = [dict(zip(columns, row, strict=True)) for row in told_periods.fetchall()]
        adding = connection.execute(
            "SELECT max(abs(p.value - c.value)) FROM forecast_period p "
            "JOIN (SELECT receipt, period, sum(value) AS value FROM contribution GROUP BY ALL) c "
            "USING (receipt, period)"
        ).fetchall()
    assert {row[1] for row in found} == {*CATEGORIES, None, "1000"}
    assert adding[0][0] < 1e-6
    for receipt, *_ in found:
        issued = Ledger(settings).resolve(receipt)
        assert issued is not None
        answer = orjson.loads(issued.answer)
        rows = [row for row in periods if row["receipt"] == receipt]
        for lead, (row, period) in enumerate(zip(rows, answer["forecast"], strict=True), 1):
            assert (row["lead"], str(row["period"]), row["value"]) == (lead, period["period"], period["value"])
            assert [row["lo_80"], row["hi_80"]] == period["intervals"]["80"]
            assert [[one["lo"], one["hi"]] for one in row["intervals"]] == list(period["intervals"].values())
    assert {row["lo_95"] for row in periods if row["category"] == CATEGORIES[1]} == {None}


def test_parquet_has_the_same_rows(settings: Settings, tmp_path: Path) -> None:
    told = of(settings, tmp_path / "ledger.parquet")
    assert [Path(file).name for file in told["files"]] == [f"ledger.{name}.parquet" for name in NAMES]
    of(settings, tmp_path / "ledger.duckdb")
    with duckdb.connect(tmp_path / "ledger.duckdb", read_only=True) as connection:
        for name, file in zip(NAMES, told["files"], strict=True):
            both = [
                connection.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall() for table in (name, f"'{file}'")
            ]
            assert both[0] == both[1]
            assert both[0]


def test_many_batches_hold_each_forecast_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = of(settings, tmp_path / "one.duckdb")["rows"]
    monkeypatch.setattr(ledger_export, "TOGETHER", 1)
    assert of(settings, tmp_path / "many.duckdb")["rows"] == whole
    assert whole["issued"] == 4


def test_only_some(settings: Settings, tmp_path: Path) -> None:
    out, tomorrow = tmp_path / "some.duckdb", (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()
    assert of(settings, out, "--category", BOOTS)["rows"]["issued"] == 1
    assert of(settings, out, "--since", tomorrow)["rows"]["issued"] == 0
    assert of(settings, out, "--since", "2020-01-01", "--until", tomorrow)["rows"]["issued"] == 4
    assert of(settings, out, "--until", "2020-01-01")["rows"] == dict.fromkeys(NAMES, 0)


@pytest.mark.parametrize("name", ["ledger.duckdb", "ledger.parquet"])
def test_after_an_error_what_was_there_stays(
    name: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of(settings, tmp_path / name)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def fails(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(ledger_export, "rows_of", fails)
    with pytest.raises(OSError, match="no space left"):
        export(settings, tmp_path / name, Chosen())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_another_ending_is_refused(settings: Settings, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["--home", str(settings.home), "ledger", "export", str(tmp_path / "ledger.csv")])
    assert (done.exit_code, "must end in .duckdb or .parquet" in done.output) == (1, True)
