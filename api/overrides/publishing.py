"""Overrides in the forecasts of the store: found in the database, laid on an answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.overrides.applying import Span, publish, spans_of
from api.overrides.kept import covering
from api.overrides.versions import Version
from api.service import as_answer
from api.settings import Settings
from forecast import Forecast


def in_force(settings: Settings, category: str, answer: Mapping[str, Any], moment: dt.datetime) -> tuple[Version, ...]:
    """Those that may cover periods of an answer and are in force at a moment, in the order in which they apply."""
    return covering(settings, category, spans_of(answer)[0][0], moment)


def publish_over(result: Forecast, answer: dict[str, Any], found: Sequence[Version]) -> tuple[str, ...]:
    """Lay overrides on the answer of a forecast; the references of those that touch its periods."""
    if not found:
        return ()
    non_negative = not bool((result.history["y"] < 0).any())
    return publish(answer, found, spans_of(answer), non_negative=non_negative)


def answered(settings: Settings, result: Forecast, data_version: int, moment: dt.datetime) -> dict[str, Any]:
    """The JSON of a forecast from the store that is not issued, with the overrides in force at a moment."""
    answer = as_answer(result, data_version)
    assert result.category is not None
    publish_over(result, answer, in_force(settings, result.category, answer, moment))
    return answer


def left_out(
    settings: Settings, categories: Iterable[str], periods: Sequence[Span], moment: dt.datetime, what: str
) -> list[str]:
    """What to tell where overrides of some periods are in force and an answer is of the system alone."""
    since, until = periods[0][0], periods[-1][1]
    counts = {name: sum(one.first < until for one in covering(settings, name, since, moment)) for name in categories}
    told = ", ".join(f"{count} of {name}" for name, count in counts.items() if count)
    return [f"overrides are left out, for {what} is of the system alone; in force: {told}"] if told else []
