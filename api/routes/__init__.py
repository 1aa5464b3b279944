"""One noun a file; what they share is here."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

from api.jobs import Jobs
from api.ledger import Ledger
from api.security import Caller, needs
from api.settings import Settings
from api.snapshots import Snapshots
from api.strict import whole
from api.tables import conditional
from signals.store import Snapshot, UnknownCategory


def settings_of(request: Request) -> Settings:
    """The settings that the application was made with."""
    settings: Settings = request.app.state.settings
    return settings


def newest_snapshot(request: Request) -> Snapshot:
    """The newest published snapshot; StoreEmpty becomes a 503."""
    snapshots: Snapshots = request.app.state.snapshots
    return snapshots.current()


def ledger_of(request: Request) -> Ledger:
    """The ledger of issued forecasts."""
    ledger: Ledger = request.app.state.ledger
    return ledger


def jobs_of(request: Request) -> Jobs:
    """The durable jobs."""
    jobs: Jobs = request.app.state.jobs
    return jobs


async def _settings(request: Request) -> Settings:
    return settings_of(request)


async def _ledger(request: Request) -> Ledger:
    return ledger_of(request)


async def _jobs(request: Request) -> Jobs:
    return jobs_of(request)


# As coroutines: FastAPI calls a plain function in a thread, which costs more than it does.
AppSettings = Annotated[Settings, Depends(_settings)]
AppLedger = Annotated[Ledger, Depends(_ledger)]
AppJobs = Annotated[Jobs, Depends(_jobs)]
Newest = Annotated[Snapshot, Depends(newest_snapshot)]
Reader = Annotated[Caller, needs("data:read")]
# Bounds come before the validator: /openapi.json could not name those that come after it.
Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(whole), Query(description="most items of one page")]
Offset = Annotated[int, Field(ge=0, le=2**53), BeforeValidator(whole), Query(description="items to skip")]


def check_visible(snapshot: Snapshot, category: str, caller: Caller) -> None:
    """Refuse an unknown category, with near matches; one that the caller may not see is told as unknown."""
    if not caller.may_see(category):
        raise UnknownCategory(category, [])
    snapshot.category(category)


def page_of(request: Request, total: int, limit: int, offset: int) -> dict[str, int | str | None]:
    """The members of a page, with the absolute address of the next one."""
    following = offset + limit
    address = None
    if following < total:
        query = {**request.query_params, "limit": limit, "offset": following}
        address = f"{base_url(request)}{request.url.path}?{urlencode(query)}"
    return {"total": total, "limit": limit, "offset": offset, "next": address}


def base_url(request: Request) -> str:
    """The address under which the client reaches the API, without a slash at its end."""
    return settings_of(request).public_url or str(request.base_url).rstrip("/")


def statuses(*numbers: int) -> dict[int | str, dict[str, Any]]:
    """Problems that an operation may answer with, for /openapi.json."""
    return {number: {} for number in numbers}


UNCHANGED: dict[str, Any] = {"description": "the client has it"}


def of_version(request: Request, snapshot: Snapshot, answer: BaseModel, *passing: str) -> Response:
    """What was read from a snapshot: 304 where the client has it, by data version and content.

    Fields of items that are in `passing` change with the clock alone, and make no new answer of it.
    """
    content = answer.model_dump(exclude={"items": {"__all__": set(passing)}} if passing else None)
    digest = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
    body = answer.model_dump_json()
    return conditional(
        request,
        f'W/"{snapshot.data_version}-{digest}"',
        "private, no-cache",
        lambda: Response(body, media_type="application/json"),
    )
