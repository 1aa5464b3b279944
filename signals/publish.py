"""Publishing: an immutable, sorted copy of the store under a new name, and CURRENT, which names the newest."""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb

from signals.home import Home, fsync, utc, write_durably
from signals.sql import literal, run
from signals.trouble import is_damage

KEEP = 3
# A file of DuckDB's usual blocks takes 2 MB even where it holds twenty rows; large tables compress better in them.
_SMALL_STORE, _SMALL_BLOCK, _BLOCK = 100_000, 16_384, 262_144

_NAME = r"snap-\d{1,18}\.duckdb"

# Sorted by what a read asks for, so that it touches one or two blocks; DuckDB needs no index for it then.
ORDER = {
    "batch": "recorded, batch",
    "category": "category, recorded",
    "signal": "signal, recorded",
    "candidate": "category, signal, recorded",
    "cursor": "signal, recorded",
    "event": 'category, "start", known_at, recorded',
    "sales": 'category, "start", known_at, recorded',
    "observation": 'signal, "start", known_at, recorded',
}

# What a list of categories or signals shows about their data, computed once here and not by every reader. The rows were
# just inserted in ORDER, so the highest rowid of a period is its newest version.
_SUMMARIES = """
CREATE OR REPLACE TABLE snap.category_summary AS
    SELECT category, count(*) AS periods, min("start") AS "start", max("end") AS "end" FROM (
        SELECT category, "start", arg_max_null("end", rowid) AS "end", arg_max_null(quantity, rowid) AS quantity
        FROM snap.sales GROUP BY category, "start")
    WHERE quantity IS NOT NULL GROUP BY category ORDER BY category;
CREATE OR REPLACE TABLE snap.signal_summary AS
    WITH windowed AS (
        SELECT signal, max("window") AS newest FROM snap.observation SEMI JOIN (
            SELECT signal FROM snap.signal GROUP BY signal HAVING arg_max(scale, recorded) = 'window') USING (signal)
        GROUP BY signal)
    SELECT signal, min("start") AS first, max("start") AS last, count(DISTINCT "start") AS observations,
           max(known_at) AS last_known_at FROM (
        SELECT signal, "start", arg_max_null(value, rowid) AS value, max(known_at) AS known_at
        FROM snap.observation LEFT JOIN windowed USING (signal) WHERE newest IS NULL OR "window" = newest
        GROUP BY signal, "window", "start")
    WHERE value IS NOT NULL GROUP BY signal ORDER BY signal;
"""


def snapshot_name(version: int) -> str:
    """The file name of a published version; zero-padded, so that names sort like versions."""
    return f"snap-{version:012d}.duckdb"


def published_version(home: Home) -> int:
    """The data version that readers get at present; 0 before the first, and where CURRENT is damaged."""
    name = current_name(home)
    return 0 if name is None else version_of(name)


def newest_version(home: Home) -> int:
    """The highest data version that was ever published, as the files tell, whatever CURRENT says."""
    return max([published_version(home), *(version_of(path.name) for path in _published(home))])


def current_name(home: Home) -> str | None:
    """The file that CURRENT names; None where there is no CURRENT or it names no snapshot."""
    try:
        name = home.current.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return name if re.fullmatch(_NAME, name) else None


def version_of(name: str) -> int:
    """The data version in a snapshot's file name."""
    return int(name.removeprefix("snap-").removesuffix(".duckdb"))


def _published(home: Home) -> list[Path]:
    return sorted(path for path in home.snapshots.glob("snap-*.duckdb") if re.fullmatch(_NAME, path.name))


def is_intact(home: Home) -> bool:
    """Whether the current snapshot is there and each of its blocks can be read; DuckDB checks their checksums."""
    name = current_name(home)
    if name is None or not (home.snapshots / name).is_file():
        return False
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        try:
            run(connection, f"ATTACH {literal(home.snapshots / name)} AS snap (READ_ONLY)")
            for table in (*ORDER, "meta", "category_summary", "signal_summary"):
                run(connection, f"SELECT bit_xor(hash(rows)) FROM snap.{table} rows")
        except duckdb.Error as error:
            if is_damage(error):
                return False
            raise
    return True


def write_snapshot(connection: duckdb.DuckDBPyConnection, home: Home, version: int) -> Path:
    """Copy the whole store, sorted, and make it the current snapshot; a kill or an error leaves the old one current."""
    temporary = home.snapshots / f".tmp-{os.getpid()}-{version}.duckdb"
    path = home.snapshots / snapshot_name(version)
    clean(home)
    if not home.current.exists() and not _published(home):
        home.first.touch()  # until CURRENT is there, a snapshot without it is no damage
    try:
        _copy(connection, temporary, version)
        fsync(temporary)
        temporary.rename(path)
        write_durably(home.current, path.name)
        home.first.unlink(missing_ok=True)
    except BaseException:
        clean(home)  # on a full disk what was written so far would keep others from writing
        raise
    for old in _published(home)[:-KEEP]:
        old.unlink()  # readers that have it open keep it until they let go
    return path


def _copy(connection: duckdb.DuckDBPyConnection, path: Path, version: int) -> None:
    rows = sum(run(connection, f"SELECT count(*) FROM {table}")[0][0] for table in ("sales", "observation"))
    block = _SMALL_BLOCK if rows < _SMALL_STORE else _BLOCK
    run(connection, f"ATTACH {literal(path)} AS snap (BLOCK_SIZE {block})")
    try:
        run(connection, "COPY FROM DATABASE ingest TO snap (SCHEMA)")
        for table, order in ORDER.items():
            run(connection, f"INSERT INTO snap.{table} SELECT * FROM {table} ORDER BY {order}")
        run(connection, "INSERT INTO snap.meta SELECT * FROM meta WHERE key = 'schema_version'")
        facts = [("data_version", str(version)), ("published", f"{utc(None).isoformat()}Z")]
        for fact in facts:
            run(connection, "INSERT INTO snap.meta VALUES (?, ?)", fact)
        run(connection, _SUMMARIES)
        run(connection, "CHECKPOINT snap")
    finally:
        run(connection, "DETACH snap")


def clean(home: Home) -> None:
    """Delete what a killed publisher left; only the owner of the home may call this."""
    for path in home.snapshots.glob(".tmp-*"):
        path.unlink(missing_ok=True)
