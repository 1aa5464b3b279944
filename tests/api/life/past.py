"""Forecasts as they were issued at past moments."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from api.database import now
from api.forecasting import Forecaster
from api.ledger import Issued, Ledger
from api.life.scoring import Scored, score_issued
from api.models import ForecastRequest
from api.receipts import receipt_at
from api.settings import Settings
from api.snapshots import Snapshots
from signals.store import open_snapshot


def issue(settings: Settings, moments: list[dt.datetime], category: str, horizon: int = 4, **asked: Any) -> list[str]:
    """Forecast a category as of each moment, as if asked then; the receipts."""
    forecaster = Forecaster(settings, Snapshots(settings.home))
    made: list[Issued] = []
    for number, moment in enumerate(moments):
        body = ForecastRequest(category=category, horizon=horizon, as_of=f"{moment.isoformat()}Z", **asked)
        one = forecaster.make(body, receipt=receipt_at(moment, number))
        made.append(dataclasses.replace(one, issued=moment))
    Ledger(settings).append(*made)
    return [one.receipt for one in made]


def mondays(count: int, last: dt.datetime | None = None) -> list[dt.datetime]:
    """The last Mondays at nine before a moment, the oldest first."""
    end = last or now()
    monday = dt.datetime.combine(end.date() - dt.timedelta(days=end.weekday()), dt.time(9))
    monday -= dt.timedelta(weeks=monday >= end)
    return [monday - dt.timedelta(weeks=back) for back in reversed(range(count))]


def score(settings: Settings, moment: dt.datetime | None = None) -> Scored:
    """One pass by the newest snapshot."""
    return score_issued(settings, open_snapshot(settings.home), moment=moment or now())
