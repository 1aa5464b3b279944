"""What a forecast answers: distribution, explanation, evidence on the signals, quality, warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast import intervals
from forecast.backtest import Backtest, Quality
from forecast.engines.base import MemberRecord
from forecast.errors import OptionError
from forecast.events import Applied
from forecast.explain import Importance
from forecast.frequency import Days
from forecast.series import Series
from forecast.transform import FloatArray

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


LARGEST_LEVEL = 99  # the grid of the distribution ends at 0.005 and 0.995


@dataclass(frozen=True)
class SignalReport:
    """One signal that was offered. Numbers are None where there is nothing to measure.

    `gain_pct` is 100 (1 - MAE with / MAE without) out of sample, `gain_interval_pct` its 90 % interval; `lag` by how
    many periods sales follow the signal; `lead` how many periods past the last known sale it still informs; `known_to`
    the label of its last known period; `importance` its share in the moves of this forecast; `members` the signals of a
    group that was admitted as one.
    """

    signal: str
    admitted: bool
    gain_pct: float | None
    gain_interval_pct: tuple[float, float] | None
    lag: int | None
    lead: int | None
    known_to: str | None
    importance: float
    reason: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngineUsed:
    """Which engine made the forecast, with which configuration, and why that one.

    `members` are those of a stack that its deadline left, in the order in which they were tried, and `record` says what
    each of them is worth, after the "stack" itself.
    """

    name: str
    configuration: str
    role: str
    reason: str
    members: tuple[str, ...] = ()
    record: tuple[MemberRecord, ...] = ()


class _History:
    """A field that takes a frame, or the series that its frame is made from when somebody asks for it.

    Making one costs as much as all of `to_dict()`, which only counts periods.
    """

    def __get__(self, forecast: Forecast | None, owner: type[Forecast]) -> pd.DataFrame:
        if forecast is None:
            raise AttributeError("history")  # no default: dataclasses ask the class for one
        kept: pd.DataFrame | Series = vars(forecast)["history"]
        if isinstance(kept, Series):
            kept = pd.DataFrame({"ds": pd.DatetimeIndex(kept.ds), "y": kept.y})
            self.__set__(forecast, kept)
        return kept

    def __set__(self, forecast: Forecast, value: pd.DataFrame | Series) -> None:
        vars(forecast)["history"] = value

    @staticmethod
    def periods(forecast: Forecast) -> int:
        """How many periods have a value."""
        kept: pd.DataFrame | Series = vars(forecast)["history"]
        y = kept.y if isinstance(kept, Series) else kept["y"]
        return int(np.count_nonzero(~np.isnan(np.asarray(y, dtype=float))))


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The answer of `forecast()`. Arrays run over the periods of the horizon, values are in sales units."""

    category: str | None
    unit: str | None
    frequency: str
    as_of: pd.Timestamp | None
    history: _History = _History()  # a frame ds, y as known at the origin; y is NaN in gaps
    history_start: np.datetime64
    history_end: np.datetime64  # the last day of the last known period
    engine: EngineUsed
    ds: Days
    kinds: tuple[str, ...]  # nowcast where the period was over at the origin, else forecast
    mean: FloatArray
    median: FloatArray
    grid: FloatArray  # (horizon, probabilities) quantiles at intervals.PROBABILITIES
    parts: dict[str, FloatArray]
    levels: tuple[float, ...]
    signals: list[SignalReport]
    importance: list[Importance]
    backtest: Backtest
    events: tuple[Applied, ...] = ()  # that were taken out of what the engine saw; `history` still has them
    warnings: list[str]
    fit_ms: float

    @property
    def quality(self) -> Quality:
        """How good forecasts from past origins were."""
        return self.backtest.quality

    def to_frame(self) -> pd.DataFrame:
        """ds, mean, median, then lo- and hi- for each level: one row a period, in order."""
        frame = pd.DataFrame({"ds": pd.DatetimeIndex(self.ds), "mean": self.mean, "median": self.median})
        for level in self.levels:
            low, high = self.interval(level)
            frame[f"lo-{level:g}"], frame[f"hi-{level:g}"] = low, high
        return frame

    def contributions(self) -> pd.DataFrame:
        """ds and one column a driver, in sales units; each row adds up to `mean`."""
        return pd.DataFrame({"ds": pd.DatetimeIndex(self.ds), **self.parts})

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bound of the central interval of `level` per cent, each (horizon,)."""
        if not 0 < level <= LARGEST_LEVEL:
            raise OptionError("level", level, f"a per cent above 0, up to {LARGEST_LEVEL}")
        return self.quantile(0.5 - level / 200), self.quantile(0.5 + level / 200)

    def quantile(self, probability: float) -> FloatArray:
        """The quantile of each period, (horizon,), for a probability inside the grid of 0.005 to 0.995."""
        if not intervals.PROBABILITIES[0] <= probability <= intervals.PROBABILITIES[-1]:
            raise OptionError("probability", probability, "a number from 0.005 to 0.995")
        return intervals.at(self.grid, np.array([probability]))[:, 0]

    def probability(self, ds: str | pd.Timestamp, *, above: float) -> float:
        """The probability that sales of the period labelled `ds` exceed `above`; resolved to 0.005."""
        try:
            day = np.datetime64(pd.Timestamp(ds), "D")
        except (ValueError, TypeError) as error:
            raise OptionError("ds", ds, f"a period of the horizon, {self.ds[0]} to {self.ds[-1]}") from error
        at = np.flatnonzero(self.ds == day)
        if not at.size:
            raise OptionError("ds", ds, f"a period of the horizon, {self.ds[0]} to {self.ds[-1]}")
        row = self.grid[at[0]]
        return 1 - float(np.interp(above, row, intervals.PROBABILITIES, left=0.0, right=1.0))

    def plot(self) -> Figure:
        """The history, last year and the forecast with its intervals as a plotly figure."""
        from forecast.plot import figure  # plotly is wanted only by those who draw

        return figure(self)

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain data, ready for JSON."""
        head = self.to_head()
        at = list(head).index("signals")
        items = list(head.items())
        return dict([*items[:at], ("forecast", self._periods()), *items[at:]])

    def to_head(self) -> dict[str, Any]:
        """The answer without its periods."""
        quality = self.quality
        return {
            "category": self.category,
            "unit": self.unit,
            "frequency": self.frequency,
            "as_of": None if self.as_of is None else f"{self.as_of.isoformat()}Z",
            "history": {
                "start": str(self.history_start),
                "end": str(self.history_end),
                "periods": _History.periods(self),
            },
            "engine": _told(self.engine),
            "signals": [
                _plain(s) | {"gain_interval_pct": _listed(s.gain_interval_pct), "members": list(s.members)}
                for s in self.signals
            ],
            "importance": [
                {"driver": i.driver, "share": i.share, "share_interval": _listed(i.share_interval)}
                for i in self.importance
            ],
            "quality": _plain(quality) | {"coverage": dict(quality.coverage)},
            "events": [_plain(e) | {"first": str(e.first), "last": str(e.last)} for e in self.events],
            "warnings": self.warnings,
            "timing_ms": {"fit": self.fit_ms},
        }

    def _periods(self) -> list[dict[str, Any]]:
        names = [f"{level:g}" for level in self.levels]
        ends = np.array([end for level in self.levels for end in (0.5 - level / 200, 0.5 + level / 200)])
        bounds = intervals.at(self.grid, ends).reshape(len(self.ds), len(names), 2).tolist()
        parts = np.array(list(self.parts.values()), dtype=float).T.tolist()
        rows = zip(self.ds.astype(str).tolist(), self.kinds, self.mean.tolist(), self.median.tolist(), strict=True)
        return [
            {
                "period": period,
                "kind": kind,
                "value": value,
                "median": median,
                "intervals": dict(zip(names, bounds[i], strict=True)),
                "contributions": dict(zip(self.parts, parts[i], strict=True)),
            }
            for i, (period, kind, value, median) in enumerate(rows)
        ]


def _told(engine: EngineUsed) -> dict[str, Any]:
    """With its members where it is a stack."""
    stack: dict[str, Any] = {"members": list(engine.members)} if engine.members else {}
    if engine.record:
        stack["record"] = [dict(vars(one)) for one in engine.record]
    return {name: value for name, value in _plain(engine).items() if name not in ("members", "record")} | stack


def _plain(record: EngineUsed | SignalReport | Quality | Applied) -> dict[str, Any]:
    return dict(vars(record))


def _listed(pair: tuple[float, float] | None) -> list[float] | None:
    return None if pair is None else list(pair)
