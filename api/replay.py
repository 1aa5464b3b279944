"""Forecasts made again from what their receipts have on record, by the same code, and compared to the byte."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import orjson
import sqlalchemy as sa
from pydantic import ValidationError

from api.database import engine_of, issued, reading
from api.erp.bc_forecast import made_again
from api.errors import Problem, known_problem
from api.forecasting import Forecaster, asked_again
from api.issued import BUSINESS_CENTRAL
from api.ledger import Issued, Ledger
from api.made_with import changed, versions
from api.receipts import receipt_at
from api.replay_models import Difference, Replay
from api.service import MAX_NOWCAST_DAYS
from api.settings import Settings
from api.snapshots import Snapshots

NOT_COMPARED = ("receipt", "timing_ms", "data_version")  # what is no part of the canonical result
TOGETHER = 100  # receipts that are looked up at once


class Replayer:
    """For many threads."""

    def __init__(self, settings: Settings, forecaster: Forecaster | None = None, ledger: Ledger | None = None) -> None:
        self._settings = settings
        self._forecaster = forecaster or Forecaster(settings, Snapshots(settings.home))
        self._ledger = ledger or Ledger(settings)

    def replay(self, receipt: str) -> Replay:
        """Make the forecast of a receipt again.

        Raises the problem 404 that there is none, and what the store raises.
        """
        found = self._ledger.resolve(receipt)
        if found is None:
            raise Problem(404, "unknown-receipt", f"no forecast has the receipt {receipt!r}")
        return self.compared(found)

    def compared(self, found: Issued) -> Replay:
        """As `replay`, of one that was read from the ledger."""
        request: dict[str, Any] = orjson.loads(found.request)
        try:
            again = self._again(found, request)
        except _CannotError as reason:
            return Replay(
                receipt=found.receipt, category=found.category, outcome="impossible", differences=[], why=[str(reason)]
            )
        before, after = canonical(found.answer), canonical(again)
        same = before == after
        return Replay(
            receipt=found.receipt,
            category=found.category,
            outcome="identical" if same else "different",
            differences=[] if same else list(differences(orjson.loads(before), orjson.loads(after))),
            why=[] if same else self._reasons(request),
        )

    def _again(self, found: Issued, request: dict[str, Any]) -> bytes:
        """The answer now; raises _CannotError."""
        inline = self._ledger.inline_of(found.receipt) if "inline" in request else None
        if "inline" in request and inline is None:
            gone = f"its history of {request['inline']['periods']} periods came with the request, and is kept no longer"
            raise _CannotError(f"{gone} (setting keep_inline_days); sha256 {request['inline']['sha256']}")
        try:
            if found.face == BUSINESS_CENTRAL:
                return self._business_central(request, inline)
            return self._made(request, inline)
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise _CannotError(f"the request is none that this version takes: {message}") from error
        except Exception as error:
            problem = known_problem(error)
            if problem is None or problem.status_code >= 500:
                raise
            raise _CannotError(str(problem.detail)) from error

    def _business_central(self, request: dict[str, Any], inline: bytes | None) -> bytes:
        if inline is None or "start_key" not in request["business_central"]:
            raise _CannotError("an earlier version of Groundswell made it, which kept no keys of its buckets")
        return made_again(self._forecaster.snapshots, request, inline, self._forecaster.settings).answer

    def _made(self, request: dict[str, Any], inline: bytes | None) -> bytes:
        days = request.get("max_nowcast_days", MAX_NOWCAST_DAYS)
        settings = self._settings.model_copy(update={"max_nowcast_days": days})
        moment = dt.datetime.fromisoformat(request["moment"]) if "moment" in request else None
        forecaster = Forecaster(settings, self._forecaster.snapshots)
        body, served = asked_again(settings, orjson.dumps(request), inline)
        return forecaster.make(body, face="replay", served=served, moment=moment).answer

    def _reasons(self, request: dict[str, Any]) -> list[str]:
        name = request.get("made_with")
        before = None if name is None else versions(engine_of(self._settings), name)
        if before is None:
            return ["an earlier version of Groundswell made it, which kept no record of the versions it was made with"]
        if found := changed(before):
            return [f"other versions: {told}" for told in found]
        return ["the versions are those that made it: what the store knew then has changed, or a setting has"]


class _CannotError(Exception):
    """Why a forecast cannot be made again."""


def replay(settings: Settings, receipt: str) -> Replay:
    """Make the forecast of a receipt again, for notebooks; see `Replayer.replay`."""
    return Replayer(settings).replay(receipt)


def canonical(answer: bytes) -> bytes:
    """What of an answer is the same for the same data, request, versions and kind of processor."""
    kept = {name: value for name, value in orjson.loads(answer).items() if name not in NOT_COMPARED}
    return orjson.dumps(kept)


def differences(issued_: Any, now: Any, field: str = "") -> Iterator[Difference]:
    """Each leaf that differs, in the order of the answer."""
    if isinstance(issued_, dict) and isinstance(now, dict):
        pairs = [(str(name), issued_.get(name), now.get(name)) for name in {**issued_, **now}]
    elif isinstance(issued_, list) and isinstance(now, list):
        pairs = [(str(i), *pair) for i, pair in enumerate(zip_longest(issued_, now))]
    else:
        if orjson.dumps(issued_) != orjson.dumps(now):
            yield Difference(field=field, issued=issued_, now=now)
        return
    for name, before, after in pairs:
        yield from differences(before, after, f"{field}.{name}" if field else name)


def chosen(settings: Settings, *, category: str | None, since: dt.datetime | None, sample: int | None) -> list[str]:
    """Receipts of a category (None: of all) from a moment on, or a random `sample` of them; in their order."""
    query = sa.select(issued.c.receipt)
    if category is not None:
        query = query.where(issued.c.category == category)
    if since is not None:
        query = query.where(issued.c.receipt >= receipt_at(since, 0))
    with reading(engine_of(settings)) as connection:
        found = list(connection.scalars(query.order_by(issued.c.receipt)))
    if sample is None or sample >= len(found):
        return found
    return sorted(random.sample(found, sample))


def replays(settings: Settings, receipts: list[str]) -> Iterator[Replay]:
    """Make several again; one that was removed meanwhile is left out."""
    replayer, ledger = Replayer(settings), Ledger(settings)
    for first in range(0, len(receipts), TOGETHER):
        found = ledger.among(receipts[first : first + TOGETHER])
        for receipt in sorted(found):
            yield replayer.compared(found[receipt])
