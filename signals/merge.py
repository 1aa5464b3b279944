"""How a batch becomes rows of the store: only what differs from what was known is added, nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from signals.batch import BatchRefused
from signals.sql import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa


@dataclass(frozen=True)
class Stamp:
    """What every row of one batch carries, and what its unknown `known_at` is made of."""

    batch: str
    recorded: int
    now: datetime
    lag: timedelta
    reread: bool


@dataclass(frozen=True)
class Counts:
    """What became of a batch: rows of metadata added, and values added, left alone and withdrawn."""

    metadata: int = 0
    inserted: int = 0
    unchanged: int = 0
    withdrawn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.metadata + other.metadata,
            self.inserted + other.inserted,
            self.unchanged + other.unchanged,
            self.withdrawn + other.withdrawn,
        )


@dataclass(frozen=True)
class _Metadata:
    """One metadata table: `key`, its other columns, and what a column gets that was never given."""

    name: str
    key: str
    columns: tuple[str, ...]
    defaults: Mapping[str, str]


@dataclass(frozen=True)
class _Values:
    """One table of values: `key` says which period of what, `owner` is the metadata table that must know it."""

    name: str
    owner: str
    key: tuple[str, ...]
    value: str
    extra: str  # the column that only this table has and that is no part of the key
    metadata: str  # SQL that joins what `due` needs of the owner's metadata
    due: str  # SQL: when an undated first version is taken to have been known, in UTC; $lag is the batch's lag


def latest(table: str, key: str) -> str:
    """SQL for the newest version of each row of a metadata table."""
    return f"(SELECT * FROM {table} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY recorded DESC) = 1)"


_CATEGORY = _Metadata(
    "category",
    "category",
    ("frequency", "unit", "timezone", "calendar", "parent", "attributes"),
    {"timezone": "'UTC'"},
)
_SIGNAL = _Metadata(
    "signal",
    "signal",
    (
        *("source", "name", "region", "unit", "cadence", "aggregation", "scale"),
        *("publication_lag", "future_known", "licence", "attributes"),
    ),
    {"aggregation": "'mean'", "future_known": "false"},
)
_CURSOR = _Metadata("cursor", "signal", ("through",), {})
_SALES = _Values(
    "sales",
    "category",
    ("category", '"start"'),
    "quantity",
    "source",
    f"JOIN (SELECT category, timezone FROM {latest('category', 'category')}) USING (category)",
    """CASE WHEN timezone = 'UTC' THEN "end" ELSE timezone('UTC', timezone(timezone, "end")) END + $lag""",
)
# A signal's own lag wins over the batch's; plans and holidays are taken to have been known a year ahead.
_OBSERVATION = _Values(
    "observation",
    "signal",
    ("signal", '"window"', '"start"'),
    "value",
    "is_partial",
    f"JOIN (SELECT signal, publication_lag, future_known FROM {latest('signal', 'signal')}) USING (signal)",
    """"end" + coalesce(publication_lag, CASE WHEN future_known THEN INTERVAL (-365) DAY ELSE $lag END)""",
)


def add(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table], stamp: Stamp) -> Counts:
    """Add the checked tables of one batch, inside the caller's transaction; raises BatchRefused."""
    counts = Counts()
    if "categories" in tables:
        _check_categories(connection, tables["categories"])
        counts += _add_metadata(connection, _CATEGORY, tables["categories"], stamp)
    if "signals" in tables:
        counts += _add_metadata(connection, _SIGNAL, tables["signals"], stamp)
    if "candidates" in tables:
        counts += _add_candidates(connection, tables["candidates"], stamp)
    if "sales" in tables:
        counts += _add_values(connection, _SALES, tables["sales"], stamp)
    if "observations" in tables:
        counts += _add_values(connection, _OBSERVATION, tables["observations"], stamp)
    if "events" in tables:
        counts += _add_events(connection, tables["events"], stamp)
    if "cursors" in tables:
        counts += _add_cursors(connection, tables["cursors"], stamp)
    return counts


