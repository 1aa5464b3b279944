"""Issued forecasts made again as of their origin by another configuration, or by the same one without signals."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from api.database import scores_engine_of, writing
from api.forecasting import asked_again
from api.life.score_tables import BOUNDS, remade
from api.models import ForecastRequest
from api.service import Inputs, read_related, run
from api.settings import Settings
from forecast import Configuration, ForecastError
from forecast.engines import Wanted
from signals.store import Snapshot, UnknownCategory, VersionNotPublished

log = logging.getLogger("groundswell")

WITHOUT_SIGNALS = "without_signals"  # as the name of a configuration: that of the forecast, with no signal offered
LEVELS = (80, 95)
# Such as a configuration that needs more history than there was, or a ledger that came from beside another store.
_UNABLE = (ForecastError, UnknownCategory, VersionNotPublished)
Row = Mapping[str, Any]


def without_signals(settings: Settings, snapshot: Snapshot, request: bytes) -> list[dict[str, Any]] | None:
    """What an issued forecast would have said had no signal been offered, a row a period; None where it cannot be made.

    `request` is that of the ledger, resolved. The holidays of the category's calendar are no outside signal and stay.
    """
    try:
        body, served = asked_again(settings, request)
        inputs = _bare(_inputs(settings, snapshot, body))
        return _made(inputs, Wanted(served.configuration, body.deadline_ms, body.members))
    except _UNABLE as error:
        log.info("a forecast cannot be made again without signals: %s", error)
        return None


def made_as(
    settings: Settings, snapshot: Snapshot, request: bytes, configuration: Configuration
) -> list[dict[str, Any]] | None:
    """What another configuration would have said in place of an issued forecast, however long it takes; as above."""
    try:
        body, _ = asked_again(settings, request)
        return _made(_inputs(settings, snapshot, body), Wanted(configuration))
    except _UNABLE as error:
        log.info("a forecast cannot be made by configuration %s: %s", configuration.name, error)
        return None


def _inputs(settings: Settings, snapshot: Snapshot, body: ForecastRequest) -> Inputs:
    """What the forecast was made from."""
    return read_related(
        snapshot,
        body.category or "",
        body.horizon,
        body.said,
        as_of=body.as_of,
        data_version=body.data_version,
        from_origin=True,
        max_nowcast_days=settings.max_nowcast_days,
        events=body.events == "accepted",
    )


def _bare(inputs: Inputs) -> Inputs:
    like = {name: dataclasses.replace(one, signals=None) for name, one in inputs.like.items()}
    return dataclasses.replace(inputs, signals=None, like=like)


def _made(inputs: Inputs, wanted: Wanted) -> list[dict[str, Any]]:
    return [row_of(one) for one in run(inputs, wanted, levels=LEVELS).to_dict()["forecast"]]


def row_of(period: Row) -> dict[str, Any]:
    """The point and the bounds of one period of an answer, as the tables hold them."""
    ends = [period["intervals"].get(str(level), (None, None)) for level in LEVELS]
    bounds = dict(zip(BOUNDS, (end for pair in ends for end in pair), strict=True))
    return {"period": period["period"], "value": period["value"], "median": period["median"], **bounds}


def keep(settings: Settings, number: int, configuration: str, rows: Sequence[Row]) -> None:
    """Keep what another configuration says in place of an edition; in place of what was kept of it."""
    same = {"edition": number, "configuration": configuration}
    made = [{**one, **same, "period": dt.date.fromisoformat(one["period"])} for one in rows]
    with writing(scores_engine_of(settings)) as connection:
        there = sa.and_(remade.c.edition == number, remade.c.configuration == configuration)
        connection.execute(remade.delete().where(there))
        if made:
            connection.execute(remade.insert(), made)
