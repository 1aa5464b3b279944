"""What was sold, beside what was forecast: as it was first known, and as it is known by now."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import sqlalchemy as sa

from api.database import reading, scores_engine_of, writing
from api.life.editions import Pause, pairs
from api.life.score_tables import actual, edition, followed, score_state
from api.settings import Settings
from signals.store import Snapshot, UnknownCategory

_VERSION, _MOMENT = "data_version", "moment"  # in score_state: up to where actuals were followed
_VALUES = ("first", "first_known", "latest", "latest_known")
_NEVER = dt.datetime(1, 1, 1)


def follow(settings: Settings, snapshot: Snapshot, version: int, moment: dt.datetime, pause: Pause) -> int:
    """Bring the actuals up to a data version and a moment (UTC without a zone); how many are new or were revised.

    Only categories that were sold since the last time are read, and those with forecasts of earlier periods.
    """
    with reading(scores_engine_of(settings)) as connection:
        since: dict[str, dt.date] = pairs(connection, _first_forecast())
        begun = pairs(connection, sa.select(followed.c.category, followed.c.since))
        seen = pairs(connection, sa.select(score_state.c.name, score_state.c.value))
    before = int(seen.get(_VERSION, 0)), dt.datetime.fromisoformat(seen.get(_MOMENT, _NEVER.isoformat()))
    if version < before[0] or moment < before[1]:  # another store, or a history that is gone through once more
        before = 0, _NEVER
    changed = set(snapshot.sold_since(*before, moment, version)) if (version, moment) != before else set()
    count = 0
    for category, first in sorted(since.items()):
        if category in changed or category not in begun or first < begun[category]:
            count += _follow(settings, snapshot, category, first, version, moment)
            pause()
    _note(settings, version, moment)
    return count


def newest_version(settings: Settings) -> int:
    """The data version whose actuals are all here; 0: none yet."""
    with reading(scores_engine_of(settings)) as connection:
        return int(connection.execute(_state(_VERSION)).scalar() or 0)


def _state(name: str) -> sa.Select[Any]:
    return sa.select(score_state.c.value).where(score_state.c.name == name)


def _first_forecast() -> sa.Select[Any]:
    return sa.select(edition.c.category, sa.func.min(edition.c.first)).group_by(edition.c.category)


def _follow(
    settings: Settings, snapshot: Snapshot, category: str, since: dt.date, version: int, moment: dt.datetime
) -> int:
    try:
        frequency = snapshot.category(category, version).frequency
        sales = snapshot.sales(category, moment, version, vintages=True)
    except UnknownCategory:  # of another store, whose ledger this was
        return 0
    found = {row["period"]: row for row in actuals_of(sales, frequency, since, moment)}
    inside = actual.c.category == category
    with writing(scores_engine_of(settings)) as connection:
        known = {row["period"]: row for row in connection.execute(sa.select(actual).where(inside)).mappings()}
        changed = [row for period, row in found.items() if period not in known or _differs(row, known[period])]
        gone = [period for period in known.keys() - found.keys() if period >= since]
        for period in [*gone, *(row["period"] for row in changed)]:
            connection.execute(actual.delete().where(inside, actual.c.period == period))
        if changed:
            connection.execute(actual.insert(), [{"category": category, **row} for row in changed])
        connection.execute(followed.delete().where(followed.c.category == category))
        connection.execute(followed.insert().values(category=category, since=since))
    return len(changed) + len(gone)


def _differs(row: dict[str, Any], known: sa.RowMapping) -> bool:
    return any(row[name] != known[name] for name in _VALUES)


def actuals_of(sales: pd.DataFrame, frequency: str, since: dt.date, moment: dt.datetime) -> list[dict[str, Any]]:
    """The periods from `since` on that were over by a moment: period, first, first_known, latest, latest_known.

    `sales` are all vintages in order of start and known_at. What was known of a period before it was over counts as
    known at its end, the last of it first; a withdrawal is no value.
    """
    days = sales["end"] - pd.Timedelta(days=1) if frequency.startswith("W-") else sales["start"]
    rows = sales.assign(period=days)[(sales["end"] <= moment) & (days >= pd.Timestamp(since))]
    latest = rows.drop_duplicates("period", keep="last").set_index("period")
    printed = rows[rows["quantity"].notna()]
    printed = printed.assign(known_at=printed[["known_at", "end"]].max(axis=1))
    at_first = printed["known_at"] == printed.groupby("period")["known_at"].transform("min")
    first = printed[at_first].drop_duplicates("period", keep="last").set_index("period").reindex(latest.index)
    columns = zip(
        latest.index, first["quantity"], first["known_at"], latest["quantity"], latest["known_at"], strict=True
    )
    return [
        {
            "period": period.date(),
            "first": _number(one),
            "first_known": None if pd.isna(one_known) else one_known.to_pydatetime(),
            "latest": _number(last),
            "latest_known": last_known.to_pydatetime(),
        }
        for period, one, one_known, last, last_known in columns
    ]


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _note(settings: Settings, version: int, moment: dt.datetime) -> None:
    values = {_VERSION: str(version), _MOMENT: moment.isoformat()}
    with writing(scores_engine_of(settings)) as connection:
        connection.execute(score_state.delete().where(score_state.c.name.in_(values)))
        connection.execute(score_state.insert(), [{"name": name, "value": value} for name, value in values.items()])
