"""Delivers webhook events: at least once, signed (Standard Webhooks), tried again for up to 36 hours.

Each attempt is a job of its own, the next one enqueued with a delay, so that no pause is lost with the process.
"""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import sqlalchemy as sa

from api import outbound
from api.database import now, reading, writing
from api.errors import Problem, invalid_field
from api.outbound import AddressRefused
from api.webhooks import Subscriptions, delivery, send, webhook
from api.worker import Made, Work

FIRST_PAUSE = 10.0  # seconds; doubled from attempt to attempt
LONGEST_PAUSE = 4 * 3600.0
GIVE_UP = dt.timedelta(hours=36)
AGAIN = (408, 429)  # and 5xx


@dataclass(frozen=True)
class Outcome:
    """What an attempt came to; `wait`: seconds that the receiver asked for."""

    verdict: Literal["delivered", "failed", "again", "gone"]
    status: int | None = None
    error: str | None = None
    wait: float = 0.0


class Delivering:
    """One attempt at one delivery."""

    def parts(self, work: Work) -> int:  # noqa: ARG002
        """One."""
        return 1

    def part(self, work: Work, number: int) -> None:  # noqa: ARG002
        """Post the event, note what came of it, and enqueue the next attempt where one may help."""
        request = orjson.loads(work.job.request)
        row = _delivery(work.engine, request["delivery"])
        if row is None or row["attempts"] >= request["attempt"]:
            return  # the subscription has ended, or this attempt was noted before a kill
        outcome = attempt(row, work.settings.webhook_targets)
        if outcome.verdict == "gone":
            Subscriptions(work.engine).remove(row["webhook"])
            return
        pause = min(max(FIRST_PAUSE * 2 ** row["attempts"], outcome.wait), LONGEST_PAUSE)
        following = now() + dt.timedelta(seconds=pause)
        again = outcome.verdict == "again" and following < row["created"] + GIVE_UP
        if again:
            send(work.jobs, row["id"], request["attempt"] + 1, work.job.key_id, pause)
        _note(work.engine, row["id"], request["attempt"], outcome, following if again else None)

    def finish(self, work: Work) -> Made:
        """Which attempt it was; the deliveries of the webhook tell what came of it."""
        return Made(work.job.request)


def attempt(row: Any, targets: str) -> Outcome:
    """Post a delivery once."""
    stamp = int(dt.datetime.now(dt.UTC).timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "groundswell",
        "webhook-id": row["id"],
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature(row["secret"], row["id"], stamp, row["body"]),
    }
    try:
        reply = outbound.post(row["url"], row["body"], headers, targets)
    except AddressRefused as error:
        return Outcome("failed", error=f"allowed: {error}")
    except outbound.TRANSPORT_ERRORS as error:
        return Outcome("again", error=f"{type(error).__name__}: {error}")
    if 200 <= reply.status < 300:
        return Outcome("delivered", reply.status)
    told = f"the receiver answered {reply.status}"
    if reply.status in AGAIN or reply.status >= 500:
        return Outcome("again", reply.status, told, _wait(reply.headers.get("retry-after", "")))
    return Outcome("gone" if reply.status == 410 else "failed", reply.status, told)


def signature(secret: str, number: str, stamp: int, body: bytes) -> str:
    """The header webhook-signature: HMAC-SHA256 over id, seconds since 1970 and body, as Standard Webhooks has it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{number}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def check_callback(url: str, targets: str, *, handshake: bool) -> None:
    """Refuse an address that events may not go to, or that does not answer the handshake; raises Problem."""
    try:
        outbound.check_url(url, targets)
        if handshake:
            _shake_hands(url, targets)
    except AddressRefused as error:
        raise _refused(url, str(error)) from error


def _shake_hands(url: str, targets: str) -> None:
    token = secrets.token_urlsafe(24)
    asked = f"{url}{'&' if '?' in url else '?'}validationToken={token}"
    try:
        reply = outbound.post(asked, b"", {"User-Agent": "groundswell", "Content-Length": "0"}, targets)
    except outbound.TRANSPORT_ERRORS as error:
        raise _refused(url, f"an address that answers the handshake; {type(error).__name__}: {error}") from error
    if reply.status != 200 or reply.body.strip() != token.encode():
        allowed = f"an address that answers the handshake with 200 and the validationToken; it answered {reply.status}"
        raise _refused(url, allowed)


def _refused(url: str, allowed: str) -> Problem:
    return invalid_field("callbackUrl", url, allowed, f"callbackUrl: {url.split('?')[0]!r}; allowed: {allowed}")


def _wait(text: str) -> float:
    """Seconds of Retry-After, given as such or as a date; 0 where it says nothing that can be read."""
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max((moment - dt.datetime.now(moment.tzinfo)).total_seconds(), 0.0)


def _delivery(engine: sa.Engine, number: str) -> sa.RowMapping | None:
    """A pending delivery with the address and the secret of its webhook."""
    both = sa.join(delivery, webhook, delivery.c.webhook == webhook.c.id)
    query = sa.select(delivery, webhook.c.url, webhook.c.secret).select_from(both)
    with reading(engine) as connection:
        return (
            connection.execute(query.where(delivery.c.id == number, delivery.c.state == "pending")).mappings().first()
        )


def _note(engine: sa.Engine, number: str, made: int, outcome: Outcome, following: dt.datetime | None) -> None:
    over = "delivered" if outcome.verdict == "delivered" else "failed"
    state = over if following is None else "pending"
    values = {"state": state, "attempts": made, "status": outcome.status, "error": outcome.error}
    with writing(engine) as connection:
        change = delivery.update().where(delivery.c.id == number)
        connection.execute(change.values(**values, next_attempt=following))
