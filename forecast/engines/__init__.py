"""Engines by name. Plug-ins join through the entry point group `groundswell.engines`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import entry_points

from forecast.configuration import Configuration
from forecast.engines.additive import Additive, DirectAdditive
from forecast.engines.base import Engine, Evidence, Path, Problem
from forecast.engines.boosting import Boosting
from forecast.engines.detailed import Detailed, is_weighed
from forecast.engines.direct import Direct
from forecast.engines.ets import Ets
from forecast.engines.fast import Fast
from forecast.engines.intermittent import CrostonEngine, Sba, Tsb
from forecast.engines.members import Kept
from forecast.engines.prophet import ProphetEngine
from forecast.engines.sarimax import Sarimax
from forecast.engines.seasonal_naive import SeasonalNaive
from forecast.engines.sktime_path import PREFIX as SKTIME
from forecast.engines.sktime_path import Reduction, SktimeEngine
from forecast.engines.theta import Theta
from forecast.engines.unobserved_components import UnobservedComponents
from forecast.errors import OptionError
from forecast.frequency import family

__all__ = [
    "Detailed",
    "Engine",
    "Evidence",
    "Fast",
    "Kept",
    "Path",
    "Problem",
    "ProphetEngine",
    "Wanted",
    "detailed_engine",
    "engine",
    "names",
    "stacked",
]

GROUP = "groundswell.engines"
AUTO = "auto"
LEAST_MS = 2000  # in a new process on a busy machine, with a long horizon, the members take about as long
# Per cent of error less than the fast engine's, over both halves of docs/benchmarks.md; daily and quarterly sales were
# not measured.
GAIN_PCT = {"W": 1.8, "MS": 5.4}
_STATISTICAL = (Ets, Theta, ProphetEngine, Sarimax, UnobservedComponents)
_MEMBERS = (Fast, Additive, Direct, DirectAdditive)  # of a stack: others raised its error on the choosing half
_SLOW_MOVING = (Sba, Tsb)
_BUDGETED = (AUTO, Detailed.name)  # choose what the time allows
_KINDS = (*_MEMBERS, SeasonalNaive, *_STATISTICAL, CrostonEngine, Sba, Tsb, Reduction, Boosting)
_BUILT_IN: dict[str, type[Engine]] = {kind.name: kind for kind in _KINDS}


def detailed_engine(
    deadline_ms: float | None = None,
    without: str | None = None,
    kept: Kept | None = None,
    in_time: Collection[str] | None = None,
) -> Detailed:
    """The stack of the built-in members, or of all `without` one; what is `kept` is not fitted again.

    `in_time` are those that the deadline is known to leave; without a deadline, those that are wanted.
    """
    left_out = {without} if in_time is None or deadline_ms is not None else {*stacked()} - {*in_time}
    members, slow_moving = (
        [kind() for kind in kinds if kind.name not in left_out] for kinds in (_MEMBERS, _SLOW_MOVING)
    )
    return Detailed(members, slow_moving=slow_moving, deadline_ms=deadline_ms, in_time=in_time, kept=kept)


def names() -> list[str]:
    """Names of all engines that can be asked for, `auto` among them."""
    return sorted({*_BUILT_IN, Detailed.name, *(point.name for point in entry_points(group=GROUP)), AUTO})


def stacked() -> tuple[str, ...]:
    """Names of the members of the detailed engine, those that join where sales are intermittent last."""
    return tuple(kind.name for kind in (*_MEMBERS, *_SLOW_MOVING))


@dataclass(frozen=True)
class Wanted:
    """The engine that is asked for, by name, handed over or in a configuration, and the time that it may take.

    `members` of the detailed engine are those that the same `deadline_ms` left before: then no clock decides.
    """

    asked: str | Engine | Configuration
    deadline_ms: float | None = None
    members: Collection[str] | None = None

    @property
    def configuration(self) -> Configuration:
        """All settings; those that were not asked for are the default's."""
        if isinstance(self.asked, Configuration):
            return self.asked
        return Configuration(self.asked.name if isinstance(self.asked, Engine) else self.asked)

    @property
    def name(self) -> str | Engine:
        """The engine, by name or handed over."""
        return self.asked.engine if isinstance(self.asked, Configuration) else self.asked

    def check(self) -> None:
        """Raise OptionError where there is no such engine, or it takes no such deadline or members."""
        self.configuration.check()
        if not _is_known(self.name):
            raise _unknown(self.name)
        if self.deadline_ms is not None and not self.deadline_ms > 0:
            raise OptionError("deadline_ms", self.deadline_ms, "a number of milliseconds above 0")
        unknown = sorted({*(self.members or ())} - {*stacked()})
        if self.members is not None and (unknown or not self.members):
            raise OptionError("members", ", ".join(unknown) or "none", f"some of {', '.join(stacked())}")
        for field, value in (("deadline_ms", self.deadline_ms), ("members", self.members)):
            if value is not None and self.name not in _BUDGETED:
                name = self.name.name if isinstance(self.name, Engine) else self.name
                allowed = f"none for the engine {name}: only {AUTO} and {Detailed.name} choose what the time allows"
                raise OptionError(field, value, allowed)

    def engine(self, problem: Problem, *, twice: bool) -> tuple[Engine, str]:
        """The engine for a problem and why it was chosen; raises OptionError.

        `twice`: every past origin is forecast a second time, as it had been printed then, in the same time.
        """
        if self.name not in _BUDGETED:
            return engine(self.name)
        deadline_ms = self.deadline_ms and self.deadline_ms / (2 if twice else 1)
        detailed = detailed_engine(deadline_ms, in_time=self.members)
        if self.name == Detailed.name:
            return detailed, "asked for by name"
        if not self.members and (why := self._no_gain(problem)):
            return Fast(), f"auto: {why}"
        allowed = "no deadline was given" if deadline_ms is None else f"a deadline of {self.deadline_ms:g} ms allows it"
        gain = GAIN_PCT.get(family(problem.frequency))  # none where `members` are given for another frequency
        expected = "" if gain is None else f"expected to err {gain:g} % less than the fast engine, and "
        return detailed, f"auto: {expected}{allowed}"

    def alone(self, members: Collection[str]) -> tuple[Engine, str] | None:
        """The fast engine and why, where `auto` meant a stack and the deadline left no other member of it."""
        if self.name != AUTO or self.deadline_ms is None or [*members] != [Fast.name]:
            return None
        return (
            Fast(),
            f"auto: a deadline of {self.deadline_ms:g} ms left no other member of the detailed engine in time",
        )

    def _no_gain(self, problem: Problem) -> str | None:
        """Why the fast engine will do, which takes a thirtieth of the time; None where the detailed may err less."""
        if self.deadline_ms is not None and self.deadline_ms < LEAST_MS:
            return f"a deadline of {self.deadline_ms:g} ms is too short for the detailed engine ({LEAST_MS} ms)"
        if family(problem.frequency) not in GAIN_PCT:
            return f"on sales of the frequency {problem.frequency} no gain of the detailed engine was measured"
        if not is_weighed(problem):
            return "the history is too short to weigh the members of the detailed engine"
        return None


def engine(name: str | Engine) -> tuple[Engine, str]:
    """The engine of that name and why it was chosen; raises OptionError with the known names."""
    if isinstance(name, Engine):
        return name, "handed over"
    if name in _BUDGETED:
        return detailed_engine(), "asked for by name"
    if name in _BUILT_IN:
        return _BUILT_IN[name](), "asked for by name"
    if name.startswith(SKTIME):
        return SktimeEngine(name.removeprefix(SKTIME)), "asked for by its import path"
    for point in entry_points(group=GROUP):
        if point.name == name:
            return point.load()(), "asked for by name (plug-in)"
    raise _unknown(name)


def _is_known(name: str | Engine) -> bool:
    if isinstance(name, Engine) or name in _BUILT_IN or name in _BUDGETED or name.startswith(SKTIME):
        return True
    return name in names()  # the last resort, as it looks through all that is installed


def _unknown(name: object) -> OptionError:
    return OptionError("engine", name, f"one of {', '.join(names())}, or {SKTIME} and an import path")
