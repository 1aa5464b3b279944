"""One line a request: what was asked by whom, how it ended, how long it took. Secrets never reach it."""

from __future__ import annotations

import logging
import re
import time
from urllib.parse import parse_qsl, quote, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.logs import FIELDS
from signals.redact import HIDDEN, Redactor

log = logging.getLogger("groundswell")

LONGEST = 2000
_REDACTOR = Redactor()
_CREDENTIAL = re.compile(r"gs_live_\w+|eyJ[\w-]+\.[\w-]+\.[\w-]*")  # wherever they stand: a key of ours, a token
_ALSO = frozenset({"code", "subscription-key"})  # as Azure's clients call a key
_PLAIN = "/:@!$&'()*+,;=~"


class RequestLog:
    """Pure ASGI: writes the line when the answer is out, or has failed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status, size = time.perf_counter(), 500, 0

        async def counting(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, counting)
        finally:
            if log.isEnabledFor(logging.INFO):
                _write(scope, status, size, time.perf_counter() - begun)


def _write(scope: Scope, status: int, size: int, seconds: float) -> None:
    state = scope["state"]
    caller = state.get("caller")
    said = {
        "request_id": state["request_id"],
        "method": scope["method"],
        "address": address_of(scope),
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
        "key": None if caller is None else caller.credential,
        "bytes": size,
    }
    log.info(
        "request %s %s %s %d %.1f ms key=%s %d bytes",
        *(value if value is not None else "-" for value in said.values()),
        extra={FIELDS: said},
    )


def address_of(scope: Scope) -> str:
    """Path and query of a request in one line, without secrets.

    The query is decoded first: `api%5Fkey=` names the same parameter as `api_key=`.
    """
    path = quote(_CREDENTIAL.sub(HIDDEN, scope["path"]), safe=_PLAIN)
    pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    shown = [
        (_CREDENTIAL.sub(HIDDEN, name), HIDDEN if name.lower() in _ALSO else _REDACTOR.mapping({name: value})[name])
        for name, value in pairs
    ]
    query = urlencode([(name, _CREDENTIAL.sub(HIDDEN, value)) for name, value in shown], safe=_PLAIN.replace("&", ""))
    address = f"{path}?{query}" if query else path
    return address if len(address) <= LONGEST else address[: LONGEST - 1] + "…"
