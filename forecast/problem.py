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


@dataclass(frozen=True)
class Sources:
    """The validated inputs with all their versions."""

    history: Versions
    signals: tuple[SignalRows, ...]
    horizon: int

    @property
    def revised(self) -> bool:
        """True where a past origin has to be rebuilt from what was known then, version by version."""
        return self.history.revised or any(s.revised for s in self.signals)

    def moment(self, as_of: pd.Timestamp | None) -> pd.Timestamp | None:
        """The origin in time: `as_of`, or the last moment at which anything in the history became known."""
        if as_of is not None or self.history.known_at is None:
            return as_of
        return pd.Timestamp(self.history.known_at.max())

    def series(self, moment: pd.Timestamp | None) -> Series:
        """The sales as known at `moment`."""
        return self.history.read(moment)

    def problem(self, series: Series, transform: Transform, moment: pd.Timestamp | None) -> Problem:
        """The series on its working scale, bridged, with every signal laid on its periods."""
        regressors = tuple(lay(rows, series, self.horizon, moment) for rows in self.signals)
        z = transform.forward(series.y)
        seasons = series.season_lengths
        ds = np.concatenate([series.ds, series.future(self.horizon)])
        return Problem(ds, _bridge(z, seasons), np.isfinite(z), seasons, regressors, self.horizon)


def _bridge(z: FloatArray, seasons: Sequence[float]) -> FloatArray:
    """Gaps take the value of a season before moved to the level around them, or a straight line."""
    missing = ~np.isfinite(z)
    if not missing.any():
        return z
    at = np.arange(z.size)
    line = np.interp(at, at[~missing], z[~missing])
    season = round(seasons[-1]) if seasons else 0
    if not season or z.size <= season:
        return line
    out = line.copy()
    for i in np.flatnonzero(missing):
        if i >= season and not missing[i - season]:
            out[i] = (
                line[i]
                + z[i - season]
                - np.median(line[max(0, i - season - season // 4) : i - season + season // 4 + 1])
            )
    return out


def past_moments(series: Series, moment: pd.Timestamp, count: int) -> list[pd.Timestamp]:
    """`moment` moved back by 1 to `count` periods, oldest first: the same ragged edge at each past origin."""
    ends = freq.spans(series.ds, series.frequency)[1]
    back = [ends[-1] - ends[-1 - k] for k in range(min(count, len(series) - 1), 0, -1)]
    return [moment - pd.Timedelta(step) for step in back]
