"""The flat rows of one issued forecast, of a run and of a category, as api/odata/model.py describes them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from api.issued import is_current
from api.ledger import as_issued
from api.odata.model import ATTRIBUTES, KEY, LEVELS
from api.overrides.applying import overrides_of, served
from api.receipts import ALPHABET

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:groundswell:odata")
_MIDNIGHT = dt.time()
Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The rows of one issued forecast, by table."""

    category: str | None
    forecasts: list[dict[str, Any]]
    contributions: list[dict[str, Any]]
    signals: list[dict[str, Any]]
    accuracy: dict[str, Any]
    current: bool  # what the store said of the category: see `is_current`


def id_of(receipt: str, *parts: str) -> str:
    """The key of what a receipt and these parts name: the same at every refresh.

    A UUID of version 8: a hash as in version 5, but the receipt's milliseconds come first, as in version 7. Rows that
    are written together thus have keys that lie together, and the database writes a tenth of the pages.
    """
    digest = hashlib.sha1("|".join((receipt, *parts)).encode(), usedforsecurity=False).hexdigest()
    text = _milliseconds(receipt) + digest
    return f"{text[:8]}-{text[8:12]}-8{text[12:15]}-{'89ab'[int(text[15], 16) & 3]}{text[16:19]}-{text[19:31]}"


@lru_cache(maxsize=1024)
def _milliseconds(receipt: str) -> str:
    """The first 48 bits of a receipt in hexadecimal digits; nothing where it has another form."""
    found = re.fullmatch(r"fc_([0-9A-HJKMNP-TV-Z]{10})[0-9A-HJKMNP-TV-Z]{16}", receipt)
    if found is None:
        return ""
    number = 0
    for character in found[1]:
        number = number << 5 | ALPHABET.index(character)
    return f"{number % 2**48:012x}"


def parts_of(issued: Row, answer: Row, category: Row | None, moment: dt.datetime) -> Parts:
    """All rows of one forecast. `category`: the row of its category, where the store has it.

    Raises KeyError, TypeError, ValueError, IndexError: the answer is no forecast.
    """
    common = {
        "RunId": run_id(issued),
        "Receipt": issued["receipt"],
        "Category": issued["category"],
        "IssuedAt": issued["issued"],
        "ModifiedAt": moment,
    }
    forecasts = _forecasts(answer, common, category)
    contributions = [
        row
        for period, made in zip(answer["forecast"], forecasts, strict=True)
        for row in _contributions(period["contributions"], made, common)
    ]
    signals = [_signal(one, common) for one in answer["signals"]]
    current = is_current(as_issued(issued))
    return Parts(issued["category"], forecasts, contributions, signals, _accuracy(answer, common), current)


def run_id(issued: Row) -> str:
    """The run of a forecast: its job, or the single request that it was."""
    run = issued["run"]
    if run is None:
        return id_of(issued["receipt"], "run")
    try:
        return str(uuid.UUID(run))
    except ValueError:
        return str(uuid.uuid5(_NAMESPACE, f"run|{run}"))


def run_of(issued: Row, job: Row | None, moment: dt.datetime) -> dict[str, Any]:
    """The row of a forecast's run."""
    at = issued["issued"]
    values = job or {
        "kind": "single", "state": "succeeded", "accepted": at, "started": at, "finished": at, "total": 1, "done": 1,
    }  # fmt: skip
    return {
        KEY: run_id(issued),
        "Kind": values["kind"],
        "State": values["state"],
        "Face": issued["face"],
        "AcceptedAt": values["accepted"],
        "StartedAt": values["started"],
        "FinishedAt": values["finished"],
        "Total": values["total"],
        "Done": values["done"],
        "ModifiedAt": moment,
    }


def _forecasts(answer: Row, common: Row, category: Row | None) -> list[dict[str, Any]]:
    same = {
        **common,
        **{name: category[name] if category else None for name in ATTRIBUTES},
        "Frequency": answer["frequency"],
        "QuantityUnitSymbol": answer["unit"],
        "EngineName": answer["engine"]["name"],
        "DataVersion": answer["data_version"],
        "AsOf": _moment(answer["as_of"]),
    }
    return [_forecast(one, number, same) for number, one in enumerate(answer["forecast"], 1)]


def _forecast(one: Row, number: int, same: Row) -> dict[str, Any]:
    start, end = span(one["period"], same["Frequency"])
    # Business Central may ask for 82.5 %, which no column can tell: the usual levels are there as well.
    shown = served(one)
    intervals = {int(level): ends for level, ends in shown["intervals"].items() if level.isdecimal()}
    lowest = min(intervals, default=None)
    bounds = {
        f"{name}{level}": _rounded(intervals[level][side]) if level in intervals else None
        for level in LEVELS
        for side, name in enumerate(("Lower", "Upper"))
    }
    return {
        **same,
        KEY: id_of(same["Receipt"], one["period"]),
        "PeriodNumber": number,
        "Period": dt.date.fromisoformat(one["period"]),
        "ForecastStartDate": dt.datetime.combine(start, _MIDNIGHT),
        "ForecastStartDay": start,
        "ForecastEndDate": dt.datetime.combine(end, _MIDNIGHT),
        "ForecastEndDay": end,
        "Kind": one["kind"],
        "ForecastedQuantity": _rounded(shown["value"]),
        "Median": _rounded(one["median"]),
        "ConfidenceLevel": lowest,
        "LowerBound": None if lowest is None else _rounded(intervals[lowest][0]),
        "UpperBound": None if lowest is None else _rounded(intervals[lowest][1]),
        **bounds,
        **_system(one, None if lowest is None else one["intervals"][str(lowest)]),
    }


