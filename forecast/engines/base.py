"""The protocol behind which every engine stands: a problem on the working scale in, one path a past origin out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from forecast.frequency import Days
from forecast.regressors import Regressor
from forecast.transform import FloatArray

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Problem:
    """What an engine sees. All arrays are on the working scale and run from the oldest period to the newest.

    `ds` are the labels (n + horizon,). `z` (n,) has no gaps: bridged values are marked False in `observed` (n,) and are
    never scored.
    """

    ds: Days
    z: FloatArray
    observed: BoolArray
    season_lengths: tuple[float, ...]
    regressors: tuple[Regressor, ...]
    horizon: int

    def __len__(self) -> int:
        return len(self.z)

    def at(self, origin: int) -> Problem:
        """The problem as it stood when period `origin` was the last one known."""
        last = len(self) - 1
        past = tuple(r.at(origin, last, self.horizon) for r in self.regressors)
        return replace(
            self,
            ds=self.ds[: origin + 1 + self.horizon],
            z=self.z[: origin + 1],
            observed=self.observed[: origin + 1],
            regressors=past,
        )


@dataclass(frozen=True)
class Evidence:
    """What out-of-sample evidence says of one signal at one origin; None where there is nothing to measure."""

    signal: str
    admitted: bool
    reason: str
    gain_pct: float | None = None
    gain_interval_pct: tuple[float, float] | None = None
    lag: int | None = None
    lead: int | None = None


@dataclass(frozen=True)
class Path:
    """A median path on the working scale as additive terms, each (horizon,), keyed by driver (level, trend, …)."""

    terms: dict[str, FloatArray]
    evidence: tuple[Evidence, ...] = ()

    @property
    def median(self) -> FloatArray:
        """The sum of the terms, shape (horizon,)."""
        return np.asarray(np.sum(list(self.terms.values()), axis=0))


class Engine(ABC):
    """One class with one method. Validation, backtest, intervals, explanation and guards live around it, once."""

    name: ClassVar[str]
    summary: ClassVar[str]
    uses_signals: ClassVar[bool]
    backtest_origins: ClassVar[int]
    """How many past origins the engine can afford to be scored on in one request."""
    min_periods: ClassVar[int] = 2
    """The shortest history that it can be fitted to."""

    @abstractmethod
    def predict(self, problem: Problem) -> Path:
        """The path for the `problem.horizon` periods after the last one; pure and deterministic."""

    def predict_many(self, problem: Problem, origins: Sequence[int]) -> list[Path]:
        """The path at each origin, resting on nothing later than it; override to share work between origins."""
        return [self.predict(problem.at(origin)) for origin in origins]
