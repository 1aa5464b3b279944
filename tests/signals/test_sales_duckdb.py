"""DuckDB files and queries over files, kept away from the home."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from signals.refused import ImportRefused
from signals.sales_config import Address
from signals.sales_sql import Limits, run_query

LIMITS = Limits(20.0, 1000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "home" / "state").mkdir(parents=True)
    for place in ("in/a", "in/b", "home/state/x"):
        duckdb.sql("SELECT 'Boots' AS item, DATE '2026-09-06' AS day, 3::DECIMAL(9,2) AS qty").write_parquet(
            str(tmp_path / f"{place}.parquet")
        )
    with duckdb.connect(tmp_path / "in" / "erp.duckdb") as connection:
        connection.execute("CREATE TABLE line AS SELECT 'Boots' AS item, DATE '2026-09-06' AS day, sum(3) AS qty")
    return tmp_path


def run(folder: Path, url: str, query: str, limits: Limits = LIMITS) -> list[dict[str, object]]:
    table = run_query(Address(url), query, "erp", folder / "home", limits).read()
    return [dict(row) for row in table.data.to_pylist()]


def test_a_duckdb_file_is_read(folder: Path) -> None:
    assert run(folder, f"duckdb://{folder}/in/erp.duckdb", "SELECT item, qty FROM line") == [
        {"item": "Boots", "qty": 3}
    ]


def test_a_query_reads_the_files_that_it_names(folder: Path) -> None:
    assert run(folder, "duckdb:", f"SELECT count(*) AS n FROM '{folder}/in/*.parquet'") == [{"n": 2}]
    assert run(folder, "duckdb:", f"SELECT count(*) AS n FROM read_parquet(['{folder}/in/a.parquet'])") == [{"n": 1}]


@pytest.mark.parametrize(
    "files",
    ["home/state/*.parquet", "**/*.parquet", "home/state/x.parquet", "in/../home/state/x.parquet", "*/*/*.parquet"],
)
def test_the_home_is_out_of_reach(files: str, folder: Path) -> None:
    with pytest.raises(ImportRefused, match="in or above the home"):
        run(folder, "duckdb:", f"SELECT * FROM '{folder}/{files}'")


def test_a_path_that_is_put_together_is_out_of_reach(folder: Path) -> None:
    with pytest.raises(ImportRefused, match="not there or not allowed"):
        run(folder, "duckdb:", f"SELECT size AS n FROM read_blob('{folder}/home' || '/state/x.parquet')")


def test_a_database_of_the_home_is_refused(folder: Path) -> None:
    (folder / "home" / "state" / "ingest.duckdb").touch()
    with pytest.raises(ImportRefused, match="lies in the home"):
        run(folder, f"duckdb://{folder}/home/state/ingest.duckdb", "SELECT 1")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM '/absent/*.csv'", "not there or not allowed"),
        ("SELECT true AS flag", "holds flags"),
        ("SELECT 'a'::BLOB AS bytes", "holds bytes"),
        ("SELECT nothing", "Binder Error"),
        ("SELECT * FROM statement", "Catalog Error"),
        ("COPY (SELECT 1) TO '/tmp/x.csv'", "not a single SELECT"),
        ("SELECT * FROM range(2000)", "more than max_rows"),
    ],
)
def test_what_cannot_be_read_is_told(query: str, said: str, folder: Path) -> None:
    with pytest.raises(ImportRefused, match=said):
        run(folder, "duckdb:", query)


def test_a_query_that_takes_too_long_is_stopped(folder: Path) -> None:
    with pytest.raises(ImportRefused, match="longer than timeout"):
        run(folder, "duckdb:", "SELECT count(*) AS n FROM range(1000000000) a, range(1000) b", Limits(0.2, 10))


def test_a_file_that_is_absent_or_no_database_is_told(folder: Path) -> None:
    with pytest.raises(ImportRefused, match="there is no file"):
        run(folder, "duckdb:///absent.duckdb", "SELECT 1")
    with pytest.raises(ImportRefused, match="cannot read from duckdb"):
        run(folder, f"duckdb://{folder}/in/a.parquet", "SELECT 1")
