"""The writer of the point-in-time store, and the door to the rest of it.

One process at a time owns a home and writes; every other process hands over through `submit` and reads published
snapshots, which nothing blocks.
"""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb

from signals import inbox, merge, schema
from signals.batch import AppendResult, Batch, BatchRefused, to_arrow
from signals.home import Home, utc
from signals.inbox import hand_over, receipt
from signals.lock import StoreBusy, ingest_lock
from signals.publish import clean, is_intact, newest_version, published_version, write_snapshot
from signals.snapshot import (
    CategoryRecord,
    Snapshot,
    StoreEmpty,
    UnknownCategory,
    UnknownSignal,
    VersionNotPublished,
    open_snapshot,
)
from signals.sql import run
from signals.trouble import (
    DiskFull,
    StoreDamaged,
    damaged_database,
    is_broken,
    is_damage,
    is_full,
    space_needed,
)

__all__ = [
    "AppendResult",
    "Batch",
    "BatchRefused",
    "CategoryRecord",
    "DiskFull",
    "HandOverPending",
    "PublishFailed",
    "Snapshot",
    "Store",
    "StoreBusy",
    "StoreDamaged",
    "StoreEmpty",
    "UnknownCategory",
    "UnknownSignal",
    "VersionNotPublished",
    "hand_over",
    "open_mended",
    "open_snapshot",
    "receipt",
    "submit",
]

logger = logging.getLogger(__name__)

# A million rows merge within this; more spills to a folder beside the database.
SETTINGS: dict[str, str | bool | int | float | list[str]] = {"threads": 2, "memory_limit": "400MB"}

# Errors of DuckDB that the batch is to blame for. Others, such as a full disk, are no reason to set a batch aside.
UNFIT = (duckdb.DataError, duckdb.IntegrityError, duckdb.OutOfMemoryException)


class PublishFailed(RuntimeError):
    """The batch is stored, as `result` says, but readers do not see it yet, for it could not be published."""

    def __init__(self, result: AppendResult, error: Exception) -> None:
        self.result = result
        super().__init__(
            f"the data IS stored, as data version {result.data_version}, but could not be published: {error}. It will "
            "be visible after the next publish, by any import or a start of groundswell serve; do not send it again"
        )


class HandOverPending(TimeoutError):
    """The owner of the store has not answered yet. The batch is safe in the inbox under `ticket`; do not send again."""

    def __init__(self, ticket: str, waited: float, busy: StoreBusy) -> None:
        self.ticket = ticket
        super().__init__(
            f"no answer within {waited:g} s: {busy.owner} owns the store. Nothing is lost: the data is safe in the "
            f"inbox as {ticket} and will be stored when the owner gets to it or the store is next opened; "
            f"signals.store.receipt(home, {ticket!r}) tells when"
        )


