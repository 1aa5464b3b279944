"""Sales in a database: the result of one query that reads, through SQLAlchemy or, for DuckDB, by itself."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from signals.refused import ImportRefused
from signals.sales_config import Address, shown
from signals.sales_duckdb import SCHEME, run_duckdb
from signals.sales_folder import refuse_home
from signals.tables import Table, from_arrow

_ROWS = 50_000  # fetched at once
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
# Said first in the transaction: it may only read, and each statement ends in time.
_FIRST: Mapping[str, tuple[str, ...]] = {
    "postgresql": ("SET TRANSACTION READ ONLY", "SET LOCAL statement_timeout = {milliseconds}"),
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION max_execution_time = {milliseconds}"),
    "mariadb": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION max_statement_time = {seconds}"),
    "oracle": ("SET TRANSACTION READ ONLY",),
    "sqlite": ("PRAGMA query_only = ON",),
}
_CONNECT: Mapping[str, dict[str, Any]] = {  # by driver: seconds to wait for the server
    **{name: {"connect_timeout": 15} for name in ("psycopg", "psycopg2", "pymysql", "mysqldb")},
    "pysqlite": {"timeout": 15},
}
_PACKAGES = {
    "psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient", "pymysql": "PyMySQL",
    "mysql": "mysql-connector-python", "pyodbc": "pyodbc", "oracledb": "oracledb", "asyncpg": "psycopg[binary]",
}  # fmt: skip
_NUMBERS = (int, float, Decimal)


@dataclass(frozen=True)
class Limits:
    """What a query may cost."""

    seconds: float
    max_rows: int


@dataclass(frozen=True)
class Answer:
    """The result of a query."""

    table: Table

    @property
    def content(self) -> str:
        """A hash of columns and values."""
        digest, data = hashlib.sha256(), self.table.data.combine_chunks()
        with pa.ipc.new_stream(_Sink(digest), data.schema) as writer:
            writer.write_table(data)
        return digest.hexdigest()

    def read(self) -> Table:
        return self.table


class _Sink:
    """A file for Arrow to write to, of which only the hash is kept."""

    closed = False

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def write(self, data: Any) -> int:
        self._digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True


def run_query(address: Address, query: str, name: str, home: Path, limits: Limits) -> Answer:
    """Run one SELECT, in a transaction that only reads and is rolled back.

    Raises ImportRefused where the query is not a single SELECT, the database cannot be reached or refuses it, the
    driver is not installed, the result has values that no import takes, or a limit is reached.
    """
    statement = checked(query)
    if address.text.startswith(SCHEME):
        data = run_duckdb(address.text, statement, home, limits.seconds, limits.max_rows)
    else:
        data = _run_sqlalchemy(address, statement, home, limits)
    _refuse_types(data)
    return Answer(from_arrow(data, name))


def checked(query: str) -> str:
    """The query without a closing semicolon; refused if it is no single SELECT, WITH or VALUES."""
    statement = query.strip().removesuffix(";").strip()
    bare = _QUOTED.sub(" ", statement).strip()
    word = bare.lstrip("( \n\t").split(None, 1)[0].upper() if bare else ""
    if word.split("(")[0] not in ("SELECT", "WITH") or ";" in bare:
        raise ImportRefused(
            "the query is not a single SELECT", value=query[:80], remedy="Write one SELECT, or WITH … SELECT"
        )
    return statement


def _run_sqlalchemy(address: Address, statement: str, home: Path, limits: Limits) -> pa.Table:
    engine = _engine(_url(address, home), address)
    deadline = time.monotonic() + limits.seconds
    try:
        with _telling(address, deadline, limits), engine.connect() as connection:
            _begin(connection, deadline, limits)
            options = {"no_parameters": True, "stream_results": True, "max_row_buffer": _ROWS}
            with closing(connection.execution_options(**options).exec_driver_sql(statement)) as result:
                return pa.concat_tables(_chunks(result, deadline, limits), promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ImportRefused(
            f"a column of the result holds values of different types ({error})", remedy="CAST it in the query"
        ) from error
    finally:
        engine.dispose()


def _url(address: Address, home: Path) -> URL:
    try:
        url = make_url(address.text)
    except sa.exc.ArgumentError as error:
        raise _unusable(address, "it is no URL of a database") from error
    if url.get_backend_name() != "sqlite":
        return url
    path = Path(url.database or "")
    if not path.is_absolute() or not path.is_file():  # SQLite would make an empty database of a mistyped name
        raise _unusable(address, "there is no such file; give an absolute path, sqlite:////…")
    refuse_home([path], home)
    return url.set(database=f"file:{quote(str(path))}", query={**url.query, "mode": "ro", "uri": "true"})


def _engine(url: URL, address: Address) -> sa.Engine:
    try:
        connect_args = _CONNECT.get(url.get_dialect().driver, {})
        return sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args=dict(connect_args))
    except sa.exc.NoSuchModuleError as error:
        raise _unusable(address, f"SQLAlchemy knows no database {url.drivername!r}") from error
    except ImportError as error:
        module = (error.name or url.get_driver_name()).split(".")[0]
        package = _PACKAGES.get(module, module)
        raise _unusable(
            address, f"the driver of {url.drivername} is not installed", f"Install it: pip install '{package}'"
        ) from error


def _begin(connection: sa.Connection, deadline: float, limits: Limits) -> None:
    dialect = connection.dialect
    kind = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    for sql in _FIRST.get(kind, ()):
        connection.exec_driver_sql(sql.format(milliseconds=int(limits.seconds * 1000), seconds=limits.seconds))
    if kind == "sqlite":
        raw: Any = connection.connection.driver_connection
        raw.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)


def _chunks(result: sa.CursorResult[Any], deadline: float, limits: Limits) -> list[pa.Table]:
    names, read, chunks = list(result.keys()), 0, []
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ImportRefused(f"the result has two columns named {twice!r}", column=twice, remedy="Rename one: … AS …")
    while rows := result.fetchmany(_ROWS):
        read += len(rows)
        refuse_rows(read, limits.max_rows)
        columns = zip(names, zip(*rows, strict=True), strict=True)
        chunks.append(pa.table({name: _array(name, values) for name, values in columns}))
        if time.monotonic() > deadline:
            raise _too_long(limits)
    return chunks or [pa.table({name: pa.nulls(0) for name in names})]


def refuse_rows(rows: int, most: int) -> None:
    """Refuse a result of more rows than are allowed."""
    if rows > most:
        raise ImportRefused(
            f"the result has more than max_rows = {most:,} rows", remedy="Add up in the query, or raise `max_rows`"
        )


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    """The values of one column: numbers, text, dates or moments (those with a zone as UTC)."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and all(kind in _NUMBERS for kind in kinds):
        whole = kinds == {int} and all(value is None or abs(value) < 2**63 for value in values)
        if not whole:
            return pa.array([None if value is None else float(value) for value in values], pa.float64())
    elif kinds == {UUID}:
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    elif kinds == {datetime}:
        return _moments(name, values)
    elif len(kinds) > 1 or not all(kind in (str, date, bool, bytes) for kind in kinds):
        found = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise _cannot_take(name, f"values of type {found}")
    return pa.array(values)


