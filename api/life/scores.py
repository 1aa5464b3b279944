"""Scores as frames: for the ladder, for notebooks, and for whoever watches over a model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import sqlalchemy as sa

from api.database import reading, scores_engine_of
from api.life.editions import SAME
from api.life.remade import WITHOUT_SIGNALS
from api.life.score_tables import BOUNDS, actual, edition, remade, score, scored_receipt
from api.life.scoring import chosen
from api.settings import Settings

Basis = Literal["latest", "first"]
STEPS = ("naive", "seasonal_naive", "without_signals", "system", "published")  # of the ladder
_EDITION = (
    "category", "origin", "receipt", "as_of", "data_version", "configuration", "role", "frequency", "scale",
)  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """Which scores.

    `categories`: None for all. `since` and `until` are labels of periods, both included; `known_by` leaves out what
    was not known then (UTC without a zone). `basis`: against each actual as it was first known, or as it is by now.
    `every`: all different forecasts, not only that which counts of each origin.
    """

    categories: Sequence[str] | None = None
    lead: int | None = None
    since: dt.date | None = None
    until: dt.date | None = None
    basis: Basis = "latest"
    known_by: dt.datetime | None = None
    receipt: str | None = None
    every: bool = False

    def where(self) -> list[sa.ColumnElement[bool]]:
        """The same as conditions."""
        found: list[sa.ColumnElement[bool]] = []
        found += [] if self.categories is None else [edition.c.category.in_(self.categories)]
        found += [] if self.lead is None else [score.c.lead == self.lead]
        found += [] if self.since is None else [score.c.period >= self.since]
        found += [] if self.until is None else [score.c.period <= self.until]
        found += [] if self.known_by is None else [actual.c[f"{self.basis}_known"] <= self.known_by]
        if self.receipt is not None:
            of = sa.select(scored_receipt.c.edition).where(scored_receipt.c.receipt == self.receipt)
            return [*found, edition.c.edition.in_(of)]
        return found if self.every else [*found, chosen()]


def scores(settings: Settings, wanted: Chosen) -> pd.DataFrame:
    """One row a forecast and period that is known, in order of category, origin and period.

    Columns: category, origin (last day known to the forecast), receipt (the last that says so), as_of, data_version,
    configuration, role, frequency, scale (mean absolute error of seasonal naive in the history), period, lead, nowcast,
    actual, known (when it was), mean and system (the forecast's mean and median), lower80, upper80, lower95, upper95,
    naive, seasonal_naive, without_signals (median), published (of a person's number; else as system), overridden.
    In units of sales; NaN where there is none.
    """
    point = points()
    columns: list[sa.ColumnElement[Any]] = [edition.c[name] for name in _EDITION]
    columns += [score.c[name] for name in ("period", "lead", "nowcast", *BOUNDS)]
    columns += [actual.c[wanted.basis].label("actual"), actual.c[f"{wanted.basis}_known"].label("known")]
    columns += [score.c.value.label("mean"), *(point[name].label(name) for name in STEPS)]
    columns += [score.c.published.is_not(None).label("overridden")]
    order = (edition.c.category, edition.c.origin, edition.c.receipt, score.c.period)
    with reading(scores_engine_of(settings)) as connection:
        found = connection.execute(known_scores(wanted, columns).order_by(*order))
        frame = pd.DataFrame(found.all(), columns=list(found.keys()))
    kinds: dict[str, Any] = dict.fromkeys(("origin", "period", "as_of", "known"), "datetime64[us]")
    kinds |= dict.fromkeys(("scale", "actual", "mean", *STEPS, *BOUNDS), "float64")
    kinds |= dict.fromkeys(("category", "receipt", "configuration", "role", "frequency"), "str")
    return frame.astype(kinds | {"nowcast": "bool", "overridden": "bool", "lead": "int64"})


def points() -> dict[str, sa.ColumnElement[Any]]:
    """By step of the ladder the number whose error is told: the median, and what a person put in its place."""
    same = edition.c.without == SAME
    return {
        "naive": score.c.naive,
        "seasonal_naive": score.c.seasonal_naive,
        "without_signals": sa.case((same, score.c.median), else_=remade.c.median),
        "system": score.c.median,
        "published": sa.func.coalesce(score.c.published_median, score.c.median),
    }


def known_scores(wanted: Chosen, columns: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
    """Columns of what was forecast and is known, with what was made again without signals."""
    again = sa.and_(
        remade.c.edition == score.c.edition,
        remade.c.period == score.c.period,
        remade.c.configuration == WITHOUT_SIGNALS,
    )
    # That says nothing new, but keeps SQLite from going through all actuals of a category for each forecast.
    within = actual.c.period.between(edition.c.first, edition.c.last)
    came = sa.and_(actual.c.category == edition.c.category, actual.c.period == score.c.period, within)
    return (
        sa.select(*columns)
        .join_from(edition, score, score.c.edition == edition.c.edition)
        .join(actual, came)
        .outerjoin(remade, again)
        .where(actual.c[wanted.basis].is_not(None), *wanted.where())
    )


def losses(
    settings: Settings,
    category: str,
    *,
    moment: dt.datetime | None = None,
    lead: int | None = 1,
    basis: Basis = "latest",
) -> pd.DataFrame:
    """What a watch over a category runs on: one row an origin and period, in order of time.

    Columns: period, origin, lead, nowcast, known, configuration, role, loss (absolute error of the system's median),
    reference (that of seasonal naive), error (mean less actual: above zero where too high), covered80, covered95 (bool,
    None where the forecast has no such interval). `moment`: only what was known by then (UTC without a zone). `lead`:
    periods ahead, 1 the next after the last that was known; None for all.
    """
    frame = scores(settings, Chosen((category,), lead=lead, basis=basis, known_by=moment))
    return judged(frame).sort_values(["period", "origin"]).reset_index(drop=True)


def judged(frame: pd.DataFrame) -> pd.DataFrame:
    """Scores as losses (see there), row by row."""
    made = frame[["period", "origin", "lead", "nowcast", "known", "configuration", "role"]].assign(
        loss=(frame["system"] - frame["actual"]).abs(),
        reference=(frame["seasonal_naive"] - frame["actual"]).abs(),
        error=frame["mean"] - frame["actual"],
    )
    for level in (80, 95):
        low, high = frame[f"lower{level}"], frame[f"upper{level}"]
        inside = (frame["actual"] >= low) & (frame["actual"] <= high)
        made[f"covered{level}"] = inside.astype(object).where(low.notna(), None)
    return made
