"""Older files are brought up to date, newer and foreign ones are left alone."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from signals import schema
from signals.home import Home
from signals.schema import SchemaMismatch
from signals.store import Store, open_snapshot
from tests.signals.store_frames import append, batch, sales

ADD_COLUMN = "ALTER TABLE category ADD COLUMN colour VARCHAR; UPDATE category SET colour = 'red'"


def rows(home: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(Home(home).database, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def upgrade(home: Path, *steps: str) -> None:
    with duckdb.connect(Home(home).database) as connection:
        schema.upgrade(connection, "ingest", (*schema.STEPS, *steps))


def test_an_older_store_is_migrated_and_gets_a_new_data_version(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])))
    upgrade(tmp_path, ADD_COLUMN)
    assert rows(tmp_path, "SELECT category, colour FROM category") == [("Shoes", "red")]
    assert rows(tmp_path, "SELECT value FROM meta WHERE key = 'schema_version'") == [(str(len(schema.STEPS) + 1),)]
    assert rows(tmp_path, "SELECT recorded, connector FROM batch ORDER BY 1")[-1] == (2, "migration")


def test_a_migration_runs_once(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])))
    upgrade(tmp_path, ADD_COLUMN)
    upgrade(tmp_path, ADD_COLUMN)
    assert rows(tmp_path, "SELECT count(*) FROM batch WHERE connector = 'migration'") == [(1,)]


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])))
    with pytest.raises(duckdb.CatalogException):
        upgrade(tmp_path, ADD_COLUMN, "ALTER TABLE nowhere ADD COLUMN x INTEGER")
    assert rows(tmp_path, "SELECT value FROM meta WHERE key = 'schema_version'") == [(str(len(schema.STEPS)),)]
    append(tmp_path, batch(sales([2])))
    assert list(open_snapshot(tmp_path).sales("Shoes")["quantity"]) == [2]


def test_a_store_from_a_newer_program_is_refused(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])))
    upgrade(tmp_path, ADD_COLUMN)
    known = len(schema.STEPS)
    told = f"schema version {known + 1} and this program knows versions up to {known}: install"
    with pytest.raises(SchemaMismatch, match=told):
        Store.open(tmp_path).__enter__()


def test_a_snapshot_of_an_older_schema_says_how_to_renew_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(tmp_path, batch(sales([1])))
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, ADD_COLUMN))
    with pytest.raises(SchemaMismatch, match="to publish it anew"):
        open_snapshot(tmp_path)


def test_a_duckdb_file_of_something_else_is_refused(tmp_path: Path) -> None:
    Home(tmp_path).create()
    with duckdb.connect(Home(tmp_path).database) as connection:
        connection.execute("CREATE TABLE invoices (i INTEGER)")
    with pytest.raises(SchemaMismatch, match="is not a Groundswell store"):
        Store.open(tmp_path).__enter__()
    assert rows(tmp_path, "SELECT table_name FROM duckdb_tables()") == [("invoices",)]
