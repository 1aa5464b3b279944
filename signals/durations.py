"""Spans of time as groundswell.toml writes them: 10 seconds, 6 hours, 1 day."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
LONGEST = 520 * 604_800  # ten years
_FORM = re.compile(rf"(\d{{1,9}}) ({'|'.join(_SECONDS)})s?")


def duration(value: object) -> timedelta:
    """The span that a text names; ValueError says what is allowed."""
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a number and a unit, such as 10 seconds, 15 minutes, 6 hours or 1 day")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > LONGEST:
        raise ValueError("at most 520 weeks")
    return timedelta(seconds=seconds)


Duration = Annotated[timedelta, BeforeValidator(duration)]
