"""From the ledger: which forecasts speak for the store, and what each says; those that say the same become one."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from api.database import engine_of, issued, reading, scores_engine_of, writing
from api.fold_rows import span
from api.issued import is_current
from api.ledger import as_issued
from api.life.score_tables import edition, score_state, scored_receipt
from api.receipts import receipt_at
from api.settings import Settings

log = logging.getLogger("groundswell")

TOGETHER = 64  # forecasts in one transaction
LATE = dt.timedelta(days=2)  # a job's receipt is of its acceptance: it comes to the ledger after later ones
_BUCKET = len("fc_") + 6  # characters of a receipt that tell its time to about 17 minutes
_RECEIPTS = "receipts"  # in score_state: from which receipt on new ones are looked for
SAME = "same"  # in edition.without: no signal was offered, so the model without signals is the model
_RANKS = {"champion": 0, "canary": 1}
Row = Mapping[Any, Any]
Pause = Callable[[], None]


def take_in(settings: Settings, moment: dt.datetime, pause: Pause, *, whole: bool = False) -> int:
    """Look at the forecasts of the ledger that were not, as of a moment; how many there were.

    Stretches of time in which the ledger has as many as were looked at are passed over and, unless the `whole` ledger
    is wanted, those that lay longer back than `LATE` the last time. After a kill it goes on where it was.
    """
    taken = 0
    with reading(scores_engine_of(settings)) as connection:
        marked = connection.execute(_mark()).scalar() or ""
        since = "" if whole else marked
        seen = _counts(connection, scored_receipt, since)
    with reading(engine_of(settings)) as connection:
        there = _counts(connection, issued, since)
    for bucket in (bucket for bucket, count in there.items() if count > seen.get(bucket, 0)):
        receipts = _new(settings, bucket)
        for start in range(0, len(receipts), TOGETHER):
            _take(settings, receipts[start : start + TOGETHER])
            pause()
        taken += len(receipts)
    mark = receipt_at(moment - LATE, 0)[:_BUCKET]
    if mark > marked:
        _move_mark(settings, mark)
    return taken


def _mark() -> sa.Select[Any]:
    return sa.select(score_state.c.value).where(score_state.c.name == _RECEIPTS)


def _counts(connection: sa.Connection, table: sa.Table, since: str) -> dict[str, int]:
    bucket = sa.func.substr(table.c.receipt, 1, _BUCKET).label("bucket")
    query = sa.select(bucket, sa.func.count()).where(table.c.receipt >= since).group_by(bucket).order_by(bucket)
    return pairs(connection, query)


def pairs(connection: sa.Connection, query: sa.Select[Any]) -> dict[Any, Any]:
    """What a query of two columns finds, the second by the first."""
    return {row[0]: row[1] for row in connection.execute(query)}


def _new(settings: Settings, bucket: str) -> list[str]:
    """Receipts of a bucket that were not looked at, in their order."""
    with reading(engine_of(settings)) as connection:
        there = connection.scalars(_within(issued, bucket)).all()
    with reading(scores_engine_of(settings)) as connection:
        seen = set(connection.scalars(_within(scored_receipt, bucket)))
    return [receipt for receipt in there if receipt not in seen]


def _within(table: sa.Table, bucket: str) -> sa.Select[Any]:
    inside = table.c.receipt.between(bucket, bucket + "~")  # ~ comes after all letters of a receipt
    return sa.select(table.c.receipt).where(inside).order_by(table.c.receipt)


def _take(settings: Settings, receipts: Sequence[str]) -> None:
    with reading(engine_of(settings)) as connection:
        rows = connection.execute(sa.select(issued).where(issued.c.receipt.in_(receipts))).mappings().all()
    found = {row["receipt"]: edition_of(row) for row in rows}
    with writing(scores_engine_of(settings)) as connection:
        numbers = {one["edition"] for one in found.values() if one is not None}
        known = pairs(connection, _known(numbers))
        for one in _newest(one for one in found.values() if one is not None):
            _keep(connection, one, known.get(one["edition"]))
        there = set(connection.scalars(sa.select(scored_receipt.c.receipt).where(scored_receipt.c.receipt.in_(found))))
        new = [
            {"receipt": receipt, "edition": one and one["edition"]}
            for receipt, one in found.items()
            if receipt not in there
        ]
        if new:
            connection.execute(scored_receipt.insert(), new)


def _known(numbers: set[int]) -> sa.Select[Any]:
    return sa.select(edition.c.edition, edition.c.receipt).where(edition.c.edition.in_(numbers))


def _newest(found: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each edition the last."""
    last: dict[int, dict[str, Any]] = {}
    for one in sorted(found, key=lambda one: str(one["receipt"])):
        last[one["edition"]] = one
    return list(last.values())


def _keep(connection: sa.Connection, one: dict[str, Any], known: str | None) -> None:
    if known is None:
        connection.execute(edition.insert().values(**one, opened=False))
    elif one["receipt"] > known:
        said = {name: one[name] for name in ("receipt", "as_of", "data_version")}
        connection.execute(edition.update().where(edition.c.edition == one["edition"]).values(**said))


def edition_of(row: Row) -> dict[str, Any] | None:
    """What a forecast of the ledger is as an edition; None where it does not speak for the store."""
    if row["category"] is None:
        return None
    try:
        found = as_issued(row)
        return _edition(row, orjson.loads(found.answer)) if is_current(found) else None
    except (KeyError, TypeError, ValueError, IndexError, zlib.error) as error:
        log.error("forecast %s cannot be scored: %r", row["receipt"], error)
        return None


def _edition(row: Row, answer: Row) -> dict[str, Any]:
    periods, engine = answer["forecast"], answer["engine"]
    first, frequency = periods[0]["period"], answer["frequency"]
    role = engine.get("role")
    said = [[one.get(name) for name in ("period", "value", "median", "intervals", "published")] for one in periods]
    what = [row["category"], role, engine["configuration"], answer["data_version"], answer["signals"] == [], said]
    digest = hashlib.sha256(orjson.dumps(what)).digest()
    return {
        "edition": int.from_bytes(digest[:8]) >> 1,
        "category": row["category"],
        "origin": span(first, frequency)[0] - dt.timedelta(days=1),
        "receipt": row["receipt"],
        "as_of": moment_of(answer["as_of"]),
        "data_version": answer["data_version"],
        "configuration": engine["configuration"],
        "role": role,
        "rank": _RANKS.get(role, len(_RANKS)),
        "frequency": frequency,
        "first": dt.date.fromisoformat(first),
        "last": dt.date.fromisoformat(periods[-1]["period"]),
        "without": SAME if answer["signals"] == [] else None,
    }


def moment_of(text: str) -> dt.datetime:
    """A moment of an answer, UTC without a zone."""
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC).replace(tzinfo=None)


def _move_mark(settings: Settings, mark: str) -> None:
    with writing(scores_engine_of(settings)) as connection:
        connection.execute(score_state.delete().where(score_state.c.name == _RECEIPTS))
        connection.execute(score_state.insert().values(name=_RECEIPTS, value=mark))
