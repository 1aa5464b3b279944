"""The tables of the store and how an older file becomes one that this program reads.

Every table is append-only. A step is never edited once released: a change is a further step at the end of STEPS.
"""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from signals.sql import run

_FIRST = """
CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);
CREATE TABLE batch (
    batch VARCHAR PRIMARY KEY,
    recorded BIGINT NOT NULL,          -- the data version that holds it
    connector VARCHAR NOT NULL,
    started TIMESTAMP NOT NULL,
    finished TIMESTAMP NOT NULL,
    status VARCHAR NOT NULL,           -- stored, unchanged, refused
    rows BIGINT NOT NULL,              -- handed over, over all frames
    inserted BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    withdrawn BIGINT NOT NULL,
    error VARCHAR,
    payload_sha VARCHAR
);
CREATE TABLE category (
    category VARCHAR NOT NULL, frequency VARCHAR NOT NULL, unit VARCHAR, timezone VARCHAR NOT NULL,
    calendar VARCHAR, parent VARCHAR, attributes VARCHAR, recorded BIGINT NOT NULL, batch VARCHAR NOT NULL
);
CREATE TABLE signal (
    signal VARCHAR NOT NULL, source VARCHAR, name VARCHAR, region VARCHAR, unit VARCHAR, cadence VARCHAR,
    aggregation VARCHAR NOT NULL, scale VARCHAR, publication_lag INTERVAL, future_known BOOLEAN NOT NULL,
    licence VARCHAR, recorded BIGINT NOT NULL, batch VARCHAR NOT NULL
);
CREATE TABLE candidate (
    category VARCHAR NOT NULL, signal VARCHAR NOT NULL, recorded BIGINT NOT NULL, batch VARCHAR NOT NULL
);
CREATE TABLE sales (
    category VARCHAR NOT NULL, start TIMESTAMP NOT NULL, "end" TIMESTAMP NOT NULL, quantity DOUBLE,
    known_at TIMESTAMP NOT NULL, known_basis VARCHAR NOT NULL, recorded BIGINT NOT NULL,
    source VARCHAR, batch VARCHAR NOT NULL
);
CREATE TABLE observation (
    signal VARCHAR NOT NULL, start TIMESTAMP NOT NULL, "end" TIMESTAMP NOT NULL, value DOUBLE,
    known_at TIMESTAMP NOT NULL, known_basis VARCHAR NOT NULL, recorded BIGINT NOT NULL,
    "window" VARCHAR NOT NULL, is_partial BOOLEAN, batch VARCHAR NOT NULL
);
"""

# How far each signal's source has been read, and facts about a signal that have no column of their own.
_PULLING = """
CREATE TABLE cursor (
    signal VARCHAR NOT NULL, through TIMESTAMP NOT NULL, recorded BIGINT NOT NULL, batch VARCHAR NOT NULL
);
ALTER TABLE signal ADD COLUMN attributes VARCHAR;  -- a JSON object
"""

# What a person decided on what looks like an event in the sales: half-open spans of periods.
_EVENTS = """
CREATE TABLE event (
    category VARCHAR NOT NULL, kind VARCHAR NOT NULL, start TIMESTAMP NOT NULL, "end" TIMESTAMP NOT NULL,
    decision VARCHAR NOT NULL,         -- accepted, refused
    author VARCHAR NOT NULL, reason VARCHAR,
    evidence VARCHAR,                  -- a JSON object: what was proposed when it was decided
    known_at TIMESTAMP NOT NULL,       -- when it was decided
    recorded BIGINT NOT NULL, batch VARCHAR NOT NULL
);
"""

STEPS: tuple[str, ...] = (_FIRST, _PULLING, _EVENTS)


class SchemaMismatch(RuntimeError):
    """The file was written by another version of the program, or is not a store at all."""


def version_of(connection: duckdb.DuckDBPyConnection, database: str) -> int:
    """Schema version of an attached database: 0 when it is empty; SchemaMismatch when it is something else."""
    tables = {
        name
        for (name,) in run(
            connection, "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND NOT temporary", [database]
        )
    }
    if not tables:
        return 0
    versions = []
    if "meta" in tables:
        versions = run(connection, f"SELECT value FROM {database}.meta WHERE key = 'schema_version'")
    if not versions:
        raise SchemaMismatch("this DuckDB file is not a Groundswell store; choose another --home")
    return int(versions[0][0])


def check(found: int, steps: Sequence[str] = STEPS) -> None:
    """Refuse a schema that is newer than this program."""
    if found > len(steps):
        raise SchemaMismatch(
            f"the store has schema version {found} and this program knows versions up to {len(steps)}: "
            "install the newer Groundswell that wrote it, or choose another --home"
        )


def upgrade(connection: duckdb.DuckDBPyConnection, database: str, steps: Sequence[str] = STEPS) -> None:
    """Bring the store to the newest schema, in one transaction.

    An older store gets a batch of its own for it, hence a new data version: the next publish renews the snapshot.
    """
    found = version_of(connection, database)
    check(found, steps)
    if found == len(steps):
        return
    connection.begin()
    try:
        for step in steps[found:]:
            run(connection, step)
        run(connection, "INSERT OR REPLACE INTO meta VALUES ('schema_version', ?)", [str(len(steps))])
        if found:
            run(
                connection,
                "INSERT INTO batch (batch, recorded, connector, started, finished, status, rows, inserted, unchanged,"
                " withdrawn) SELECT ?, coalesce(max(recorded), 0) + 1, 'migration', now() AT TIME ZONE 'UTC',"
                " now() AT TIME ZONE 'UTC', 'stored', 0, 0, 0, 0 FROM batch",
                [f"migration-{found}-to-{len(steps)}"],
            )
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
