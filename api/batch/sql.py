"""Sales that a database holds: the query of a `[[sales]]` table of groundswell.toml, which an administrator wrote."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from api.batch.plan import MANIFEST
from api.batch.tables import BatchError
from signals.sales_config import SalesSource, address, load_sales_sources
from signals.sales_sql import Limits, run_query

_RENAMED = {"category": "category", "date": "ds", "quantity": "y"}


def connection_of(home: Path, name: str) -> SalesSource:
    """The database of that name. Raises BatchError where there is none."""
    found = {source.name: source for source in load_sales_sources(home) if source.query is not None}
    if name not in found:
        there = ", ".join(sorted(found)) or "none"
        raise BatchError(
            f"no [[sales]] table of groundswell.toml describes a database named {name!r}; there are: {there}"
        )
    return found[name]


def stage_query(home: Path, name: str, folder: Path) -> Path:
    """The result of the query as a Parquet file in `folder`; a run that has begun and goes on finds it there.

    Raises BatchError, and ImportRefused where the database refuses.
    """
    out = folder / "query.parquet"
    if not out.is_file() or not (folder.parent / MANIFEST).is_file():  # what was refused may have been mended
        source = connection_of(home, name)
        limits = Limits(source.timeout.total_seconds(), source.max_rows)
        table = run_query(address(source, home), source.query or "", name, home, limits).table.data
        folder.mkdir(parents=True, exist_ok=True)
        part = out.with_suffix(".part")
        pq.write_table(_renamed(table, source), part)
        part.replace(out)
    return out


def _renamed(table: pa.Table, source: SalesSource) -> pa.Table:
    """The columns under the names of a batch, where the source says what they are called."""
    said = {getattr(source, key): name for key, name in _RENAMED.items() if getattr(source, key)}
    for given, name in said.items():
        if given.startswith("="):
            table = table.append_column(name, pa.array([given[1:]] * len(table), pa.string()))
    return table.rename_columns([said.get(name, name) for name in table.column_names])
