"""The outside series of the store."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Query, Request, Response

from api.models import SignalPage, StoredSignal
from api.routes import UNCHANGED, Limit, Newest, Offset, Reader, check_visible, of_version, page_of
from api.strict import StrictRoute

router = APIRouter(prefix="/v1/signals", tags=["signals"], route_class=StrictRoute)

Candidate = Annotated[str | None, Query(max_length=200, description="only the candidate signals of this category")]


@router.get("", summary="All signals", response_model=SignalPage, responses={304: UNCHANGED, 404: {}, 422: {}, 503: {}})
def list_signals(
    request: Request,
    snapshot: Newest,
    caller: Reader,
    category: Candidate = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """The signals of the store by name, a page at a time, with the age of what was last learnt of each."""
    frame = snapshot.signals().sort_values("signal")
    if category is not None:
        check_visible(snapshot, category, caller)
        frame = frame[frame["signal"].isin(snapshot.candidates(category))]
    now = pd.Timestamp(dt.datetime.now(dt.UTC).replace(tzinfo=None))
    items = [_signal(row, now) for row in frame.iloc[offset : offset + limit].to_dict("records")]
    page = SignalPage(items=items, **page_of(request, len(frame), limit, offset))
    return of_version(request, snapshot, page, "age_days")


def _signal(row: dict[Any, Any], now: pd.Timestamp) -> StoredSignal:
    values = {key: None if pd.isna(value) else value for key, value in row.items()}
    told = ("signal", "source", "name", "region", "unit", "cadence", "aggregation", "licence", "observations")
    known = values["last_known_at"]
    return StoredSignal(
        **{name: values[name] for name in told},
        future_known=bool(values["future_known"]),
        first=None if values["first"] is None else values["first"].date(),
        last=None if values["last"] is None else values["last"].date(),
        last_known_at=None if known is None else known.tz_localize("UTC"),
        age_days=None if known is None else round((now - known) / pd.Timedelta(days=1), 2),
    )
