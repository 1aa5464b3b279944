"""One look at the life of all categories: alerts, searches, shadows, canaries. After each pass of the scores.

All of it are functions of the settings and a moment, so that a past can be gone through week by week.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from api.database import engine_of, reading, scores_engine_of
from api.life.alerts import REMEDIED, Alert, note_done, to_watch, watch
from api.life.editions import Pause, pairs
from api.life.log import last_moments
from api.life.moves import place_now
from api.life.score_tables import edition
from api.life.serving import Place, places
from api.life.stages import advance
from api.settings import Settings
from forecast.drift_causes import DATA
from signals.store import Snapshot, UnknownCategory

log = logging.getLogger("groundswell")

APART = dt.timedelta(days=28)  # between two searches for one category that drift starts
Begin = Callable[[str, str], bool]  # category and why: begins a search; whether it did


@dataclass
class Ticked:
    """What one look did."""

    alerts: list[Alert] = field(default_factory=list)
    begun: list[tuple[str, str]] = field(default_factory=list)  # category and why
    moved: list[tuple[str, str]] = field(default_factory=list)  # category and what


def tick(settings: Settings, snapshot: Snapshot, moment: dt.datetime, *, begin: Begin, pause: Pause) -> Ticked:
    """Look at whatever has new actuals at a moment (UTC without a zone), at canaries, and at the calendar."""
    done = Ticked()
    fresh = to_watch(settings, moment)
    for category, known in fresh.items():
        for alert in watch(settings, snapshot, category, known, moment):
            done.alerts.append(alert)
            note_done(settings, alert.number, _answer(settings, alert, moment, begin, done))
        pause()
    for place in _places(settings):
        if place.share or place.category in fresh:
            _advance(settings, snapshot, place, moment, pause, done)
    for category in due(settings, moment):
        if begin(category, "schedule"):
            done.begun.append((category, "schedule"))
    return done


def _places(settings: Settings) -> list[Place]:
    with reading(engine_of(settings)) as connection:
        found = places(connection)
    return [place for _, place in sorted(found.items()) if place.challenger or place.previous]


def _advance(
    settings: Settings, snapshot: Snapshot, place: Place, moment: dt.datetime, pause: Pause, done: Ticked
) -> None:
    try:
        moved = advance(settings, snapshot, place, moment, pause)
    except UnknownCategory:  # of another store, or removed since
        return
    if moved:
        done.moved.append((place.category, moved))


def _answer(settings: Settings, alert: Alert, moment: dt.datetime, begin: Begin, done: Ticked) -> str:
    """Do something about an alert; what, for whoever reads it."""
    if alert.kind not in REMEDIED:
        return "nothing: another configuration would not change it; signals are judged anew with each forecast"
    if alert.cause == DATA:
        return "nothing: the data are to be looked at first"
    place = place_now(settings, alert.category)
    if place.pinned:
        return "nothing: the champion is pinned"
    if place.challenger is not None:
        return f"nothing more: the challenger {place.challenger} is on its way"
    last = last_moments(settings, ("retuned",)).get(alert.category)
    if last is not None and moment - last < APART:
        return f"nothing more: the last search for a better configuration was on {last:%Y-%m-%d}"
    if not begin(alert.category, "drift"):
        return "nothing more: a search for a better configuration is under way"
    done.begun.append((alert.category, "drift"))
    return "a search for a better configuration was begun"


def due(settings: Settings, moment: dt.datetime) -> list[str]:
    """The categories that are to be searched for by the calendar, the longest overdue first."""
    if not settings.retune_days:
        return []
    first = sa.select(edition.c.category, sa.func.min(edition.c.as_of)).group_by(edition.c.category)
    with reading(scores_engine_of(settings)) as connection:
        since: dict[str, dt.datetime] = pairs(connection, first)
    since |= {category: at for category, at in last_moments(settings, ("retuned",)).items() if category in since}
    waiting = dt.timedelta(days=settings.retune_days)
    taken = {place.category for place in _places(settings) if place.challenger is not None}
    with reading(engine_of(settings)) as connection:
        taken |= {name for name, place in places(connection).items() if place.pinned}
    late = [(at, name) for name, at in since.items() if moment - at >= waiting and name not in taken]
    return [name for _, name in sorted(late)]
