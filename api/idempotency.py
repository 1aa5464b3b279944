"""`Idempotency-Key` (IETF draft-ietf-httpapi-idempotency-key-header): a POST that is sent again is done once.

Per caller and key the first answer is kept for a day at least and given again to the same request. While the first one
runs, a second gets 409; the one that runs gives a sign of life, so that after a kill the key is free again in `LEASE`.
The one that then takes it over has the same `Claim.name`: jobs and receipts are named after it, and come out the same.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
import re
import secrets
import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import IO

import orjson
import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.database import engine_of, idempotency, now, writing
from api.errors import Problem, problem_response
from api.outages import outage_of, response_to
from api.receipts import receipt_at
from api.security import caller_of

log = logging.getLogger("groundswell")

KEPT = dt.timedelta(hours=48)  # 24 are promised: a clock that jumps by a day forgets no key too early
LEASE = dt.timedelta(seconds=10)
HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
SPOOLED = 1 << 20  # a body beyond it waits on disk
CHUNK = 1 << 16
RELEVANT = ("content-type", "accept", "prefer")  # headers that make another request of it
PASSING = {401, 403, 408, 409, 425, 429}  # answers that another try may better, besides all from 500
FORM = r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([A-Za-z0-9!#$%&\'*+.^_`|~:/=-]{1,255})'
_KEY = re.compile(FORM)


@dataclass(frozen=True)
class Claim:
    """A key that this request holds. `again`: another held it before and ended without an answer."""

    caller: str
    key: str
    owner: str
    created: dt.datetime
    again: bool

    @property
    def name(self) -> str:
        """The same for each who holds the key, and no other's."""
        return f"{self.caller}/{self.key}/{self.created.isoformat()}"

    def receipt_of(self, number: int) -> str:
        """The receipt of the forecast of that number that is made under the key."""
        digest = hashlib.sha256(f"{self.name}/{number}".encode()).digest()
        return receipt_at(self.created, int.from_bytes(digest[:10]))


@dataclass
class Kept:
    """An answer as it went out."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def claim_of(request: Request) -> Claim | None:
    """The key that a request holds."""
    claim: Claim | None = request.scope["state"].get("claim")
    return claim


class Idempotency:
    """The middleware, for every POST below /v1 that has a key; inside of the one that limits bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        posts = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith("/v1/")
        given = Headers(scope=scope).getlist(HEADER) if posts else []
        if not given:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            key = read_key(given)
            caller = (await run_sync(caller_of, request)).key_id or ""
            with tempfile.SpooledTemporaryFile(SPOOLED) as body:
                await _spool(receive, body)
                fingerprint = await run_sync(fingerprint_of, request, body)
                held = await run_sync(self._claim, request, caller, key, fingerprint)
                if isinstance(held, Kept):
                    await _give(held, send, (REPLAYED.lower(), "true"))
                else:
                    await self._do(request, held, body, send)
        except Problem as problem:
            headers = {"Retry-After": "1"} if problem.status_code == 409 else problem.headers
            answer = problem_response(
                request, problem.status_code, problem.code, str(problem.detail), headers, **problem.members
            )
            await answer(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - what is no outage is raised again
            await response_to(request, error)(scope, receive, send)

    def _claim(self, request: Request, caller: str, key: str, fingerprint: str) -> Claim | Kept:
        return claim(engine_of(request.app.state.settings), caller, key, fingerprint)

    async def _do(self, request: Request, held: Claim, body: IO[bytes], send: Send) -> None:
        """Let the application answer, keep the answer, give it; a key whose answer is not kept is free again."""
        engine, answer = engine_of(request.app.state.settings), Kept()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message["headers"]]
            elif message["type"] == "http.response.body":
                answer.body += message.get("body", b"")

        request.scope["state"]["claim"] = held
        kept = False
        try:
            async with _alive(engine, held):
                await self.app(request.scope, _again(body, request.receive), collect)
            kept = answer.status < 500 and answer.status not in PASSING
        finally:
            await run_sync(_settle_if_possible, engine, held, answer if kept else None)
        await _give(answer, send)


def read_key(given: list[str]) -> str:
    """The key of the header: a quoted text or a plain token of up to 255 characters. Raises the problem 400."""
    match = _KEY.fullmatch(given[0].strip()) if len(given) == 1 else None
    if match is None:
        told = ", ".join(given)[:80]
        detail = f'{HEADER} is {told!r}; allowed: once, a text of 1 to 255 characters such as "8e03978e"'
        raise Problem(400, "invalid-idempotency-key", detail)
    return match[1] or match[2]


