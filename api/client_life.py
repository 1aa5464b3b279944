"""What the client asks of the life of models: which configuration serves a category, decisions, alerts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import quote

import httpx
import orjson
from pydantic import BaseModel

from api.job_models import JobState
from api.life.models import AlertAnswer, AlertPage, CategoryConfigurations, ConfigurationPage, Serving

Decision = Literal["promote", "rollback", "pin", "unpin", "veto"]
Model = TypeVar("Model", bound=BaseModel)


class _Calls(Protocol):
    """How a client reaches the service; both raise Refused and Unavailable."""

    def _send(self, method: str, address: str, **parts: Any) -> httpx.Response: ...

    def _pages(self, address: str, model: type[Model], **query: str) -> Iterator[Model]: ...


class LifeOfModels:
    """A part of the client."""

    def configurations(self: _Calls, category: str) -> CategoryConfigurations:
        """What serves a category, and how that came about."""
        return _read(CategoryConfigurations, self._send("GET", _of(category, "configurations")))

    def all_configurations(self: _Calls) -> list[Serving]:
        """What serves each category."""
        return [item for page in self._pages("/v1/configurations", ConfigurationPage) for item in page.items]

    def decide(self: _Calls, category: str, decision: Decision, **given: Any) -> CategoryConfigurations:
        """Promote, roll back, pin, unpin or veto a configuration; `given` as the API takes it, such as a `reason`."""
        return _read(CategoryConfigurations, _post(self, _of(category, f"configurations/{decision}"), given))

    def retune(self: _Calls, category: str, reason: str | None = None) -> JobState:
        """Have a better configuration searched for; `job` waits for what comes of it."""
        return _read(JobState, _post(self, _of(category, "retune"), {"reason": reason}))

    def alerts(self: _Calls, **query: str) -> list[AlertAnswer]:
        """What goes wrong, the newest first; `state` and `category` as the API takes them."""
        return [item for page in self._pages("/v1/alerts", AlertPage, **query) for item in page.items]

    def settle(
        self: _Calls, alert: str, state: Literal["acknowledged", "closed"], reason: str | None = None
    ) -> AlertAnswer:
        """Acknowledge an alert or close it."""
        address = f"/v1/alerts/{quote(alert, safe='')}"
        return _read(AlertAnswer, _post(self, address, {"state": state, "reason": reason}))


def _of(category: str, what: str) -> str:
    return f"/v1/categories/{quote(category, safe='')}/{what}"


def _post(calls: _Calls, address: str, body: dict[str, Any]) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}  # tried again it is done once
    return calls._send("POST", address, content=orjson.dumps(body), headers=headers)


def _read(model: type[Model], response: httpx.Response) -> Model:
    """An answer; fields that a newer service has more are left aside."""
    return model.model_validate_json(response.content, extra="ignore")
