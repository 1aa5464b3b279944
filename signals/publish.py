"""Publishing: an immutable, sorted copy of the store under a new name, and CURRENT, which names the newest."""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb

from signals.home import Home, fsync, utc, write_durably
from signals.sql import literal, run

KEEP = 3

# Sorted by what a read asks for, so that it touches one or two blocks; DuckDB needs no index for it then.
ORDER = {
    "batch": "recorded, batch",
    "category": "category, recorded",
    "signal": "signal, recorded",
    "candidate": "category, signal, recorded",
    "sales": 'category, "start", known_at, recorded',
    "observation": 'signal, "start", known_at, recorded',
}

# What a list of categories or signals shows about their data, computed once here and not by every reader. The rows were
# just inserted in ORDER, so the highest rowid of a period is its newest version.
_SUMMARIES = """
CREATE OR REPLACE TABLE snap.category_summary AS
    SELECT category, count(*) AS periods, min("start") AS "start", max("end") AS "end" FROM (
        SELECT category, "start", arg_max_null("end", rowid) AS "end", arg_max_null(quantity, rowid) AS quantity
        FROM snap.sales GROUP BY category, "start")
    WHERE quantity IS NOT NULL GROUP BY category ORDER BY category;
CREATE OR REPLACE TABLE snap.signal_summary AS
    SELECT signal, min("start") AS first, max("start") AS last, count(DISTINCT "start") AS observations,
           max(known_at) AS last_known_at FROM (
        SELECT signal, "start", arg_max_null(value, rowid) AS value, max(known_at) AS known_at
        FROM snap.observation GROUP BY signal, "window", "start")
    WHERE value IS NOT NULL GROUP BY signal ORDER BY signal;
"""


def snapshot_name(version: int) -> str:
    """The file name of a published version; zero-padded, so that names sort like versions."""
    return f"snap-{version:012d}.duckdb"


def published_version(home: Home) -> int:
    """The data version that readers get at present; 0 before the first."""
    try:
        name = home.current.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return 0
    return version_of(name)


def version_of(name: str) -> int:
    """The data version in a snapshot's file name."""
    match = re.fullmatch(r"snap-(\d+)\.duckdb", name)
    if match is None:
        raise ValueError(
            f"snapshots/CURRENT says {name!r}, which is no snapshot's name; write the newest one's into it"
        )
    return int(match[1])


def write_snapshot(connection: duckdb.DuckDBPyConnection, home: Home, version: int) -> Path:
    """Copy the whole store, sorted, and make it the current snapshot; a kill leaves the old one current."""
    temporary = home.snapshots / f".tmp-{os.getpid()}-{version}.duckdb"
    path = home.snapshots / snapshot_name(version)
    clean(home)
    run(connection, f"ATTACH {literal(temporary)} AS snap")
    try:
        run(connection, "COPY FROM DATABASE ingest TO snap (SCHEMA)")
        for table, order in ORDER.items():
            run(connection, f"INSERT INTO snap.{table} SELECT * FROM {table} ORDER BY {order}")
        run(connection, "INSERT INTO snap.meta SELECT * FROM meta WHERE key = 'schema_version'")
        facts = [("data_version", str(version)), ("published", f"{utc(None).isoformat()}Z")]
        for fact in facts:
            run(connection, "INSERT INTO snap.meta VALUES (?, ?)", fact)
        run(connection, _SUMMARIES)
        run(connection, "CHECKPOINT snap")
    finally:
        run(connection, "DETACH snap")
    fsync(temporary)
    temporary.rename(path)
    write_durably(home.current, path.name)
    for old in sorted(home.snapshots.glob("snap-*.duckdb"))[:-KEEP]:
        old.unlink()  # readers that have it open keep it until they let go
    return path


def clean(home: Home) -> None:
    """Delete what a killed publisher left; only the owner of the home may call this."""
    for path in home.snapshots.glob(".tmp-*"):
        path.unlink(missing_ok=True)
