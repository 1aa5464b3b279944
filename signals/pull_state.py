"""What pulling must remember between restarts and share between processes: `state/pull.sqlite` of the home.

When each host was asked, whether a source is to be left alone, how each entry fared, and every payload that was landed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from signals.home import Home
from signals.trouble import StoreDamaged, space_needed

_TABLES = """
CREATE TABLE IF NOT EXISTS call (host TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS call_of_host ON call (host, at);
CREATE TABLE IF NOT EXISTS host (host TEXT PRIMARY KEY, blocked_until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS source (
    connector TEXT PRIMARY KEY, failures INTEGER NOT NULL, closed_until REAL NOT NULL, trips INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS entry (
    entry TEXT PRIMARY KEY, connector TEXT NOT NULL, attempted TEXT, succeeded TEXT, error TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS payload (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, connector TEXT NOT NULL, pull TEXT NOT NULL, request TEXT NOT NULL,
    fingerprint TEXT NOT NULL, status INTEGER NOT NULL, content_type TEXT NOT NULL, headers TEXT NOT NULL,
    fetched_at TEXT NOT NULL, sha TEXT NOT NULL, parser TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS payload_of_pull ON payload (connector, pull, fetched_at);
CREATE TABLE IF NOT EXISTS records (signal TEXT PRIMARY KEY, usual REAL NOT NULL);
CREATE TABLE IF NOT EXISTS begun (signal TEXT PRIMARY KEY, since TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS memory (host TEXT PRIMARY KEY, seconds REAL NOT NULL);
"""

# Sources may share a host: its calls are kept as long as the one with the longest span needs them.
_REMEMBER = """INSERT INTO memory VALUES ($host, $seconds)
               ON CONFLICT (host) DO UPDATE SET seconds = max(seconds, excluded.seconds)"""
_FORGET = """DELETE FROM call WHERE host = $host
             AND at < $now - 60 - (SELECT seconds FROM memory WHERE host = $host)"""


@dataclass(frozen=True)
class EntryState:
    """How an entry of groundswell.toml fared last; moments are UTC without a zone, None: never."""

    attempted: datetime | None = None
    succeeded: datetime | None = None
    error: str = ""


@dataclass(frozen=True)
class Landed:
    """One payload that was landed. `run` is one making of the pull `pull`; `state` is landed, stored or set aside."""

    id: int
    run: str
    connector: str
    pull: str
    request: str
    fingerprint: str
    status: int
    content_type: str
    fetched_at: datetime
    sha: str
    state: str
    reason: str


_COLUMNS = "id, run, connector, pull, request, fingerprint, status, content_type, fetched_at, sha, state, reason"


class PullState:
    """Opens the file for each question, so that it may be used by many threads and processes."""

    def __init__(self, home: Path) -> None:
        self._home, self._path = Home(home), home / "state" / "pull.sqlite"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._telling(), closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30, isolation_level=None)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with self._telling(), closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Errors of the file as DiskFull and StoreDamaged."""
        try:
            with space_needed(self._home, "so what became of the pull is not noted"):
                yield
        except sqlite3.OperationalError:
            raise  # such as a lock that is not given up: the file is sound
        except sqlite3.DatabaseError as error:
            raise StoreDamaged(
                f"{self._path} cannot be read ({error}); move it and the files beside it that begin with its name "
                "aside and pull again. No value is lost: only how each source fared, and which payloads were landed"
            ) from error

    def reserve(
        self, host: str, now: float, interval: float, budget: tuple[int, float] | None, within: float = float("inf")
    ) -> float:
        """Take the next free moment for a request to a host: seconds since the epoch, at least `now`.

        One that is more than `within` seconds away is told and not taken.
        """
        with self._opened() as connection:
            # A clock that was set back must not keep everybody waiting for what lies in its future.
            connection.execute("DELETE FROM call WHERE host = ? AND at > ?", [host, now + 3600])
            last = connection.execute("SELECT max(at) FROM call WHERE host = ?", [host]).fetchone()[0]
            at = max(now, (last or 0.0) + interval)
            if budget is not None:
                at = max(at, _nth_last(connection, host, budget))
            if at - now > within:
                return at
            connection.execute("INSERT INTO call VALUES (?, ?)", [host, at])
            connection.execute(_REMEMBER, {"host": host, "seconds": max(interval, budget[1] if budget else 0.0)})
            connection.execute(_FORGET, {"host": host, "now": now})
        return at

    def block(self, host: str, until: float) -> None:
        """Leave a host alone until then: it asked for that."""
        with self._opened() as connection:
            connection.execute("INSERT OR REPLACE INTO host VALUES (?, ?)", [host, until])

    def blocked_until(self, host: str) -> float:
        """Until when a host is to be left alone; 0 where it is not."""
        with self._opened() as connection:
            row = connection.execute("SELECT blocked_until FROM host WHERE host = ?", [host]).fetchone()
        return float(row[0]) if row else 0.0

    def breaker(self, connector: str) -> tuple[int, float, int]:
        """Failures in a row of a source, until when it is left alone, and how often in a row that has happened."""
        with self._opened() as connection:
            sql = "SELECT failures, closed_until, trips FROM source WHERE connector = ?"
            row = connection.execute(sql, [connector]).fetchone()
        return (int(row[0]), float(row[1]), int(row[2])) if row else (0, 0.0, 0)

    def set_breaker(self, connector: str, failures: int, closed_until: float, trips: int) -> None:
        """Remember how a source fares."""
        with self._opened() as connection:
            values = [connector, failures, closed_until, trips]
            connection.execute("INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?)", values)

    def entry(self, key: str) -> EntryState:
        """How an entry fared last."""
        with self._opened() as connection:
            sql = "SELECT attempted, succeeded, error FROM entry WHERE entry = ?"
            row = connection.execute(sql, [key]).fetchone()
        return EntryState(_moment(row[0]), _moment(row[1]), row[2]) if row else EntryState()

    def set_entry(self, key: str, connector: str, now: datetime, error: str) -> None:
        """Remember how an entry fared; an empty error is a success."""
        with self._opened() as connection:
            connection.execute(
                """INSERT INTO entry VALUES ($key, $connector, $now, $done, $error) ON CONFLICT (entry) DO UPDATE
                   SET attempted = $now, succeeded = coalesce($done, succeeded), error = $error""",
                {
                    "key": key,
                    "connector": connector,
                    "now": str(now),
                    "done": None if error else str(now),
                    "error": error,
                },
            )

    def land(self, run: str, connector: str, pull: str, facts: Mapping[str, Any]) -> int:
        """Note a payload whose body is safe on disk; its number."""
        with self._opened() as connection:
            cursor = connection.execute(
                """INSERT INTO payload (run, connector, pull, request, fingerprint, status, content_type, headers,
                                        fetched_at, sha, parser, state, reason)
                   VALUES ($run, $connector, $pull, $request, $fingerprint, $status, $content_type, $headers,
                           $fetched_at, $sha, $parser, 'landed', '')""",
                {"run": run, "connector": connector, "pull": pull, **facts, "headers": json.dumps(facts["headers"])},
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    def adopt(self, number: int, run: str) -> None:
        """Let a payload that a killed run had landed belong to another one."""
        with self._opened() as connection:
            connection.execute("UPDATE payload SET run = ? WHERE id = ?", [run, number])

    def mark(self, ids: list[int], state: str, reason: str = "") -> None:
        """Say what became of payloads: stored, or set aside with the reason."""
        with self._opened() as connection:
            rows = [(state, reason, number) for number in ids]
            connection.executemany("UPDATE payload SET state = ?, reason = ? WHERE id = ?", rows)

    def landed(self, connector: str, pull: str | None = None, since: datetime | None = None) -> list[Landed]:
        """Payloads of a source (of one pull of it, fetched since a moment) in order of time."""
        sql = f"SELECT {_COLUMNS} FROM payload WHERE connector = $connector"
        sql += " AND pull = $pull" if pull is not None else ""
        sql += " AND fetched_at >= $since" if since is not None else ""
        given = {"connector": connector, "pull": pull, "since": str(since)}
        with self._opened() as connection:
            rows = connection.execute(f"{sql} ORDER BY fetched_at, id", given).fetchall()
        named = [dict(zip(_COLUMNS.split(", "), row, strict=True)) for row in rows]
        return [Landed(**row | {"fetched_at": datetime.fromisoformat(row["fetched_at"])}) for row in named]

    def set_aside(self, connector: str) -> tuple[int, str]:
        """How many payloads of a source are quarantined, and why the last one."""
        with self._opened() as connection:
            sql = """SELECT count(*), (SELECT reason FROM payload WHERE connector = $c AND state = 'set aside'
                                       ORDER BY id DESC LIMIT 1)
                     FROM payload WHERE connector = $c AND state = 'set aside'"""
            count, reason = connection.execute(sql, {"c": connector}).fetchone()
        return count, reason or ""

    def begun(self, signal: str) -> datetime | None:
        """From which moment on the history of a signal was asked for; None where that is not known."""
        with self._opened() as connection:
            row = connection.execute("SELECT since FROM begun WHERE signal = ?", [signal]).fetchone()
        return _moment(row[0]) if row else None

    def set_begun(self, since: Mapping[str, datetime]) -> None:
        """Remember from which moments on signals have been asked for, where that is earlier than before."""
        with self._opened() as connection:
            sql = """INSERT INTO begun VALUES (?, ?)
                     ON CONFLICT (signal) DO UPDATE SET since = min(since, excluded.since)"""
            connection.executemany(sql, [(signal, str(moment)) for signal, moment in since.items()])

    def usual_records(self, signal: str) -> float | None:
        """From how many records of the source a value of a signal was usually made; None where it is not known."""
        with self._opened() as connection:
            row = connection.execute("SELECT usual FROM records WHERE signal = ?", [signal]).fetchone()
        return float(row[0]) if row else None

    def set_usual_records(self, usual: Mapping[str, float]) -> None:
        """Remember from how many records values are made."""
        with self._opened() as connection:
            connection.executemany("INSERT OR REPLACE INTO records VALUES (?, ?)", list(usual.items()))


def _nth_last(connection: sqlite3.Connection, host: str, budget: tuple[int, float]) -> float:
    """When the oldest of the last `count` calls leaves the span of the budget."""
    count, seconds = budget
    sql = "SELECT at FROM call WHERE host = ? ORDER BY at DESC LIMIT 1 OFFSET ?"
    row = connection.execute(sql, [host, count - 1]).fetchone()
    return float(row[0]) + seconds if row else 0.0


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def moment_at(seconds: float) -> datetime:
    """Seconds since the epoch as UTC without a zone."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).replace(tzinfo=None)