class Store:
    """The one writer of a home; open it with `Store.open`. Not for use by several threads at once."""

    def __init__(self, home: Home, connection: duckdb.DuckDBPyConnection) -> None:
        self._home = home
        self._connection = connection

    @classmethod
    @contextmanager
    def open(cls, home: Path, timeout: float = 0.0) -> Iterator[Store]:
        """Own the home until the block ends, creating or migrating what is needed.

        Waits up to `timeout` seconds while another process owns it, such as an import that will soon have ended.
        Raises StoreBusy, StoreDamaged, DiskFull or SchemaMismatch.
        """
        place = Home(Path(home))
        with space_needed(place, "so the store cannot be opened"):
            place.create()
        with ingest_lock(place.lock, timeout):
            with space_needed(place, "so the store cannot be opened"):
                store = cls(place, _open_database(place))
            try:
                yield store
            finally:
                store._connection.close()

    @property
    def data_version(self) -> int:
        """The number of the last batch that changed something; 0 for an empty store."""
        return _version(self._connection)

    def append(self, batch: Batch, now: datetime | None = None) -> AppendResult:
        """Store a batch in one transaction, all of it or, with BatchRefused, DiskFull or StoreDamaged, nothing.

        `now` (default: the clock) is the moment at which undated changes became known.
        """
        moment = utc(now)
        return self._append(batch, inbox.new_ticket(moment), moment)

    def publish(self) -> int:
        """Write the snapshot that readers use, if anything is new or the present one is damaged; its data version.

        Raises DiskFull, after which readers have the snapshot that they had.
        """
        with self._telling("so nothing was published"):
            version = self.data_version
            if version and (version > published_version(self._home) or not is_intact(self._home)):
                write_snapshot(self._connection, self._home, version)
        return version

    def drain_inbox(self) -> list[AppendResult]:
        """Store what others handed over, in order of arrival; the results of those that were not refused.

        A batch is appended once even if this is killed half way; one that cannot be stored goes to `inbox/refused`.
        """
        results = []
        for ticket in inbox.waiting(self._home):
            with space_needed(self._home, "so what was handed over waits"):
                try:
                    result = self._take(ticket)
                except (BatchRefused, inbox.HandOverUnreadable) as refusal:
                    logger.warning("%s was refused: %s", ticket, refusal)
                    inbox.refuse(self._home, ticket, str(refusal))
                else:
                    inbox.confirm(self._home, ticket, result)
                    results.append(result)
        inbox.tidy(self._home)
        return results

    def _take(self, ticket: str) -> AppendResult:
        done = self._logged(ticket)
        if done is not None:
            return done
        batch, handed_over = inbox.read(self._home, ticket)
        return self._append(batch, ticket, min(handed_over, utc(None)))

    def _append(self, batch: Batch, ticket: str, now: datetime) -> AppendResult:
        with self._telling("so nothing of the batch was stored"):
            return self._merge_or_refuse(batch, ticket, now)

    @contextmanager
    def _telling(self, outcome: str) -> Iterator[None]:
        """Errors of the disk and of the database file as DiskFull and StoreDamaged: they are no fault of a batch."""
        with space_needed(self._home, outcome):
            try:
                yield
            except duckdb.Error as error:
                if not is_broken(error):
                    raise
                raise damaged_database(self._home, f"cannot be used ({error})") from error

    def _merge_or_refuse(self, batch: Batch, ticket: str, now: datetime) -> AppendResult:
        started = utc(None)
        try:
            return self._merge(batch, ticket, now, started)
        except (BatchRefused, *UNFIT) as error:
            if is_full(error):
                raise
            reason = str(error) if isinstance(error, BatchRefused) else f"the database cannot store the batch: {error}"
            self._log(batch, started, 0, AppendResult(ticket, self.data_version, 0, 0, 0), "refused", reason)
            if isinstance(error, BatchRefused):
                raise
            raise BatchRefused(reason) from error

    def _merge(self, batch: Batch, ticket: str, now: datetime, started: datetime) -> AppendResult:
        tables = to_arrow(batch, now)
        rows = sum(table.num_rows for table in tables.values())
        with self._transaction():
            version = self.data_version
            counts = merge.add(self._connection, tables, merge.Stamp(ticket, version + 1, now, batch.lag, batch.reread))
            changed = counts.metadata + counts.inserted + counts.withdrawn > 0
            result = AppendResult(ticket, version + changed, counts.inserted, counts.unchanged, counts.withdrawn)
            self._log(batch, started, rows, result, "stored" if changed else "unchanged")
        return result

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.begin()
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()

    def _log(
        self, batch: Batch, started: datetime, rows: int, result: AppendResult, status: str, error: str | None = None
    ) -> None:
        run(
            self._connection,
            "INSERT INTO batch (batch, recorded, connector, started, finished, status, rows, inserted, unchanged,"
            " withdrawn, error, payload_sha) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(result.batch, result.data_version, batch.connector, started, utc(None), status, rows),
                *(result.inserted, result.unchanged, result.withdrawn, error, batch.payload_sha),
            ],
        )

    def _logged(self, ticket: str) -> AppendResult | None:
        """The result of a batch that an earlier, interrupted run has dealt with; raises BatchRefused if it refused."""
        sql = "SELECT recorded, inserted, unchanged, withdrawn, error FROM batch WHERE batch = ?"
        for *counts, error in run(self._connection, sql, [ticket]):
            if error is not None:
                raise BatchRefused(error)
            return AppendResult(ticket, *counts)
        return None


