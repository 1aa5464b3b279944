"""Options that several functions take, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecast.errors import OptionError
from forecast.result import LARGEST_LEVEL

MAX_HORIZON = 520


def check_horizon(horizon: int) -> None:
    """Raise OptionError for a horizon that is none."""
    if isinstance(horizon, bool) or not isinstance(horizon, (int, np.integer)) or not 1 <= horizon <= MAX_HORIZON:
        raise OptionError("horizon", horizon, f"a whole number from 1 to {MAX_HORIZON}")


def checked_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Levels of intervals in per cent, each once, the lowest first; raises OptionError."""
    allowed = f"a list of per cents above 0, up to {LARGEST_LEVEL}, such as (80, 95)"
    try:
        checked = tuple(sorted({float(level) for level in levels}))
    except (TypeError, ValueError) as error:
        raise OptionError("levels", levels, allowed) from error
    if not checked or not all(0 < level <= LARGEST_LEVEL for level in checked):
        raise OptionError("levels", list(levels), allowed)
    return checked


def moment_of(as_of: str | pd.Timestamp | None) -> pd.Timestamp | None:
    """A moment as UTC without a zone, None for none; raises OptionError."""
    if as_of is None:
        return None
    try:
        moment = pd.Timestamp(as_of)
    except (ValueError, TypeError) as error:
        raise OptionError("as_of", as_of, "a date or a moment, such as 2026-11-23T09:00:00Z") from error
    if pd.isna(moment):
        raise OptionError("as_of", as_of, "a date or a moment, such as 2026-11-23T09:00:00Z")
    return moment.tz_convert("UTC").tz_localize(None) if moment.tz is not None else moment
