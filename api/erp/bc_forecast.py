"""One series of Business Central: from buckets to a kept forecast, with the signals that the store has for the item."""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import orjson
import pandas as pd

from api.database import now
from api.erp.bc_calendar import Buckets
from api.fields import FIRST, LAST
from api.issued import BUSINESS_CENTRAL
from api.ledger import Issued, with_inline
from api.made_with import name_here
from api.metrics import forecast_made
from api.overrides.applying import publish
from api.overrides.kept import covering, named
from api.receipts import new_receipt
from api.service import as_answer, signals_frame
from api.settings import Settings
from api.snapshots import Snapshots
from forecast import Forecast, ForecastError, forecast
from forecast.options import MAX_HORIZON
from forecast.result import LARGEST_LEVEL
from forecast.series import MIN_PERIODS
from signals.store import CategoryRecord, Snapshot, StoreDamaged, StoreEmpty

log = logging.getLogger("groundswell")

FACE = BUSINESS_CENTRAL
ENGINE = "fast"
TOGETHER = 10  # seconds to which the present is cut: calls that come together share what is read
USUAL_LEVELS = (80.0, 95.0)  # for those who read the ledger


@dataclass(frozen=True)
class Ask:
    """One series. `values`: from bucket `first_key` on, without gaps; `start_key`: the first bucket to forecast."""

    item: str
    first_key: int
    values: tuple[float, ...]
    start_key: int
    horizon: int
    confidence: float  # per cent
    buckets: Buckets

    @property
    def gap(self) -> int:
        """Buckets between the last of the history and the first to forecast."""
        return self.start_key - self.first_key - len(self.values)

    def numbers(self) -> np.ndarray:
        """The buckets of the history and of the forecast, counted from the first to forecast."""
        return np.arange(self.first_key - self.start_key, self.horizon)


@dataclass(frozen=True)
class Joined:
    """The category of the store that an item belongs to, at a data version."""

    snapshot: Snapshot
    record: CategoryRecord
    data_version: int


@dataclass(frozen=True)
class Row:
    """The forecast of one bucket and half the width of its interval, in units of sales."""

    key: int
    quantity: float
    half_width: float


def find(snapshots: Snapshots, items: Iterable[str]) -> dict[str, Joined]:
    """The categories that are called like an item (in any case), or whose attribute `item` names it, from one state."""
    try:
        snapshot = snapshots.current()
        version = snapshot.data_version
        names = _categories(snapshot, version)
        found = {item: names[item.casefold()] for item in items if item.casefold() in names}
        return {item: Joined(snapshot, snapshot.category(name, version), version) for item, name in found.items()}
    except StoreEmpty:
        return {}
    except StoreDamaged as error:
        log.error("forecasts are made without signals: %s", error)
        return {}


@lru_cache(maxsize=4)
def _categories(snapshot: Snapshot, data_version: int) -> dict[str, str]:  # noqa: ARG001 - what the cache goes by
    """The category of each item; a category's own name goes before another's attribute."""
    frame = snapshot.categories()
    found: dict[str, str] = {}
    for category, attributes in zip(frame["category"], frame["attributes"], strict=True):
        for item in _items(attributes):
            found.setdefault(item.casefold(), category)
    return found | {category.casefold(): category for category in frame["category"]}


def _items(attributes: object) -> Iterator[str]:
    named = json.loads(attributes).get("item", []) if isinstance(attributes, str) else []
    for item in named if isinstance(named, list) else [named]:
        if isinstance(item, (str, int)):
            yield str(item)


def cannot(ask: Ask) -> str | None:
    """Why a series cannot be forecast, as far as its buckets tell; None where they allow it."""
    if len(ask.values) < MIN_PERIODS:
        return f"{len(ask.values)} bucket(s), at least {MIN_PERIODS} are needed"
    if ask.gap + ask.horizon > MAX_HORIZON:
        return f"its history ends {ask.gap} buckets before the forecast begins"
    first, last = ask.buckets.first_days(ask.numbers()[[0, -1]])
    inside = np.datetime64(FIRST) <= first and last <= np.datetime64(LAST)
    return None if inside else f"its buckets run from {first} to {last}, allowed: {FIRST} to {LAST}"


