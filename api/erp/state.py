"""What is remembered of ERPs: rows that were written there, and ledger entries that were read from there."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from api.database import metadata

export_row = sa.Table(
    "export_row",
    metadata,
    sa.Column("target", sa.String(40), primary_key=True),
    sa.Column("place", sa.String(300), primary_key=True),  # which system: its address and company
    sa.Column("row", sa.String(400), primary_key=True),  # item, site and period: the same for every forecast of it
    sa.Column("receipt", sa.String(40), nullable=False),  # the forecast that it is from
    sa.Column("category", sa.String(200), nullable=False),
    sa.Column("period", sa.Date, nullable=False),  # first day of the bucket
    sa.Column("remote", sa.String(200), nullable=False),  # its id there
    sa.Column("digest", sa.String(64)),  # of what was written; none while that is not sure
    sa.Column("written", sa.DateTime, nullable=False),
)

erp_entry = sa.Table(
    "erp_entry",
    metadata,
    sa.Column("source", sa.String(40), primary_key=True),
    sa.Column("place", sa.String(300), primary_key=True),
    sa.Column("entry", sa.String(64), primary_key=True),
    sa.Column("item", sa.String(200), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("quantity", sa.Float, nullable=False),  # sold: positive
    sa.Column("unit", sa.String(50)),
)

erp_cursor = sa.Table(
    "erp_cursor",
    metadata,
    sa.Column("source", sa.String(40), primary_key=True),
    sa.Column("place", sa.String(300), primary_key=True),
    sa.Column("through", sa.String(40), nullable=False),  # everything that changed before this moment was read
)


def upsert(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT that puts itself in the place of a row with the same key."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    rest = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)
