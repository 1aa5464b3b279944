"""Uploads of sales and signals: kept on disk, read by the job worker as an import reads a file, stored by the ingest.

JSON may be columnar, `{"date": [...], "quantity": [...]}`, or a list of rows; NDJSON has a row a line.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from api.database import job, metadata, reading, writing
from api.errors import Problem
from api.making import body_of
from api.settings import Settings
from api.strict import parse_json
from api.tables import CSV, JSON, NDJSON, PARQUET
from api.worker import JobFailed, Made, Work

if TYPE_CHECKING:
    from signals.batch import AppendResult
    from signals.prepared import Prepared
    from signals.refused import ImportRefused
    from signals.tables import Table

FORMS = (JSON, NDJSON, CSV, PARQUET)
log = logging.getLogger("groundswell")

ABANDONED_SECONDS = 26 * 3600.0  # a clock that jumps by a day drops nothing that is on its way
MOST_ROWS = 5_000_000
TURN_SECONDS = 120.0  # for those that were accepted earlier
PATIENCE_SECONDS = 600.0  # for the ingest process
_OPTION = re.compile(r"--((?:day|month)-first|[a-z][a-z-]*[a-z])")

upload = sa.Table(
    "upload",
    metadata,
    sa.Column("job", sa.String(36), primary_key=True),
    sa.Column("told", sa.LargeBinary, nullable=False),  # JSON: rows, mapping and notes of what was handed over
)


@dataclass(frozen=True)
class Upload:
    """Reads an upload and hands it over; its result says what the store made of it."""

    def parts(self, work: Work) -> int:  # noqa: ARG002
        """One."""
        return 1

    def part(self, work: Work, number: int) -> None:  # noqa: ARG002
        """Read and check it, put it into the inbox under the ticket of the job, note how it was understood."""
        from signals.batch import BatchRefused
        from signals.inbox import hand_over
        from signals.refused import ImportRefused

        try:
            prepared = _prepared(work)
            _wait_for_turn(work)
            hand_over(work.settings.home, prepared.batch, work.job.accepted, ticket_of(work))
        except ImportRefused as refusal:
            raise JobFailed(body_of(refused(refusal))) from refusal
        except BatchRefused as refusal:
            raise JobFailed(body_of(Problem(422, "import-refused", str(refusal)))) from refusal
        except Problem as problem:
            raise JobFailed(body_of(problem)) from problem
        told = orjson.dumps({"rows": prepared.rows, "mapping": prepared.mapping, "notes": prepared.notes})
        with writing(work.engine) as connection:
            connection.execute(upload.delete().where(upload.c.job == work.job.job))
            connection.execute(upload.insert().values(job=work.job.job, told=told))

    def finish(self, work: Work) -> Made:
        """What became of it, once readers can see it."""
        stored = dataclasses.asdict(_stored(work.settings.home, ticket_of(work)))
        with reading(work.engine) as connection:
            told = connection.execute(sa.select(upload.c.told).where(upload.c.job == work.job.job)).scalar_one()
        result = {name: stored[name] for name in ("data_version", "inserted", "unchanged", "withdrawn")}
        _file(work).unlink(missing_ok=True)
        return Made(orjson.dumps(orjson.loads(told) | {"result": result}))


def _wait_for_turn(work: Work) -> None:
    """Uploads are handed over in the order in which they were accepted: of two for one period the later one counts."""
    earlier = sa.select(job.c.job).where(
        job.c.kind == "upload",
        job.c.state == "running",  # they are begun in that order
        job.c.accepted < work.job.accepted,
        job.c.job.not_in(sa.select(upload.c.job)),
    )
    until = time.monotonic() + TURN_SECONDS
    while time.monotonic() < until:
        with reading(work.engine) as connection:
            if connection.execute(earlier.limit(1)).first() is None:
                return
        time.sleep(0.1)
    log.warning("job %s: an earlier upload was not read within %g s, and comes after it", work.job.job, TURN_SECONDS)


def folder(settings: Settings) -> Path:
    """Where uploads wait."""
    return settings.home / "state" / "uploads"


def new_file(settings: Settings) -> Path:
    """A name that no other upload has."""
    folder(settings).mkdir(parents=True, exist_ok=True)
    return folder(settings) / uuid.uuid4().hex


def job_request(kind: str, file: Path, form: str, options: dict[str, Any], categories: Iterable[str] | None) -> bytes:
    """What a job of kind `upload` keeps; `kind` is sales or signals, `categories` those that the caller may name."""
    allowed = None if categories is None else sorted(categories)
    return orjson.dumps({"kind": kind, "file": file.name, "form": form, "options": options, "categories": allowed})


def tidy(settings: Settings, engine: sa.Engine) -> None:
    """Drop files that no job will read any more."""
    alive = sa.select(job.c.request).where(job.c.kind == "upload", job.c.state.in_(("pending", "running", "dead")))
    with reading(engine) as connection:
        wanted = {orjson.loads(request)["file"] for request in connection.scalars(alive)}
    for file in folder(settings).iterdir():
        if file.name not in wanted and time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
            file.unlink(missing_ok=True)


def ticket_of(work: Work) -> str:
    """The ticket of a job's batch, the same at every try."""
    return f"{work.job.accepted:%Y%m%dT%H%M%S%f}-{work.job.job[:8]}"