def make(
    ask: Ask,
    store: Joined | None,
    moment: dt.datetime,
    asked: dict[str, Any],
    key_id: str | None,
    settings: Settings,
    overrides_again: Sequence[str] | None = None,
) -> tuple[tuple[Row, ...], Issued]:
    """Forecast one series with what was known at `moment` (UTC), not kept yet. `asked`: for whoever replays it.

    The rows are what is published: overrides of the item's category that are in force at `moment` are in them, or
    those that are named, where it is made again.

    Raises ForecastError, and what the store raises.
    """
    started = time.perf_counter()
    signals, calendar = _signals(ask, store, moment)
    read = time.perf_counter()
    result = _forecast(ask, store, signals, calendar)
    answer = _answer(ask, result, store, moment)
    overrides = _publish(settings, ask, store, moment, answer, overrides_again)
    ended = time.perf_counter()
    answer["timing_ms"] = {
        "read": round(1000 * (read - started), 3),
        "fit": round(1000 * (ended - read), 3),
        "total": round(1000 * (ended - started), 3),
    }
    forecast_made(FACE, result.engine.name, ended - started)
    request = _request(ask, answer) | {"overrides": overrides, "business_central": asked | _told(ask, store)}
    request["made_with"] = name_here()
    request, inline = with_inline(request, request["history"], [])
    given, resolved = orjson.dumps(answer), orjson.dumps(request)
    return _rows(ask, result, answer["forecast"]), Issued(
        answer["receipt"], ask.item, given, resolved, FACE, key_id, inline=inline
    )


def made_again(snapshots: Snapshots, request: dict[str, Any], inline: bytes, settings: Settings) -> Issued:
    """The forecast of a resolved request of the ledger again, with the very same overrides.

    Raises ForecastError, and what the store raises.
    """
    asked = request["business_central"]
    store, category = None, asked["store_category"]
    if category is not None:
        snapshot, version = snapshots.current(), request["data_version"]
        store = Joined(snapshot, snapshot.category(category, version), version)
    ask = Ask(
        request["category"],
        asked["first_key"],
        tuple(orjson.loads(inline)["history"]["values"]),
        asked["start_key"],
        asked["horizon"],
        asked["confidence_level"],
        Buckets(asked["seasonality"], dt.date.fromisoformat(asked["anchor"]) + dt.timedelta(days=1)),
    )
    moment = dt.datetime.fromisoformat(request["as_of"]).replace(tzinfo=None)
    return make(ask, store, moment, asked, None, settings, request.get("overrides", ()))[1]


def _told(ask: Ask, store: Joined | None) -> dict[str, Any]:
    """What it takes to ask again, beside what the REST API has names for."""
    category = None if store is None else store.record.category
    return {"first_key": ask.first_key, "start_key": ask.start_key, "horizon": ask.horizon, "store_category": category}


def _publish(
    settings: Settings,
    ask: Ask,
    store: Joined | None,
    moment: dt.datetime,
    answer: dict[str, Any],
    again: Sequence[str] | None,
) -> tuple[str, ...]:
    """Lay the overrides of the item's category on the answer, or those that are named `again`; their references."""
    if store is None:
        return ()
    days = ask.buckets.first_days(np.arange(-ask.gap, ask.horizon + 1)).tolist()
    present = now()  # a moment that is as young was cut, and a person may have decided since
    fresh = present - moment < dt.timedelta(seconds=TOGETHER)
    category = store.record.category
    if again is None:
        found = covering(settings, category, days[0], present if fresh else moment)
    else:
        found = named(settings, category, again)
    if not found:
        return ()
    return publish(answer, found, list(pairwise(days)), non_negative=min(ask.values) >= 0)


def _signals(ask: Ask, store: Joined | None, moment: dt.datetime) -> tuple[pd.DataFrame | None, str | None]:
    """The item's signals on the time of the regular series; the country, where its holidays need not be moved."""
    if store is None or not ask.buckets.takes_signals:
        return None, None
    country, numbers = store.record.calendar, ask.numbers()
    moved = country if ask.buckets.is_moved else None
    return _offered(store, moment, ask.buckets, moved, int(numbers[0]), int(numbers[-1])), None if moved else country


