"""Probes: is the process alive, has it started, can it answer."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.errors import Problem
from api.ingest import heartbeat_age
from api.models import Health
from api.routes import AppSettings, newest_snapshot

router = APIRouter(prefix="/health", tags=["health"])

HEARTBEAT_SECONDS = 10.0  # the ingest process beats every second


@router.get("/live", summary="The process runs")
async def live() -> Health:
    """Always 200 while the process can answer at all: restart it when this fails."""
    return Health(status="live")


@router.get("/startup", summary="The process has started")
async def startup() -> Health:
    """200 once the forecaster is loaded."""
    return Health(status="started")


@router.get("/ready", summary="Requests can be answered", responses={503: {}}, dependencies=[Depends(newest_snapshot)])
def ready(settings: AppSettings) -> Health:
    """503 while no data was published, or while the process that takes imports is not running."""
    age = heartbeat_age(settings.home)
    if age is None or age > HEARTBEAT_SECONDS:
        since = "never ran in this home" if age is None else f"was last seen {age:.0f} s ago"
        raise Problem(
            503, "ingest-down", f"the ingest process {since}: imports wait in the inbox (start `groundswell serve`)"
        )
    return Health(status="ready")
