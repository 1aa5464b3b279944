"""Members of a stack: each forecasts each problem once, its trend is damped, and what fails or explodes says why."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.fast import Fast
from forecast.trading_days import DRIVER, effects_of
from forecast.transform import FloatArray

HALF_TREND = 1.0  # seasons after which half of a trend's slope is left
_NO_SEASON = 13.0  # periods, where there is none
_BEYOND = 1.0  # times the range of the history: further outside of it a forecast has exploded
_LEAST_RANGE = 0.5  # on the working scale
_PLAIN = b" without trading days"


@dataclass(frozen=True)
class View:
    """A problem as members see it: what only the fast engine knows how to find is taken out before and added after.

    `plain` is the problem without the effects of trading days, `days` (horizon,) those ahead; `signals` are the terms
    of the admitted ones. `fast` is what the fast engine says of the whole. `key` names all that a member sees.
    """

    plain: Problem
    fast: Path | str
    days: FloatArray | None
    signals: dict[str, FloatArray]
    key: bytes

    def added(self, *, signals: bool) -> dict[str, FloatArray]:
        """The terms that a member's own lack: those of trading days, and where wanted those of signals."""
        days = {} if self.days is None else {DRIVER: self.days}
        return days | self.signals if signals else days


@dataclass
class Kept:
    """Forecasts by member and problem, or the reason why there is none; and seconds of CPU by member.

    Whoever weighs members anew, say without one of them, hands the same record in and nothing is fitted again.
    """

    paths: dict[tuple[str, bytes], Path | str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.process_time

    def view(self, problem: Problem) -> View:
        """The problem as members see it."""
        key = _fingerprint(problem)
        fast = self._made(Fast(), key, lambda: _tried(Fast(), problem))
        admitted = [] if isinstance(fast, str) else [e.signal for e in fast.evidence if e.admitted]
        signals = {} if isinstance(fast, str) else {n: fast.terms[n] for n in admitted if n in fast.terms}
        season, n = round(max(problem.season_lengths, default=1.0)), len(problem)
        days = effects_of(problem.ds, problem.z, season)
        if days is None:
            return View(problem, fast, None, signals, key)
        return View(replace(problem, z=problem.z - days[:n]), fast, days[n:], signals, key)

    def path(self, member: Engine, view: View) -> Path | str:
        """The forecast of a member."""
        if isinstance(member, Fast):
            return view.fast if view.days is None else self._made(member, view.key + _PLAIN, lambda: _adjusted(view))
        return self._made(member, view.key, lambda: _completed(member, view))

    def _made(self, member: Engine, key: bytes, make: Callable[[], Path | str]) -> Path | str:
        at = (member.name, key)
        if at not in self.paths:
            started = self.clock()
            self.paths[at] = make()
            self.seconds[member.name] = self.seconds.get(member.name, 0.0) + self.clock() - started
        return self.paths[at]


def _fingerprint(problem: Problem) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for values in (problem.ds, problem.z, problem.observed, *(r.x for r in problem.regressors)):
        digest.update(np.ascontiguousarray(values).tobytes())
    names = [(r.name, r.edge) for r in problem.regressors]
    digest.update(repr((problem.season_lengths, problem.horizon, problem.calendar, problem.transform, names)).encode())
    return digest.digest()


def _completed(member: Engine, view: View) -> Path | str:
    path = _tried(member, view.plain)
    if isinstance(path, str) or not member.follows_season:
        return path
    return _with(path, view.added(signals=not member.uses_signals))


def _adjusted(view: View) -> Path | str:
    """The fast engine after the trading days that the history's own changes tell, rather than its blend's errors."""
    path = _tried(Fast(), replace(view.plain, regressors=()))
    return path if isinstance(path, str) else _with(path, view.added(signals=True))


def _with(path: Path, added: dict[str, FloatArray]) -> Path:
    terms = dict(path.terms)
    for name, term in added.items():
        terms[name] = terms.get(name, 0.0) + term
    return replace(path, terms=terms)


def _tried(member: Engine, problem: Problem) -> Path | str:
    if len(problem) < member.min_periods:
        return f"needs {member.min_periods} periods"
    try:
        path = member.predict(problem)
    except Exception as error:  # noqa: BLE001 - libraries fail in ways of their own; the reason is in the answer
        text = str(error).strip().splitlines()
        return f"failed: {type(error).__name__}" + (f" ({text[0][:120]})" if text else "")
    if not member.damps_trend and "trend" in path.terms:
        path = replace(path, terms=path.terms | {"trend": damped(path.terms["trend"], problem)})
    return path if _plausible(path.median, problem) else "exploded: beyond the range of the history"


def damped(trend: FloatArray, problem: Problem) -> FloatArray:
    """A trend term (horizon,) whose steps fade (Gardner and McKenzie 1985): half is left of them after a season."""
    season = max(problem.season_lengths, default=0.0)
    half_life = HALF_TREND * (season if season > 1 else _NO_SEASON)
    fade = 0.5 ** (np.arange(1, trend.size + 1) / half_life)
    return np.asarray(np.cumsum(np.diff(trend, prepend=0.0) * fade))


def _plausible(median: FloatArray, problem: Problem) -> bool:
    low, high = float(problem.z.min()), float(problem.z.max())
    margin = _BEYOND * max(high - low, _LEAST_RANGE)
    return bool(np.isfinite(median).all() and (median >= low - margin).all() and (median <= high + margin).all())