@contextmanager
def _incoming(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> Iterator[None]:
    connection.register("incoming", table)
    try:
        yield
    finally:
        connection.unregister("incoming")


def _count(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[object] | Mapping[str, object]) -> int:
    """Run an INSERT and return how many rows it added."""
    return int(run(connection, sql, parameters)[0][0])


def _check_categories(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> None:
    with _incoming(connection, table):
        problems = run(
            connection,
            f"""SELECT i.category, i.frequency, k.frequency, i.timezone,
                       i.timezone IS NULL OR i.timezone IN (SELECT name FROM pg_timezone_names())
                FROM incoming i LEFT JOIN {latest("category", "category")} k USING (category)
                WHERE coalesce(i.frequency, k.frequency) IS NULL OR i.frequency <> k.frequency
                      OR (i.timezone IS NOT NULL AND i.timezone NOT IN (SELECT name FROM pg_timezone_names()))
                ORDER BY 1 LIMIT 1""",
        )
    if not problems:
        return
    category, frequency, known, timezone, zone_is_known = problems[0]
    if not zone_is_known:
        raise BatchRefused(
            f"category {category!r}: no time zone is called {timezone!r}; allowed: UTC, Europe/Berlin, …"
        )
    if frequency is None:
        raise BatchRefused(f"category {category!r} is new and has no frequency: give one, for instance W-SUN or MS")
    raise BatchRefused(
        f"category {category!r} has the frequency {known} in the store and {frequency} here: "
        f"give the frequency {known}, or import under another category name"
    )


def _add_metadata(connection: duckdb.DuckDBPyConnection, table: _Metadata, rows: pa.Table, stamp: Stamp) -> Counts:
    key, columns = table.key, ", ".join(table.columns)
    merged = ", ".join(
        f"coalesce(i.{c}, k.{c}{', ' + table.defaults[c] if c in table.defaults else ''}) AS {c}" for c in table.columns
    )
    with _incoming(connection, rows):
        twice = run(
            connection,
            f"SELECT {key} FROM (SELECT DISTINCT * FROM incoming) GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1",
        )
        if twice:
            raise BatchRefused(
                f"{table.name} {twice[0][0]!r} is described twice in one batch, differently: keep one row"
            )
        added = _count(
            connection,
            f"""INSERT INTO {table.name} BY NAME
                SELECT {key}, {columns}, ? AS recorded, ? AS batch FROM (
                    SELECT {key}, {columns} FROM (
                        SELECT DISTINCT i.{key}, {merged} FROM incoming i
                        LEFT JOIN {latest(table.name, key)} k USING ({key}))
                    EXCEPT SELECT {key}, {columns} FROM {latest(table.name, key)}
                ) ORDER BY 1""",
            [stamp.recorded, stamp.batch],
        )
    return Counts(metadata=added)


def _add_candidates(connection: duckdb.DuckDBPyConnection, rows: pa.Table, stamp: Stamp) -> Counts:
    with _incoming(connection, rows):
        _refuse_unknown(connection, "candidates", "signal", "incoming")
        _refuse_unknown(connection, "candidates", "category", "(FROM incoming WHERE category <> '*')")
        added = _count(
            connection,
            """INSERT INTO candidate
               SELECT category, signal, ?, ? FROM (
                   SELECT category, signal FROM incoming EXCEPT SELECT category, signal FROM candidate
               ) ORDER BY 1, 2""",
            [stamp.recorded, stamp.batch],
        )
    return Counts(metadata=added)


def _add_events(connection: duckdb.DuckDBPyConnection, rows: pa.Table, stamp: Stamp) -> Counts:
    """Decisions on events; one that says what the last one on the same event says is not added.

    None is dated before the one that it replaces, should the clock have gone back.
    """
    with _incoming(connection, rows):
        _refuse_unknown(connection, "events", "category", "incoming")
        added = _count(
            connection,
            """INSERT INTO event BY NAME
               WITH last AS (
                   SELECT * FROM event QUALIFY row_number() OVER (
                       PARTITION BY category, kind, "start", "end" ORDER BY known_at DESC, recorded DESC) = 1)
               SELECT i.*, greatest(last.known_at, $now) AS known_at, $recorded AS recorded, $batch AS batch
               FROM (SELECT DISTINCT * FROM incoming) i LEFT JOIN last USING (category, kind, "start", "end")
               WHERE i.decision IS DISTINCT FROM last.decision OR i.author IS DISTINCT FROM last.author
                     OR i.reason IS DISTINCT FROM last.reason
               ORDER BY category, "start", kind""",
            {"now": stamp.now, "recorded": stamp.recorded, "batch": stamp.batch},
        )
    return Counts(metadata=added)


def _add_cursors(connection: duckdb.DuckDBPyConnection, rows: pa.Table, stamp: Stamp) -> Counts:
    with _incoming(connection, rows):
        _refuse_unknown(connection, "cursors", "signal", "incoming")
    return _add_metadata(connection, _CURSOR, rows, stamp)


def _refuse_unknown(connection: duckdb.DuckDBPyConnection, table: str, owner: str, rows: str) -> None:
    unknown = run(connection, f"SELECT DISTINCT {owner} FROM {rows} ANTI JOIN {owner} USING ({owner}) ORDER BY 1")
    if unknown:
        names = ", ".join(repr(name) for (name,) in unknown[:5]) + (", …" if len(unknown) > 5 else "")
        if (table, owner) == ("candidates", "category"):
            raise BatchRefused(
                f"there is no category {names}: import sales of {unknown[0][0]!r} first, "
                "or leave the category column out"
            )
        plural = {"category": "categories", "signal": "signals"}[owner]
        raise BatchRefused(
            f"{table}: {owner} {names} is neither in the store nor in this batch: add a row to the batch's {plural}"
        )


def _add_values(connection: duckdb.DuckDBPyConnection, table: _Values, rows: pa.Table, stamp: Stamp) -> Counts:
    with _incoming(connection, rows):
        _stage(connection, table)
    _refuse_unknown(connection, table.name, table.owner, "staged")
    _date(connection, table, stamp)
    _select_new(connection, table, stamp)
    withdrawn = _count(connection, f"SELECT count(*) FROM fresh WHERE {table.value} IS NULL", [])
    added = _count(
        connection,
        f"""INSERT INTO {table.name} BY NAME
            SELECT {", ".join(table.key)}, "end", {table.value}, known_at, known_basis, {table.extra},
                   ? AS recorded, ? AS batch
            FROM fresh ORDER BY {", ".join(table.key)}, known_at""",
        [stamp.recorded, stamp.batch],
    )
    run(connection, "DROP TABLE fresh")
    return Counts(0, added - withdrawn, rows.num_rows - added, withdrawn)


def _stage(connection: duckdb.DuckDBPyConnection, table: _Values) -> None:
    """Table `staged`: one row per key and known_at; rows that say different things about one are refused."""
    key, value, extra = ", ".join(table.key), table.value, table.extra
    differs = " OR ".join(
        f"min({c}) IS DISTINCT FROM max({c}) OR count({c}) NOT IN (0, count(*))"
        for c in ('"end"', value, *(("is_partial",) if extra == "is_partial" else ()))
    )
    run(
        connection,
        f"""CREATE OR REPLACE TEMP TABLE staged AS
            SELECT {key}, known_at, min("end") AS "end", min({value}) AS {value}, min({extra}) AS {extra},
                   {differs} AS conflict, max({value}) AS other
            FROM incoming GROUP BY {key}, known_at""",
    )
    _refuse_conflict(connection, table, "staged")


def _refuse_conflict(connection: duckdb.DuckDBPyConnection, table: _Values, rows: str) -> None:
    found = run(
        connection,
        f"""SELECT {table.owner}, "start", known_at, {table.value}, other FROM {rows} WHERE conflict
            ORDER BY 1, 2 LIMIT 1""",
    )
    if not found:
        return
    name, start, known_at, one, other = found[0]
    when = "" if known_at is None else f", known at {known_at}"
    values = f" ({one} and {other})" if one != other else ""
    raise BatchRefused(
        f"{table.name}: {table.owner} {name!r} has two different rows{values} for the period that starts on "
        f"{start}{when}, in one batch: keep one of them, or give each the known_at at which it held"
    )


def _date(connection: duckdb.DuckDBPyConnection, table: _Values, stamp: Stamp) -> None:
    """Table `dated`: `staged` with every known_at decided and its basis.

    An undated change is known now, yet never before the version that it replaces, should the clock have gone back.
    What is read again is dated as when it was read first: see Batch.
    """
    key = ", ".join(table.key)
    run(
        connection,
        f"""CREATE OR REPLACE TEMP TABLE dated AS
            WITH known AS (
                SELECT {key}, max(known_at) AS newest FROM (
                    SELECT {key}, known_at FROM {table.name} SEMI JOIN staged USING ({key})
                    UNION ALL SELECT {key}, known_at FROM staged WHERE known_at IS NOT NULL)
                GROUP BY {key}
            ), due AS (
                SELECT staged.*, newest, {table.due} AS due FROM staged {table.metadata} LEFT JOIN known USING ({key})
            )
            SELECT {key}, "end", {table.value}, {table.extra},
                   CASE WHEN known_at IS NOT NULL THEN known_at
                        WHEN newest IS NULL OR $reread THEN least(due, $now) ELSE greatest(newest, $now) END
                       AS known_at,
                   CASE WHEN known_at = $now AND $reread THEN 'observed'
                        WHEN known_at IS NOT NULL THEN 'published'
                        WHEN (newest IS NULL OR $reread) AND due < $now THEN 'assumed_lag'
                        ELSE 'observed' END AS known_basis
            FROM due""",
        {"lag": stamp.lag, "now": stamp.now, "reread": stamp.reread},
    )
    run(connection, "DROP TABLE staged")


def _select_new(connection: duckdb.DuckDBPyConnection, table: _Values, stamp: Stamp) -> None:
    """Table `fresh`: the rows of `dated` that differ from the version known just before them.

    Before, not last of all: a vintage from the past that comes late is compared with what was known in its own time.
    """
    key, value = ", ".join(table.key), table.value
    partial = "OR is_partial IS DISTINCT FROM lag(is_partial) OVER w" if table.extra == "is_partial" else ""
    columns = f'{key}, "end", {value}, {table.extra}, known_at, known_basis'
    run(
        connection,
        f"""CREATE OR REPLACE TEMP TABLE fresh AS
            SELECT * FROM (
                SELECT {columns}, recorded, lag({value}) OVER w AS other,
                    known_at = lag(known_at) OVER w AND recorded = lag(recorded) OVER w AS conflict,
                    {value} IS DISTINCT FROM lag({value}) OVER w
                    OR ({value} IS NOT NULL AND ("end" <> lag("end") OVER w {partial})) AS differs
                FROM (SELECT {columns}, recorded FROM {table.name} SEMI JOIN dated USING ({key})
                      UNION ALL SELECT {columns}, $recorded FROM dated)
                WINDOW w AS (PARTITION BY {key} ORDER BY known_at, recorded)
            ) WHERE recorded = $recorded AND differs""",
        {"recorded": stamp.recorded},
    )
    run(connection, "DROP TABLE dated")
    _refuse_conflict(connection, table, "fresh")