def _file(work: Work) -> Path:
    return folder(work.settings) / str(orjson.loads(work.job.request)["file"])


def _prepared(work: Work) -> Prepared:
    from api.known import known_categories, known_signals
    from signals.sales_import import prepare_sales
    from signals.signal_import import prepare_signals

    asked, home = orjson.loads(work.job.request), work.settings.home
    table = read_upload(_file(work), asked["form"])
    allowed, known = asked["categories"], known_categories(home)
    if allowed is not None:  # a refusal names what is near, and how it is stored
        known = {name: frequency for name, frequency in known.items() if name in allowed}
    if asked["kind"] == "sales":
        prepared = prepare_sales(table, known_categories=known, now=work.job.accepted, **asked["options"])
    else:
        prepared = prepare_signals(
            table,
            known_signals=known_signals(home),
            known_categories=known or None,
            now=work.job.accepted,
            **asked["options"],
        )
    _check_categories(prepared, allowed)
    _check_signals(prepared, allowed, home)
    return prepared


def _check_categories(prepared: Prepared, allowed: list[str] | None) -> None:
    frames = (prepared.batch.sales, prepared.batch.candidates)
    named = {name for frame in frames if frame is not None for name in frame["category"].unique()}
    if allowed is not None and (others := sorted(named - set(allowed))):
        raise Problem(403, "forbidden", f"the key may not write for the category {others[0]!r}")


def _check_signals(prepared: Prepared, allowed: list[str] | None, home: Path) -> None:
    """A signal moves the forecasts of all that it may serve: who may not see one of them may not write it."""
    from api.known import served_by

    observations = prepared.batch.observations
    if allowed is None or observations is None:
        return
    served = served_by(home, sorted(observations["signal"].unique()))
    for signal, category in served:
        if category not in allowed:
            raise Problem(403, "forbidden", f"the key may not write the signal {signal!r}: it serves other categories")


def read_upload(file: Path, form: str) -> Table:
    """The table that a file of one of `FORMS` holds. Raises ImportRefused, or a Problem."""
    from signals.refused import ImportRefused
    from signals.tables import read_bytes

    raw = file.read_bytes()
    if (raw[:4] == b"PAR1") != (form == PARQUET) and form in (CSV, PARQUET):
        raise ImportRefused(f"the body is not {form}", remedy="Send the Content-Type that the body has")
    if form == PARQUET:
        _check_size(raw)
    if form in (CSV, PARQUET):
        return read_bytes(raw, "upload")
    return _from_rows(_lines(raw)) if form == NDJSON else _from_json(raw)


