"""From answers with timelines to one series: reading them, and estimating the level behind several draws."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from signals.connector import Drift, Payload
from signals.stitch import Fit, bend, fit_windows

PREFIX = ")]}'"  # before the JSON, sometimes with a comma
STEP = {"DAY": 1, "WEEK": 7}  # days of a bucket
LITTLE = 0.5  # what "<1" is read as
WHOLE = 0.9  # share of the buckets asked for that an answer must hold
TOO_FEW = "too few searches to be measured: ask for a more common term, for weeks, or for a larger place"

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Timeline:
    """One draw: the first day of each bucket as days since 1970 (n,), readings 0 to 100 (n,), days of a bucket."""

    day: Places
    value: Array
    step: int


@dataclass(frozen=True)
class Series:
    """A level for each bucket, 100 is the largest, NaN where it is unknown; the noise of one reading, if known."""

    day: Places
    level: Array
    noise: float
    pulls: int


def weekly_series(timelines: Sequence[Timeline]) -> Series:
    """The level of each week of the last timeline, from it and from earlier draws of about the same weeks."""
    now = timelines[-1]
    if not now.value.any():
        raise Drift(TOO_FEW, "value")
    drawn = _distinct(timelines)
    first, fit = _fitted(drawn)
    return Series(now.day, _to_100(fit.level[(now.day - first) // now.step]), fit.noise, len(drawn))


def daily_series(timelines: Sequence[Timeline], weekly: Sequence[Timeline]) -> Series:
    """The level of each day from overlapping timelines, bent to the weekly ones; earlier draws count as well."""
    weeks = _distinct(weekly)
    first, fit = _fitted(_distinct(timelines))
    first_week, weekly_fit = _fitted(weeks, fit.dispersion / 7)
    day = first + np.arange(len(fit.level))
    week = (day - first_week) // 7
    bent = bend(fit, weekly_fit, np.where((week >= 0) & (week < len(weekly_fit.level)), week, -1))
    return Series(day, _to_100(bent.level), fit.noise, len(weeks))


def _distinct(timelines: Sequence[Timeline]) -> list[Timeline]:
    """Each draw once: Google repeats an answer for a while. A window without a search has no scale: it is left out."""
    drawn = {(line.day.tobytes(), line.value.tobytes()): line for line in timelines if line.value.any()}
    if not drawn:
        raise Drift(TOO_FEW, "value")
    return list(drawn.values())


def _fitted(timelines: Sequence[Timeline], dispersion: float = np.nan) -> tuple[int, Fit]:
    """The first day, and the joint fit of all buckets from there on."""
    step, first = timelines[0].step, min(int(line.day[0]) for line in timelines)
    size = (max(int(line.day[-1]) for line in timelines) - first) // step + 1
    readings = np.full((size, len(timelines)), np.nan)
    for column, line in enumerate(timelines):
        readings[(line.day - first) // step, column] = line.value
    try:
        return first, fit_windows(readings, dispersion)
    except ValueError as error:
        raise Drift(f"{TOO_FEW} ({error})", "value") from error


def _to_100(level: Array) -> Array:
    return np.asarray((100 * level / np.nanmax(level)).round(4))


def unprefixed(payload: Payload) -> Any:
    """The JSON behind the characters that keep it from being run as a script; Drift where there is none."""
    if payload.status != 200:
        raise Drift(f"status {payload.status} in place of an answer", found=payload.body[:100])
    text = payload.text()
    if text.startswith(PREFIX):
        text = text.removeprefix(PREFIX).removeprefix(",")
    return replace(payload, body=text.encode()).json()


def read_timeline(payload: Payload) -> Timeline:
    """The whole buckets of an answer; Drift where it is not what was asked for."""
    asked = payload.request.params
    step, (first, last) = STEP[asked["resolution"]], (date.fromisoformat(day) for day in asked["time"].split(" "))
    body = unprefixed(payload)
    inside = body.get("default") if isinstance(body, dict) else None
    buckets = inside.get("timelineData") if isinstance(inside, dict) else None
    if not isinstance(buckets, list):
        raise Drift("a list of buckets was expected", "default.timelineData", buckets)
    if not buckets:
        raise Drift(TOO_FEW, "default.timelineData")
    day, value = np.array([_day(one) for one in buckets]), np.array([_value(one) for one in buckets])
    _check_days(day, step, (last - first).days + 1, (last - date(1970, 1, 1)).days)
    if value.any() and value.max() != 100:
        raise Drift("the largest value of an answer was expected to be 100", "value", value.max())
    whole = ~np.array([_partial(one) for one in buckets])
    if not whole.any():
        raise Drift("a bucket that is over was expected", "isPartial", True)
    return Timeline(day[whole], value[whole], step)


def _check_days(day: Places, step: int, asked: int, last: int) -> None:
    shown = f"{len(day)} from {np.datetime64(int(day[0]), 'D')} to {np.datetime64(int(day[-1]), 'D')}"
    if (np.diff(day) != step).any() or (step == 7 and (day[0] + 4) % 7 != 0):
        raise Drift(f"buckets of {step} days were expected, weeks from Sunday", "time", shown)
    if not WHOLE * (asked // step) <= len(day) <= asked // step + 1 or day[-1] > last:
        raise Drift(f"some {asked // step} buckets to {np.datetime64(last, 'D')} were expected", "time", shown)


def _day(bucket: Any) -> int:
    time = bucket.get("time") if isinstance(bucket, dict) else None
    if not isinstance(time, str) or not re.fullmatch(r"[0-9]{1,11}", time) or int(time) % 86_400:
        raise Drift("the seconds since 1970 of a midnight, as text, were expected", "time", time)
    return int(time) // 86_400


def _value(bucket: dict[str, Any]) -> float:
    values, texts = bucket.get("value"), bucket.get("formattedValue")
    if not isinstance(values, list) or len(values) != 1 or type(values[0]) is not int or not 0 <= values[0] <= 100:
        raise Drift("a list of one whole number from 0 to 100 was expected", "value", values)
    if not isinstance(texts, list) or len(texts) != 1 or not isinstance(texts[0], str):
        raise Drift("a list of one text was expected", "formattedValue", texts)
    return LITTLE if "<" in texts[0] else float(values[0])


def _partial(bucket: dict[str, Any]) -> bool:
    partial = bucket.get("isPartial", False)
    if not isinstance(partial, bool):
        raise Drift("true or false was expected", "isPartial", partial)
    return partial
