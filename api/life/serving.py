"""Which configuration answers a request for a category: its champion, or for a share of requests a challenger.

The same question gets the same one: whether a request falls into the share is told by a hash of who asks for what, so
that nobody's numbers go back and forth between two of them, and who is in a small share is in every larger one.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from api.database import FILE, engine_of, life_event, reading, serving
from api.life.configurations import configuration_of
from api.settings import Settings
from forecast import Configuration
from forecast.configuration import DEFAULT
from forecast.promotion import takes

CHAMPION, CANARY, ASKED = "champion", "canary", "asked"
ACTOR = "groundswell"  # whatever no person did
LOOK_SECONDS = 1.0  # what was decided elsewhere holds here after at most as long


@dataclass(frozen=True)
class Place:
    """What serves one category. `share` is the per cent of requests that the challenger answers; 0: none, in shadow."""

    category: str
    champion: str = DEFAULT.name
    previous: str | None = None
    challenger: str | None = None
    share: int = 0
    since: dt.datetime | None = None
    pinned: bool = False

    def answering(self, identity: str) -> tuple[str, str]:
        """Which configuration, and its role, for a request of that identity."""
        if self.challenger is not None and self.share and takes(f"{self.category}\n{identity}", self.share / 100):
            return self.challenger, CANARY
        return self.champion, CHAMPION

    def told(self, role: str) -> str:
        """Why a configuration answers, for people."""
        if role == CANARY:
            return f"the challenger answers {self.share} % of requests"
        since = f" since {self.since:%Y-%m-%d}" if self.since and not self.challenger else ""
        return f"champion of the category{since}"


@dataclass(frozen=True)
class By:
    """Who moves it, why, when (UTC without a zone) and on what evidence."""

    reason: str
    moment: dt.datetime
    actor: str = ACTOR
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Served:
    """The configuration that answers, in which role, and why; of a challenger, who answers where it fails."""

    configuration: Configuration
    role: str = CHAMPION
    because: str = ""
    instead: Configuration | None = None


class Serving:
    """For many threads. The places are read again where the log of changes has grown, looked at once a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._places: Mapping[str, Place] = {}
        self._seen, self._looked = -1, float("-inf")

    def of(self, category: str, identity: str) -> Served:
        """What answers a request for a category of the store."""
        place = self._current().get(category)
        if place is None:
            return Served(DEFAULT)
        name, role = place.answering(identity)
        instead = configuration_of(self._settings, place.champion) if role == CANARY else None
        return Served(configuration_of(self._settings, name), role, place.told(role), instead)

    def _current(self) -> Mapping[str, Place]:
        if time.monotonic() - self._looked > LOOK_SECONDS:
            with self._lock:
                self._look()
        return self._places

    def _look(self) -> None:
        looked = time.monotonic()
        with reading(engine_of(self._settings)) as connection:
            newest = connection.execute(sa.select(sa.func.max(life_event.c.number))).scalar() or 0
            if newest != self._seen:
                self._places = places(connection)
        self._seen, self._looked = newest, looked


def places(connection: sa.Connection) -> dict[str, Place]:
    """By category what serves those that have ever had another configuration than the default, or a challenger."""
    return {row["category"]: Place(**row) for row in connection.execute(sa.select(serving)).mappings()}


def place_of(connection: sa.Connection, category: str) -> Place:
    """What serves one category."""
    row = connection.execute(sa.select(serving).where(serving.c.category == category)).mappings().first()
    return Place(category) if row is None else Place(**row)


def champion_of(settings: Settings, category: str) -> Configuration:
    """The configuration of a category's champion; the default where there is no operational database yet."""
    if not settings.database_url and not (settings.home / FILE).exists():  # who only reads makes none
        return DEFAULT
    with reading(engine_of(settings)) as connection:
        name = place_of(connection, category).champion
    return configuration_of(settings, name)


def change(connection: sa.Connection, place: Place, action: str, configuration: str | None, by: By) -> None:
    """Put a category's place as it is from now on, and write down who did it, why and on what evidence."""
    connection.execute(serving.delete().where(serving.c.category == place.category))
    connection.execute(serving.insert().values(**vars(place) | {"since": place.since or by.moment}))
    note(connection, place.category, action, configuration, by)


def note(connection: sa.Connection, category: str, action: str, configuration: str | None, by: By) -> None:
    """Write down what was found or decided of a category."""
    evidence = json.dumps(by.evidence or {})
    told = {"moment": by.moment, "actor": by.actor, "reason": by.reason, "evidence": evidence}
    row = {"category": category, "action": action, "configuration": configuration}
    connection.execute(life_event.insert().values(**told, **row))
