"""The options of a request: `$select`, `$orderby`, `$top`, `$skip`, `$count`, `$expand`, `$skiptoken`."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

from api.odata.model import SETS, EntitySet, Field, Navigation
from api.odata.protocol import PAGE, not_supported, wrong_option

UNSUPPORTED = ("$search", "$apply", "$compute", "$deltatoken", "$id", "$index", "$levels", "$schemaversion")
OF_COLLECTIONS = ("$filter", "$orderby", "$top", "$skip", "$count", "$skiptoken")
OF_ALL = ("$select", "$expand", "$format")
NESTED = ("$select", "$filter", "$orderby", "$top", "$skip")
LONGEST = 2**31 - 1


@dataclass(frozen=True)
class Expansion:
    """One navigation property to be sent along, with the options in its parentheses."""

    way: Navigation
    query: Query
    options: dict[str, str]


@dataclass(frozen=True)
class Query:
    """What is asked of one set. `select`: the properties that are wanted, None: all."""

    entities: EntitySet
    select: tuple[Field, ...] | None = None
    filter: str | None = None
    orderby: tuple[tuple[Field, bool], ...] = ()  # with whether it descends
    top: int | None = None
    skip: int = 0
    count: bool = False
    expand: tuple[Expansion, ...] = ()
    token: Token | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """The properties that are sent."""
        return self.entities.fields if self.select is None else self.select

    @property
    def print(self) -> str:
        """What a token belongs to: another filter or order would make nonsense of it."""
        order = [f"{one.name} {descends}" for one, descends in self.orderby]
        return hashlib.sha256(repr((self.entities.name, self.filter, order)).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Token:
    """Where the next page begins: after a row with these values in the order's properties, and that number."""

    query: str
    values: tuple[Any, ...]
    number: int
    size: int
    count: int | None

    def write(self) -> str:
        """As text for an address."""
        values = [self.query, list(self.values), self.number, self.size, self.count]
        raw = orjson.dumps(values, option=orjson.OPT_NAIVE_UTC)
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def options_of(query_string: bytes) -> dict[str, str]:
    """System options by name; others are the client's own business. Raises ODataError."""
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:
        raise wrong_option("query", f"it cannot be decoded: {error}") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        if not name.startswith("$"):
            continue
        if name in found:
            raise wrong_option(name, "it is given twice")
        if name in UNSUPPORTED:
            raise not_supported(name, "this option")
        if name not in OF_COLLECTIONS + OF_ALL:
            raise wrong_option(name, f"no such option; allowed: {', '.join(OF_COLLECTIONS + OF_ALL)}")
        found[name] = value
    return found


def allow(options: Mapping[str, str], names: tuple[str, ...], where: str) -> None:
    """Refuse options that mean nothing at an address."""
    for name in options:
        if name not in names:
            raise wrong_option(name, f"it does not apply to {where}")


def read_query(entities: EntitySet, options: Mapping[str, str], *, nested: bool = False) -> Query:
    """The query of a collection. Raises ODataError."""
    query = Query(
        entities,
        _select(entities, options.get("$select")),
        options.get("$filter"),
        _orderby(entities, options.get("$orderby")),
        _whole("$top", options.get("$top")),
        _whole("$skip", options.get("$skip")) or 0,
        _truth("$count", options.get("$count")),
        () if nested else _expand(entities, options.get("$expand")),
    )
    if "$skiptoken" in options:
        query = Query(**{**query.__dict__, "token": _token(query, options["$skiptoken"])})
    return query


def _whole(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text.strip()) or int(text) > LONGEST:
        raise wrong_option(name, f"{text!r}; allowed: a whole number from 0 to {LONGEST}")
    return int(text)


def _truth(name: str, text: str | None) -> bool:
    if text is None or text.strip() in ("true", "false"):
        return text is not None and text.strip() == "true"
    raise wrong_option(name, f"{text!r}; allowed: true, false")


