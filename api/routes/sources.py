"""The outside sources that signals are pulled from."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter

from api.errors import Problem
from api.models import Source, SourceList
from api.routes import AppSettings
from api.security import needs
from api.strict import StrictRoute
from signals.connector import ConfigError
from signals.status import SourceStatus, source_status

router = APIRouter(prefix="/v1/sources", tags=["signals"], route_class=StrictRoute)


@router.get(
    "",
    summary="Age and health of all sources",
    responses={422: {}, 503: {}},
    dependencies=[needs("data:read")],
)
def list_sources(settings: AppSettings) -> SourceList:
    """Each source that groundswell.toml sets up: how old its values are, when it was asked, what is wrong with it."""
    try:
        found = source_status(settings.home)
    except ConfigError as error:
        raise Problem(503, "configuration-unusable", str(error)) from error
    return SourceList(items=[_source(one) for one in found])


def _source(status: SourceStatus) -> Source:
    return Source(
        connector=status.connector,
        title=status.title,
        state=status.state,
        message=status.message,
        entries=status.entries,
        signals=status.signals,
        last=_aware(status.last),
        age_days=status.age_days,
        succeeded=_aware(status.succeeded),
        next_due=_aware(status.next_due),
        quarantined=status.quarantined,
        closed_until=_aware(status.closed_until),
        licence=status.licence,
    )


def _aware(moment: dt.datetime | None) -> dt.datetime | None:
    return None if moment is None else moment.replace(tzinfo=dt.UTC)