def submit(home: Path, batch: Batch, timeout: float = 60.0) -> AppendResult:
    """Store and publish a batch, whoever owns the home.

    With nobody at work this takes the lock, appends and publishes. Otherwise it leaves the batch in the inbox and
    waits up to `timeout` seconds for the owner's receipt and for the snapshot that contains the batch, or does the
    work itself as soon as the lock is free. Raises BatchRefused; HandOverPending when there is no answer in time;
    DiskFull when nothing was stored; PublishFailed when it was stored but readers cannot see it yet.
    """
    try:
        with Store.open(home) as store:
            store.drain_inbox()
            return _published(store, store.append(batch))
    except StoreBusy as busy:
        return _wait(Path(home), hand_over(home, batch), timeout, busy)


def _published(store: Store, result: AppendResult) -> AppendResult:
    try:
        store.publish()
    except (DiskFull, OSError, duckdb.Error) as error:
        raise PublishFailed(result, error) from error
    return result


def _wait(home: Path, ticket: str, timeout: float, busy: StoreBusy) -> AppendResult:
    deadline = time.monotonic() + timeout
    while True:
        result = receipt(home, ticket)
        if result is not None and published_version(Home(home)) >= result.data_version:
            return result
        try:
            with Store.open(home) as store:
                store.drain_inbox()
                result = receipt(home, ticket)
                assert result is not None  # the owner has just answered every ticket
                return _published(store, result)
        except StoreBusy as still_busy:
            busy = still_busy
            if time.monotonic() > deadline:
                if result is not None:
                    return result
                raise HandOverPending(ticket, timeout, busy) from None
            time.sleep(0.05)


def open_mended(home: Path, timeout: float = 10.0) -> Snapshot:
    """As `open_snapshot`, but where the snapshot is damaged and the store is sound it is first published afresh.

    For those who may write, such as an import, which reads what is known before it adds to it: each block of the
    snapshot is read. Waits up to `timeout` seconds for the store; raises StoreEmpty, StoreDamaged, StoreBusy.
    """
    place = Home(Path(home))
    try:
        snapshot = open_snapshot(home)
        if is_intact(place):
            return snapshot
    except StoreDamaged:
        if not place.database.exists():
            raise
    with Store.open(home, timeout) as store:
        store.publish()
    return open_snapshot(home)


def _open_database(home: Home) -> duckdb.DuckDBPyConnection:
    """The database of a home whose lock is held, checked against what was published."""
    clean(home)
    newest = newest_version(home)
    if newest and not home.database.exists():
        raise damaged_database(home, "is missing")
    connection = _connect(home)
    try:
        schema.upgrade(connection, "ingest")
        found = _version(connection)
        if found < newest:
            raise damaged_database(home, f"is at version {found}, older than what was published")
    except duckdb.Error as error:
        connection.close()
        if not is_broken(error):
            raise
        raise damaged_database(home, f"cannot be read ({error})") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(home: Home) -> duckdb.DuckDBPyConnection:
    """Open the writable database. Nothing else in this process may open that file: DuckDB's lock would be lost."""
    try:
        return duckdb.connect(home.database, config=SETTINGS)
    except duckdb.Error as error:
        if "onflicting lock" in str(error):
            raise StoreBusy(home.path, None) from error
        if not is_damage(error):
            raise
        raise damaged_database(home, f"cannot be read ({error})") from error


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    return int(run(connection, "SELECT coalesce(max(recorded), 0) FROM batch")[0][0])
