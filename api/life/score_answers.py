"""What is told of scores: the ladder of a category, that of all, and both as frames for notebooks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import pandas as pd
import sqlalchemy as sa

from api.database import reading, scores_engine_of
from api.life.actuals import newest_version
from api.life.ladder import sentence, steps_of, sums
from api.life.score_models import CategoryScores, CategorySummary, Ladder, Portfolio
from api.life.score_tables import edition, score
from api.life.scores import Chosen, known_scores
from api.life.scoring import passes
from api.settings import Settings
from forecast.words import period_noun
from signals.store import Snapshot


@dataclass(frozen=True)
class _Extent:
    """The periods that are scored."""

    periods: int
    first: dt.date | None
    last: dt.date | None


_NOTHING = _Extent(0, None, None)


def category_scores(settings: Settings, snapshot: Snapshot, category: str, wanted: Chosen) -> CategoryScores:
    """How the issued forecasts of a category did; raises UnknownCategory. `wanted.categories` is not looked at."""
    record = snapshot.category(category)
    wanted = replace(wanted, categories=(category,))
    found, extent = sums(settings, wanted, "lead"), _extents(settings, wanted).get(category, _NOTHING)
    steps = steps_of(found)
    ladders = [Ladder(lead=wanted.lead, steps=steps)]
    if wanted.lead is None:
        leads = sorted(set(found["lead"].tolist()))
        ladders += [Ladder(lead=lead, steps=steps_of(found[found["lead"] == lead])) for lead in leads]
    return CategoryScores(
        category=category, unit=record.unit, frequency=record.frequency, basis=wanted.basis,
        data_version=newest_version(settings), periods=extent.periods, since=extent.first, until=extent.last,
        sentence=sentence(steps, _told(extent, record.frequency)), ladder=ladders,
    )  # fmt: skip


def portfolio(
    settings: Settings,
    snapshot: Snapshot,
    wanted: Chosen,
    *,
    visible: Collection[str] | None = None,
    limit: int = 100,
    offset: int = 0,
) -> Portfolio:
    """How the issued forecasts of all categories did, or of those that are `visible`; a page of them one by one."""
    meta = snapshot.categories().set_index("category")
    names = [name for name in _forecast(settings) if name in meta.index and (visible is None or name in visible)]
    known = meta.loc[names]
    wanted = replace(
        wanted, categories=tuple(names) if visible is not None or len(names) < len(_forecast(settings)) else None
    )
    steps = steps_of(_all_sums(settings, wanted), one_unit=known["unit"].nunique(dropna=False) <= 1)
    origins = max((step.origins for step in steps), default=0)
    return Portfolio(
        basis=wanted.basis, data_version=newest_version(settings),
        sentence=sentence(steps, f"{origins:,} {'origin' if origins == 1 else 'origins'}"),
        ladder=Ladder(lead=wanted.lead, steps=steps),
        items=_summaries(settings, known.iloc[offset : offset + limit], wanted),
        total=len(names), limit=limit, offset=offset, next=None,
    )  # fmt: skip


def _all_sums(settings: Settings, wanted: Chosen) -> pd.DataFrame:
    """Over all categories; kept until the next pass, for it takes seconds where there are a million scores."""
    with reading(scores_engine_of(settings)) as connection:
        return _kept_sums(settings, wanted, passes(connection))


@lru_cache(maxsize=16)
def _kept_sums(settings: Settings, wanted: Chosen, passed: int) -> pd.DataFrame:  # noqa: ARG001 - a key of the cache
    return sums(settings, wanted)


def _summaries(settings: Settings, known: pd.DataFrame, wanted: Chosen) -> list[CategorySummary]:
    wanted = replace(wanted, categories=tuple(known.index))
    found, extents = dict(list(sums(settings, wanted, "category").groupby("category"))), _extents(settings, wanted)
    items = []
    for name, row in known.iterrows():
        extent, category = extents.get(str(name), _NOTHING), str(name)
        steps = steps_of(found[category]) if category in found else []
        items.append(
            CategorySummary(
                category=category,
                unit=None if pd.isna(row["unit"]) else row["unit"],
                frequency=row["frequency"],
                periods=extent.periods,
                until=extent.last,
                sentence=sentence(steps, _told(extent, row["frequency"])),
                steps=steps,
            )
        )
    return items


def _told(extent: _Extent, frequency: str) -> str:
    return f"{extent.periods:,} {period_noun(frequency, extent.periods)}"


def _forecast(settings: Settings) -> Sequence[str]:
    """The categories that were forecast, by name."""
    with reading(scores_engine_of(settings)) as connection:
        return connection.scalars(sa.select(edition.c.category).distinct().order_by(edition.c.category)).all()


def _extents(settings: Settings, wanted: Chosen) -> dict[str, _Extent]:
    """By category the periods that are scored."""
    period = score.c.period
    columns = [edition.c.category, sa.func.count(period.distinct()), sa.func.min(period), sa.func.max(period)]
    with reading(scores_engine_of(settings)) as connection:
        found = connection.execute(known_scores(wanted, columns).group_by(edition.c.category)).all()
    return {category: _Extent(*rest) for category, *rest in found}


def ladder_frame(settings: Settings, wanted: Chosen) -> pd.DataFrame:
    """The ladder as a frame: one row a category, lead (missing: all together) and step, columns as in `Step`.

    The interval is in `gain_low_pct` and `gain_high_pct`, the coverage in `coverage80` and `coverage95`.
    """
    found = sums(settings, wanted, "category", "lead")
    rows = []
    for category, own in found.groupby("category"):
        parts = [(None, own), *own.groupby("lead")]
        for lead, part in parts:
            for step in steps_of(part):
                row = step.model_dump(exclude={"coverage", "gain_interval_pct"})
                low, high = step.gain_interval_pct or (None, None)
                held = {f"coverage{level}": step.coverage.get(str(level)) for level in (80, 95)}
                rows.append(
                    {"category": category, "lead": lead, **row, "gain_low_pct": low, "gain_high_pct": high} | held
                )
    return pd.DataFrame(rows).astype({"lead": "Int64"}) if rows else pd.DataFrame()
