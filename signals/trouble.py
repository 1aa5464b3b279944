"""What goes wrong with the disk and the files of a home, told in words and with the remedy."""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from signals.home import Home

_LITTLE = 1_000_000  # bytes
_FULL = ("No space left", "Disk quota exceeded", "failed to offload")
# What DuckDB calls an I/O error although the file is sound.
_ELSEWHERE = ("Too many open files", "Permission denied", "Cannot allocate memory", "onflicting lock")


class StoreDamaged(RuntimeError):
    """A file of the home is missing, unreadable or older than what was published; the message says what to do."""


class DiskFull(RuntimeError):
    """There is no space left on the disk of the home. What was under way was not done; nothing is torn."""


def is_full(error: Exception) -> bool:
    """Whether an error says that the disk is full."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, duckdb.Error) and any(words in str(error) for words in _FULL)


def _sqlite_is_full(error: Exception, home: Home) -> bool:
    """SQLite calls it an I/O error when its index of the write-ahead log finds no room."""
    if not isinstance(error, sqlite3.OperationalError):
        return False
    code = error.sqlite_errorcode & 0xFF
    return code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and shutil.disk_usage(home.path).free < _LITTLE)


def is_damage(error: duckdb.Error) -> bool:
    """Whether an error of DuckDB, in a statement that is right, says that the file is damaged."""
    mild = (duckdb.OutOfMemoryException, duckdb.InterruptException)
    return not (isinstance(error, mild) or is_full(error) or any(words in str(error) for words in _ELSEWHERE))


def is_broken(error: duckdb.Error) -> bool:
    """Whether an error of a statement that writes says that the database, and not the statement, is to blame."""
    kinds = (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)
    # A block whose checksum is wrong is reported as the plain base class.
    return is_damage(error) and (isinstance(error, kinds) or type(error) is duckdb.Error)


@contextmanager
def space_needed(home: Home, outcome: str) -> Iterator[None]:
    """Turn the many errors by which a full disk shows into DiskFull."""
    try:
        yield
    except (OSError, duckdb.Error, sqlite3.OperationalError) as error:
        if not (is_full(error) or _sqlite_is_full(error, home)):
            raise
        raise DiskFull(f"no space is left on the disk of {home.path}, {outcome}: free some space") from error


def damaged_database(home: Home, what: str) -> StoreDamaged:
    """The error for the store itself, `state/ingest.duckdb`."""
    snapshots = sorted(home.snapshots.glob("snap-*.duckdb"))
    remedy = (
        f"to go on from the last published version, groundswell doctor --mend, or move it and "
        f"{home.database.name}.wal aside and copy "
        f"{snapshots[-1]} to {home.database}: a snapshot holds all that was stored up to its version"
        if snapshots
        else "restore it from a backup, or choose another --home"
    )
    return StoreDamaged(f"{home.database} {what}; {remedy}")


def damaged_snapshot(home: Home, what: str) -> StoreDamaged:
    """The error for what was published; the store itself may be sound."""
    return StoreDamaged(
        f"the published data in {home.snapshots} cannot be read: {what}. What was imported is safe in {home.database}: "
        "the next import, of any file, publishes it afresh, and so does a restart of groundswell serve"
    )
