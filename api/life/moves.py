"""How a configuration gets a category's place and loses it: by its gates or by a person. Each move is one transaction.

A challenger is in shadow (it answers nobody), then a canary (it answers a share), then the champion. The champion of
before stays runnable as `previous`, and is put back by one move.
"""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from api.database import canary_failure, engine_of, reading, veto, writing
from api.errors import Problem
from api.life.alerts import close_remedied
from api.life.configurations import configuration_of, keep
from api.life.serving import By, Place, change, note, place_of
from api.settings import Settings
from forecast import OptionError

FIRST_SHARE = 5  # per cent


def place_now(settings: Settings, category: str) -> Place:
    """What serves a category."""
    with reading(engine_of(settings)) as connection:
        return place_of(connection, category)


def to_share(settings: Settings, place: Place, share: int, by: By) -> bool:
    """Let the challenger answer a share of requests; whether it did: not where a person was faster."""
    action = "canary" if place.share == 0 else "share"
    return _moved(settings, place, replace(place, share=share, since=by.moment), action, place.challenger, by)


def drop(settings: Settings, place: Place, by: By) -> bool:
    """End the challenger; a canary that answered is rolled back so."""
    action = "rolled back" if place.share else "dropped"
    freed = replace(place, challenger=None, share=0, since=by.moment)
    return _moved(settings, place, freed, action, place.challenger, by)


def promote(settings: Settings, place: Place, configuration: str, by: By) -> bool:
    """Make a configuration the champion; the one of before is kept as `previous`, and what it was to mend is closed."""
    made = replace(
        place, champion=configuration, previous=place.champion, challenger=None, share=0, since=by.moment
    )  # fmt: skip
    return _moved(settings, place, made, "promoted", configuration, by)


def roll_back(settings: Settings, place: Place, by: By) -> bool:
    """Put the champion of before back, or end a canary; raises OptionError where there is neither."""
    if place.challenger is not None:
        return drop(settings, place, by)
    if place.previous is None:
        raise OptionError("category", place.category, "a category with a canary or a previous champion")
    back = replace(place, champion=place.previous, previous=None, since=by.moment)
    return _moved(settings, place, back, "rolled back", place.previous, by)


def promote_named(settings: Settings, category: str, configuration: str | None, by: By) -> Place:
    """A person makes the challenger the champion, or a configuration that they name.

    Raises OptionError, and the problem 409 where somebody else was faster.
    """
    place = place_now(settings, category)
    name = configuration or place.challenger
    if name is None:
        raise OptionError("configuration", "none", "the id of a configuration: there is no challenger")
    if name == place.champion:
        raise OptionError("configuration", name, "another than the champion, which it is")
    configuration_of(settings, name)  # it must be kept
    with reading(engine_of(settings)) as connection:
        if is_vetoed(connection, category, name):
            raise OptionError("configuration", name, "one without a veto")
    if not promote(settings, place, name, by):
        raise Problem(409, "conflict", f"what serves {category!r} was changed by another at this moment: look again")
    return place_now(settings, category)


def pin(settings: Settings, category: str, pinned: bool, by: By) -> Place:
    """Let nothing take the champion's place but a person, or let the gates decide again; a challenger ends."""
    with writing(engine_of(settings)) as connection:
        place = place_of(connection, category)
        if place.pinned == pinned:
            return place
        made = replace(place, pinned=pinned, challenger=None if pinned else place.challenger,
                       share=0 if pinned else place.share)  # fmt: skip
        _write(connection, made, "pinned" if pinned else "unpinned", made.champion, by)
        return place_of(connection, category)


def forbid(settings: Settings, category: str, configuration: str, by: By) -> Place:
    """Never try a configuration for a category again: it ends as a challenger, and nobody goes back to it.

    Raises OptionError for the champion.
    """
    made = configuration_of(settings, configuration)
    with writing(engine_of(settings)) as connection:
        place = place_of(connection, category)
        if place.champion == configuration:
            raise OptionError(
                "configuration", configuration, "one that is not the champion: roll back or promote first"
            )
        keep(connection, made, by.moment)
        if not is_vetoed(connection, category, configuration):
            row = {"category": category, "configuration": configuration, "moment": by.moment, "actor": by.actor}
            connection.execute(veto.insert().values(**row, reason=by.reason))
        if place.challenger == configuration:
            place = replace(place, challenger=None, share=0, since=by.moment)
            _write(connection, place, "vetoed", configuration, by)
        elif place.previous == configuration:
            place = replace(place, previous=None)
            _write(connection, place, "vetoed", configuration, by)
        else:
            note(connection, category, "vetoed", configuration, by)
        return place


def vetoes(settings: Settings, category: str) -> list[str]:
    """The configurations that are not to be tried for a category."""
    query = sa.select(veto.c.configuration).where(veto.c.category == category).order_by(veto.c.moment)
    with reading(engine_of(settings)) as connection:
        return list(connection.scalars(query))


def is_vetoed(connection: sa.Connection, category: str, configuration: str) -> bool:
    """Whether a person will not have a configuration for a category."""
    found = sa.select(veto.c.moment).where(veto.c.category == category, veto.c.configuration == configuration)
    return connection.execute(found).first() is not None


def _moved(settings: Settings, before: Place, after: Place, action: str, configuration: str | None, by: By) -> bool:
    """Whether the place was still as it was seen; else nothing is done."""
    with writing(engine_of(settings)) as connection:
        if place_of(connection, before.category) != before:
            return False
        _write(connection, after, action, configuration, by)
        if action == "promoted":
            done = f"{configuration} became the champion on {by.moment:%Y-%m-%d}"
            close_remedied(connection, before.category, done, by.moment)
    return True


def _write(connection: sa.Connection, place: Place, action: str, configuration: str | None, by: By) -> None:
    change(connection, place, action, configuration, by)
    if place.challenger is None:  # what it could not answer is not counted against it, should it come back
        connection.execute(canary_failure.delete().where(canary_failure.c.category == place.category))
