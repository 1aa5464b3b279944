"""Sales in a DuckDB file, or in files that a query of DuckDB names; never in the files of the home itself."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import duckdb
import pyarrow as pa

from signals.refused import ImportRefused
from signals.sales_folder import refuse_home

SCHEME = "duckdb:"
_TEXT = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")
_PATTERN = re.compile(r"[*?\[{]")
_ROWS = 50_000
# Else the name of a table could mean a variable of this program.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {"python_enable_replacements": "false"}


def run_duckdb(url: str, statement: str, home: Path, seconds: float, max_rows: int) -> pa.Table:
    """The result of a SELECT over a DuckDB file (`duckdb:///path`) or over files that it names (`duckdb:`).

    Only files whose names stand in the query as text can be read, and none beside or above the home: its own database
    must not be opened in passing, as that would lose the store's lock. Raises ImportRefused.
    """
    path = _database(url, home)
    try:
        connection = duckdb.connect(str(path or ":memory:"), read_only=path is not None, config=_CONFIG)
    except duckdb.Error as error:
        raise _unusable(url, error) from error
    timer = threading.Timer(seconds, connection.interrupt)
    timer.start()
    try:
        _confine(connection, statement, home)
        return _read(connection, statement, max_rows)
    except duckdb.InterruptException as error:
        raise ImportRefused(
            f"the query took longer than timeout = {seconds:g} seconds", remedy="Make it quicker, or raise `timeout`"
        ) from error
    except duckdb.PermissionException as error:
        raise ImportRefused(
            f"the query reads what is not there or not allowed: {str(error).splitlines()[0]}",
            remedy="Name existing files, as text in the query and with absolute paths",
        ) from error
    except duckdb.Error as error:
        raise _unusable(url, error) from error
    finally:
        timer.cancel()
        connection.close()


def _read(connection: duckdb.DuckDBPyConnection, statement: str, max_rows: int) -> pa.Table:
    reader: pa.RecordBatchReader = connection.sql(statement).to_arrow_reader(_ROWS)
    batches, rows = [], 0
    for batch in reader:
        rows += batch.num_rows
        if rows > max_rows:
            raise ImportRefused(
                f"the result has more than max_rows = {max_rows:,} rows",
                remedy="Add up in the query, or raise `max_rows`",
            )
        batches.append(batch)
    return pa.Table.from_batches(batches, reader.schema)


def _database(url: str, home: Path) -> Path | None:
    """The DuckDB file of a URL, None for `duckdb:`."""
    text = url.removeprefix(SCHEME).strip("/")
    if text in ("", ":memory:"):
        return None
    path = Path("/") / text
    if not path.is_file():
        raise ImportRefused(
            f"{url}: there is no file {str(path)!r}", value=url, remedy="Give a path from the root: duckdb:///data/x.db"
        )
    refuse_home([path], home)
    return path


def _confine(connection: duckdb.DuckDBPyConnection, statement: str, home: Path) -> None:
    """Let the query read the folders of the files that it names, and nothing else."""
    folders = set()
    for single, double in _TEXT.findall(statement):
        name = (single or double).replace("''", "'")
        if name and connection.execute("SELECT 1 FROM glob(?) LIMIT 1", [name]).fetchone():
            folder = Path(_PATTERN.split(name)[0] + "x").parent  # what stands before the first * or ?
            _refuse_near(folder.resolve(), home.resolve(), name)
            folders.add(f"{folder}/")
    connection.execute("SET allowed_directories = ?", [sorted(folders)])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _refuse_near(folder: Path, home: Path, name: str) -> None:
    if folder.is_relative_to(home) or home.is_relative_to(folder):
        raise ImportRefused(
            f"{name!r} lies in or above the home of Groundswell", value=name, remedy="Keep sales in another folder"
        )


def _unusable(url: str, error: duckdb.Error) -> ImportRefused:
    said = " ".join(str(error).split("\n\n", 1)[0].split())
    return ImportRefused(f"cannot read from {url}: {said}", value=url, remedy="Correct `database` or `query`")
