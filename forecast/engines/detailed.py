"""The detailed engine: a stack of members for planning, tenths of a second where the fast engine takes milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from forecast.engines.base import Engine, Path, Problem, Rolled, first_origin
from forecast.engines.fast import Fast
from forecast.engines.members import Kept, View
from forecast.engines.record import record_of
from forecast.engines.stack import apart, weights
from forecast.season import IntArray
from forecast.transform import FloatArray

ORIGINS = 8
_SPAN = 2.0  # seasons of past origins
_HORIZONS = 3  # of past origins, where that is longer
_INTERMITTENT = 0.3  # share of periods without a sale
_LATE = "it would not be done by the deadline"

Asked = list[Path | str] | str  # what a member says of each problem, or why it was left out


class _Stacked(NamedTuple):
    """The path of the last problem, the medians (horizon,) of all, and how far members lie `apart` (problems,)."""

    now: Path
    medians: list[FloatArray]
    apart: FloatArray


class Detailed(Engine):
    """Members weighed by what they got wrong at past origins, starting from those that lead."""

    name = "detailed"
    summary = "stack of the other engines, weighed by their record at past origins, for planning"
    uses_signals = True
    damps_trend = True
    backtest_origins = ORIGINS

    def __init__(
        self,
        members: Sequence[Engine],
        *,
        slow_moving: Sequence[Engine] = (),
        deadline_ms: float | None = None,
        in_time: Collection[str] | None = None,
        kept: Kept | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`members` in the order in which a deadline admits them; `slow_moving` join where sales are intermittent.

        `in_time` names those that the deadline left when the same was asked before: then no clock decides. `kept`
        holds forecasts made before.
        """
        self._members, self._slow_moving = tuple(members), tuple(slow_moving)
        self._deadline = None if deadline_ms is None else deadline_ms / 1000
        self._given = self._in_time = in_time
        self._kept, self._clock = kept or Kept(), clock

    def predict(self, problem: Problem) -> Path:
        """Terms of all members' drivers, each their weighted mean."""
        return self.roll(problem, self.backtest_origins, every_step=False).now

    def roll(self, problem: Problem, count: int, *, every_step: bool) -> Rolled:
        """Past origins of the stack, beside the fast engine's many; `medians` keeps to the members chosen here."""
        started, self._in_time = self._clock(), self._given
        fast = Fast().roll(problem, Fast.backtest_origins, every_step=every_step)
        origins = _spread(fast.origins, problem, min(count, ORIGINS))
        stacked = self._stacked([*(problem.at(o) for o in origins.tolist()), problem], started, fast.steps)
        median = np.reshape([one[fast.steps - 1] for one in stacked.medians[:-1]], (-1, fast.steps.size)).T
        now = stacked.now
        if self._deadline is not None:
            self._in_time = tuple(now.members)
        now = Path(now.terms, fast.now.evidence, notes=now.notes, members=now.members, record=now.record)
        return Rolled(origins, fast.steps, median, now, origins.size, denser=_doubted(fast, origins, stacked.apart))

    def medians(self, problems: Sequence[Problem]) -> list[FloatArray]:
        """The stack at problems that rise in time, each weighed by those before it."""
        return self._stacked(list(problems), self._clock()).medians if problems else []

    def _stacked(self, problems: list[Problem], started: float, steps: IntArray | None = None) -> _Stacked:
        """The stack at problems that rise in time; where `steps` are given the members' record at these is told."""
        asked = self._ask(problems, started)
        paths = {name: own for name, own in asked.items() if not isinstance(own, str)}
        notes = tuple(f"the engine {n} was left out of the stack: {own}" for n, own in asked.items() if n not in paths)
        nothing = np.full(problems[-1].horizon, np.nan)
        told = [[nothing if isinstance(p, str) else p.median for p in own] for own in paths.values()]
        forecasts = np.array(told).reshape(len(paths), len(problems), -1)
        leads = {member.name for member in (*self._members, *self._slow_moving) if member.leads}
        leaders = [i for i, name in enumerate(paths) if name in leads]
        weight = weights(forecasts, problems, leaders)
        medians = np.einsum("mp,mph->ph", weight, np.nan_to_num(forecasts))
        now = {name: 0.0 for name, own in asked.items() if own != _LATE}
        now |= zip(paths, weight[:, -1].tolist(), strict=True)
        parts = {name: own[-1] for name, own in paths.items()}
        terms = _mixed({name: p.terms for name, p in parts.items() if not isinstance(p, str)}, now)
        record = () if steps is None else record_of(list(paths), forecasts, weight, problems, leaders, steps)
        return _Stacked(Path(terms, notes=notes, members=now, record=record), list(medians), apart(forecasts))

    def _ask(self, problems: list[Problem], started: float) -> dict[str, Asked]:
        """By member what it says of each problem, or why it was left out."""
        views = [self._kept.view(problem) for problem in problems]
        asked: dict[str, Asked] = {}
        for member in (*self._members, *(self._slow_moving if _intermittent(problems[-1]) else ())):
            first = all(isinstance(own, str) for own in asked.values())
            asked[member.name] = self._of(member, views, None if first else started)
        return asked

    def _of(self, member: Engine, views: list[View], started: float | None) -> Asked:
        """The member's forecasts, the newest made first; the reason where that one fails or time would run out.

        `started` is None for the first member, which no deadline leaves out.
        """
        if self._in_time is not None and member.name not in self._in_time:
            return _LATE
        if self._late(started, 0.0):
            return _LATE
        now = self._kept.path(member, views[-1])
        if isinstance(now, str):
            return now
        own: list[Path | str] = [now]
        for i, view in enumerate(views[-2::-1]):
            begun = self._clock()
            own.append(self._kept.path(member, view))
            if self._late(started, (len(views) - 2 - i) * (self._clock() - begun)):
                return _LATE
        return own[::-1]

    def _late(self, started: float | None, left: float) -> bool:
        """Whether `left` seconds of work more would end after the deadline."""
        if started is None or self._deadline is None or self._in_time is not None:
            return False
        return self._clock() - started + left > self._deadline


