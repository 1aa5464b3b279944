"""What became of each pull of sales: one row a source, in `state/sales.sqlite` of the home."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_TABLE = """CREATE TABLE IF NOT EXISTS sales_source (
    name TEXT PRIMARY KEY, attempted TEXT, succeeded TEXT, status TEXT NOT NULL, error TEXT NOT NULL,
    content TEXT NOT NULL, files TEXT NOT NULL, rows INTEGER NOT NULL, data_version INTEGER NOT NULL)"""
_COLUMNS = "attempted, succeeded, status, error, content, files, rows, data_version"


@dataclass(frozen=True)
class SourceState:
    """The last pull of a source; moments are UTC without a zone.

    attempted, succeeded: when it was last tried, and when that last ended well; None: never.
    status, error: what became of the last try.
    content, files: hash and file names of what was stored last.
    rows, data_version: how many values that were, and the version of the store that has them.
    """

    attempted: datetime | None = None
    succeeded: datetime | None = None
    status: str = "new"
    error: str = ""
    content: str = ""
    files: tuple[str, ...] = ()
    rows: int = 0
    data_version: int = 0


def read_state(home: Path, name: str) -> SourceState:
    """What is known of a source; a new SourceState where it was never pulled."""
    if not _path(home).exists():
        return SourceState()
    with _opened(home) as connection:
        row = connection.execute(f"SELECT {_COLUMNS} FROM sales_source WHERE name = ?", [name]).fetchone()
    if row is None:
        return SourceState()
    attempted, succeeded, status, error, content, files, rows, version = row
    return SourceState(
        _moment(attempted), _moment(succeeded), status, error, content, tuple(json.loads(files)), rows, version
    )


def write_state(home: Path, name: str, state: SourceState) -> None:
    """Keep what is known of a source."""
    moments = [None if moment is None else moment.isoformat() for moment in (state.attempted, state.succeeded)]
    rest = [state.status, state.error, state.content, json.dumps(state.files), state.rows, state.data_version]
    with _opened(home) as connection:
        connection.execute(
            f"INSERT OR REPLACE INTO sales_source (name, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [name, *moments, *rest],
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@contextmanager
def _opened(home: Path) -> Iterator[sqlite3.Connection]:
    path = _path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
        connection.execute(_TABLE)
        yield connection


def _path(home: Path) -> Path:
    return home / "state" / "sales.sqlite"
