"""The overrides in the operational database: rows are only added."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from api.audit import record
from api.database import FILE, engine_of, override_comment, override_version, reading, writing
from api.errors import Problem
from api.overrides.versions import Author, Version, newest, ordered, version_of
from api.settings import Settings
from forecast import OptionError

_C = override_version.c


@dataclass(frozen=True)
class Comment:
    """What somebody said of an override."""

    moment: dt.datetime
    author: str
    text: str


def layers_of(settings: Settings) -> list[str]:
    """The layers in their order: each goes before those that it follows."""
    return settings.override_layers.replace(" ", "").split(",")


def covering(settings: Settings, category: str, since: dt.date, moment: dt.datetime) -> tuple[Version, ...]:
    """Those in force at a moment that end on a day or later, in the order in which they apply: one indexed read."""
    if not settings.database_url and not (settings.home / FILE).exists():
        return ()  # who only reads makes no database
    query = _until(moment).where(_C.category == category, _C.last >= since)
    found = newest(_read(settings, query))
    return ordered((one for one in found if one.state(moment) == "in_force"), layers_of(settings))


def named(settings: Settings, category: str, references: Sequence[str]) -> tuple[Version, ...]:
    """Those of some references, in their order; raises OptionError for one that the category has not."""
    if not references:
        return ()
    pairs = [(name, int(number)) for name, _, number in (one.partition(".") for one in references)]
    query = sa.select(override_version).where(_C.category == category, _C.id.in_({name for name, _ in pairs}))
    known = {(one.id, one.version): one for one in _read(settings, query)}
    for place, pair in enumerate(pairs):
        if pair not in known:
            raise OptionError(f"overrides.{place}", references[place], f"the reference of an override of {category}")
    return tuple(known[pair] for pair in pairs)


def listed(settings: Settings, category: str, moment: dt.datetime) -> list[Version]:
    """The state of all overrides of a category at a moment, by their days, then as they apply."""
    found = newest(_read(settings, _until(moment).where(_C.category == category)))
    return sorted(ordered(found, layers_of(settings)), key=lambda one: (one.first, one.last))


def last_number(settings: Settings, category: str | None = None) -> int:
    """The number of the last change, of a category or of all; 0 where there is none."""
    query = sa.select(sa.func.max(_C.number))
    if category is not None:
        query = query.where(_C.category == category)
    with reading(engine_of(settings)) as connection:
        return connection.execute(query).scalar() or 0


def history(settings: Settings, category: str, name: str) -> list[Version]:
    """All states of an override, the first one first; raises the problem 404."""
    query = sa.select(override_version).where(_C.id == name, _C.category == category).order_by(_C.version)
    found = _read(settings, query)
    if not found:
        raise Problem(404, "unknown-override", f"{category!r} has no override {name!r}")
    return found


def find(settings: Settings, name: str) -> str:
    """The category of an override; raises the problem 404."""
    with reading(engine_of(settings)) as connection:
        category = connection.execute(sa.select(_C.category).where(_C.id == name).limit(1)).scalar()
    if category is None:
        raise Problem(404, "unknown-override", f"there is no override {name!r}")
    return str(category)


def new_id() -> str:
    """The id of a new override."""
    return f"ov_{uuid.uuid4().hex[:20]}"


def add(settings: Settings, made: Sequence[Version], since: int | None = None) -> list[Version]:
    """Keep new overrides, all or none; with their numbers.

    `since`: the last change of the category that the author has seen. Raises the problem 409 where another one
    changed what covers the same days after it.
    """
    with writing(engine_of(settings)) as connection:
        if since is not None:
            for one in made:
                _check_unseen(connection, one, since)
        return [_insert(connection, one) for one in made]


def follow(settings: Settings, made: Version) -> Version:
    """Keep the next state of an override; raises the problem 409 where there is another one meanwhile."""
    try:
        with writing(engine_of(settings)) as connection:
            query = sa.select(override_version).where(_C.id == made.id, _C.version >= made.version)
            later = [version_of(row) for row in connection.execute(query.order_by(_C.version)).mappings()]
            if later:
                raise changed(later)
            return _insert(connection, made)
    except sa.exc.IntegrityError:  # of two at the same moment, on a server
        meanwhile = [one for one in history(settings, made.category, made.id) if one.version >= made.version]
        raise changed(meanwhile) from None


def changed(later: Sequence[Version]) -> Problem:
    """The problem that others did something after what the author has seen: who, what and when."""
    told = "; ".join(f"{one.reference}: {one.told()}" for one in later[-5:])
    members = [
        {"override": one.reference, "action": one.action, "author": one.author, "value": one.value,
         "percent": one.percent, "reason": one.reason, "changed": f"{one.moment.isoformat()}Z"}
        for one in later
    ]  # fmt: skip
    detail = f"it was changed since you saw it: {told}; read it again and decide anew"
    return Problem(409, "override-changed", detail, changes=members)


def comments(settings: Settings, name: str) -> list[Comment]:
    """What was said of an override, the first one first."""
    table = override_comment
    query = sa.select(table.c.moment, table.c.author, table.c.text).where(table.c.id == name).order_by(table.c.number)
    with reading(engine_of(settings)) as connection:
        return [Comment(**row) for row in connection.execute(query).mappings()]


def comment(settings: Settings, name: str, text: str, author: Author, moment: dt.datetime) -> Comment:
    """Keep what somebody says of an override."""
    said = Comment(moment, author.name, text)
    with writing(engine_of(settings)) as connection:
        connection.execute(override_comment.insert().values(id=name, **vars(said)))
        record(connection, "override comment", name, key_id=author.key_id, author=author.name)
    return said


def _until(moment: dt.datetime) -> sa.Select[Any]:
    return sa.select(override_version).where(_C.moment <= moment).order_by(_C.number)


def _read(settings: Settings, query: sa.Select[Any]) -> list[Version]:
    with reading(engine_of(settings)) as connection:
        return [version_of(row) for row in connection.execute(query).mappings()]


def _check_unseen(connection: sa.Connection, made: Version, since: int) -> None:
    query = sa.select(override_version).where(
        _C.category == made.category, _C.last >= made.first, _C.first <= made.last, _C.number > since
    )
    later = [version_of(row) for row in connection.execute(query.order_by(_C.number)).mappings()]
    if later:
        raise changed(later)


def _insert(connection: sa.Connection, made: Version) -> Version:
    row: dict[str, Any] = {name: value for name, value in vars(made).items() if name != "number"}
    found = connection.execute(override_version.insert().values(**row | {"seen": json.dumps(made.seen)}))
    assert found.inserted_primary_key is not None
    details = {"author": made.author, "category": made.category, "layer": made.layer}
    record(connection, f"override {made.action}", made.reference, key_id=made.key_id, **details)
    return dataclasses.replace(made, number=int(found.inserted_primary_key[0]))
