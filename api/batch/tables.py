"""Files of sales and signals as tables that a chunk can be read from without reading the rest.

A Parquet file whose row groups follow the order of its series is read as it is. Anything else (CSV, NDJSON, rows in
another order) is sorted once, on disk, into such a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

MEMORY = "1GB"  # of a sort; beyond it DuckDB goes to disk
_GROUP = 65_536  # rows of a row group of a sorted file
_READERS = {
    ".parquet": "read_parquet({files}, union_by_name = true)",
    ".csv": "read_csv({files}, union_by_name = true, sample_size = -1)",
    ".ndjson": "read_json({files}, format = 'newline_delimited', union_by_name = true)",
}
_SUFFIXES = {".jsonl": ".ndjson", ".pq": ".parquet", ".tsv": ".csv"}
_ALIASES = {
    "category": ("category", "unique_id"), "ds": ("ds", "date", "period"), "y": ("y", "quantity"),
    "signal": ("signal",), "value": ("value",),
}  # fmt: skip
_OPTIONAL = ("known_at", "future_known", "aggregation", "start", "end")


class BatchError(ValueError):
    """A batch cannot be run as it was asked for; one sentence for a person."""


@dataclass(frozen=True)
class Columns:
    """What a kind of table needs."""

    kind: str
    needed: tuple[str, ...]
    maybe: tuple[str, ...] = ()


SALES = Columns("sales", ("category", "ds", "y"), ("known_at",))
SIGNALS = Columns("signals", ("signal", "ds", "value"), ("category", *_OPTIONAL))
CANDIDATES = Columns("candidates", ("category", "signal"))


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files that were named, with those of a folder in place of it; all of one kind."""
    found = [file for path in paths for file in (_inside(path) if path.is_dir() else [path])]
    if missing := [file for file in found if not file.is_file()]:
        raise BatchError(f"there is no file {missing[0]}")
    if not found:
        raise BatchError(f"{paths[0]} holds no Parquet, CSV or NDJSON file")
    if empty := [file for file in found if not file.stat().st_size]:
        raise BatchError(f"{empty[0]} is empty: 0 bytes; give a file with at least one row, or take it out")
    if len({_suffix(file) for file in found}) > 1:
        raise BatchError(f"{found[0].name} and the others are not all of one kind: Parquet, CSV or NDJSON")
    return found


def _inside(folder: Path) -> list[Path]:
    known = {*_READERS, *_SUFFIXES}
    return sorted(file for file in folder.iterdir() if file.suffix in known and not file.name.startswith((".", "_")))


def _suffix(file: Path) -> str:
    suffix = _SUFFIXES.get(file.suffix, file.suffix)
    if suffix not in _READERS:
        raise BatchError(f"{file.name} is neither .parquet, .csv nor .ndjson")
    return suffix


def digest_of(files: Sequence[Path]) -> str:
    """A hash of what the files hold, in their order."""
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as raw:
            whole.update(hashlib.file_digest(raw, "sha256").digest())
    return whole.hexdigest()


def in_order(files: Sequence[Path], columns: Columns, folder: Path) -> list[Path]:
    """Files that `rows_between` can read: the given ones, or one in `folder` that holds their rows sorted."""
    if _suffix(files[0]) == ".parquet" and _clustered(files, columns):
        return list(files)
    out = folder / f"{columns.kind}.parquet"
    if not out.is_file():  # made whole by an earlier try of the same run
        folder.mkdir(parents=True, exist_ok=True)
        _sort(files, columns, out)
    return [out]


def _clustered(files: Sequence[Path], columns: Columns) -> bool:
    """Whether the row groups follow one another in the order of series."""
    last: str | None = None
    for file in files:
        read = _parquet(file)
        if not _typed(read.schema_arrow, columns):
            return False  # told of, or mended, as it is sorted
        name = _find(columns.kind, read.schema_arrow.names, "category", optional="category" in columns.maybe)
        if name is None:
            return True  # they serve all series
        kind = read.schema_arrow.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return False
        at = read.schema_arrow.names.index(name)
        for group in range(read.num_row_groups):
            told = read.metadata.row_group(group).column(at).statistics
            if told is None or not told.has_min_max or (last is not None and told.min < last):
                return False
            last = told.max
    return True


