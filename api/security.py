"""Who calls, and what they may: API keys and tokens become a Caller, which routes ask for a scope.

Scopes: forecast:read, forecast:write, data:read, data:write, jobs:read, jobs:write, admin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request

from api.errors import Problem

SCOPES = ("forecast:read", "forecast:write", "data:read", "data:write", "jobs:read", "jobs:write", "admin")


@dataclass(frozen=True)
class Caller:
    """Who calls. key_id: what the ledger and the audit name; categories: those that they may see, None: all."""

    key_id: str | None = None
    scopes: frozenset[str] = frozenset(SCOPES)
    categories: frozenset[str] | None = None

    def may_see(self, category: str | None) -> bool:
        """Whether a category of the store, or a forecast of it, is theirs to see."""
        return self.categories is None or category in self.categories

    def check_category(self, category: str | None) -> None:
        """Raise the problem that a category is not theirs; an inline history without a name is anybody's."""
        if category is not None and not self.may_see(category):
            raise Problem(403, "forbidden", f"the key may not see the category {category!r}")


ANYBODY = Caller()


def caller_of(request: Request, face: str = "rest") -> Caller:  # noqa: ARG001
    """Who sent a request, by its credentials; raises the problem 401. `face`: the interface that it came to."""
    return ANYBODY


def needs(scope: str) -> Any:
    """A dependency that gives the Caller, and refuses one without the scope (`admin` has them all)."""

    def check(request: Request) -> Caller:
        caller = caller_of(request)
        if scope not in caller.scopes and "admin" not in caller.scopes:
            raise Problem(
                403, "forbidden", f"the key lacks the scope {scope}; it has {', '.join(sorted(caller.scopes))}"
            )
        return caller

    return Depends(check)