def _moments(name: str, values: Sequence[datetime | None]) -> pa.Array:
    zoned = {value.tzinfo is not None for value in values if value is not None}
    if len(zoned) > 1:
        raise _cannot_take(name, "moments with and without a time zone")
    if zoned == {False}:
        return pa.array(values, pa.timestamp("us"))
    return pa.array([value and value.astimezone(UTC) for value in values], pa.timestamp("us", tz="UTC"))


def _refuse_types(data: pa.Table) -> None:
    """Flags and bytes are neither numbers, names nor dates; a query can leave them out or turn them into some."""
    kinds = {"flags": pa.types.is_boolean, "bytes": pa.types.is_binary, "large bytes": pa.types.is_large_binary}
    for field in data.schema:
        for what, is_a in kinds.items():
            if is_a(field.type):
                raise _cannot_take(field.name, what)


def _cannot_take(name: str, what: str) -> ImportRefused:
    return ImportRefused(f"the result holds {what}", column=name, remedy="Leave it out, or CAST it in the query")


@contextmanager
def _telling(address: Address, deadline: float, limits: Limits) -> Iterator[None]:
    """What a database says, as one sentence without a password."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        if time.monotonic() > deadline:
            raise _too_long(limits) from None
        said = str(getattr(error, "orig", None) or error)
        raise _unusable(address, address.hide(" ".join(said.split()))[:500]) from None


def _too_long(limits: Limits) -> ImportRefused:
    return ImportRefused(
        f"the query took longer than timeout = {limits.seconds:g} seconds", remedy="Make it quicker, or raise `timeout`"
    )


def _unusable(address: Address, reason: str, remedy: str = "Correct `database` or `query`") -> ImportRefused:
    url = shown(address.text)
    return ImportRefused(f"cannot read from {url}: {reason}", value=url, remedy=remedy)