def _parquet(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowException as error:
        raise BatchError(f"{file} cannot be read as Parquet: {error}") from error


def _typed(schema: pa.Schema, columns: Columns) -> bool:
    """Whether numbers and dates have types of their own, and are not texts or something else."""
    fits = {
        "DOUBLE": (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
        "DATE": (pa.types.is_date, pa.types.is_timestamp),
    }
    chosen = _mapping(columns.kind, schema.names, columns)
    asked = {
        own: fits[wanted] for name, own in chosen.items() if (wanted := _WANTED.get(name, ("", (), ""))[2]) in fits
    }
    return all(any(is_a(schema.field(own).type) for is_a in kinds) for own, kinds in asked.items())


def _find(kind: str, given: Sequence[str], name: str, *, optional: bool = False) -> str | None:
    """What the column of that meaning is called."""
    for alias in _ALIASES.get(name, (name,)):
        if alias in given:
            return alias
    if optional:
        return None
    raise BatchError(
        f"the {kind} have the columns {', '.join(given)}; wanted one named {' or '.join(_ALIASES.get(name, (name,)))}"
    )


def _mapping(kind: str, given: Sequence[str], columns: Columns) -> dict[str, str]:
    """The columns that are read, by their own names."""
    spans = "start" in given and "ds" not in given and "start" in columns.maybe
    needed = [name for name in columns.needed if not (spans and name == "ds")]
    found = {name: str(_find(kind, given, name)) for name in needed}
    return found | {name: own for name in columns.maybe if (own := _find(kind, given, name, optional=True))}


def _sort(files: Sequence[Path], columns: Columns, out: Path) -> None:
    import duckdb

    part = out.with_suffix(".part")
    listed = "[" + ", ".join(_quoted(str(file)) for file in files) + "]"
    source = _READERS[_suffix(files[0])].format(files=listed)
    with closing(duckdb.connect()) as connection:
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute(f"SET temp_directory = {_quoted(str(out.parent / 'sorting'))}")
        connection.execute("SET preserve_insertion_order = false")
        try:
            types = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
            chosen = _mapping(columns.kind, list(types), columns)
            select = ", ".join(
                f'{_cast(name, own, types[own], columns.kind)} AS "{name}"' for name, own in chosen.items()
            )
            order = ", ".join(f'"{name}"' for name in ("category", "signal", "ds", "start") if name in chosen)
            options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_GROUP}"
            connection.execute(
                f"COPY (SELECT {select} FROM {source} ORDER BY {order}) TO {_quoted(str(part))} ({options})"
            )
        except (BatchError, duckdb.InvalidInputException, duckdb.ConversionException, duckdb.BinderException) as error:
            raise BatchError(
                _blamed(files, columns) or f"{files[0].name}: {' '.join(str(error).split())[:300]}"
            ) from error
    part.replace(out)


def _blamed(files: Sequence[Path], columns: Columns) -> str | None:
    """Which cell, line or column of which file cannot be used."""
    from api.batch.cells import find_wrong

    def wanted(names: Sequence[str]) -> dict[str, str]:
        chosen = _mapping(columns.kind, names, columns)
        return {own: _WANTED[name][3] for name, own in chosen.items() if name in _WANTED}

    return find_wrong(files, wanted)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_NUMBERS = ("INT", "BIGINT", "HUGEINT", "SMALLINT", "TINYINT", "DOUBLE", "FLOAT", "DECIMAL")
# What a column holds, how its SQL types begin, what it becomes (empty: it stays), what a text in it must turn into.
_WANTED = {
    "ds": ("dates", ("DATE", "TIMESTAMP"), "DATE", "TIMESTAMP"),
    "start": ("dates", ("DATE", "TIMESTAMP"), "DATE", "TIMESTAMP"),
    "end": ("dates", ("DATE", "TIMESTAMP"), "DATE", "TIMESTAMP"),
    "known_at": ("moments", ("DATE", "TIMESTAMP"), "", "TIMESTAMP"),
    "y": ("numbers", _NUMBERS, "DOUBLE", "DOUBLE"),
    "future_known": ("true or false", ("BOOL",), "BOOLEAN", "BOOLEAN"),
}  # fmt: skip
_WANTED["value"] = _WANTED["y"]


def _cast(name: str, own: str, kind: str, table: str) -> str:
    """A column as SQL; refused where it holds something else than it should."""
    column = '"' + own.replace('"', '""') + '"'
    if kind == "JSON":  # of several types in NDJSON
        column, kind = f"({column} ->> '$')", "VARCHAR"
    if name not in _WANTED:
        return f"CAST({column} AS VARCHAR)"
    what, begins, wanted, read = _WANTED[name]
    if kind == "VARCHAR":  # also where all cells are empty; a text that is none is refused with its line
        return f"CAST(CAST({column} AS {read}) AS {wanted or read})"
    if not kind.removeprefix("U").startswith(begins):
        raise BatchError(f"the column {own} of the {table} holds {kind}; wanted {what}")
    return f"CAST({column} AS {wanted})" if wanted else column


def counts_of(files: Sequence[Path], kind: str = "sales") -> Mapping[str, int]:
    """How many rows each series of a table has, in the order of names. Raises BatchError for rows without a name."""
    found: dict[str | None, int] = {}
    for batch in _dataset(tuple(files)).to_batches(columns=[_own(files, "category")]):
        for pair in pc.value_counts(batch.column(0).cast(pa.string())).to_pylist():
            found[pair["values"]] = found.get(pair["values"], 0) + pair["counts"]
    if None in found:
        raise BatchError(f"{found[None]} rows of the {kind} have no category")
    return {name: found[name] for name in sorted(name for name in found if name is not None)}


def has_owner(files: Sequence[Path]) -> bool:
    """Whether the rows of a table of signals say which series they serve."""
    return _find("signals", _dataset(tuple(files)).schema.names, "category", optional=True) is not None


def rows_between(files: Sequence[Path], columns: Columns, first: str, last: str) -> pa.Table:
    """The rows of the series from `first` to `last`, and those that serve all; row groups of others are not read."""
    own = _own(files, "category")
    wanted = (ds.field(own) >= first) & (ds.field(own) <= last)
    if "category" in columns.maybe:
        wanted = wanted | ds.field(own).is_null()
    return _renamed(_dataset(tuple(files)).to_table(filter=wanted), columns)


@lru_cache(maxsize=4)
def all_rows(files: tuple[Path, ...], columns: Columns) -> pa.Table:
    """A small table, kept for the next chunk."""
    return _renamed(_dataset(files).to_table(), columns)


def _own(files: Sequence[Path], name: str) -> str:
    return str(_find("sales", _dataset(tuple(files)).schema.names, name))


@lru_cache(maxsize=8)
def _dataset(files: tuple[Path, ...]) -> Any:
    """The files of a table; what their footers say is kept."""
    return ds.dataset([str(file) for file in files], format="parquet")


def _renamed(table: pa.Table, columns: Columns) -> pa.Table:
    chosen = _mapping(columns.kind, table.column_names, columns)
    return pa.table({name: table[own] for name, own in chosen.items()})
