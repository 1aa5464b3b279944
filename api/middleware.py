"""Pure ASGI middleware: the id of a request and the largest body it may have."""

from __future__ import annotations

import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Problem
from api.logs import REQUEST_ID

UPLOADS = ("/v1/sales", "/v1/signals")
RUNS = "/v1/runs"  # whose requests may come as a file
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestId:
    """Gives each request an id (the client's `X-Request-ID` where it is plain) and returns it in the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        REQUEST_ID.set(request_id)  # for this task and the threads that it starts

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        await self.app(scope, receive, send_with_id)


class BodyLimit:
    """Refuses a body above the limit, by its declared length or, failing that, while it is read.

    Uploads, which are the POSTs at the addresses of `UPLOADS`, have a limit of their own, and those of `RUNS` another.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_upload_bytes: int, max_run_bytes: int) -> None:
        self.app = app
        self._usual = max_bytes, "max_body_bytes"
        self._limits = dict.fromkeys(UPLOADS, (max_upload_bytes, "max_upload_bytes"))
        self._limits[RUNS] = max_run_bytes, "max_run_bytes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        most, setting = self._limits.get(scope["path"], self._usual) if scope["method"] == "POST" else self._usual
        too_large = Problem(413, "body-too-large", f"the body is larger than {most} bytes (setting {setting})")
        read = 0

        async def receive_within_limit() -> Message:
            nonlocal read
            if declared.isdigit() and int(declared) > most:
                raise too_large
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise too_large
            return message

        await self.app(scope, receive_within_limit, send)
