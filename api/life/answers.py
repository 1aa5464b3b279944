"""What is told of configurations and alerts: over REST, on the command line and in notebooks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from api.database import engine_of, now, reading
from api.life.alerts import Alert
from api.life.alerts import alerts as found_alerts
from api.life.configurations import configuration_of, keep
from api.life.log import Happening, happenings
from api.life.models import (
    AlertAnswer,
    AlertPage,
    CategoryConfigurations,
    Change,
    ConfigurationPage,
    ConfigurationSettings,
    Evidence,
    ModelConfiguration,
    Serving,
)
from api.life.moves import place_now, vetoes
from api.life.paired import Compared
from api.life.retune_job import under_way
from api.life.scoring import no_pause
from api.life.serving import Place, places
from api.life.stages import judged_since
from api.settings import Settings
from forecast import Configuration
from signals.store import Snapshot


def configurations(settings: Settings, snapshot: Snapshot, category: str) -> CategoryConfigurations:
    """What serves a category, and how that came about; raises UnknownCategory.

    What a challenger would have said is read where it is known, and made again where it is not.
    """
    snapshot.category(category)
    place = place_now(settings, category)
    with reading(engine_of(settings)) as connection:
        jobs = [job for job, name in under_way(connection) if name == category]
    return CategoryConfigurations(
        **_serving(settings, place),
        evidence=_evidence(settings, snapshot, place),
        vetoed=vetoes(settings, category),
        searching=jobs[0] if jobs else None,
        changes=[change_of(one) for one in happenings(settings, category=category)],
    )


def portfolio(
    settings: Settings, snapshot: Snapshot, *, visible: Collection[str] | None = None, limit: int = 100, offset: int = 0
) -> ConfigurationPage:
    """What serves each category of the store, a page of them by name."""
    names = sorted(name for name in snapshot.names() if visible is None or name in visible)
    with reading(engine_of(settings)) as connection:
        known = places(connection)
    items = [Serving(**_serving(settings, known.get(name, Place(name)))) for name in names[offset : offset + limit]]
    return ConfigurationPage(items=items, total=len(names), limit=limit, offset=offset, next=None)


def alert_page(
    settings: Settings,
    *,
    categories: Collection[str] | None = None,
    state: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> AlertPage:
    """A page of the alerts of some categories (None: all), the newest first."""
    found, total = found_alerts(settings, categories=categories, state=state, limit=limit, offset=offset)
    return AlertPage(items=[alert_answer(one) for one in found], total=total, limit=limit, offset=offset, next=None)


def alert_answer(one: Alert) -> AlertAnswer:
    """One alert as it is told."""
    told: dict[str, Any] = {
        name: getattr(one, name)
        for name in (
            "id",
            "category",
            "kind",
            "since",
            "found",
            "cause",
            "sentence",
            "done",
            "state",
            "actor",
            "reason",
        )
    }
    told |= {"signal": one.signal or None, "raised": _aware(one.raised), "changed": _aware(one.changed)}
    return AlertAnswer(**told, **one.evidence)


def change_of(one: Happening) -> Change:
    """One entry of the log as it is told."""
    names = ("number", "action", "configuration", "actor", "reason", "evidence")
    return Change(moment=_aware(one.moment), **{name: getattr(one, name) for name in names})


def kept_settings(settings: Settings, given: ConfigurationSettings, moment: dt.datetime) -> str:
    """The id of a configuration of a person's own, which is kept; raises OptionError."""
    from api.database import writing
    from forecast.engines import engine

    made = Configuration.from_dict(given.model_dump())
    engine(made.engine)  # refuses an unknown one
    with writing(engine_of(settings)) as connection:
        return keep(connection, made, moment)


def _serving(settings: Settings, place: Place) -> dict[str, Any]:
    def told(name: str | None) -> ModelConfiguration | None:
        if name is None:
            return None
        return ModelConfiguration(configuration=name, **configuration_of(settings, name).to_dict())

    stage = None if place.challenger is None else "canary" if place.share else "shadow"
    return {
        "category": place.category, "champion": told(place.champion), "previous": told(place.previous),
        "challenger": told(place.challenger), "stage": stage, "share_pct": place.share, "since": _aware(place.since),
        "pinned": place.pinned,
    }  # fmt: skip


def _evidence(settings: Settings, snapshot: Snapshot, place: Place) -> Evidence | None:
    other = place.challenger or place.previous
    if other is None or place.since is None:
        return None
    compared = Compared(place.category, place.champion, other, place.since)
    _, found = judged_since(settings, snapshot, compared, now(), no_pause)
    return Evidence(
        scores=found.scores, e_value=found.evidence, against=found.against, gain_pct=found.gain_pct
    )  # fmt: skip


def _aware(moment: dt.datetime | None) -> Any:
    return None if moment is None else moment.replace(tzinfo=dt.UTC)
