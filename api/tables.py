"""The forms that a forecast goes out in, by `Accept`: JSON, CSV and Parquet.

A row of CSV and Parquet is one period: period, kind, value, median, lo-80, hi-80 and so on for each level, then one
column `contribution-DRIVER` a driver. Where there are overrides, `published`, `published-lo-80` and so on are what is
published, the system's own where nobody overrides it, and `overrides` says by which.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mimeparse
import orjson
from fastapi import Request, Response

from api.errors import Problem
from api.overrides.applying import overrides_of, served

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
NDJSON = "application/x-ndjson"
FORMS = (JSON, CSV, PARQUET)


def negotiated(request: Request, forms: Sequence[str] = FORMS) -> str:
    """The form that the client likes best; of those it likes alike the first. Raises the problem 406."""
    accept = ",".join(request.headers.getlist("accept"))
    if not accept.strip():
        return forms[0]
    try:
        best: str = mimeparse.best_match(list(reversed(forms)), accept)  # of equals it takes the last
    except mimeparse.MimeTypeParseException:
        raise Problem(400, "bad-request", f"Accept is {accept[:80]!r}; wanted media types such as {JSON}") from None
    if not best:
        raise Problem(406, "not-acceptable", f"Accept is {accept[:80]!r}; there are {', '.join(forms)}")
    return best


def rendered(answer: bytes, form: str) -> bytes:
    """The JSON of a forecast in one of `FORMS`."""
    return answer if form == JSON else _WRITERS[form](rows_of(orjson.loads(answer)))


def rows_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """One flat row a period."""
    return [_row(period, with_published="overrides" in answer) for period in answer["forecast"]]


def _row(period: dict[str, Any], *, with_published: bool) -> dict[str, Any]:
    row = {name: period[name] for name in ("period", "kind", "value", "median")}
    for level, (low, high) in period["intervals"].items():
        row |= {f"lo-{level}": low, f"hi-{level}": high}
    if with_published:
        row |= published_columns(period)
    return row | {f"contribution-{driver}": share for driver, share in period["contributions"].items()}


def published_columns(period: Mapping[str, Any]) -> dict[str, Any]:
    """What is published of a period, and by which overrides, by column."""
    shown = served(period)
    row = {"published": shown["value"]}
    for level, (low, high) in shown["intervals"].items():
        row |= {f"published-lo-{level}": low, f"published-hi-{level}": high}
    return row | {"overrides": overrides_of(period)}


def _csv(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows)
    table = table.set_column(0, "period", pc.cast(table["period"], pa.date32()))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


_WRITERS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {CSV: _csv, PARQUET: _parquet}


def matches(request: Request, tag: str) -> bool:
    """Whether the client says by `If-None-Match` that it has what `tag` names (weak comparison, RFC 9110)."""
    given = ",".join(request.headers.getlist("if-none-match"))
    tags = {part.strip().removeprefix("W/") for part in given.split(",")}
    return tag.removeprefix("W/") in tags or given.strip() == "*"


def conditional(request: Request, tag: str, control: str, make: Callable[[], Response]) -> Response:
    """304 where the client has it already, else what `make` gives, with `ETag` and `Cache-Control`."""
    response = Response(status_code=304) if matches(request, tag) else make()
    response.headers["ETag"], response.headers["Cache-Control"] = tag, control
    return response
