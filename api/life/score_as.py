"""A challenger scored on the champion's forecasts: the same origins, the same periods, loss beside loss."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import sqlalchemy as sa

from api.database import reading, scores_engine_of
from api.ledger import Ledger
from api.life.editions import Pause
from api.life.remade import keep, made_as
from api.life.score_tables import BOUNDS, edition, remade
from api.life.scores import Basis, Chosen, judged, scores
from api.life.scoring import chosen, no_pause
from api.settings import Settings
from forecast import Configuration
from signals.store import Snapshot

_KEY = ["receipt", "period"]


def score_as(
    settings: Settings,
    snapshot: Snapshot,
    category: str,
    configuration: Configuration,
    *,
    moment: dt.datetime | None = None,
    lead: int | None = None,
    since: dt.date | None = None,
    basis: Basis = "latest",
    pause: Pause = no_pause,
) -> pd.DataFrame:
    """What another configuration would have lost where the last forecast of each origin was scored.

    Each forecast is made again once as of its origin, and kept. Columns as of `losses`, with `other_loss`,
    `other_error`, `other_covered80` and `other_covered95` of the other configuration; only rows that both have, in
    order of period and origin. `since`: only origins whose last known day is this or later. Raises ForecastError where
    the configuration is none.
    """
    configuration.check()
    _make(settings, snapshot, category, configuration, since, pause)
    frame = scores(settings, Chosen((category,), lead=lead, basis=basis, known_by=moment))
    frame = frame.merge(_kept(settings, category, configuration.name), on=_KEY)
    if since is not None:
        frame = frame[frame["origin"] >= pd.Timestamp(since)]
    named = {"other_system": "system", "other_mean": "mean"} | {f"other_{name}": name for name in BOUNDS}
    other = judged(frame.drop(columns=list(named.values())).rename(columns=named))
    both = judged(frame)
    for name in ("loss", "error", "covered80", "covered95"):
        both[f"other_{name}"] = other[name]
    return both.sort_values(["period", "origin"]).reset_index(drop=True)


def _make(
    settings: Settings,
    snapshot: Snapshot,
    category: str,
    configuration: Configuration,
    since: dt.date | None,
    pause: Pause,
) -> None:
    """Make again what was not yet."""
    kept = sa.exists().where(remade.c.edition == edition.c.edition, remade.c.configuration == configuration.name)
    wanted = [edition.c.category == category, edition.c.opened == sa.true(), ~kept, chosen()]
    wanted += [] if since is None else [edition.c.origin >= since]
    query = sa.select(edition.c.edition, edition.c.receipt).where(*wanted).order_by(edition.c.origin)
    with reading(scores_engine_of(settings)) as connection:
        rows = connection.execute(query).all()
    ledger = Ledger(settings)
    for number, receipt in rows:
        found = ledger.resolve(receipt)
        made = found and made_as(settings, snapshot, found.request, configuration)
        keep(settings, number, configuration.name, made or [])
        pause()


def _kept(settings: Settings, category: str, configuration: str) -> pd.DataFrame:
    """receipt, period, and what was made again as other_system, other_mean, other_lower80 and so on."""
    named = {"median": "other_system", "value": "other_mean"} | {name: f"other_{name}" for name in BOUNDS}
    columns = [remade.c[name].label(label) for name, label in named.items()]
    query = (
        sa.select(edition.c.receipt, remade.c.period, *columns)
        .join_from(edition, remade, remade.c.edition == edition.c.edition)
        .where(edition.c.category == category, remade.c.configuration == configuration, chosen())
    )
    with reading(scores_engine_of(settings)) as connection:
        found = connection.execute(query)
        frame = pd.DataFrame(found.all(), columns=list(found.keys()))
    kinds = {"receipt": "str", "period": "datetime64[us]"} | dict.fromkeys(named.values(), "float64")
    return frame.astype(kinds)
