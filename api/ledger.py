"""The ledger of issued forecasts: append before the answer goes out, resolve a receipt to the same bytes later."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa

from api.database import engine_of, issued, issued_inline, job, made_with, now, reading, writing
from api.grouped import Grouped
from api.ledger_packing import pack, unpack
from api.made_with import row_here
from api.metrics import LEDGER_SECONDS
from api.settings import Settings


def with_inline(request: dict[str, Any], history: Any, signals: Any) -> tuple[dict[str, Any], bytes]:
    """A resolved request with the digest of the history and signals that came along, and these as JSON."""
    inline = orjson.dumps({"history": history, "signals": signals})
    digest = {"periods": len(history["values"]), "sha256": hashlib.sha256(inline).hexdigest()}
    rest = {name: value for name, value in request.items() if name not in ("history", "signals")}
    return {"inline": digest} | rest, inline


@dataclass(frozen=True)
class Issued:
    """One issued forecast. `answer` is its JSON as it went out, `request` what was asked, resolved, as JSON.

    A history that came along is no part of `request`, which has its digest (see `with_inline`).
    """

    receipt: str
    category: str | None
    answer: bytes
    request: bytes
    face: str = "rest"
    key_id: str | None = None
    run: str | None = None
    issued: dt.datetime | None = None  # UTC without a zone; None until it is appended
    held: bool = False  # its rows for OData are not made before its run is over
    inline: bytes | None = None  # JSON of the history and signals that came along; given to be kept, see `inline_of`


class Ledger:
    """For many threads of one process: those that append at the same time share one transaction."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._grouped: Grouped[Sequence[Issued]] = Grouped("ledger", self._commit)
        self._told_versions = False

    @property
    def _engine(self) -> sa.Engine:
        return engine_of(self._settings)

    def append(self, *entries: Issued) -> None:
        """Keep forecasts; they are safe on disk when this returns. Raises what the database raises.

        One that is there already (a step that runs again after a kill) is left as it is; none is added to a run that
        was cancelled.
        """
        self.append_soon(*entries).result()

    def append_soon(self, *entries: Issued) -> Future[None]:
        """As `append`, without waiting: the future is done when they are safe."""
        return self._grouped.add(entries)

    def _commit(self, group: list[Sequence[Issued]]) -> None:
        found = [entry for entries in group for entry in entries]
        with LEDGER_SECONDS.time(), writing(self._engine) as connection:
            cancelled = cancelled_runs(connection, {entry.run for entry in found if entry.run is not None})
            kept = [entry for entry in found if entry.run not in cancelled]
            _insert_new(connection, issued, [_row(entry) for entry in kept])
            inline = [{"receipt": one.receipt, "body": pack(one.inline)} for one in kept if one.inline is not None]
            _insert_new(connection, issued_inline, inline)
            if not self._told_versions:
                _insert_new(connection, made_with, [row_here()])
        self._told_versions = True

    def resolve(self, receipt: str) -> Issued | None:
        """The forecast of a receipt; None where there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(issued).where(issued.c.receipt == receipt)).mappings().first()
        return None if row is None else as_issued(row)

    def inline_of(self, receipt: str) -> bytes | None:
        """The history and signals that came along with a request; None where none did, or they are kept no longer."""
        query = sa.select(issued_inline.c.body).where(issued_inline.c.receipt == receipt)
        with reading(self._engine) as connection:
            body = connection.execute(query).scalar()
        return None if body is None else unpack(body)

    def among(self, receipts: Collection[str]) -> dict[str, Issued]:
        """Those of some receipts that there are."""
        query = sa.select(issued).where(issued.c.receipt.in_(receipts))
        with reading(self._engine) as connection:
            return {row["receipt"]: as_issued(row) for row in connection.execute(query).mappings()}

    def last(self, category: str) -> Issued | None:
        """The newest forecast of a category."""
        query = sa.select(issued).where(issued.c.category == category).order_by(issued.c.receipt.desc()).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else as_issued(row)

    def of_run(self, run: str) -> Iterator[Issued]:
        """The forecasts of one run, by receipt."""
        query = sa.select(issued).where(issued.c.run == run).order_by(issued.c.receipt)
        with reading(self._engine) as connection:
            for row in connection.execute(query).mappings():
                yield as_issued(row)


def cancelled_runs(connection: sa.Connection, runs: Collection[str]) -> set[str]:
    """Which of some runs were cancelled. None of the others is before the transaction ends: its rows are locked."""
    if not runs:
        return set()
    # Of runs only, in their order: who changes several jobs at once changes no runs, and so nobody waits in a circle.
    wanted = sa.select(job.c.job, job.c.state).where(job.c.job.in_(runs), job.c.kind == "run").order_by(job.c.job)
    return {row.job for row in connection.execute(wanted.with_for_update(read=True)) if row.state == "cancelled"}


def _row(entry: Issued) -> dict[str, Any]:
    return {
        "receipt": entry.receipt,
        "issued": entry.issued or now(),
        "run": entry.run,
        "category": entry.category,
        "face": entry.face,
        "key_id": entry.key_id,
        "request": pack(entry.request),
        "answer": pack(entry.answer),
        "folded": entry.held,
    }


def as_issued(row: Mapping[Any, Any]) -> Issued:
    """A row of the table."""
    return Issued(
        row["receipt"], row["category"], unpack(row["answer"]), unpack(row["request"]),
        row["face"], row["key_id"], row["run"], row["issued"],
    )  # fmt: skip


def _insert_new(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, and leave those that are there alone."""
    if rows:
        connection.execute(_insert(table, connection.dialect.name), rows)


@lru_cache(maxsize=8)
def _insert(table: sa.Table, dialect: str) -> sa.Insert:
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert(table).on_conflict_do_nothing()
