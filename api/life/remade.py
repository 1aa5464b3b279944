"""Issued forecasts made again as of their origin by another configuration, or by the same one without signals."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import orjson

from api.life.score_tables import BOUNDS
from api.models import ForecastRequest
from api.service import Inputs, read_related, run
from api.settings import Settings
from forecast import ForecastError
from forecast.engines import Wanted
from signals.store import Snapshot

log = logging.getLogger("groundswell")

WITHOUT_SIGNALS = "without_signals"  # as the name of a configuration: that of the forecast, with no signal offered
LEVELS = (80, 95)
Row = Mapping[str, Any]


def without_signals(settings: Settings, snapshot: Snapshot, request: bytes) -> list[dict[str, Any]] | None:
    """What an issued forecast would have said had no signal been offered, a row a period; None where it cannot be made.

    `request` is that of the ledger, resolved. The holidays of the category's calendar are no outside signal and stay.
    """
    body = ForecastRequest.model_validate(orjson.loads(request))
    inputs = _bare(_inputs(settings, snapshot, body))
    return _made(inputs, Wanted(body.engine, body.deadline_ms, body.members))


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


def _made(inputs: Inputs, wanted: Wanted) -> list[dict[str, Any]] | None:
    try:
        result = run(inputs, wanted, levels=LEVELS)
    except ForecastError as error:  # such as a configuration that needs more history than there was
        log.info("%s cannot be made again: %s", inputs.record.category, error)
        return None
    return [row_of(one) for one in result.to_dict()["forecast"]]


def row_of(period: Row) -> dict[str, Any]:
    """The point and the bounds of one period of an answer, as the tables hold them."""
    ends = [period["intervals"].get(str(level), (None, None)) for level in LEVELS]
    bounds = dict(zip(BOUNDS, (end for pair in ends for end in pair), strict=True))
    return {"period": period["period"], "value": period["value"], "median": period["median"], **bounds}
