"""Who calls, and what they may: API keys and tokens become a Caller, which routes ask for a scope.

Scopes: forecast:read, forecast:write, data:read, data:write, jobs:read, jobs:write, model:write, metrics:read, admin,
and override:LAYER for each layer of overrides (setting override_layers).
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from anyio.to_thread import run_sync
from fastapi import Depends, Request

from api.errors import Problem

SCOPES = (
    "forecast:read", "forecast:write", "data:read", "data:write", "jobs:read", "jobs:write", "model:write",
    "metrics:read", "admin",
)  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """Who calls. categories: those that they may see, None: all.

    key_id: what jobs, ledger and whatever else is theirs name; it stays when a key is rotated, for it is the id of the
    first key of that name. credential: the key or the subject of the token itself, for log and audit.
    """

    key_id: str | None = None
    scopes: frozenset[str] = frozenset(SCOPES)
    categories: frozenset[str] | None = None
    credential: str | None = None

    def may_see(self, category: str | None) -> bool:
        """Whether a category of the store, or a forecast of it, is theirs to see."""
        return self.categories is None or category in self.categories

    def check_category(self, category: str | None) -> None:
        """Raise the problem that a category is not theirs; an inline history without a name is anybody's."""
        if category is not None and not self.may_see(category):
            raise Problem(403, "forbidden", f"the key may not see the category {category!r}")

    def may(self, scope: str) -> bool:
        """Whether a scope is theirs; `admin` has them all."""
        return scope in self.scopes or "admin" in self.scopes

    def check_scope(self, scope: str) -> None:
        """Raise the problem that a scope is missing; `admin` has them all."""
        if not self.may(scope):
            having = ", ".join(sorted(self.scopes)) or "none"
            raise Problem(403, "forbidden", f"the key lacks the scope {scope}; it has {having}")

    def owns(self, key_id: str | None) -> bool:
        """Whether what names this key is theirs."""
        return key_id == self.key_id or "admin" in self.scopes


ANYBODY = Caller()


def caller_of(request: Request, face: str = "rest") -> Caller:
    """Who sent a request, by its credentials, counted once against their rate limit; may wait for the database.

    On the faces "odata" and "business-central" a key may also come as the password of Basic or as `?api_key=`.
    Raises the problems 400 (two credentials), 401, 421, 429 and 503.
    """
    caller: Caller = request.app.state.gate.caller(request, face)
    return caller


@dataclass(frozen=True)
class Needs:
    """A dependency that gives the Caller, and refuses one without the scope (`admin` has them all)."""

    scope: str
    face: str = "rest"

    async def __call__(self, request: Request) -> Caller:
        """The Caller; raises the problem 403 and those of `caller_of`."""
        if request.app.state.gate.waits(request, self.face):
            caller = await run_sync(caller_of, request, self.face)
        else:
            caller = caller_of(request, self.face)
        request.scope["state"].setdefault("needed", set()).add(self.scope)
        caller.check_scope(self.scope)
        return caller


def document(schema: dict[str, Any]) -> None:
    """Say in an OpenAPI document how to authenticate, and which problems may come of it; the probes ask nobody."""
    schema["components"]["securitySchemes"] = {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "a key of `groundswell keys`"},
        "Bearer": {"type": "http", "scheme": "bearer", "description": "an API key, or an access token of the issuer"},
    }
    schema["security"] = [{"ApiKey": []}, {"Bearer": []}]
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if path.startswith("/health/"):
                operation["security"] = []
                continue
            for status in (400, 401, 403, 421, 429, 503):
                operation["responses"].setdefault(str(status), {"description": HTTPStatus(status).phrase})


def needs(scope: str, face: str = "rest") -> Any:
    """`Needs` as a default of a parameter or in an Annotated type."""
    return Depends(Needs(scope, face))
