"""Write rows to an ERP, each once: what was written is remembered, and looked up before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import sqlalchemy as sa
import stamina

from api.database import now, reading, writing
from api.erp.client import Unsure, another
from api.erp.exports.base import Gone, Remote, Row
from api.erp.state import export_row, upsert

ATTEMPTS = 6  # to find out whether a record was made
Step = Callable[[int, int], None]


@dataclass(frozen=True)
class Pushed:
    """What became of a push, in rows. `remembered`: written before and not sent; `same`: found there as they are."""

    created: int = 0
    updated: int = 0
    same: int = 0
    remembered: int = 0

    def __add__(self, other: Pushed) -> Pushed:
        mine, theirs = vars(self), vars(other)
        return Pushed(**{name: mine[name] + theirs[name] for name in mine})


class Push:
    """One push to one target. It may be killed at any moment: the next goes on where it was."""

    def __init__(self, engine: sa.Engine, target: str, place: str, remote: Remote, first_pause: float = 1.0) -> None:
        self._engine, self._target, self._place, self._remote = engine, target, place, remote
        self._first_pause = first_pause

    def run(self, rows: Sequence[Row], step: Step | None = None) -> Pushed:
        """Write the rows; raises what the ERP refuses, after what came before it was written and remembered."""
        known = self._known()
        records: dict[str, list[Row]] = {}
        for row in rows:
            records.setdefault(self._remote.record(row), []).append(row)
        told = Pushed()
        with ThreadPoolExecutor(self._remote.at_once) as pool:
            futures = [pool.submit(self._record, group, known) for group in records.values()]
            try:
                for done, future in enumerate(futures, 1):
                    told += future.result()
                    if step is not None:
                        step(done, len(futures))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return told

    def waiting(self, rows: Sequence[Row]) -> int:
        """How many of the rows are not written as they are."""
        known = self._known()
        return sum(known.get(row.key, ("", None))[1] != row.digest for row in rows)

    def _known(self) -> dict[str, tuple[str, str | None]]:
        """Id and digest of every row that was written to this place."""
        columns = (export_row.c.row, export_row.c.remote, export_row.c.digest)
        query = sa.select(*columns).where(export_row.c.target == self._target, export_row.c.place == self._place)
        with reading(self._engine) as connection:
            return {row.row: (row.remote, row.digest) for row in connection.execute(query)}

    def _record(self, rows: Sequence[Row], known: Mapping[str, tuple[str, str | None]]) -> Pushed:
        changed = [row for row in rows if known.get(row.key, ("", None))[1] != row.digest]
        if not changed:
            return Pushed(remembered=len(rows))
        remote = next((known[row.key][0] for row in rows if row.key in known), None)
        what = self._written(changed, remote)
        return Pushed(**{what: len(changed)}) + Pushed(remembered=len(rows) - len(changed))

    def _written(self, rows: Sequence[Row], remote: str | None) -> str:
        """created, updated or same."""
        tries = stamina.retry_context(on=another, attempts=ATTEMPTS, timeout=None, wait_initial=self._first_pause)
        for attempt in tries:
            with attempt:
                try:
                    remote = remote or self._remote.find(rows)
                    if remote is None:
                        remote = self._remote.create(rows)
                        changed, what = True, "created"
                    else:
                        self._remember(rows, remote, sure=False)  # it may take several steps to change it
                        changed, what = self._remote.update(remote, rows), "updated"
                except Gone as gone:
                    remote = None
                    raise Unsure(str(gone)) from gone
                self._remember(rows, remote, sure=True)
                return what if changed else "same"
        raise AssertionError("the last attempt returns or raises")

    def _remember(self, rows: Sequence[Row], remote: str, *, sure: bool) -> None:
        at = now()
        values = [
            {
                "target": self._target, "place": self._place, "row": row.key, "receipt": row.receipt,
                "category": row.category, "period": row.period, "remote": remote,
                "digest": row.digest if sure else None, "written": at,
            }
            for row in rows
        ]  # fmt: skip
        with writing(self._engine) as connection:
            connection.execute(upsert(connection, export_row), values)
