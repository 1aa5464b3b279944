"""Webhooks: who wants to be told of what, and what they were told. api/deliveries.py sends it."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import sqlalchemy as sa
from pydantic import Field

from api.database import metadata, now, reading, writing
from api.fields import Flag
from api.jobs import DELIVERIES, Jobs
from api.models import Answer, Request
from api.security import Caller

Event = Literal["run.completed", "run.failed", "alert.raised", "configuration.promoted", "configuration.rolled_back"]
KIND = "webhook"
LAST = 100  # deliveries that are kept of one webhook

webhook = sa.Table(
    "webhook",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("key_id", sa.String(40)),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("event", sa.String(40)),  # none: every event
    sa.Column("base", sa.Text, nullable=False),  # the address under which the subscriber reaches the API
    sa.Column("secret", sa.String(100), nullable=False),
    sa.Column("created", sa.DateTime, nullable=False),
)

delivery = sa.Table(
    "webhook_delivery",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("webhook", sa.String(40), nullable=False),
    sa.Column("event", sa.String(40), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created", sa.DateTime, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),  # pending, delivered, failed
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer),  # of the last answer
    sa.Column("error", sa.Text),  # why the last attempt did not succeed
    sa.Column("next_attempt", sa.DateTime),
    sa.Index("webhook_delivery_of", "webhook", "created"),
)


class WebhookRequest(Request):
    """A subscription to events."""

    callbackUrl: str = Field(  # noqa: N815
        max_length=2048, description="https address that events are posted to", json_schema_extra={"format": "uri"}
    )
    eventType: Event | None = Field(None, description="the event to be told of; null: each")  # noqa: N815
    handshake: Flag = Field(
        False, description="first post to the address with `validationToken=…`, which must answer 200 with that token"
    )


class Webhook(Answer):
    """A subscription."""

    id: str
    callbackUrl: str = Field(description="without its query, which may hold a secret")  # noqa: N815
    eventType: Event | None  # noqa: N815
    created: dt.datetime


class NewWebhook(Webhook):
    """A subscription as it was made."""

    secret: str = Field(description="signs each delivery (HMAC-SHA256); shown this once")


class WebhookList(Answer):
    """Subscriptions, the oldest first."""

    items: list[Webhook]


class Delivery(Answer):
    """One event for one subscription."""

    id: str = Field(description="the header webhook-id, the same at every attempt")
    eventType: Event  # noqa: N815
    created: dt.datetime
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    status: int | None = Field(description="of the last answer; null where none came")
    error: str | None = Field(description="why the last attempt did not succeed")
    next_attempt: dt.datetime | None


class DeliveryList(Answer):
    """The last deliveries, the newest first."""

    items: list[Delivery]


@dataclass(frozen=True)
class Subscriptions:
    """The subscriptions in the operational database."""

    engine: sa.Engine

    def add(self, url: str, event: Event | None, base: str, key_id: str | None) -> NewWebhook:
        """Subscribe an address that was checked."""
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        row: dict[str, Any] = {"id": f"wh_{uuid.uuid4().hex}", "key_id": key_id, "url": url, "event": event}
        row |= {"base": base, "secret": secret, "created": now()}
        with writing(self.engine) as connection:
            connection.execute(webhook.insert().values(**row))
        return NewWebhook(**_webhook(row), secret=secret)

    def all(self, caller: Caller) -> list[Webhook]:
        """Those of the caller; of everybody for an admin."""
        query = sa.select(webhook).where(_of(caller)).order_by(webhook.c.created, webhook.c.id)
        with reading(self.engine) as connection:
            return [Webhook(**_webhook(row)) for row in connection.execute(query).mappings()]

    def remove(self, number: str, caller: Caller | None = None) -> bool:
        """End a subscription with its deliveries; whether there was one of the caller (None: of anybody)."""
        mine = webhook.c.id == number if caller is None else sa.and_(webhook.c.id == number, _of(caller))
        with writing(self.engine) as connection:
            found = connection.execute(webhook.delete().where(mine)).rowcount
            if found:
                connection.execute(delivery.delete().where(delivery.c.webhook == number))
        return bool(found)

    def deliveries(self, number: str, caller: Caller) -> list[Delivery] | None:
        """The last deliveries; None where there is no such subscription of the caller."""
        query = sa.select(delivery).where(delivery.c.webhook == number)
        with reading(self.engine) as connection:
            if not connection.execute(sa.select(webhook.c.id).where(webhook.c.id == number, _of(caller))).first():
                return None
            rows = connection.execute(query.order_by(delivery.c.created.desc(), delivery.c.id).limit(LAST)).mappings()
            return [_delivery(row) for row in rows]


def announce(engine: sa.Engine, jobs: Jobs, event: str, key_id: str | None, subject: str, data: dict[str, Any]) -> None:
    """Tell the subscribers of one key of an event; the same event of the same subject again tells nobody twice."""
    mine = sa.and_(webhook.c.key_id == key_id, sa.or_(webhook.c.event.is_(None), webhook.c.event == event))
    with reading(engine) as connection:
        rows = connection.execute(sa.select(webhook).where(mine)).mappings().all()
    for row in rows:
        run = f"{row['base']}/v1/runs/{subject}"
        _tell(engine, jobs, row, event, subject, data | {"run": run, "csv": f"{run}/csv"})


def announce_of_category(
    engine: sa.Engine,
    jobs: Jobs,
    event: Event,
    subject: str,
    data: Callable[[str], dict[str, Any]],
    may_see: Callable[[str | None], bool],
) -> None:
    """Tell all subscribers whose key may see it of an event of a category; once, as `announce`.

    `data` is told the address under which a subscriber reaches the API.
    """
    wanted = sa.or_(webhook.c.event.is_(None), webhook.c.event == event)
    with reading(engine) as connection:
        rows = connection.execute(sa.select(webhook).where(wanted)).mappings().all()
    for row in rows:
        if may_see(row["key_id"]):
            _tell(engine, jobs, row, event, subject, data(row["base"]))


def _tell(engine: sa.Engine, jobs: Jobs, row: sa.RowMapping, event: str, subject: str, data: dict[str, Any]) -> None:
    number = "msg_" + uuid.uuid5(uuid.NAMESPACE_OID, f"{row['id']}/{event}/{subject}").hex
    body = {"type": event, "timestamp": f"{now().isoformat()}Z", "data": data}
    _note(engine, row["id"], number, event, orjson.dumps(body))
    send(jobs, number, 1, row["key_id"])


def send(jobs: Jobs, number: str, attempt: int, key_id: str | None, delay_seconds: float = 0.0) -> None:
    """Enqueue one attempt of a delivery; the same attempt again is the same job."""
    request = orjson.dumps({"delivery": number, "attempt": attempt})
    name = f"{number}/{attempt}"
    jobs.accept(KIND, request, key_id=key_id, name=name, delay_seconds=delay_seconds, queue=DELIVERIES)


def _note(engine: sa.Engine, number: str, message: str, event: str, body: bytes) -> None:
    """Keep a delivery that is to be made, once; of those that are over only the last stay."""
    over = sa.and_(delivery.c.webhook == number, delivery.c.state != "pending")
    newest = sa.select(delivery.c.id).where(over).order_by(delivery.c.created.desc(), delivery.c.id).limit(LAST)
    row = {"id": message, "webhook": number, "event": event, "body": body, "created": now(), "next_attempt": now()}
    with writing(engine) as connection:
        if not connection.execute(sa.select(delivery.c.id).where(delivery.c.id == message)).first():
            connection.execute(delivery.insert().values(**row, state="pending", attempts=0))
        connection.execute(delivery.delete().where(over, delivery.c.id.not_in(newest)))


def _of(caller: Caller) -> sa.ColumnElement[bool]:
    return sa.true() if "admin" in caller.scopes else webhook.c.key_id == caller.key_id


def _webhook(row: Any) -> dict[str, Any]:
    told = {"callbackUrl": row["url"].split("?")[0], "eventType": row["event"]}
    return {"id": row["id"], "created": row["created"].replace(tzinfo=dt.UTC), **told}


def _delivery(row: sa.RowMapping) -> Delivery:
    moments = {
        name: None if row[name] is None else row[name].replace(tzinfo=dt.UTC) for name in ("created", "next_attempt")
    }
    told = {name: row[name] for name in ("id", "state", "attempts", "status", "error")}
    return Delivery(**told, **moments, eventType=row["event"])
