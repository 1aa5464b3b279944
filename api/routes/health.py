"""Probes: is the process alive, has it started, can it answer."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends

from api.errors import Problem
from api.ingest import SignOfLife, sign_of_life
from api.models import Answer
from api.routes import AppSettings, newest_snapshot

router = APIRouter(prefix="/health", tags=["health"])

HEARTBEAT_SECONDS = 10.0  # the ingest process beats every second


class Health(Answer):
    """A probe's answer."""

    status: Literal["live", "ready", "started"]


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
    """503 while no data was published, or while the process that takes imports does not run or is hindered."""
    sign = sign_of_life(settings.home)
    if sign is None or sign.age > HEARTBEAT_SECONDS or sign.trouble:
        raise Problem(503, "ingest-down", _down(sign))
    return Health(status="ready")


def _down(sign: SignOfLife | None) -> str:
    if sign is None:
        return "the ingest process never ran in this home: imports wait in the inbox (start `groundswell serve`)"
    if sign.age > HEARTBEAT_SECONDS:
        why = f"; then: {sign.trouble}" if sign.trouble else ""
        return (
            f"the ingest process was last seen {sign.age:.0f} s ago{why}: imports wait in the inbox "
            "(start `groundswell serve`)"
        )
    return f"the ingest process takes no imports: {sign.trouble}"
