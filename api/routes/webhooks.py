"""Webhooks: be told of events instead of asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.database import engine_of
from api.deliveries import check_callback
from api.errors import Problem
from api.routes import AppSettings, base_url
from api.security import Caller, needs
from api.strict import StrictRoute
from api.webhooks import DeliveryList, NewWebhook, Subscriptions, WebhookList, WebhookRequest

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=StrictRoute)


def _subscriptions(settings: AppSettings) -> Subscriptions:
    return Subscriptions(engine_of(settings))


Port = Annotated[Subscriptions, Depends(_subscriptions)]
Reader = Annotated[Caller, needs("jobs:read")]
Writer = Annotated[Caller, needs("jobs:write")]


@router.post(
    "",
    summary="Subscribe to events",
    status_code=201,
    responses={status: {} for status in (400, 401, 403, 413, 415, 422)},
)
def create_webhook(
    body: WebhookRequest, request: Request, response: Response, settings: AppSettings, port: Port, caller: Writer
) -> NewWebhook:
    """Have events of the caller's runs posted to an address, signed as Standard Webhooks has it, at least once."""
    check_callback(body.callbackUrl, settings.webhook_targets, handshake=body.handshake)
    base = base_url(request)
    made = port.add(body.callbackUrl, body.eventType, base, caller.key_id)
    response.headers["Location"] = f"{base}/v1/webhooks/{made.id}"
    return made


@router.get("", summary="All subscriptions", responses={401: {}, 403: {}})
def list_webhooks(port: Port, caller: Reader) -> WebhookList:
    """Those of the caller."""
    return WebhookList(items=port.all(caller))


@router.delete("/{webhook}", summary="End a subscription", status_code=204, responses={401: {}, 403: {}, 404: {}})
def delete_webhook(webhook: str, port: Port, caller: Writer) -> Response:
    """Deliveries that are still to be made are dropped."""
    if not port.remove(webhook, caller):
        raise _unknown(webhook)
    return Response(status_code=204)


@router.get("/{webhook}/deliveries", summary="The last deliveries", responses={401: {}, 403: {}, 404: {}})
def list_deliveries(webhook: str, port: Port, caller: Reader) -> DeliveryList:
    """The newest first, with what came of each; those that are over stay to the last hundred."""
    found = port.deliveries(webhook, caller)
    if found is None:
        raise _unknown(webhook)
    return DeliveryList(items=found)


def _unknown(webhook: str) -> Problem:
    return Problem(404, "unknown-webhook", f"there is no webhook {webhook!r}")
