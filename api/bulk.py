"""Many forecasts in one request: each item is answered, or its problem told, in its place."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from pydantic import ValidationError

from api.database import metadata, reading, writing
from api.errors import Problem, invalid_fields
from api.forecasting import check_limits, within_sight
from api.making import body_of, made, receipt_of
from api.models import ForecastRequest
from api.security import Caller
from api.settings import Settings
from api.strict import parse_json
from api.tables import JSON
from api.worker import Made, Work

CHUNK = 256  # forecasts of one part of a job

refused = sa.Table(
    "bulk_refused",
    metadata,
    sa.Column("job", sa.String(36), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # of the item, from 0
    sa.Column("problem", sa.LargeBinary, nullable=False),
)

Item = ForecastRequest | bytes  # a request, or the problem that it is none


def read_items(body: bytes, form: str, settings: Settings, caller: Caller, most: int) -> list[Item]:
    """The items of a body: a JSON list, or a line each. What is wrong with one is told in its place.

    Raises a Problem or json.JSONDecodeError where the body as a whole cannot be used.
    """
    raw: Sequence[Any] = _listed(parse_json(body)) if form == JSON else _lines(body)
    if not 1 <= len(raw) <= most:
        detail = f"{len(raw)} items; allowed: 1 to {most}"
        if most < settings.max_bulk_job:
            detail += f", and up to {settings.max_bulk_job} with the header Prefer: respond-async"
        raise Problem(422, "too-many-items" if raw else "no-items", detail)
    return [item_of(one, form, settings, caller) for one in raw]


def _listed(parsed: Any) -> list[Any]:
    if not isinstance(parsed, list):
        raise Problem(422, "invalid-request", f"the body is a {type(parsed).__name__}; wanted a list of requests")
    return parsed


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n") if line.strip()]


def item_of(raw: Any, form: str, settings: Settings, caller: Caller) -> Item:
    """One item, or the problem that it is none."""
    try:
        request = ForecastRequest.model_validate(raw if form == JSON else parse_json(raw))
        request = within_sight(request, caller)
        check_limits(request, settings)
    except ValidationError as error:
        found = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        return body_of(invalid_fields(found))
    except json.JSONDecodeError as error:
        return body_of(Problem(400, "bad-request", f"the line is not JSON: {error.msg}"))
    except Problem as problem:
        return body_of(problem)
    return request


def told(number: int, found: bytes, *, good: bool) -> bytes:
    """One item of the answer: the forecast or the problem, both as JSON."""
    if good:
        return orjson.dumps({"number": number, "status": 200, "forecast": orjson.Fragment(found)})
    status = orjson.loads(found)["status"]
    return orjson.dumps({"number": number, "status": status, "problem": orjson.Fragment(found)})


def joined(items: Iterable[bytes], form: str) -> bytes:
    """The whole answer in its form."""
    if form == JSON:
        return b'{"items":[' + b",".join(items) + b"]}"
    return b"".join(item + b"\n" for item in items)


def job_request(items: Sequence[Item], form: str) -> bytes:
    """What a job of kind `bulk` keeps."""
    kept = [{"problem": item.decode()} if isinstance(item, bytes) else _dumped(item) for item in items]
    return orjson.dumps({"form": form, "items": kept})


def _dumped(item: ForecastRequest) -> dict[str, Any]:
    return {"request": item.model_dump(mode="json", exclude_defaults=True)}


class Bulk:
    """Many forecasts, `CHUNK` at a time."""

    def parts(self, work: Work) -> int:
        """So many chunks."""
        return math.ceil(len(orjson.loads(work.job.request)["items"]) / CHUNK)

    def part(self, work: Work, number: int) -> None:
        """Make and keep the forecasts of one chunk that are not kept yet, and the problems of the others."""
        first, problems, waiting = number * CHUNK, [], []
        items = orjson.loads(work.job.request)["items"][first : first + CHUNK]
        for i, item in enumerate(items, first):
            if "request" not in item or work.ledger.resolve(receipt_of(work, i)):
                continue
            found = made(work, ForecastRequest.model_validate(item["request"]), i)
            if isinstance(found, bytes):
                problems.append({"job": work.job.job, "number": i, "problem": found})
            else:
                waiting.append(work.ledger.append_soon(found))
        for kept in waiting:
            kept.result()
        with writing(work.engine) as connection:
            here = refused.c.job == work.job.job, refused.c.number.between(first, first + CHUNK - 1)
            connection.execute(refused.delete().where(*here))
            if problems:
                connection.execute(refused.insert(), problems)

    def finish(self, work: Work) -> Made:
        """All of them in order."""
        asked = orjson.loads(work.job.request)
        with reading(work.engine) as connection:
            rows = connection.execute(
                sa.select(refused.c.number, refused.c.problem).where(refused.c.job == work.job.job)
            )
            problems = {row.number: row.problem for row in rows}
        answers = {issued.receipt: issued.answer for issued in work.ledger.of_run(work.job.job)}
        items = []
        for i, item in enumerate(asked["items"]):
            problem = item["problem"].encode() if "problem" in item else problems.get(i)
            found = answers[receipt_of(work, i)] if problem is None else problem
            items.append(told(i, found, good=problem is None))
        return Made(joined(items, asked["form"]), asked["form"])