def _check_size(raw: bytes) -> None:
    """A small Parquet file may hold any number of equal rows: what it says of itself is looked at before it is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from signals.refused import ImportRefused

    try:
        rows = pq.ParquetFile(pa.BufferReader(raw)).metadata.num_rows
    except pa.ArrowInvalid:
        return  # whoever reads it says what is wrong
    if rows > MOST_ROWS:
        raise ImportRefused(f"the file has {rows:,} rows", remedy=f"Send at most {MOST_ROWS:,} in one upload")


def _lines(raw: bytes) -> list[Any]:
    return [_parsed(line, number) for number, line in enumerate(raw.split(b"\n"), 1) if line.strip()]


def _parsed(raw: bytes, line: int | None) -> Any:
    from signals.refused import ImportRefused

    try:
        return parse_json(raw)
    except json.JSONDecodeError as error:
        raise ImportRefused(f"not JSON: {error}", row=line, remedy="Send JSON") from error
    except Problem as problem:
        raise ImportRefused(str(problem.detail), row=line, remedy="Send plain JSON") from problem


def _from_json(raw: bytes) -> Table:
    from signals.refused import ImportRefused

    parsed = _parsed(raw, None)
    if isinstance(parsed, list):
        return _from_rows(parsed)
    if not isinstance(parsed, dict) or not all(isinstance(column, list) for column in parsed.values()):
        raise ImportRefused(
            "the JSON is neither a list of rows nor an object of columns",
            remedy='Send [{"date": "2026-11-22", …}] or {"date": ["2026-11-22"], …}',
        )
    lengths = {name: len(column) for name, column in parsed.items()}
    for name, length in lengths.items():
        if length != max(lengths.values()):
            raise ImportRefused(
                f"the column has {length} values, another has {max(lengths.values())}",
                column=name,
                remedy="Give all columns the same length, with null for what is not known",
            )
    return _table(parsed)


def _from_rows(rows: list[Any]) -> Table:
    from signals.refused import ImportRefused

    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ImportRefused(
                f"the row is {json.dumps(row)[:80]}, no object", row=number, unit="row",
                remedy='Send a row as {"date": "2026-11-22", …}',
            )  # fmt: skip
    names = dict.fromkeys(name for row in rows for name in row)
    return _table({name: [row.get(name) for row in rows] for name in names})


def _table(columns: dict[str, list[Any]]) -> Table:
    import pyarrow as pa

    from signals.refused import ImportRefused
    from signals.tables import from_arrow

    if not columns:
        raise ImportRefused("there are no rows", remedy="Give at least one row")
    for name, values in columns.items():
        _check_texts(name, values)
    return from_arrow(pa.table({name: _array(values) for name, values in columns.items()}), "upload")


def _check_texts(column: str, values: list[Any]) -> None:
    """Refuse half of a surrogate pair, which JSON can escape into a text, but no file or database can hold."""
    from signals.refused import ImportRefused

    for row, text in enumerate([column, *values]):
        if isinstance(text, str) and not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            told, name = (part.encode("utf-8", "backslashreplace").decode() for part in (text, column))
            raise ImportRefused(
                f"{told!r} has half of a surrogate pair",
                column=name,
                row=row or None,
                unit="row",
                value=told,
                remedy="Send texts in Unicode",
            )


def _array(values: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # of several types: each is read as its text
        return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def refused(refusal: ImportRefused) -> Problem:
    """The problem of a table that cannot be taken, with row, column and value."""
    message = _as_parameters(str(refusal))
    row = {
        "field": refusal.column or "",
        "value": refusal.value or "",
        "allowed": _as_parameters(refusal.remedy),
        "message": message,
        "row": refusal.row,
    }
    return Problem(422, "import-refused", message, errors=[row])


def _as_parameters(text: str) -> str:
    """Options of the command line, which the import speaks of, as the query parameters of an upload."""
    names: dict[str, str] = {"day-first": "dayfirst=true", "month-first": "dayfirst=false"}
    named: Callable[[re.Match[str]], str] = lambda found: names.get(found[1], found[1].replace("-", "_"))  # noqa: E731
    return _OPTION.sub(named, text)


def _stored(home: Path, ticket: str) -> AppendResult:
    """What the store made of a batch that was handed over, once it is published. Raises JobFailed."""
    from signals.batch import BatchRefused
    from signals.handing import Handing

    try:
        found = Handing(home).published(ticket, PATIENCE_SECONDS)
    except BatchRefused as refusal:
        raise JobFailed(body_of(Problem(422, "import-refused", str(refusal)))) from refusal
    if found is not None:
        return found
    detail = f"nobody has stored the data for {PATIENCE_SECONDS:.0f} s; it waits as {ticket} and is stored, not lost"
    raise JobFailed(body_of(Problem(503, "not-stored-yet", detail)))
