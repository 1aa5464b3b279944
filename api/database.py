"""The operational database: many small writes of many processes. SQLite in the home, or the one at `database_url`.

The rows that OData reads and the scores of forecasts lie in SQLite files of their own: whoever appends to the ledger
never waits until they are written, and the files may be deleted, for all in them is made again from ledger and store.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from api.settings import Settings

FILE = Path("state") / "operations.sqlite"
ROWS_FILE = Path("state") / "odata.sqlite"
SCORES_FILE = Path("state") / "scores.sqlite"
# For a connection to PostgreSQL, and for the acknowledgement of what was sent over one (milliseconds).
MAKING_TABLES = 0x67726F756E64  # any number that nobody else locks
WAITS = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
metadata = sa.MetaData()
rows_metadata = sa.MetaData()
scores_metadata = sa.MetaData()  # its tables: api/life/score_tables.py

issued = sa.Table(
    "issued",
    metadata,
    sa.Column("receipt", sa.String(40), primary_key=True),
    sa.Column("issued", sa.DateTime, nullable=False),
    sa.Column("run", sa.String(36)),  # the run that it belongs to; none for a single request
    sa.Column("category", sa.String(200)),
    sa.Column("face", sa.String(20), nullable=False),  # which face gave it: rest, business-central, job
    sa.Column("key_id", sa.String(40)),
    sa.Column("request", sa.LargeBinary, nullable=False),  # what was asked, as resolved: enough to replay it
    sa.Column("answer", sa.LargeBinary, nullable=False),  # JSON, packed as the request is (api/ledger_packing.py)
    sa.Column("folded", sa.Boolean, nullable=False, default=False),  # its rows lie in the tables that OData reads
    sa.Index("issued_of_category", "category", "receipt"),
    sa.Index("issued_to_fold", "folded", "receipt"),
    sa.Index("issued_of_run", "run", "category"),
)

issued_inline = sa.Table(  # apart: it is kept for a shorter time, and what is freed by it is used again
    "issued_inline",
    metadata,
    sa.Column("receipt", sa.String(40), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),  # the history and the signals that came along: JSON, packed
    sqlite_with_rowid=False,
)

made_with = sa.Table(  # what answers depend on beside data and request; named by the resolved request
    "made_with",
    metadata,
    sa.Column("id", sa.String(20), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),  # JSON: version by name
)

job = sa.Table(
    "job",
    metadata,
    sa.Column("job", sa.String(36), primary_key=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("key_id", sa.String(40)),
    sa.Column("accepted", sa.DateTime, nullable=False),
    sa.Column("started", sa.DateTime),
    sa.Column("finished", sa.DateTime),
    sa.Column("state", sa.String(20), nullable=False),  # see api/jobs.py
    sa.Column("total", sa.Integer, nullable=False, default=1),
    sa.Column("done", sa.Integer, nullable=False, default=0),
    sa.Column("request", sa.LargeBinary, nullable=False),
    sa.Column("result", sa.LargeBinary),  # JSON
    sa.Column("media_type", sa.String(100)),  # of the result
    sa.Column("error", sa.LargeBinary),  # a problem detail
    sa.Index("job_by_state", "state", "accepted"),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("caller", sa.String(40), primary_key=True),
    sa.Column("idempotency_key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("created", sa.DateTime, nullable=False),
    sa.Column("owner", sa.String(32), nullable=False),  # the request that holds it
    sa.Column("alive", sa.DateTime),  # its last sign of life; none: it ended
    sa.Column("status", sa.Integer),  # none while there is no answer
    sa.Column("headers", sa.Text),
    sa.Column("body", sa.LargeBinary),
    sa.Index("idempotency_by_age", "created"),
)

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),  # JSON list
    sa.Column("categories", sa.Text),  # JSON list of those that it may see; none: all
    sa.Column("created", sa.DateTime, nullable=False),
    sa.Column("expires", sa.DateTime),
    sa.Column("revoked", sa.DateTime),
    sa.Column("last_used", sa.DateTime),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("moment", sa.DateTime, nullable=False),
    sa.Column("key_id", sa.String(40)),
    sa.Column("request_id", sa.String(64)),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(300), nullable=False),
    sa.Column("details", sa.Text, nullable=False),  # JSON
)

configuration = sa.Table(  # never changed: another has another id
    "configuration",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),  # JSON
    sa.Column("created", sa.DateTime, nullable=False),
)

serving = sa.Table(  # of the categories that are not served by the default
    "serving",
    metadata,
    sa.Column("category", sa.String(200), primary_key=True),
    sa.Column("champion", sa.String(40), nullable=False),
    sa.Column("previous", sa.String(40)),  # the champion before
    sa.Column("challenger", sa.String(40)),
    sa.Column("share", sa.Integer, nullable=False, default=0),  # per cent of requests that it answers; 0: shadow
    sa.Column("since", sa.DateTime, nullable=False),  # of the present step
    sa.Column("pinned", sa.Boolean, nullable=False, default=False),  # by a person: nothing else takes its place
)

life_event = sa.Table(  # whatever was done to a category's configurations, with its evidence
    "life_event",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("moment", sa.DateTime, nullable=False),
    sa.Column("category", sa.String(200), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("configuration", sa.String(40)),
    sa.Column("actor", sa.String(200), nullable=False),  # a person, or what of ours did it
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),  # JSON
    sa.Index("life_event_of_category", "category", "number"),
)

override_version = sa.Table(  # never changed: each change of an override, its withdrawal too, is a further row
    "override_version",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(40), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),  # 1, 2, …
    sa.Column("category", sa.String(200), nullable=False),
    sa.Column("first", sa.Date, nullable=False),  # first day of its first period
    sa.Column("last", sa.Date, nullable=False),  # last day of its last
    sa.Column("frequency", sa.String(10), nullable=False),  # of these periods
    sa.Column("layer", sa.String(40), nullable=False),
    sa.Column("action", sa.String(20), nullable=False),  # set, changed, withdrawn or restored
    sa.Column("moment", sa.DateTime, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("key_id", sa.String(40)),
    sa.Column("value", sa.Double),  # units a period; none: a relative one
    sa.Column("percent", sa.Double),  # none: an absolute one
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("expires", sa.DateTime),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
    sa.Column("seen", sa.Text, nullable=False),  # JSON: what the author saw of the system's forecast
    sa.UniqueConstraint("id", "version", name="override_once"),
    sa.Index("override_of_category", "category", "last"),
)

override_comment = sa.Table(
    "override_comment",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(40), nullable=False),  # of the override
    sa.Column("moment", sa.DateTime, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Index("comments_of_override", "id", "number"),
)

veto = sa.Table(  # configurations that a person will not have again for a category
    "veto",
    metadata,
    sa.Column("category", sa.String(200), primary_key=True),
    sa.Column("configuration", sa.String(40), primary_key=True),
    sa.Column("moment", sa.DateTime, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

alert = sa.Table(  # what was found to go wrong with a category, see api/life/alerts.py
    "alert",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("category", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("signal", sa.String(300), nullable=False),  # empty: none
    sa.Column("since", sa.Date, nullable=False),  # label of the period in which it most likely began
    sa.Column("found", sa.Date, nullable=False),  # of the one that showed it
    sa.Column("raised", sa.DateTime, nullable=False),
    sa.Column("size", sa.Double, nullable=False),
    sa.Column("cause", sa.String(20), nullable=False),
    sa.Column("sentence", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),  # JSON
    sa.Column("done", sa.Text, nullable=False, default=""),  # what was done about it
    sa.Column("state", sa.String(20), nullable=False),  # open, acknowledged, closed
    sa.Column("changed", sa.DateTime),
    sa.Column("actor", sa.String(200)),  # who acknowledged or closed it
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("category", "kind", "signal", "found"),
    sa.Index("alert_by_state", "state", "number"),
)

watched = sa.Table(  # up to which actual a category was looked at
    "watched",
    metadata,
    sa.Column("category", sa.String(200), primary_key=True),
    sa.Column("known", sa.DateTime, nullable=False),
)

retune_part = sa.Table(  # what one part of a search has found, until the search is over
    "retune_part",
    metadata,
    sa.Column("job", sa.String(36), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # JSON
)

life_told = sa.Table(  # up to which alert, or event in the life of a configuration, subscribers were told
    "life_told",
    metadata,
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)

canary_failure = sa.Table(  # requests that a challenger could not answer; its champion did in its place
    "canary_failure",
    metadata,
    sa.Column("category", sa.String(200), primary_key=True),
    sa.Column("configuration", sa.String(40), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("moment", sa.DateTime, nullable=False),  # of the last
    sa.Column("error", sa.Text, nullable=False),
)


def now() -> dt.datetime:
    """The clock, as the database holds moments: UTC without a zone."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def database_url(settings: Settings) -> str:
    """SQLAlchemy's address of the operational database."""
    return settings.database_url or f"sqlite:///{(settings.home / FILE).absolute()}"


