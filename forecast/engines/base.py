"""The protocol behind which every engine stands: a problem on the working scale in, one path a past origin out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from forecast.calendar import Alignment, alignment
from forecast.frequency import Days
from forecast.regressors import Regressor
from forecast.season import IntArray
from forecast.transform import IDENTITY, FloatArray, Transform

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Problem:
    """What an engine sees. All arrays are on the working scale and run from the oldest period to the newest.

    `ds` are the labels (n + horizon,). `z` (n,) has no gaps: bridged values are marked False in `observed` (n,) and are
    never scored. `calendar` is the country whose moving holidays are followed, if any; `transform` leads back to sales
    units. `memory` stretches the time over which errors are forgotten.
    """

    ds: Days
    z: FloatArray
    observed: BoolArray
    season_lengths: tuple[float, ...]
    regressors: tuple[Regressor, ...]
    horizon: int
    frequency: str = "D"
    calendar: str | None = None
    transform: Transform = IDENTITY
    memory: float = 1.0

    @property
    def alignment(self) -> Alignment | None:
        """For each period the one in past years that is the same in the calendar; None where none is followed."""
        if self.calendar is None:
            return None
        return alignment(self.ds, self.frequency, self.season_lengths, self.calendar, self.horizon)

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
    """What out-of-sample evidence says of one signal at one origin; None where there is nothing to measure.

    `members` are the signals of a pooled group.
    """

    signal: str
    admitted: bool
    reason: str
    gain_pct: float | None = None
    gain_interval_pct: tuple[float, float] | None = None
    lag: int | None = None
    lead: int | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class MemberRecord:
    """A member of a stack, or the whole ("stack"): its weight now, and errors at the stack's past origins.

    `wape` is the member's own error as a share of sales, `wape_without` that of the stack without it, each None where
    it cannot be told.
    """

    name: str
    weight: float
    wape: float | None
    wape_without: float | None


@dataclass(frozen=True)
class Path:
    """A median path on the working scale as additive terms, each (horizon,), keyed by driver (level, trend, …).

    `lately` has the same drivers at some past origins, each (steps, origins), where the engine can say. A stack says
    what its `members` weigh as well, in `notes` which it left out, and in `record` what each is worth.
    """

    terms: dict[str, FloatArray]
    evidence: tuple[Evidence, ...] = ()
    lately: dict[str, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    members: dict[str, float] = field(default_factory=dict)
    record: tuple[MemberRecord, ...] = ()

    @property
    def median(self) -> FloatArray:
        """The sum of the terms, shape (horizon,)."""
        return np.asarray(np.sum(list(self.terms.values()), axis=0))


@dataclass(frozen=True)
class Rolled:
    """What an engine said at past origins, and what it says now.

    `origins` (k,) are indices of periods, `steps` (s,) periods ahead, both increasing; the last origin may be the last
    period. `median` (s, k) is on the working scale, and so is `disagreement` (s, k), how far the engine's own experts
    lay apart, where it has any. The last `reported` of the past origins say how good the engine is. An engine that can
    afford few origins may bring a `denser` record of another that errs at the same times, from whose errors, made as
    large as its own, intervals are drawn.
    """

    origins: IntArray
    steps: IntArray
    median: FloatArray
    now: Path
    reported: int
    disagreement: FloatArray | None = None
    denser: Rolled | None = None


class Engine(ABC):
    """One class with one method. Validation, backtest, intervals, guards and explanation live around it, once."""

    name: ClassVar[str]
    summary: ClassVar[str]
    uses_signals: ClassVar[bool]
    backtest_origins: ClassVar[int]
    """How many past origins the engine can afford to be scored on in one request."""
    min_periods: ClassVar[int] = 2
    """The shortest history that it can be fitted to."""
    follows_season: ClassVar[bool] = True
    damps_trend: ClassVar[bool] = False
    """Whether its trends fade of themselves, or there are none; a stack damps those of others."""
    leads: ClassVar[bool] = False
    """Whether a stack starts from it: members that do not lead have to improve on those that do."""

    @abstractmethod
    def predict(self, problem: Problem) -> Path:
        """The path for the `problem.horizon` periods after the last one; pure and deterministic."""

    def medians(self, problems: Sequence[Problem]) -> list[FloatArray]:
        """The median (horizon,) of each problem; they are of one series, as known at rising moments."""
        return [self.predict(problem).median for problem in problems]

    def roll(self, problem: Problem, count: int, *, every_step: bool) -> Rolled:  # noqa: ARG002 - all are judged
        """The path, and the medians at up to `count` past origins, each resting on nothing later than it.

        Override to share work between origins; an engine that judges only some steps may leave the others out where
        not `every_step` is wanted.
        """
        first, last = first_origin(problem, self.min_periods), len(problem) - 2
        origins = np.unique(np.linspace(first, last, min(count, last - first + 1)).round().astype(int))
        if last < first:
            origins = np.empty(0, dtype=int)
        medians = [self.predict(problem.at(origin)).median for origin in origins.tolist()]
        steps = np.arange(1, problem.horizon + 1)
        median = np.reshape(medians, (-1, problem.horizon)).T
        return Rolled(origins, steps, median, self.predict(problem), origins.size)


MIN_HISTORY = 4
_WARM_UP = 1 / 3  # of the history, before an origin says how good the engine is


def first_origin(problem: Problem, min_periods: int) -> int:
    """The first origin with history enough to be scored: a third of it, and a season where that leaves half of it."""
    n = len(problem)
    seasons = [round(s) + 1 for s in problem.season_lengths if round(s) + MIN_HISTORY < n / 2]
    return max(MIN_HISTORY, min_periods, round(_WARM_UP * n), *seasons) - 1
