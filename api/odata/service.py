"""From an address to the answer: service document, metadata, sets, entities, properties, counts."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, quote

import orjson
import sqlalchemy as sa
from starlette.datastructures import Headers

from api.database import reading
from api.odata import csdl
from api.odata.filters import GUID
from api.odata.model import ACCURACY, CATEGORIES, KEY, RUNS, SETS, EntitySet
from api.odata.protocol import (
    PAGE,
    Format,
    ODataError,
    Reply,
    check_version,
    json_format,
    preferred_page,
    wants_json_metadata,
    wrong_option,
)  # fmt: skip
from api.odata.query import OF_ALL, OF_COLLECTIONS, Query, allow, options_of, read_query
from api.odata.reading import MODIFIED, Page, Reader, Where, etag, query_string
from api.odata.tables import TABLES
from api.security import Caller

_SEGMENT = re.compile(r"(\$?\w+)(?:\(([^()]*)\))?", re.ASCII)
_TEXT = "text/plain;charset=utf-8"
_JSON = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


@dataclass(frozen=True)
class Asked:
    """One GET. `root`: absolute address of the service; `path`: what follows it, decoded."""

    root: str
    path: str
    query_string: bytes
    headers: Headers
    caller: Caller
    engine: sa.Engine

    @cached_property
    def options(self) -> dict[str, str]:
        """The system options."""
        return options_of(self.query_string)

    @cached_property
    def format(self) -> Format:
        """How JSON is wanted."""
        return json_format(self.headers.get("accept"), self.options.get("$format"))

    @property
    def segments(self) -> list[str]:
        """The parts of the path."""
        path = self.path.strip("/")
        return path.split("/") if path else []


def answer(asked: Asked) -> Reply:
    """The answer to one GET. Raises ODataError."""
    check_version(asked.headers)
    match asked.segments:
        case []:
            allow(asked.options, ("$format",), "the service document")
            told = asked.format.metadata != "none"
            return Reply(200, csdl.service_document(asked.root, told), asked.format.media_type)
        case ["$metadata"]:
            return _metadata(asked)
        case ["$batch"]:
            raise ODataError(501, "NotImplemented", "$batch is not supported: send each request by itself")
    with reading(asked.engine) as connection:
        tables = _tables(asked.caller)
        reader = Reader(connection, tables, _visible(asked.caller, tables), asked.root, asked.format)
        return _Resource(asked, reader).answer()


def is_first_page(asked: Asked) -> bool:
    """Whether an answer should hold what was issued a moment ago."""
    return bool(asked.segments) and not asked.segments[0].startswith("$") and "$skiptoken" not in asked.options


def _metadata(asked: Asked) -> Reply:
    allow(asked.options, ("$format",), "$metadata")
    as_json = wants_json_metadata(asked.options.get("$format"))
    body = csdl.metadata_json() if as_json else csdl.metadata_xml()
    version = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'
    if _has(asked.headers, version):
        return Reply(304, b"", None, {"ETag": version})
    return Reply(200, body, "application/json" if as_json else "application/xml", {"ETag": version})


def _has(headers: Headers, version: str) -> bool:
    """Whether the client holds that version already."""
    held = [one.strip() for one in headers.get("if-none-match", "").split(",")]
    return "*" in held or version.removeprefix("W/") in [one.removeprefix("W/") for one in held]


def _tables(caller: Caller) -> Mapping[str, sa.FromClause]:
    """The tables of the sets; without the names of parents that a caller may not see."""
    if caller.categories is None:
        return TABLES
    table = TABLES[CATEGORIES.name]
    parent = sa.case((table.c.Parent.in_(sorted(caller.categories)), table.c.Parent)).label("Parent")
    seen = sa.select(*(parent if column.name == "Parent" else column for column in table.c)).subquery()
    return {**TABLES, CATEGORIES.name: seen}


def _visible(caller: Caller, tables: Mapping[str, sa.FromClause]) -> Callable[[EntitySet], Where]:
    """The rows that a caller may see: those of its categories, and the runs that made some of them."""

    def visible(entities: EntitySet) -> Where:
        if caller.categories is None:
            return sa.true()
        theirs = sorted(caller.categories)
        if entities is not RUNS:
            return tables[entities.name].c.Category.in_(theirs)
        made = tables[ACCURACY.name]
        same = made.c.RunId == tables[RUNS.name].c[KEY]
        return sa.exists().where(same, made.c.Category.in_(theirs))

    return visible


class _Resource:
    """Follows the path from a set on, and answers with what it ends at."""

    def __init__(self, asked: Asked, reader: Reader) -> None:
        self._asked, self._reader = asked, reader
        self._where: tuple[Where, ...] = ()
        self._single = False

    def answer(self) -> Reply:
        """What the whole path names."""
        first, *rest = self._asked.segments
        name, key = _split(first)
        if name not in SETS:
            near = difflib.get_close_matches(name, SETS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"the sets are {', '.join(SETS)}"
            raise _not_found(f"no set is called {name!r}; {hint}")
        self._entities = SETS[name]
        self._narrow(key)
        while rest and rest[0] != "$count":
            name, key = _split(rest[0])
            if not self._single:
                raise _not_found(f"{name!r} follows a collection: name one of its entities, such as {first}(…)/{name}")
            if name in self._entities.by_name and key is None:
                return self._property(self._entities.by_name[name].name, rest[1:])
            self._follow(name)
            self._narrow(key)
            rest = rest[1:]
        if rest:
            return self._count(rest)
        return self._entity() if self._single else self._collection()

    def _narrow(self, key: str | None) -> None:
        """To the entity of a key, where one is given."""
        if key is None:
            return
        if self._single:
            raise _not_found("a single entity takes no key")
        self._where = (*self._where, self._reader.tables[self._entities.name].c[KEY] == _guid(key))
        self._single = True

    def _follow(self, name: str) -> None:
        way = self._entities.ways.get(name)
        if way is None:
            raise _not_found(f"{self._entities.type} has no property {name!r}")
        row = self._row()
        self._entities, self._single = SETS[way.target], not way.many
        self._where = (self._reader.tables[way.target].c[way.remote] == row[way.local],)

    def _row(self) -> sa.RowMapping:
        row = self._reader.row(self._entities, *self._where)
        if row is None:
            raise _not_found(f"no entity of {self._entities.name} is at this address")
        return row

    def _property(self, name: str, rest: list[str]) -> Reply:
        allow(self._asked.options, ("$format",), "a property")
        if rest not in ([], ["$value"]):
            raise _not_found(f"{'/'.join(rest)!r} follows the property {name}")
        row = self._row()
        if row[name] is None:
            return Reply(204, b"", None)
        query = Query(self._entities, (self._entities.by_name[name],))
        value = self._reader.one(query, row)[name]
        if rest:
            text = value if isinstance(value, str) else orjson.dumps(value, option=_JSON).decode().strip('"')
            return Reply(200, text.encode(), _TEXT)
        context = f"{self._asked.root}/$metadata#{self._entities.name}({row[KEY]})/{name}"
        return self._json(200, self._head(context) | {"value": value})

    def _count(self, rest: list[str]) -> Reply:
        if len(rest) > 1 or self._single:
            raise _not_found("$count ends the address of a collection")
        allow(self._asked.options, ("$filter", "$format"), "$count")
        found = self._reader.count(read_query(self._entities, self._asked.options), *self._where)
        return Reply(200, str(found).encode(), _TEXT)

    def _entity(self) -> Reply:
        allow(self._asked.options, OF_ALL, "a single entity")
        query = read_query(self._entities, self._asked.options)
        row = self._reader.row(self._entities, *self._where)
        if row is None and self._is_way():
            return Reply(204, b"", None)
        row = self._row()
        version = etag(row[MODIFIED])
        if not query.expand and _has(self._asked.headers, version):
            return Reply(304, b"", None, {"ETag": version})
        head = self._head(self._context(query) + "/$entity")
        return self._json(200, head | self._reader.one(query, row), {"ETag": version})

    def _is_way(self) -> bool:
        """Whether the path ends with a navigation property, which may lead nowhere."""
        return len(self._asked.segments) > 1 and "(" not in self._asked.segments[-1]

    def _collection(self) -> Reply:
        options = self._asked.options
        allow(options, OF_COLLECTIONS + OF_ALL, "a collection")
        query = read_query(self._entities, options)
        preferred = preferred_page(self._asked.headers)
        size = preferred or (query.token.size if query.token else PAGE)
        page = self._reader.page(query, size, *self._where)
        head = self._head(self._context(query))
        if page.count is not None and query.count:
            head["@odata.count"] = str(page.count) if self._asked.format.ieee754 else page.count
        parts = [orjson.dumps(head)[:-1], b"," if head else b"", b'"value":[', b",".join(page.values), b"]"]
        if page.after is not None:
            parts.append(b',"@odata.nextLink":' + orjson.dumps(self._next(page)))
        headers = {"Preference-Applied": f"odata.maxpagesize={preferred}"} if preferred else {}
        return Reply(200, b"".join([*parts, b"}"]), self._asked.format.media_type, headers)

    def _next(self, page: Page) -> str:
        """The absolute address of the next page; what is the client's own goes along, but for its key."""
        assert page.after is not None
        pairs = parse_qsl(self._asked.query_string.decode("ascii"), keep_blank_values=True)
        options = {name: value for name, value in pairs if name not in ("$skip", "$skiptoken", "$top", "api_key")}
        if page.left is not None:
            options["$top"] = str(page.left)
        options["$skiptoken"] = page.after.write()
        return f"{self._asked.root}/{quote(self._asked.path.strip('/'), safe='/()$=')}?{query_string(options)}"

    def _context(self, query: Query) -> str:
        parts = [one.name for one in query.fields] if query.select is not None else []
        for expansion in query.expand:
            inner = expansion.query
            if inner.select is not None:
                parts.append(f"{expansion.way.name}({','.join(one.name for one in inner.fields)})")
            elif query.select is not None:
                parts.append(expansion.way.name)
        selected = f"({','.join(parts)})" if parts else ""
        return f"{self._asked.root}/$metadata#{query.entities.name}{selected}"

    def _head(self, context: str) -> dict[str, Any]:
        return {} if self._asked.format.metadata == "none" else {"@odata.context": context}

    def _json(self, status: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> Reply:
        return Reply(status, orjson.dumps(value, option=_JSON), self._asked.format.media_type, headers or {})


def _split(segment: str) -> tuple[str, str | None]:
    """Name and key of a part of the path."""
    found = _SEGMENT.fullmatch(segment)
    if found is None:
        raise _not_found(f"{segment!r} is no part of an address")
    return found[1], found[2]


def _guid(text: str) -> str:
    """A key, as it is stored."""
    value = text.strip().removeprefix(f"{KEY}=")
    value = value[1:-1] if value[:1] == value[-1:] == "'" else value  # as @odata/client writes it
    if not GUID.fullmatch(value):
        raise wrong_option("key", f"{text!r}; allowed: a GUID, such as 9f8c2f0e-3d1b-5a43-8c0e-2f6f0e5f7c11")
    return value.lower()


def _not_found(message: str) -> ODataError:
    return ODataError(404, "NotFound", message)
