"""A small home in which a poor champion serves, and a better configuration is known."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from api.database import engine_of, writing
from api.life.configurations import keep
from api.life.score_as import score_as
from api.life.serving import By, Place, change, place_of
from api.settings import Settings
from forecast import Configuration
from signals.store import Batch, open_snapshot, submit
from tests.api.life.past import issue, mondays, score
from tests.api.stores import described, last_week

POOR, GOOD = Configuration("seasonal_naive"), Configuration(memory=2.0)
WEEKS = 12


def hasty(home: Path, **more: int) -> Settings:
    """Settings with which each step of a canary is over at once."""
    return Settings(home=home, **{"canary_hours": 0, "canary_days": 0} | more)  # type: ignore[arg-type]


def put(settings: Settings, moment: dt.datetime, **place: object) -> Place:
    """Let a category be served so, since a moment."""
    with writing(engine_of(settings)) as connection:
        for one in (POOR, GOOD):
            keep(connection, one, moment)
        made = dataclasses.replace(place_of(connection, "Boots"), since=moment, **place)  # type: ignore[arg-type]
        change(connection, made, "challenger", made.challenger, By("test", moment, "test"))
    return made


def fill_growing(home: Path, weeks: int = 90) -> None:
    """Weekly sales that grow by half a year, so that last year's are a poor forecast; known a day after each week."""
    start = pd.date_range(end=last_week(), periods=weeks, freq="7D").astype("datetime64[us]")
    end = start + pd.Timedelta(days=7)
    sold = 100 + np.arange(weeks) + np.random.default_rng(5).normal(0, 2, weeks)
    known = end + pd.Timedelta(days=1)
    sales = pd.DataFrame({"category": "Boots", "start": start, "end": end, "quantity": sold, "known_at": known,
                          "source": "test"})  # fmt: skip
    sales = sales[sales["known_at"] <= pd.Timestamp.now("UTC").tz_localize(None)]
    submit(home, Batch("test", sales=sales, categories=pd.DataFrame([described("Boots")])))


def fill_poorly(home: Path) -> None:
    """Forecasts of `WEEKS` weeks by the poor champion, scored, and what both would have said."""
    fill_growing(home)
    settings = Settings(home=home)
    put(settings, mondays(WEEKS)[0] - dt.timedelta(days=1), champion=POOR.name)
    issue(settings, mondays(WEEKS), "Boots", horizon=2)
    score(settings)
    for one in (POOR, GOOD):
        score_as(settings, open_snapshot(home), "Boots", one)
