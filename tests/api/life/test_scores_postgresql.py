"""Scores in PostgreSQL are those in SQLite."""

from __future__ import annotations

import threading
from typing import Any

import sqlalchemy as sa

from api.database import engine_of, issued, reading
from api.ledger import Ledger, as_issued
from api.life.keeping import forget_scores
from api.life.ladder import steps_of, sums
from api.life.score_as import score_as
from api.life.scores import Chosen, losses
from api.settings import Settings
from forecast import Configuration
from signals.store import open_snapshot
from tests.api.life.past import mondays, publish, score, tables
from tests.api.test_runs_postgresql import address, pytestmark  # noqa: F401 - a fixture, and where it is skipped


def in_order(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Databases differ in how they sort texts."""
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def test_it_is_the_same_in_postgresql(lived: Settings, scored: Settings, address: str) -> None:  # noqa: F811
    settings = Settings(home=scored.home, database_url=address)
    with reading(engine_of(scored)) as connection:
        rows = connection.execute(sa.select(issued)).mappings().all()
    Ledger(settings).append(*(as_issued(row) for row in rows))
    done = score(settings)
    assert done.forecasts == len(rows)
    assert in_order(tables(settings)) == in_order(tables(lived))
    assert score(settings).forecasts == 0
    ours, theirs = (steps_of(sums(one, Chosen(), "lead")) for one in (settings, lived))
    assert [round(step.wape or 0, 9) for step in ours] == [round(step.wape or 0, 9) for step in theirs]
    assert losses(settings, "Boots").equals(losses(lived, "Boots"))
    paired = score_as(settings, open_snapshot(settings.home), "Boots", Configuration(), since=mondays(4)[0].date())
    assert paired["other_loss"].tolist() == paired["loss"].tolist()
    publish(settings, 9, better=True)
    assert [step.step for step in steps_of(sums(settings, Chosen()))][-1] == "published"
    assert forget_scores(settings, mondays(8)[0].date(), threading.Event()) > 0
    engine_of(settings).dispose()