def _system(one: Row, ends: Sequence[float] | None) -> dict[str, Any]:
    """What the system says, and who publishes something else in its place."""
    decides = one.get("published", {})
    return {
        "IsOverridden": "published" in one,
        "SystemQuantity": _rounded(one["value"]),
        "SystemLowerBound": None if ends is None else _rounded(ends[0]),
        "SystemUpperBound": None if ends is None else _rounded(ends[1]),
        "Overrides": overrides_of(one),
        **{f"Override{name.capitalize()}": decides.get(name) for name in ("layer", "author", "reason")},
    }


@lru_cache(maxsize=4096)
def span(label: str, frequency: str) -> tuple[dt.date, dt.date]:
    """First day of the period of a label, and the day after it."""
    day = dt.date.fromisoformat(label)
    if frequency.startswith("W"):
        return day - dt.timedelta(days=6), day + dt.timedelta(days=1)
    return day, (pd.Timestamp(day) + pd.tseries.frequencies.to_offset(frequency)).date()


def _contributions(parts: Mapping[str, float], forecast: Row, common: Row) -> list[dict[str, Any]]:
    period = forecast["Period"]
    same = {**common, "ForecastId": forecast[KEY], "Period": period, "ForecastStartDate": forecast["ForecastStartDate"]}
    return [
        {
            **same,
            KEY: id_of(common["Receipt"], period.isoformat(), driver),
            "Driver": driver,
            "ContributedQuantity": value,
        }
        for driver, value in parts.items()
    ]


def _signal(one: Row, common: Row) -> dict[str, Any]:
    lower, upper = one["gain_interval_pct"] or (None, None)
    known_to = None if one["known_to"] is None else dt.date.fromisoformat(one["known_to"])
    return {
        **common,
        KEY: id_of(common["Receipt"], "signal", one["signal"]),
        "Signal": one["signal"],
        "Admitted": one["admitted"],
        "GainPct": one["gain_pct"],
        "GainLowerPct": lower,
        "GainUpperPct": upper,
        "Lag": one["lag"],
        "Lead": one["lead"],
        "KnownTo": None if known_to is None else dt.datetime.combine(known_to, _MIDNIGHT),
        "KnownToDay": known_to,
        "Importance": one["importance"],
        "Reason": one["reason"],
        "Members": "; ".join(one.get("members") or ()) or None,
    }


def _accuracy(answer: Row, common: Row) -> dict[str, Any]:
    quality = answer["quality"]
    return {
        **common,
        KEY: id_of(common["Receipt"], "accuracy"),
        "EngineName": answer["engine"]["name"],
        "HistoryPeriods": answer["history"]["periods"],
        "Origins": quality["origins"],
        "Wape": quality["wape"],
        "Mase": quality["mase"],
        "BiasPct": quality["bias_pct"],
        "VsSeasonalNaivePct": quality["vs_seasonal_naive_pct"],
        **{f"Coverage{level}": quality["coverage"].get(str(level)) for level in LEVELS},
        "Warnings": "\n".join(answer["warnings"]) or None,
    }


def category_row(row: Row, moment: dt.datetime) -> dict[str, Any]:
    """The row of a category, from one of `Snapshot.categories()`."""
    values: dict[str, Any] = {key: None if pd.isna(value) else value for key, value in row.items()}
    attributes = json.loads(values["attributes"] or "{}")
    first, end = (None if values[name] is None else values[name].date() for name in ("start", "end"))
    return {
        KEY: str(uuid.uuid5(_NAMESPACE, f"category|{values['category']}")),
        "Category": values["category"],
        **{name: _attribute(attributes, names) for name, names in ATTRIBUTES.items()},
        "Frequency": values["frequency"],
        "QuantityUnitSymbol": values["unit"],
        "TimeZone": values["timezone"],
        "Calendar": values["calendar"],
        "Parent": values["parent"],
        "Periods": int(values["periods"] or 0),
        "FirstDate": None if first is None else dt.datetime.combine(first, _MIDNIGHT),
        "FirstDay": first,
        "EndDate": None if end is None else dt.datetime.combine(end, _MIDNIGHT),
        "EndDay": end,
        "Attributes": json.dumps(attributes, ensure_ascii=False, sort_keys=True) if attributes else None,
        "ModifiedAt": moment,
    }


def _attribute(attributes: Row, names: tuple[str, ...]) -> str | None:
    found = next((attributes[name] for name in names if attributes.get(name) is not None), None)
    return None if found is None else str(found)


def _rounded(value: float) -> float:
    return round(value, 6)


def _moment(text: str | None) -> dt.datetime | None:
    """A moment of an answer, UTC without a zone as the database holds it."""
    if text is None:
        return None
    moment = dt.datetime.fromisoformat(text)
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
