"""Overrides laid on a forecast: what is published of each period, beside what the system says.

The rule, a period at a time: of the overrides that cover it the last one decides. An absolute one is the value; a
relative one multiplies the system's value of today. A relative one multiplies the ends of the intervals as well. With
an absolute one each end keeps its relative distance: it lies as many times the new value away from it as it lay times
the old value away from that, at most `FARTHEST` times. Where no sale of the history is negative, nothing published is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from api.overrides.versions import Version
from forecast.words import number
from signals.periods import spans

FARTHEST = 3.0  # beside a value near zero a distance says nothing: a relaunched item would get an end of millions
Span = tuple[dt.date, dt.date]  # the first day, and the day after the last


def spans_of(answer: Mapping[str, Any]) -> list[Span]:
    """The days of the periods of a forecast."""
    labels = np.array([row["period"] for row in answer["forecast"]], "datetime64[D]")
    starts, ends = spans(labels, answer["frequency"])
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def publish(
    answer: dict[str, Any], found: Sequence[Version], periods: Sequence[Span], *, non_negative: bool
) -> tuple[str, ...]:
    """Add to a forecast what is published in place of its values; the references of the overrides that touch any.

    `found` in the order in which they apply, `periods` the days of the answer's periods.
    """
    used: dict[str, Version] = {}
    for row, span in zip(answer["forecast"], periods, strict=True):
        over = [one for one in found if _covers(one, span, answer["frequency"])]
        if over:
            row["published"] = _published(row, over, non_negative=non_negative)
            used |= {one.reference: one for one in over}
    if used:
        answer["overrides"] = [_told(one) for one in found if one.reference in used]
    answer["warnings"] = [*answer["warnings"], *_partly(found, periods, answer["frequency"])]
    return tuple(one.reference for one in found if any(_touches(one, span) for span in periods))


def served(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Value and intervals of one period as they are published: the system's own where nobody overrides them."""
    found: Mapping[str, Any] = row.get("published", row)
    return found


def overrides_of(row: Mapping[str, Any]) -> str | None:
    """The references of the overrides of a period in one text; None where there are none."""
    return "; ".join(row["published"]["overrides"]) if "published" in row else None


def sentence_of(told: Mapping[str, Any]) -> str:
    """An override of an answer, in words."""
    digits = 2 if (told["percent"] if told["value"] is None else told["value"]) % 1 else 0
    if told["percent"] is None:
        what = number(told["value"], digits)
    else:
        what = f"{number(told['percent'], digits, sign=True)} %"
    return f"{told['first']} to {told['last']}: {what}, by {told['author']} ({told['layer']}): {told['reason']}"


def _covers(one: Version, span: Span, frequency: str) -> bool:
    """Whether the whole of a period; an absolute one only periods as long as its own."""
    inside = one.first <= span[0] and span[1] <= one.last + dt.timedelta(days=1)
    return inside and (one.percent is not None or _length(one.frequency) == _length(frequency))


def _touches(one: Version, span: Span) -> bool:
    return one.first < span[1] and span[0] <= one.last


def _length(frequency: str) -> str:
    return frequency.partition("-")[0]


def _partly(found: Iterable[Version], periods: Sequence[Span], frequency: str) -> list[str]:
    """What to tell of overrides that touch a period and could not be applied to it."""
    notes = []
    for one in found:
        touched = [span for span in periods if _touches(one, span)]
        if left := sum(not _covers(one, span, frequency) for span in touched):
            notes.append(
                f"override {one.reference} of {one.author} is not applied to {left} of the periods that it touches: it "
                f"is of periods {one.frequency}, these are {frequency}"
            )
    return notes


def _published(row: Mapping[str, Any], over: Sequence[Version], *, non_negative: bool) -> dict[str, Any]:
    one, value = over[-1], row["value"]
    if one.percent is not None:
        factor = 1 + one.percent / 100
        new, middle, ends = (
            value * factor,
            row["median"] * factor,
            {level: [e * factor for e in pair] for level, pair in row["intervals"].items()},
        )
    else:
        assert one.value is not None
        new, middle, ends = (
            one.value,
            one.value,
            {level: _moved(pair, value, one.value) for level, pair in row["intervals"].items()},
        )
    if non_negative:
        new, middle, ends = (
            max(new, 0.0),
            max(middle, 0.0),
            {level: [max(end, 0.0) for end in pair] for level, pair in ends.items()},
        )
    return {
        "value": new,
        "median": middle,
        "intervals": ends,
        "overrides": [each.reference for each in over],
        "layer": one.layer,
        "author": one.author,
        "reason": one.reason,
    }


def _moved(pair: Sequence[float], value: float, new: float) -> list[float]:
    """The ends of an interval around another value, at the same relative distances."""
    low, high = (_relative(end - value, value) for end in pair)
    return [new + abs(new) * low, new + abs(new) * high]


def _relative(distance: float, value: float) -> float:
    if distance == 0:
        return 0.0
    share = abs(distance) / abs(value) if value else FARTHEST
    return float(np.copysign(min(share, FARTHEST), distance))


def _told(one: Version) -> dict[str, Any]:
    return {
        "override": one.reference,
        "first": one.first.isoformat(),
        "last": one.last.isoformat(),
        "value": one.value,
        "percent": one.percent,
        "layer": one.layer,
        "author": one.author,
        "reason": one.reason,
        "changed": f"{one.moment.isoformat()}Z",
        "expires": None if one.expires is None else f"{one.expires.isoformat()}Z",
    }