@lru_cache(maxsize=4)
def _offered(
    store: Joined, moment: dt.datetime, buckets: Buckets, country: str | None, first: int, last: int
) -> pd.DataFrame | None:
    """The signals of a category, and the holidays of a country, on the time of the regular series.

    Cached, for a run over all items asks for the same again and again.
    """
    frame = signals_frame(store.snapshot, store.record.category, as_of=moment, data_version=store.data_version)
    if country:
        holidays = buckets.holidays(country, np.array([first, last]))
        frame = holidays if frame is None else pd.concat([frame, holidays], ignore_index=True)
    return None if frame is None else buckets.moved(frame)


def _forecast(ask: Ask, store: Joined | None, signals: pd.DataFrame | None, calendar: str | None) -> Forecast:
    history = ask.numbers()[: len(ask.values)]
    labels = ask.buckets.regular_labels(history).astype("datetime64[us]")
    return forecast(
        pd.DataFrame({"ds": labels, "y": np.array(ask.values)}),
        ask.gap + ask.horizon,
        signals=signals,
        engine=ENGINE,
        levels=(*USUAL_LEVELS, min(ask.confidence, LARGEST_LEVEL)),
        frequency=ask.buckets.regular,
        as_of=ask.buckets.moment,
        calendar=calendar,
        season_length=ask.buckets.season_length,
        category=ask.item,
        unit=None if store is None else store.record.unit,
    )


def _rows(ask: Ask, result: Forecast, periods: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    low, high = result.interval(min(ask.confidence, LARGEST_LEVEL))
    values, level = result.mean.copy(), f"{min(ask.confidence, LARGEST_LEVEL):g}"
    half = (high - low) / 2
    for place, period in enumerate(periods):
        if "published" in period:
            ends = period["published"]["intervals"][level]
            values[place], half[place] = period["published"]["value"], (ends[1] - ends[0]) / 2
    half = half * _beyond(ask.confidence)
    if not (np.isfinite(values).all() and np.isfinite(half).all()):
        raise ForecastError("history", ask.item, "values whose forecast is a number")
    keys = range(ask.start_key, ask.start_key + ask.horizon)
    found = zip(keys, values[ask.gap :].tolist(), half[ask.gap :].tolist(), strict=True)
    return tuple(Row(key, quantity, width) for key, quantity, width in found)


def _beyond(confidence: float) -> float:
    """How much wider than the widest level known an interval is, by the tails of a normal distribution."""
    if confidence <= LARGEST_LEVEL:
        return 1.0
    at, known = NormalDist().inv_cdf((100 - confidence) / 200), NormalDist().inv_cdf((100 - LARGEST_LEVEL) / 200)
    return at / known


def _answer(ask: Ask, result: Forecast, store: Joined | None, moment: dt.datetime) -> dict[str, Any]:
    """The JSON of the REST API, with the days of the buckets for those of the regular series."""
    answer = {"receipt": new_receipt()} | as_answer(result, None if store is None else store.data_version)
    numbers, buckets = ask.numbers(), ask.buckets
    days = buckets.first_days(np.append(numbers, ask.horizon))
    named = zip(buckets.regular_labels(numbers).astype(str), buckets.labels(numbers).astype(str), strict=True)
    label = {str(regular): str(own) for regular, own in named}
    answer["frequency"], answer["as_of"] = buckets.frequency, f"{moment.isoformat()}Z"
    answer["history"] |= {"start": str(days[0]), "end": str(days[len(ask.values)] - 1)}
    for period in answer["forecast"]:
        period["period"] = label[period["period"]]
    for signal in answer["signals"]:
        signal["known_to"] = label.get(signal["known_to"], signal["known_to"])
    note = buckets.note()
    answer["warnings"] = [*answer["warnings"], *([note] if note else [])]
    return answer


def _request(ask: Ask, answer: dict[str, Any]) -> dict[str, Any]:
    """What was asked, in the names of the REST API; `start` is the label of the first bucket."""
    return {
        "category": ask.item,
        "history": {
            "start": str(ask.buckets.labels(ask.numbers()[:1])[0]),
            "frequency": ask.buckets.frequency,
            "values": list(ask.values),
        },
        "horizon": ask.gap + ask.horizon,
        "engine": ENGINE,
        "levels": sorted({*USUAL_LEVELS, min(ask.confidence, float(LARGEST_LEVEL))}),
        "as_of": answer["as_of"],
        "data_version": answer["data_version"],
    }