def fingerprint_of(request: Request, body: IO[bytes]) -> str:
    """What makes it the same request: method, address, some headers, and the body (JSON without its layout)."""
    head = [request.method, request.url.path, request.url.query]
    head += [f"{name}: {request.headers.get(name, '')}" for name in RELEVANT]
    digest = hashlib.sha256("\n".join(head).encode())
    digest.update(_content(request, body))
    return digest.hexdigest()


def _content(request: Request, body: IO[bytes]) -> bytes:
    size = body.tell()
    body.seek(0)
    if size <= SPOOLED and request.headers.get("content-type", "").startswith("application/json"):
        text = body.read()
        try:
            return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            body.seek(0)  # it is refused by whoever reads it
    return hashlib.file_digest(body, "sha256").digest()  # type: ignore[arg-type]  # SpooledTemporaryFile reads too


def claim(engine: sa.Engine, caller: str, key: str, fingerprint: str) -> Claim | Kept:
    """Hold a key, or the answer that was given under it. Raises the problems 409 and 422."""
    moment, owner = now(), secrets.token_hex(8)
    table, this = idempotency, (idempotency.c.caller == caller, idempotency.c.idempotency_key == key)
    with writing(engine) as connection:
        connection.execute(table.delete().where(table.c.created < moment - KEPT))
        row = connection.execute(sa.select(table).where(*this)).mappings().first()
        if row is None:
            values = {"caller": caller, "idempotency_key": key, "fingerprint": fingerprint, "created": moment}
            connection.execute(table.insert().values(**values, owner=owner, alive=moment))
            return Claim(caller, key, owner, moment, again=False)
        if row["fingerprint"] != fingerprint:
            detail = f"the {HEADER} {key!r} was used for another request; use a new key for a new request"
            raise Problem(422, "idempotency-key-reused", detail)
        if row["status"] is not None:
            return Kept(row["status"], orjson.loads(row["headers"]), zlib.decompress(row["body"]))
        if row["alive"] is not None and abs(moment - row["alive"]) < LEASE:  # later than now: the clock was set back
            raise Problem(409, "request-running", f"the first request with the {HEADER} {key!r} is still running")
        connection.execute(table.update().where(*this).values(owner=owner, alive=moment))
    return Claim(caller, key, owner, row["created"], again=True)


def settle(engine: sa.Engine, held: Claim, answer: Kept | None) -> None:
    """Keep the answer under its key; None: the key is free for another try of the same request."""
    values: dict[str, object] = {"alive": None}
    if answer is not None:
        headers = orjson.dumps(answer.headers).decode()
        values |= {"status": answer.status, "headers": headers, "body": zlib.compress(answer.body, 1)}
    with writing(engine) as connection:
        connection.execute(idempotency.update().where(*_held(held)).values(**values))


def _settle_if_possible(engine: sa.Engine, held: Claim, answer: Kept | None) -> None:
    """What was done is done, and is told: sent again it comes out the same, by the name of its claim."""
    try:
        settle(engine, held, answer)
    except Exception as error:
        if outage_of(error) is None:
            raise
        log.warning("the answer under an %s was not kept: %s", HEADER, error)


def live(engine: sa.Engine, held: Claim) -> None:
    """Give a sign of life of the request that holds a key."""
    with writing(engine) as connection:
        connection.execute(idempotency.update().where(*_held(held)).values(alive=now()))


def _held(held: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    """Its row, while no other has taken it over."""
    table = idempotency.c
    return table.caller == held.caller, table.idempotency_key == held.key, table.owner == held.owner


@asynccontextmanager
async def _alive(engine: sa.Engine, held: Claim) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            with suppress(sa.exc.SQLAlchemyError):  # the next beat may find the database
                await run_sync(live, engine, held)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()


async def _spool(receive: Receive, body: IO[bytes]) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "bad-request", "the body ended too early")
        body.write(message.get("body", b""))
        if not message.get("more_body", False):
            return


def _again(body: IO[bytes], receive: Receive) -> Receive:
    """The body once more for the application, then what else the server tells."""
    body.seek(0)
    over = False

    async def read() -> Message:
        nonlocal over
        if over:
            return await receive()
        chunk = body.read(CHUNK)
        over = len(chunk) < CHUNK
        return {"type": "http.request", "body": chunk, "more_body": not over}

    return read


async def _give(answer: Kept, send: Send, *extra: tuple[str, str]) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in [*answer.headers, *extra]]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
