"""From what was known at a moment to the problem that an engine solves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecast import frequency as freq
from forecast.engines.base import Problem
from forecast.regressors import SignalRows, lay
from forecast.series import Series, Versions
from forecast.transform import FloatArray, Transform

_USUAL = 12  # periods that say what is usual, where there is no season


@dataclass(frozen=True)
class Sources:
    """The validated inputs with all their versions."""

    history: Versions
    signals: tuple[SignalRows, ...]
    horizon: int
    calendar: str | None = None
    memory: float = 1.0

    @property
    def revised(self) -> bool:
        """True where a past origin has to be rebuilt from what was known then, version by version."""
        return self.history.revised or any(s.revised for s in self.signals)

    def moment(self, as_of: pd.Timestamp | None) -> pd.Timestamp | None:
        """The origin in time: `as_of`, or the last moment at which anything became known; None where nothing says."""
        if as_of is not None:
            return as_of
        stamps = [s.known_at.max() for s in self.signals if s.known_at is not None and s.known_at.size]
        if self.history.known_at is not None:
            stamps.append(self.history.known_at.max())
        elif stamps:
            stamps.append(self.history.read(None).end.astype("datetime64[us]"))
        return pd.Timestamp(max(stamps)) if stamps else None

    def series(self, moment: pd.Timestamp | None) -> Series:
        """The sales as known at `moment`."""
        return self.history.read(moment)

    def problem(self, series: Series, transform: Transform, moment: pd.Timestamp | None) -> Problem:
        """The series on its working scale, bridged, with every signal laid on its periods."""
        seasons = series.season_lengths
        laid = (lay(rows, series, self.horizon, moment) for rows in self.signals)
        year = round(max(seasons, default=_USUAL))
        # Where nothing is planned beyond the last sale, foresight of past plans would be credited that nobody has now.
        regressors = tuple(r.completed(year) if r.edge >= len(series) else r for r in laid)
        z = transform.forward(series.y)
        ds = np.concatenate([series.ds, series.future(self.horizon)])
        known = np.isfinite(z)
        return Problem(
            ds,
            bridge(z, seasons),
            known,
            seasons,
            regressors,
            self.horizon,
            series.frequency,
            self.calendar,
            transform,
            self.memory,
        )


def bridge(z: FloatArray, seasons: Sequence[float]) -> FloatArray:
    """Gaps filled from what lies before them: the last known value, moved as a season before where both were known.

    What was filled in moves nothing, or errors would add up over a long gap.
    """
    out, known = z.copy(), np.isfinite(z)
    season, last = round(seasons[-1]) if seasons else 0, 0
    for i in range(z.size):
        if known[i]:
            last = i
            continue
        moved = season and last >= season and known[i - season] and known[last - season]
        out[i] = z[last] + (z[i - season] - z[last - season] if moved else 0.0)
    return out


def past_moments(versions: Versions, series: Series, moment: pd.Timestamp, count: int) -> list[pd.Timestamp]:
    """For each of the last `count` periods but the newest, when it had been the newest for as long as that one is now.

    A newest period that is older than the usual time between publications counts as just not yet followed by another.
    """
    first = _first_known(versions, series, np.datetime64(moment, "us"))
    usual = np.median(np.diff(first)) - np.timedelta64(1, "us")
    age = max(min(np.datetime64(moment, "us") - first[-1], usual), np.timedelta64(0, "us"))
    return [pd.Timestamp(known + age) for known in first[-1 - count : -1]]


def _first_known(versions: Versions, series: Series, moment: np.datetime64) -> np.ndarray:
    """When each period of the series first became known (at its end where nothing says so), never going back."""
    known = freq.spans(series.ds, series.frequency)[1].astype("datetime64[us]")
    if versions.known_at is not None:
        valued = np.isfinite(versions.y)
        ds, at = versions.ds[valued], versions.known_at[valued]
        order = np.lexsort((at, ds))
        labels, where = np.unique(ds[order], return_index=True)
        published = pd.Series(at[order][where], index=labels).reindex(series.ds).to_numpy()
        known = np.where(np.isnat(published), known, published)
    return np.maximum.accumulate(np.minimum(known, moment))
