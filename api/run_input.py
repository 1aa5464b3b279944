"""What a run is to forecast: names of the store, a landed file of requests, or the answer of a database; by chunk.

The job names the file and where each chunk of it begins, so that a hundred thousand requests are accepted as fast as
they are received: none is looked at before the run begins.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import sqlalchemy as sa

from api.batch import tables
from api.batch.sql import stage_query
from api.batch.tables import SALES
from api.bulk import Item, item_of
from api.database import job, reading
from api.errors import Problem, known_problem
from api.jobs import ALIVE, RETRIED, Job
from api.making import body_of
from api.models import ForecastRequest
from api.security import Caller
from api.settings import Settings
from api.tables import JSON, NDJSON, PARQUET
from api.worker import Work
from forecast import ForecastError, Values
from forecast.chunk import CHUNK, histories_of
from signals.home import fsync

ABANDONED_SECONDS = 26 * 3600.0  # a clock that jumps by a day drops nothing that is on its way
FORMS = (JSON, NDJSON, PARQUET)
LONGEST_NAME = 200  # of a category that a problem tells
_EACH = ("horizon", "engine", "deadline_ms", "levels")  # of a run over what a database answers with


def folder(settings: Settings) -> Path:
    """Where what was landed waits, and results lie."""
    return settings.home / "state" / "runs"


class Landing:
    """A body on its way to disk: hashed, and for NDJSON with the places where chunks of lines begin."""

    def __init__(self, settings: Settings, form: str) -> None:
        folder(settings).mkdir(parents=True, exist_ok=True)
        self._file = folder(settings) / f"{uuid.uuid4().hex}.landed"
        self._part = self._file.with_name(f".tmp-{self._file.name}")  # a backup takes no half of one
        self._out, self._most, self._lined = self._part.open("wb"), settings.max_run, form == NDJSON
        self._digest, self._size, self._blank = hashlib.sha256(), 0, True
        self.lines, self.offsets = 0, [0]

    def write(self, data: bytes) -> None:
        """Keep a piece of the body. Raises the problem of too many lines."""
        self._out.write(data)
        self._digest.update(data)
        if self._lined:
            self._scan(data)
        self._size += len(data)

    def _scan(self, data: bytes) -> None:
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._end_line(data[start:end], self._size + end + 1)
            start = end + 1
        self._blank = self._blank and not data[start:].strip()

    def _end_line(self, rest: bytes, after: int) -> None:
        if not self._blank or rest.strip():
            self.lines += 1
            if self.lines % CHUNK == 0:
                self.offsets.append(after)
        self._blank = True
        if self.lines > self._most:
            raise too_many(self.lines, self._most)

    def close(self) -> dict[str, Any]:
        """Make it safe on disk; what a job has to know of it."""
        if self._lined and not self._blank:
            self._end_line(b"", self._size)
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()
        asked = self.lines if self._lined else _rows_of(self._part, self._most)
        if not asked:
            raise Problem(422, "no-items", "the body holds no request")
        if self.offsets[-1] < self._size:
            self.offsets.append(self._size)
        self._part.rename(self._file)
        fsync(self._file.parent)
        told = {"file": self._file.name, "sha256": self._digest.hexdigest(), "asked": asked}
        return told | ({"offsets": self.offsets} if self._lined else {})

    def drop(self) -> None:
        """Forget it."""
        self._out.close()
        for file in (self._part, self._file):
            file.unlink(missing_ok=True)


def too_many(found: int, most: int) -> Problem:
    """The problem of a run that is too large."""
    return Problem(422, "too-many-items", f"{found} requests; allowed: 1 to {most} (setting max_run)")


def _rows_of(file: Path, most: int) -> int:
    """How many requests a Parquet file holds, by its footer."""
    import pyarrow as pa

    try:
        read = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise Problem(422, "invalid-request", f"the body is no Parquet file: {error}") from error
    unknown = sorted(set(read.schema_arrow.names) - set(ForecastRequest.model_fields))
    if unknown:
        allowed = ", ".join(ForecastRequest.model_fields)
        raise Problem(422, "invalid-request", f"there is no field {unknown[0]}; the columns may be {allowed}")
    rows: int = read.metadata.num_rows
    if rows > most:
        raise too_many(rows, most)
    return rows


def sources(settings: Settings) -> Iterator[Path]:
    """All files that runs are made from and that are whole: what landed, and what was made readable of it."""
    place = folder(settings)
    yield from sorted([*place.glob("[!.]*.landed"), *place.glob("*/requests.parquet")])
    for names in sorted(place.glob("*/names.json")):  # written once the sales beside it are whole
        yield from (names, names.with_name("sales.parquet"))


def place_of(work: Work) -> Path:
    """Where everything of one run lies."""
    return folder(work.settings) / work.job.job


def prepare(work: Work) -> int:
    """Make the chunks of a run readable one by one; how many forecasts it asks for. Done again it changes nothing."""
    request, place = orjson.loads(work.job.request), place_of(work)
    place.mkdir(parents=True, exist_ok=True)
    if request["from"] == "parquet":
        _regroup(folder(work.settings) / request["file"], place / "requests.parquet")
    if request["from"] == "sql":
        _ask(work, request["sql"], place)
    return asked_of(work.settings, work.job)


def _regroup(landed: Path, out: Path) -> None:
    """A row group a chunk, so that a chunk is read without those before it."""
    if out.is_file():
        return
    read, part = pq.ParquetFile(landed), out.with_suffix(".part")
    with pq.ParquetWriter(part, read.schema_arrow) as writer:
        for batch in read.iter_batches(CHUNK):
            writer.write_batch(batch, row_group_size=CHUNK)
    part.replace(out)


def _ask(work: Work, name: str, place: Path) -> None:
    from signals.connector import ConfigError
    from signals.refused import ImportRefused

    if (place / "names.json").is_file():
        return
    try:
        files = tables.in_order([stage_query(work.settings.home, name, place)], SALES, place)
        names = list(tables.counts_of(files))
    except (tables.BatchError, ImportRefused, ConfigError) as error:
        raise Problem(422, "import-refused", str(error)) from error
    if not 1 <= len(names) <= work.settings.max_run:
        raise too_many(len(names), work.settings.max_run)
    if files[0].name != "sales.parquet":
        files[0].replace(place / "sales.parquet")
    part = place / "names.part"
    part.write_bytes(orjson.dumps(names))
    part.replace(place / "names.json")


def asked_of(settings: Settings, run: Job) -> int:
    """How many forecasts a run asks for; 0 while a database has not answered yet."""
    request = orjson.loads(run.request)
    if "asked" in request:
        return int(request["asked"])
    if run.result is not None:
        return int(orjson.loads(run.result)["asked"])  # also where its files were lost
    names = folder(settings) / run.job / "names.json"
    return len(orjson.loads(names.read_bytes())) if names.is_file() else 0


def items_of(work: Work, chunk: int) -> list[tuple[str | None, Item]]:
    """The requests of one chunk, or the problems that they are none, each with the category that it names."""
    request = orjson.loads(work.job.request)
    if request["from"] == "sql":
        return _of_query(work, request, chunk)
    read = {"categories": _of_categories, "ndjson": _of_lines, "parquet": _of_rows}[request["from"]]
    form = NDJSON if request["from"] == "ndjson" else JSON
    caller = Caller(work.job.key_id, frozenset(), None if request["allowed"] is None else frozenset(request["allowed"]))
    raw = read(work, request, chunk)
    items = [_pinned(item_of(one, form, work.settings, caller), request["each"]) for one in raw]
    return [
        (_named(one) if isinstance(item, bytes) else item.category, item) for one, item in zip(raw, items, strict=True)
    ]


def _named(raw: Any) -> str | None:
    """The category that a request names which is none, if it can be told."""
    try:
        found = orjson.loads(raw) if isinstance(raw, bytes) else raw
    except orjson.JSONDecodeError:
        return None
    name = found.get("category") if isinstance(found, dict) else None
    # No database keeps every character that JSON has.
    return name[:LONGEST_NAME] if isinstance(name, str) and name.isprintable() else None


def _pinned(item: Item, each: dict[str, Any]) -> Item:
    """A request to the store is answered from the moment and data version of its run, unless it says another."""
    if isinstance(item, bytes) or item.history is not None or item.as_of is not None or not each.get("data_version"):
        return item
    moment = dt.datetime.fromisoformat(each["as_of"])
    return item.model_copy(update={"as_of": moment, "data_version": item.data_version or each["data_version"]})


def _of_categories(work: Work, request: dict[str, Any], chunk: int) -> list[Any]:  # noqa: ARG001
    names = request["categories"][chunk * CHUNK : (chunk + 1) * CHUNK]
    return [{"category": name, **request["each"]} for name in names]


def _of_lines(work: Work, request: dict[str, Any], chunk: int) -> list[Any]:
    begin, end = request["offsets"][chunk : chunk + 2]
    with (folder(work.settings) / request["file"]).open("rb") as landed:
        landed.seek(begin)
        data = landed.read(end - begin)
    return [line for line in data.split(b"\n") if line.strip()]


def _of_rows(work: Work, request: dict[str, Any], chunk: int) -> list[Any]:  # noqa: ARG001
    table = pq.ParquetFile(place_of(work) / "requests.parquet").read_row_group(chunk)
    return [_plain(row) for row in table.to_pylist()]


def _plain(value: Any) -> Any:
    """A row as JSON would say it: dates as text, nothing for null, null for NaN."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=value.tzinfo or dt.UTC).isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    return None if value != value else value


