"""From a query to the bytes of its page. A page is encoded row by row, so that memory holds one page and no more."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import sqlalchemy as sa

from api.odata.filters import condition
from api.odata.model import KEY, NAMESPACE, EntitySet
from api.odata.protocol import PAGE, Format
from api.odata.query import Expansion, Query, Token
from api.odata.tables import NUMBER

MODIFIED = "ModifiedAt"
TOGETHER = 100  # entities whose expansions are read by one query
MOST_EXPANDED = 500  # entities in the expansion of one entity; the rest has an address of its own
ENOUGH_EXPANDED = 20_000  # entities in the expansions of one page, after which it ends
_EPOCH = dt.datetime(1970, 1, 1)
_JSON = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
Where = sa.ColumnElement[bool]
Encode = Callable[[Sequence[Any]], dict[str, Any]]


@dataclass(frozen=True)
class Page:
    """What one answer holds. `values`: encoded entities; `after`: where the next page begins; `left`: $top of it."""

    values: list[bytes]
    count: int | None
    after: Token | None
    left: int | None


@dataclass(frozen=True)
class Reader:
    """Reads for one request. `root` is the service's address.

    `tables` are those of the sets as the caller sees them; `visible` gives which of their rows it may see.
    """

    connection: sa.Connection
    tables: Mapping[str, sa.FromClause]
    visible: Callable[[EntitySet], Where]
    root: str
    format: Format

    def where(self, query: Query, *others: Where) -> Where:
        """All that is demanded of the rows of a query."""
        table = self.tables[query.entities.name]
        wanted = [condition(query.filter, query.entities, table)] if query.filter is not None else []
        return sa.and_(self.visible(query.entities), *others, *wanted)

    def count(self, query: Query, *others: Where) -> int:
        """How many rows there are, whatever $top and $skip say."""
        table = self.tables[query.entities.name]
        rows = sa.select(sa.func.count()).select_from(table).where(self.where(query, *others))
        return int(self.connection.execute(rows).scalar_one())

    def row(self, entities: EntitySet, *where: Where) -> sa.RowMapping | None:
        """The one row of a set for which that holds."""
        found = sa.select(self.tables[entities.name]).where(self.visible(entities), *where)
        return self.connection.execute(found).mappings().first()

    def one(self, query: Query, row: sa.RowMapping) -> dict[str, Any]:
        """One entity, with its expansions."""
        read = _Columns(query)
        values = [row[name] for name in read.names]
        entity = self._encoder(query)(values)
        for expansion in query.expand:
            entity |= _Expanded(self, query, expansion, read, [values]).of(values)
        return entity

    def page(self, query: Query, size: int, *others: Where) -> Page:
        """One page. `size`: most entities of it."""
        token = query.token
        counted = token.count if token else None
        if query.count and counted is None:
            counted = self.count(query, *others)
        size = min(size, PAGE)
        most = size if query.top is None else min(size, query.top)
        read = _Columns(query)
        if most == 0:
            return Page([], counted, None, None)
        found = self.connection.execution_options(stream_results=True, yield_per=1000).execute(
            self._select(query, read, most, others)
        )
        values, last, more = self._encoded(query, read, found, most)
        left = None if query.top is None else query.top - len(values)
        if last is None or not more or left == 0:
            return Page(values, counted, None, None)
        places = tuple(last[read.place[one.name]] for one, _ in query.orderby)
        return Page(values, counted, Token(query.print, places, last[read.place[NUMBER]], size, counted), left)

    def _select(self, query: Query, read: _Columns, most: int, others: tuple[Where, ...]) -> sa.Select[Any]:
        table = self.tables[query.entities.name]
        after = [_after(table, query, query.token)] if query.token else []
        found = sa.select(*(table.c[name] for name in read.names)).where(self.where(query, *others, *after))
        return found.order_by(*_order(table, query)).offset(query.skip or None).limit(most + 1)

    def _encoded(
        self, query: Query, read: _Columns, found: sa.CursorResult[Any], most: int
    ) -> tuple[list[bytes], sa.Row[Any] | None, bool]:
        """The entities, the last row, and whether there are more rows."""
        encode = self._encoder(query)
        values: list[bytes] = []
        last, expanded = None, 0
        for rows in found.partitions(TOGETHER if query.expand else None):
            kept = rows[: most - len(values)]
            parts = [_Expanded(self, query, expansion, read, kept) for expansion in query.expand]
            for row in kept:
                entity = encode(row)
                for part in parts:
                    entity |= part.of(row)
                values.append(orjson.dumps(entity, option=_JSON))
                last = row
            expanded += sum(part.entities for part in parts)
            if len(kept) < len(rows) or expanded > ENOUGH_EXPANDED:
                more = len(kept) < len(rows) or found.fetchone() is not None
                found.close()
                return values, last, more
        return values, last, False

    def _encoder(self, query: Query) -> Encode:
        """A row, in the order of `_Columns`, as the entity that goes out."""
        entities, read = query.entities, _Columns(query)
        names = [one.name for one in query.fields]
        key, modified = read.place[KEY], read.place[MODIFIED]
        strings = [one.name for one in query.fields if one.type in ("Int64", "Decimal")] if self.format.ieee754 else []
        level = self.format.metadata
        types = {f"{one.name}@odata.type": f"#{one.type}" for one in query.fields if one.type in _TOLD}

        def encode(row: Sequence[Any]) -> dict[str, Any]:
            values = dict(zip(names, row, strict=False))
            for name in strings:
                values[name] = None if values[name] is None else format(Decimal(repr(values[name])), "f")
            if level == "none":
                return values
            head = {"@odata.etag": etag(row[modified])}
            if level == "full":
                address = f"{entities.name}({row[key]})"
                head |= {"@odata.type": f"#{NAMESPACE}.{entities.type}", "@odata.id": f"{self.root}/{address}"}
                head |= types
                values |= {f"{name}@odata.navigationLink": f"{self.root}/{address}/{name}" for name in entities.ways}
            return head | values

        return encode


_TOLD = ("Guid", "Int32", "Int64", "Decimal", "Date", "DateTimeOffset")  # types that JSON does not show


class _Columns:
    """The columns that a query reads: first those that are sent, then what paging and expansion need."""

    def __init__(self, query: Query) -> None:
        needed = [KEY, MODIFIED, NUMBER, *(one.name for one, _ in query.orderby)]
        needed += [expansion.way.local for expansion in query.expand]
        self.names = list(dict.fromkeys([*(one.name for one in query.fields), *needed]))
        self.place = {name: place for place, name in enumerate(self.names)}


class _Expanded:
    """The expansion of one navigation property for some rows, read by one query."""

    def __init__(
        self, reader: Reader, query: Query, expansion: Expansion, read: _Columns, rows: Sequence[Sequence[Any]]
    ) -> None:
        self._reader, self._from, self._expansion = reader, query.entities, expansion
        self._key, self._local = read.place[KEY], read.place[expansion.way.local]
        asked, wanted = expansion.query, {row[self._local] for row in rows} - {None}
        self._most = MOST_EXPANDED if asked.top is None else min(asked.top, MOST_EXPANDED)
        self._found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        encode, target = reader._encoder(asked), _Columns(asked)
        for joined, *row in reader.connection.execute(self._select(target, sorted(wanted))) if wanted else ():
            self._found[joined].append(encode(row))
        self.entities = sum(map(len, self._found.values()))

    def _select(self, target: _Columns, wanted: list[Any]) -> sa.Select[Any]:
        asked, way = self._expansion.query, self._expansion.way
        table = self._reader.tables[way.target]
        remote = table.c[way.remote]
        columns = [remote.label("joined"), *(table.c[name] for name in target.names)]
        rows = sa.select(*columns).where(self._reader.where(asked, remote.in_(wanted)))
        if not way.many:
            return rows
        place = sa.func.row_number().over(partition_by=remote, order_by=_order(table, asked)).label("place")
        ranked = rows.add_columns(place).subquery()
        kept = sa.and_(ranked.c.place > asked.skip, ranked.c.place <= asked.skip + self._most + 1)
        names = ["joined", *target.names]
        return sa.select(*(ranked.c[name] for name in names)).where(kept).order_by(ranked.c.joined, ranked.c.place)

    def of(self, row: Sequence[Any]) -> dict[str, Any]:
        """What it adds to one entity."""
        name, found = self._expansion.way.name, self._found.get(row[self._local], [])
        if not self._expansion.way.many:
            return {name: found[0] if found else None}
        value: dict[str, Any] = {name: found[: self._most]}
        top = self._expansion.query.top
        if len(found) > self._most and (top is None or top > self._most):
            value[f"{name}@odata.nextLink"] = self._rest(row[self._key], top)
        return value

    def _rest(self, key: str, top: int | None) -> str:
        """The address of what did not fit."""
        options = self._expansion.options | {"$skip": str(self._expansion.query.skip + self._most)}
        if top is not None:
            options["$top"] = str(top - self._most)
        return f"{self._reader.root}/{self._from.name}({key})/{self._expansion.way.name}?{query_string(options)}"


@lru_cache(maxsize=4096)
def etag(modified: dt.datetime) -> str:
    """The version of an entity, weak."""
    return f'W/"{(modified - _EPOCH) // dt.timedelta(microseconds=1):x}"'


def query_string(options: dict[str, str]) -> str:
    """Options for an address."""
    return urlencode(options, quote_via=quote, safe="$'(),:;*")


def _order(table: sa.FromClause, query: Query) -> list[sa.UnaryExpression[Any]]:
    """Null is below everything, as OData has it; what is equal keeps the order of the rows."""
    terms = []
    for one, descends in query.orderby:
        column = table.c[one.name]
        term = column.desc() if descends else column.asc()
        if one.nullable:
            term = term.nulls_last() if descends else term.nulls_first()
        terms.append(term)
    return [*terms, table.c[NUMBER].asc()]


def _after(table: sa.FromClause, query: Query, token: Token) -> Where:
    """That a row comes after the one that a token names."""
    choices: list[Where] = []
    same: list[Where] = []
    for (one, descends), value in zip(query.orderby, token.values, strict=True):
        column = table.c[one.name]
        choices.append(sa.and_(*same, _beyond(column, value, descends)))
        same.append(column.is_(None) if value is None else column == sa.literal(value, column.type))
    return sa.or_(*choices, sa.and_(*same, table.c[NUMBER] > token.number))


def _beyond(column: sa.ColumnElement[Any], value: Any, descends: bool) -> Where:
    if value is None:
        return sa.false() if descends else column.is_not(None)
    bound = sa.literal(value, column.type)
    return sa.or_(column < bound, column.is_(None)) if descends else column > bound
