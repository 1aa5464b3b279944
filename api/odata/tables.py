"""The tables that OData reads, made from the fields of api/odata/model.py; a column is named as its property."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from api.database import rows_metadata
from api.odata.model import FORECASTS, KEY, SETS, EntitySet, Field

NUMBER = "number"  # rows are given in this order, that in which they came: what is new comes last
_TYPES: dict[str, Any] = {
    "Guid": sa.String(36),
    "String": sa.Text,
    "Boolean": sa.Boolean,
    "Int32": sa.Integer,
    "Int64": sa.BigInteger,
    "Decimal": sa.Double,  # rounded to six decimals when it is written
    "Double": sa.Double,
    "Date": sa.Date,
    "DateTimeOffset": sa.DateTime,  # UTC without a zone
}


def _column(one: Field) -> sa.Column[Any]:
    return sa.Column(one.name, _TYPES[one.type], nullable=one.nullable)


def _table(entities: EntitySet) -> sa.Table:
    number = sa.Column(NUMBER, sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    name = entities.table
    indexes = [sa.Index(f"{name}_{one.name}", one.name) for one in entities.fields if one.indexed]
    unique = sa.Index(f"{name}_{KEY}", KEY, unique=True)
    return sa.Table(name, rows_metadata, number, *map(_column, entities.fields), unique, *indexes)


TABLES: dict[str, sa.Table] = {entities.name: _table(entities) for entities in SETS.values()}
FORECAST_ROW = TABLES[FORECASTS.name]
# The newest forecasts are few among all: by category to find what is no longer the newest, by number to read them.
sa.Index("published_row_Category", FORECAST_ROW.c.Category, FORECAST_ROW.c.IsLatest)
sa.Index(
    "published_row_latest",
    FORECAST_ROW.c[NUMBER],
    sqlite_where=FORECAST_ROW.c.IsLatest == sa.true(),
    postgresql_where=FORECAST_ROW.c.IsLatest,
)

fold_state = sa.Table(
    "fold_state",
    rows_metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