def _names(option: str, text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise wrong_option(option, f"{text!r}; allowed: names of properties, separated by commas")
    return names


def _select(entities: EntitySet, text: str | None) -> tuple[Field, ...] | None:
    if text is None:
        return None
    names = _names("$select", text)
    for name in names:
        if name != "*" and name not in entities.by_name and name not in entities.ways:
            raise wrong_option("$select", f"{entities.name} has no property {name}")
    if "*" in names:
        return None
    return tuple(one for one in entities.fields if one.name in names)


def _orderby(entities: EntitySet, text: str | None) -> tuple[tuple[Field, bool], ...]:
    found: dict[str, tuple[Field, bool]] = {}
    for term in _names("$orderby", text) if text is not None else ():
        name, *rest = term.split()
        if rest not in ([], ["asc"], ["desc"]):
            raise wrong_option("$orderby", f"{term!r}; allowed: a property, then asc or desc or nothing")
        if name not in entities.by_name:
            raise wrong_option("$orderby", f"{entities.name} has no property {name}")
        found.setdefault(name, (entities.by_name[name], rest == ["desc"]))
    return tuple(found.values())


def _expand(entities: EntitySet, text: str | None) -> tuple[Expansion, ...]:
    found: dict[str, Expansion] = {}
    for item in _parts("$expand", text, ",") if text is not None else ():
        name, _, rest = item.partition("(")
        name = name.strip()
        if name == "*":
            found |= {way.name: Expansion(way, Query(SETS[way.target]), {}) for way in entities.navigations}
            continue
        if "/" in name:
            raise not_supported("$expand", "a path of more than one step")
        if name not in entities.ways:
            raise wrong_option("$expand", f"{entities.name} has no navigation property {name}")
        if rest and not rest.endswith(")"):
            raise wrong_option("$expand", f"{item!r}: the parenthesis is not closed")
        options = _nested(rest[:-1]) if rest else {}
        way = entities.ways[name]
        found[name] = Expansion(way, read_query(SETS[way.target], options, nested=True), options)
    return tuple(found.values())


def _nested(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in _parts("$expand", text, ";"):
        name, equals, value = part.strip().partition("=")
        if name in ("$expand", "$levels", "$count", "$search", "$compute"):
            raise not_supported("$expand", f"{name} within it")
        if name not in NESTED or not equals or name in options:
            raise wrong_option("$expand", f"{part!r}; allowed: {', '.join(NESTED)}, each once")
        options[name] = value
    return options


def _parts(option: str, text: str, separator: str) -> list[str]:
    """Split where neither a parenthesis nor a text in quotes is open."""
    parts, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == "'"
        depth += 0 if quoted else {"(": 1, ")": -1}.get(character, 0)
        if character == separator and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    if depth or quoted or not all(part.strip() for part in parts):
        raise wrong_option(option, f"{text!r} cannot be read")
    return [part.strip() for part in parts]


def _token(query: Query, text: str) -> Token:
    wrong = wrong_option("$skiptoken", "it is not one that this service gave for this query")
    try:
        raw = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        belongs, values, number, size, count = raw
        kinds = [one for one, _ in query.orderby]
        token = Token(belongs, tuple(map(_stored, kinds, values)), number, size, count)
        sound = len(values) == len(kinds) and isinstance(number, int) and abs(number) < 2**63
        sound = sound and isinstance(size, int) and 1 <= size <= PAGE and isinstance(count, int | None)
    except (ValueError, TypeError) as error:
        raise wrong from error
    if belongs != query.print or not sound:
        raise wrong
    return token


def _stored(kind: Field, value: Any) -> Any:
    """A value of a token as the database holds it."""
    if value is None:
        return None
    if kind.type == "Date":
        return dt.date.fromisoformat(value)
    if kind.type == "DateTimeOffset":
        return dt.datetime.fromisoformat(value).replace(tzinfo=None)
    wanted = {"Boolean": bool, "Int32": int, "Int64": int, "Decimal": (int, float), "Double": (int, float)}
    if not isinstance(value, wanted.get(kind.type, str)):  # type: ignore[arg-type]
        raise TypeError(kind.name)
    return value
