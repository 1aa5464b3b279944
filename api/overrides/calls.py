"""The part of the client of the REST API that is about overrides."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import orjson
from pydantic import BaseModel

from api.overrides.models import Override, OverrideComment, OverrideComments, OverrideHistory, OverrideList

Model = TypeVar("Model", bound=BaseModel)


def read(model: type[Model], content: bytes) -> Model:
    """An answer; fields that a newer service has more are left aside."""
    return model.model_validate_json(content, extra="ignore")


class OverrideCalls(ABC):
    """What a client can do with overrides."""

    @abstractmethod
    def _send(self, method: str, address: str, **parts: Any) -> httpx.Response: ...

    @abstractmethod
    def _posted(self, address: str, content: bytes) -> bytes: ...

    def overrides(self, category: str, **query: str) -> OverrideList:
        """The overrides of a category in force; `as_of` and `state` as the API takes them."""
        return read(OverrideList, self._send("GET", _overrides(category), params=query).content)

    def override(self, category: str, periods: str, *, reason: str, **request: Any) -> Override:
        """Publish a `value` or `percent` of your own for some periods; other fields as the API takes them."""
        body = {"periods": periods, "reason": reason} | request
        return read(Override, self._posted(_overrides(category), orjson.dumps(body)))

    def change_override(self, seen: Override, *, reason: str, **request: Any) -> Override:
        """Change an override from the state that you saw. Raises Refused (409) where it is no longer the newest."""
        body = orjson.dumps({"reason": reason} | request)
        return self._changed("PATCH", _overrides(seen.category, seen.id), seen, body)

    def withdraw_override(self, seen: Override, *, reason: str, **query: str) -> Override:
        """End an override; raises as `change_override`."""
        return self._changed("DELETE", _overrides(seen.category, seen.id), seen, b"", {"reason": reason} | query)

    def restore_override(self, seen: Override, *, reason: str, **request: Any) -> Override:
        """Bring back an earlier `version`, or undo a withdrawal; raises as `change_override`."""
        body = orjson.dumps({"reason": reason} | request)
        return self._changed("POST", f"{_overrides(seen.category, seen.id)}/restore", seen, body)

    def override_history(self, seen: Override) -> list[Override]:
        """All states of an override, the first one first."""
        address = f"{_overrides(seen.category, seen.id)}/history"
        return read(OverrideHistory, self._send("GET", address).content).items

    def comment_override(self, seen: Override, text: str, **request: Any) -> OverrideComment:
        """Say something of an override."""
        address = f"{_overrides(seen.category, seen.id)}/comments"
        return read(OverrideComment, self._posted(address, orjson.dumps({"text": text} | request)))

    def override_comments(self, seen: Override) -> list[OverrideComment]:
        """What was said of an override, the first one first."""
        address = f"{_overrides(seen.category, seen.id)}/comments"
        return read(OverrideComments, self._send("GET", address).content).items

    def _changed(
        self, method: str, address: str, seen: Override, content: bytes, query: Mapping[str, str] | None = None
    ) -> Override:
        headers = {"Content-Type": "application/json", "If-Match": f'"{seen.override}"'}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        return read(Override, self._send(method, address, content=content, params=query, headers=headers).content)


def _overrides(category: str, *parts: str) -> str:
    return "/".join(["/v1/categories", quote(category, safe=""), "overrides", *parts])
