"""Forecasts as they were issued at past moments."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import sqlalchemy as sa

from api.database import SCORES_FILE, engine_at, now, reading, scores_engine_of, scores_metadata
from api.forecasting import Forecaster
from api.ledger import Issued, Ledger
from api.life.scores import Chosen, scores
from api.life.scoring import Scored, score_issued
from api.models import ForecastRequest
from api.receipts import receipt_at
from api.settings import Settings
from api.snapshots import Snapshots
from signals.store import Batch, open_snapshot, submit
from tests.api.stores import described, last_week


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
    return score_issued(settings, open_snapshot(settings.home), moment=moment or now(), whole=True)


def fill_revised(home: Path, weeks: int = 130, names: tuple[str, ...] = ("Boots", "Hats")) -> pd.DataFrame:
    """Weekly sales that follow a signal a week later, printed a day after each week and revised 15 days after it.

    The sales as they went into the store; the last week is the one before this.
    """
    rng = np.random.default_rng(11)
    start = pd.date_range(end=last_week(), periods=weeks, freq="7D").astype("datetime64[us]")
    end = start + pd.Timedelta(days=7)
    signal = rng.normal(0, 1, weeks)
    frames = []
    for name in names:
        driven = np.concatenate([[0.0], signal[:-1]]) * (14 if name == names[0] else 0)
        sold = 200 + 30 * np.sin(np.arange(weeks) * 2 * np.pi / 52.18) + driven + rng.normal(0, 6, weeks)
        for factor, days in ((1.0, 1), (1.02, 15)):
            known = end + pd.Timedelta(days=days)
            frames.append(pd.DataFrame({"category": name, "start": start, "end": end, "quantity": sold * factor,
                                        "known_at": known, "source": "test"}))  # fmt: skip
    sales = pd.concat(frames, ignore_index=True)
    sales = sales[sales["known_at"] <= pd.Timestamp(now())]
    seen = {"signal": "weather", "start": start, "end": end, "value": signal, "known_at": end}
    signals = pd.DataFrame({"signal": ["weather"], "source": "test", "aggregation": "mean", "future_known": False})
    candidates = pd.DataFrame({"category": [names[0]], "signal": ["weather"]})
    categories = pd.DataFrame([described(name) for name in names])
    submit(home, Batch("test", sales=sales, categories=categories, signals=signals,
                       observations=pd.DataFrame(seen), candidates=candidates))  # fmt: skip
    return sales


def tables(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """All that is kept of scores, in an order of its own; without the marks, which tell when it was made."""
    with reading(scores_engine_of(settings)) as connection:
        return {
            name: [dict(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()]
            for name, table in scores_metadata.tables.items()
            if name != "score_state"
        }


def forget(settings: Settings) -> None:
    """Delete the file of scores."""
    scores_engine_of(settings).dispose()
    engine_at.cache_clear()
    for file in (settings.home / SCORES_FILE).parent.glob(f"{SCORES_FILE.name}*"):
        file.unlink()


def publish(settings: Settings, origins: int, better: bool | None) -> None:
    """As if people had set the first number of so many forecasts: nearer to the actual, farther away, or as it was."""
    frame = scores(settings, Chosen(("Boots",), lead=1)).tail(origins)
    ledger = Ledger(settings)
    made = []
    for place, (_, row) in enumerate(frame.iterrows()):
        found = ledger.resolve(row["receipt"])
        assert found is not None
        answer = orjson.loads(found.answer)
        miss = row["actual"] - row["mean"]
        first, number = answer["forecast"][0], row["mean"] + (0.5 * miss if better else -0.5 * miss)
        same = {name: first[name] for name in ("value", "median")}
        first["published"] = same if better is None else {"value": number, "median": number}
        receipt = receipt_at(row["as_of"].to_pydatetime() + dt.timedelta(minutes=1), place)
        made.append(Issued(receipt, "Boots", orjson.dumps(answer), found.request, issued=found.issued))
    ledger.append(*made)
    score(settings)
