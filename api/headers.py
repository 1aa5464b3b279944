"""Pure ASGI: the headers of every answer that keep browsers and caches from doing more with it than they should."""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# An answer may say otherwise for itself; whether it is kept is stated, as answers depend on who asks.
DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
EXPOSED = ("Location", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID", "Preference-Applied", "ETag")
SENT = ("Authorization", "X-API-Key", "Content-Type", "Idempotency-Key", "Prefer", "If-Match", "If-None-Match")


class ResponseHeaders:
    """Adds DEFAULTS, and what the request was given for its answer (`state["headers"]`: the rate limit)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (DEFAULTS | scope["state"].get("headers", {})).items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def page_policy(page: str) -> str:
    """The Content-Security-Policy of a page that loads and asks nothing but this service; its own scripts by hash."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts]
    return (
        f"default-src 'none'; script-src 'self' {' '.join(hashes)}; style-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


def cross_origin(app: ASGIApp, origins: str) -> CORSMiddleware:
    """Let the pages of these origins (with commas between) call the API from a browser."""
    return CORSMiddleware(
        app,
        allow_origins=[origin.strip() for origin in origins.split(",")],
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=SENT,
        expose_headers=EXPOSED,
    )
