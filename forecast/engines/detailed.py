"""The detailed engine: a stack of members for planning, seconds where the fast engine takes milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from forecast.engines.base import Engine, Path, Problem, Rolled, first_origin
from forecast.engines.fast import Fast
from forecast.engines.members import Kept, View
from forecast.engines.stack import weights
from forecast.season import IntArray
from forecast.transform import FloatArray

ORIGINS = 8
_SPAN = 2.0  # seasons of past origins
_HORIZONS = 3  # of past origins, where that is longer
_INTERMITTENT = 0.3  # share of periods without a sale


class Detailed(Engine):
    """Members weighed by what they got wrong at past origins; beside the fast engine, where that is one of them."""

    name = "detailed"
    summary = "stack of the other engines, weighed by their record at past origins, for planning; seconds"
    uses_signals = True
    damps_trend = True
    backtest_origins = ORIGINS

    def __init__(
        self,
        members: Sequence[Engine],
        *,
        slow_moving: Sequence[Engine] = (),
        deadline_ms: float | None = None,
        kept: Kept | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`members` in the order in which a deadline admits them; `slow_moving` join where sales are intermittent.

        `kept` holds forecasts made before.
        """
        self._members, self._slow_moving = tuple(members), tuple(slow_moving)
        self._deadline = None if deadline_ms is None else deadline_ms / 1000
        self._kept, self._clock = kept or Kept(), clock

    def predict(self, problem: Problem) -> Path:
        """Terms of all members' drivers, each their weighted mean."""
        return self.roll(problem, self.backtest_origins, every_step=False).now

    def roll(self, problem: Problem, count: int, *, every_step: bool) -> Rolled:
        """Past origins of the stack, beside the fast engine's many."""
        started = self._clock()
        fast = Fast().roll(problem, Fast.backtest_origins, every_step=every_step)
        origins = _spread(fast.origins, problem, min(count, ORIGINS))
        stacked = self._stacked([*(problem.at(o) for o in origins.tolist()), problem], started)
        median = np.reshape([one[fast.steps - 1] for one in stacked[1][:-1]], (-1, fast.steps.size)).T
        now = stacked[0]
        now = Path(now.terms, fast.now.evidence, notes=now.notes, members=now.members)
        return Rolled(origins, fast.steps, median, now, origins.size, denser=fast)

    def medians(self, problems: Sequence[Problem]) -> list[FloatArray]:
        """The stack at problems that rise in time, each weighed by those before it."""
        return self._stacked(list(problems), self._clock())[1] if problems else []

    def _stacked(self, problems: list[Problem], started: float) -> tuple[Path, list[FloatArray]]:
        """The path of the last problem, and the medians of all, (horizon,) each."""
        paths, notes = self._paths(problems, started)
        nothing = np.full(problems[-1].horizon, np.nan)
        told = [[nothing if isinstance(p, str) else p.median for p in own] for own in paths.values()]
        forecasts = np.array(told).reshape(len(paths), len(problems), -1)
        names = list(paths)
        weight = weights(forecasts, problems, names.index(Fast.name) if Fast.name in names else None)
        medians = np.einsum("mp,mph->ph", weight, np.nan_to_num(forecasts))
        now = {name: float(w) for name, w in zip(paths, weight[:, -1], strict=True)}
        parts = {name: own[-1] for name, own in paths.items()}
        terms = _mixed({name: p.terms for name, p in parts.items() if not isinstance(p, str)}, now)
        return Path(terms, notes=tuple(notes), members=now), list(medians)

    def _paths(self, problems: list[Problem], started: float) -> tuple[dict[str, list[Path | str]], list[str]]:
        """What each member says of each problem, for those that have a forecast for the last; and who was left out."""
        views = [self._kept.view(problem) for problem in problems]
        found: dict[str, list[Path | str]] = {}
        notes = []
        for member in (*self._members, *(self._slow_moving if _intermittent(problems[-1]) else ())):
            own = self._in_time(member, views, started, bool(found))
            if isinstance(own, str):
                notes.append(f"the engine {member.name} was left out of the stack: {own}")
            else:
                found[member.name] = own
        return found, notes

    def _in_time(self, member: Engine, views: list[View], started: float, others: bool) -> list[Path | str] | str:
        """The member's forecasts, newest first made; the reason where the last one fails or time would run out."""
        now = self._kept.path(member, views[-1])
        if isinstance(now, str):
            return now
        own: list[Path | str] = [now]
        for i, view in enumerate(views[-2::-1]):
            begun = self._clock()
            own.append(self._kept.path(member, view))
            if others and i == 0 and self._late(begun, started, len(views) - 2):
                return "it would not be done by the deadline"
        return own[::-1]

    def _late(self, begun: float, started: float, left: int) -> bool:
        """Whether as many forecasts more, of the cost of the one just made, would end after the deadline."""
        ended = self._clock()
        return self._deadline is not None and ended - started + left * (ended - begun) > self._deadline


def _mixed(parts: dict[str, dict[str, FloatArray]], weight: dict[str, float]) -> dict[str, FloatArray]:
    """The weighted sum of the members' terms by driver."""
    terms: dict[str, FloatArray] = {}
    for name, own in parts.items():
        for driver, term in own.items():
            terms[driver] = terms.get(driver, 0.0) + weight[name] * term
    return terms


def _spread(available: IntArray, problem: Problem, count: int) -> IntArray:
    """Origins out of the fast engine's: of the last seasons, and old enough that half of their horizon is known."""
    n, horizon = len(problem), problem.horizon
    reach = max(_SPAN * max(problem.season_lengths, default=1.0), _HORIZONS * horizon)
    first, last = max(first_origin(problem, 2), n - 1 - round(reach)), n - 1 - (horizon + 1) // 2
    found = available[(available >= min(first, last)) & (available >= first_origin(problem, 2)) & (available <= last)]
    if not found.size:
        return found
    return np.asarray(found[np.unique(np.linspace(0, found.size - 1, min(count, found.size)).round().astype(int))])


def _intermittent(problem: Problem) -> bool:
    sales = np.abs(problem.transform.inverse(problem.z))
    return bool((sales <= 1e-9 * sales.max()).mean() >= _INTERMITTENT) if sales.any() else False
