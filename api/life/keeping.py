"""Scores that are old enough are removed; the forecasts that they are of may be kept longer, or not as long."""

from __future__ import annotations

import datetime as dt
import threading

import sqlalchemy as sa

from api.database import engine_of, issued, reading, scores_engine_of, writing
from api.life.score_tables import actual, edition, followed, remade, score, scored_receipt
from api.settings import Settings

TOGETHER = 200  # in one transaction: whoever else writes waits for it
PAUSE_SECONDS = 0.02


def forget_scores(settings: Settings, before: dt.date, stop: threading.Event) -> int:
    """Remove the forecasts whose last period lies before a day, with all that is theirs; how many different ones.

    That they were looked at stays known as long as the ledger has them: they are not scored anew.
    """
    removed = 0
    old = sa.select(edition.c.edition).where(edition.c.last < before).limit(TOGETHER)
    while not stop.is_set():
        with writing(scores_engine_of(settings)) as connection:
            numbers = list(connection.scalars(old))
            seen = scored_receipt.update().where(scored_receipt.c.edition.in_(numbers))
            connection.execute(seen.values(edition=None))
            for table in (score, remade, edition):
                connection.execute(table.delete().where(table.c.edition.in_(numbers)))
        removed += len(numbers)
        if len(numbers) < TOGETHER:
            break
        stop.wait(PAUSE_SECONDS)
    if removed:
        _forget_actuals(settings)
    return removed


def _forget_actuals(settings: Settings) -> None:
    """Those of periods that no forecast is left of."""
    wanted = sa.select(edition.c.edition).where(
        edition.c.category == actual.c.category, edition.c.first <= actual.c.period
    )
    forecast = sa.select(edition.c.category).where(edition.c.category == followed.c.category)
    with writing(scores_engine_of(settings)) as connection:
        connection.execute(actual.delete().where(~wanted.exists()))
        connection.execute(followed.delete().where(~forecast.exists()))


def forget_receipts(settings: Settings) -> None:
    """Forget that forecasts were looked at which the ledger no longer has, from its oldest on."""
    with reading(engine_of(settings)) as connection:
        oldest = connection.execute(sa.select(sa.func.min(issued.c.receipt))).scalar()
    if oldest is not None:
        with writing(scores_engine_of(settings)) as connection:
            connection.execute(scored_receipt.delete().where(scored_receipt.c.receipt < oldest))