def _doubted(fast: Rolled, origins: IntArray, ratio: FloatArray) -> Rolled:
    """The fast engine's record, its experts' disagreement times `ratio` (k + 1,) at the k `origins` and now.

    So intervals widen where members lie further apart than they used to, as they do for the experts.
    """
    if fast.disagreement is None:
        return fast
    factor = np.ones(fast.origins.size)
    factor[np.searchsorted(fast.origins, origins)] = ratio[:-1]
    factor[-1] = ratio[-1]
    return replace(fast, disagreement=fast.disagreement * factor)


def _mixed(parts: dict[str, dict[str, FloatArray]], weight: dict[str, float]) -> dict[str, FloatArray]:
    """The weighted sum of the members' terms by driver."""
    terms: dict[str, FloatArray] = {}
    for name, own in parts.items():
        for driver, term in own.items():
            terms[driver] = terms.get(driver, 0.0) + weight[name] * term
    return terms


def is_weighed(problem: Problem) -> bool:
    """Whether the history holds a past origin to weigh members by; without one the stack is its leader."""
    return first_origin(problem, 2) <= _newest(problem)


def _newest(problem: Problem) -> int:
    """The last origin of which half of the horizon is known."""
    return len(problem) - 1 - (problem.horizon + 1) // 2


def _spread(available: IntArray, problem: Problem, count: int) -> IntArray:
    """Origins out of the fast engine's: of the last seasons, and old enough that half of their horizon is known."""
    n, horizon = len(problem), problem.horizon
    reach = max(_SPAN * max(problem.season_lengths, default=1.0), _HORIZONS * horizon)
    first, last = max(first_origin(problem, 2), n - 1 - round(reach)), _newest(problem)
    found = available[(available >= min(first, last)) & (available >= first_origin(problem, 2)) & (available <= last)]
    if not found.size:
        return found
    return np.asarray(found[np.unique(np.linspace(0, found.size - 1, min(count, found.size)).round().astype(int))])


def _intermittent(problem: Problem) -> bool:
    sales = np.abs(problem.transform.inverse(problem.z))
    return bool((sales <= 1e-9 * sales.max()).mean() >= _INTERMITTENT) if sales.any() else False
