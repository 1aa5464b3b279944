"""Who changed what: a row for each write that was done. Forecasts are not here, for the ledger holds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.database import audit, engine_of, now, reading, writing
from api.idempotency import REPLAYED
from api.outages import response_to
from api.settings import Settings

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def record(
    connection: sa.Connection,
    action: str,
    subject: str,
    *,
    key_id: str | None = None,
    request_id: str | None = None,
    **details: Any,
) -> None:
    """Add a row in the transaction of the change itself."""
    row = {"moment": now(), "key_id": key_id, "request_id": request_id, "details": json.dumps(details)}
    connection.execute(audit.insert().values(**row, action=action[:40], subject=subject[:300]))


def newest(settings: Settings, limit: int) -> list[Mapping[str, Any]]:
    """The newest rows, the newest first; `details` is decoded."""
    query = sa.select(audit).order_by(audit.c.number.desc()).limit(limit)
    with reading(engine_of(settings)) as connection:
        rows = connection.execute(query).mappings().all()
    return [
        {**{str(name): value for name, value in row.items()}, "details": json.loads(row["details"])} for row in rows
    ]


class Audit:
    """Pure ASGI: keeps each request that changed something before its answer goes out."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in WRITES:
            await self.app(scope, receive, send)
            return

        refused = False

        async def send_after(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and _changed(scope, message):
                try:
                    await run_sync(self._keep, scope, message["status"])
                except Exception as error:  # noqa: BLE001 - what is no outage is raised again
                    refused = True
                    await response_to(Request(scope), error)(scope, receive, send)
            if not refused:
                await send(message)

        await self.app(scope, receive, send_after)

    def _keep(self, scope: Scope, status: int) -> None:
        state = scope["state"]
        caller = state.get("caller")
        with writing(engine_of(self._settings)) as connection:
            record(
                connection,
                f"{scope['method']} {getattr(scope.get('route'), 'path_format', scope['path'])}",
                scope["path"],
                key_id=None if caller is None else caller.credential,
                request_id=state.get("request_id"),
                status=status,
            )


def _changed(scope: Scope, start: Message) -> bool:
    """Whether a write was done that is not a forecast or run: those ask for a scope `forecast:…`.

    An answer that is given again, to a request with the same Idempotency-Key, changed nothing.
    """
    if start["status"] >= 400 or REPLAYED in Headers(raw=start["headers"]):
        return False
    needed = scope["state"].get("needed", frozenset())
    return not any(name.startswith("forecast:") for name in needed)