@lru_cache(maxsize=8)
def engine_at(url: str, *tables: sa.MetaData) -> sa.Engine:
    """The pool of connections of this process, with the tables made."""
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url) if url.startswith("sqlite") else sa.create_engine(url, **_server_options(url))
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    with engine.begin() as connection:
        _make(connection, *tables)
    return engine


def _make(connection: sa.Connection, *tables: sa.MetaData) -> None:
    if connection.dialect.name == "postgresql":  # of two that make a table at the same time, one would fail
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MAKING_TABLES)))
    for each in tables:
        each.create_all(connection)


def engine_of(settings: Settings) -> sa.Engine:
    """The engine for the operational database of these settings."""
    if settings.database_url:  # one pool for all tables: connections to a server are dear
        return engine_at(settings.database_url, metadata, rows_metadata)
    return engine_at(database_url(settings), metadata)


def rows_engine_of(settings: Settings) -> sa.Engine:
    """The engine for the rows that OData reads."""
    if settings.database_url:
        return engine_of(settings)
    return engine_at(f"sqlite:///{(settings.home / ROWS_FILE).absolute()}", rows_metadata)


def scores_engine_of(settings: Settings) -> sa.Engine:
    """The engine for the scores of issued forecasts."""
    if not settings.database_url:
        return engine_at(f"sqlite:///{(settings.home / SCORES_FILE).absolute()}", scores_metadata)
    engine = engine_of(settings)
    _make_scores(engine)
    return engine


@lru_cache(maxsize=8)
def _make_scores(engine: sa.Engine) -> None:
    """The tables of scores in a database that others share; once a process."""
    with engine.begin() as connection:
        _make(connection, scores_metadata)


def _server_options(url: str) -> dict[str, Any]:
    """A server that went away is noticed before a request uses its connection, and one that is away within seconds."""
    given = sa.make_url(url).query
    waits = {name: seconds for name, seconds in WAITS.items() if name not in given}
    return {"pool_pre_ping": True, "connect_args": waits}


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection for reads only: in SQLite it waits for no writer."""
    with engine.connect() as connection:
        yield connection.execution_options(reads=True)


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes; committed at the end of the block."""
    with engine.begin() as connection:
        yield connection


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # sqlite3 would begin transactions by itself, and too late
    connection.execute("PRAGMA busy_timeout = 30000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and then writes would fail where another has written in between.
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