def _of_query(work: Work, request: dict[str, Any], chunk: int) -> list[tuple[str | None, Item]]:
    place = place_of(work)
    names = orjson.loads((place / "names.json").read_bytes())[chunk * CHUNK : (chunk + 1) * CHUNK]
    rows = tables.rows_between([place / "sales.parquet"], SALES, names[0], names[-1])
    each = {name: value for name, value in request["each"].items() if name in _EACH}
    return [(name, _of_sales(name, found, each, work.settings)) for name, found in histories_of(rows)]


def _of_sales(name: str, found: Values | ForecastError, each: dict[str, Any], settings: Settings) -> Item:
    if isinstance(found, ForecastError):
        problem = known_problem(found)
        assert problem is not None
        return body_of(problem)
    values = [None if value != value else value for value in np.asarray(found.values).tolist()]
    history = {"start": found.start.isoformat(), "frequency": found.frequency, "values": values}
    return item_of({"category": name, "history": history, **each}, JSON, settings, Caller())


def forget(work: Work) -> None:
    """Drop what a run was made from, once it is over: the ledger has every request as it was resolved."""
    request = orjson.loads(work.job.request)
    if "file" in request:
        (folder(work.settings) / request["file"]).unlink(missing_ok=True)
    for name in ("requests.parquet", "sales.parquet", "query.parquet"):
        (place_of(work) / name).unlink(missing_ok=True)
    shutil.rmtree(place_of(work) / "sorting", ignore_errors=True)


def tidy(settings: Settings, engine: sa.Engine) -> None:
    """Drop landed files that no job will read: of requests that broke off, of runs cancelled before they began."""
    runs = sa.select(job.c.request).where(job.c.kind == "run")
    alive = runs.where(job.c.state.in_((*ALIVE, *RETRIED)))
    never = runs.where(job.c.state == "cancelled", job.c.started.is_(None))
    with reading(engine) as connection:
        wanted, dropped = (
            {orjson.loads(request).get("file") for request in connection.scalars(query)} for query in (alive, never)
        )
    for file in folder(settings).glob("*.landed"):
        old = time.time() - file.stat().st_mtime > ABANDONED_SECONDS
        if file.name in dropped or (old and file.name not in wanted):
            file.unlink(missing_ok=True)
