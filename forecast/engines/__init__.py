"""Engines by name. Plug-ins join through the entry point group `groundswell.engines`."""

from __future__ import annotations

from importlib.metadata import entry_points

from forecast.engines.base import Engine, Evidence, Path, Problem
from forecast.engines.boosting import Boosting
from forecast.engines.detailed import Detailed
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

__all__ = [
    "Detailed",
    "Engine",
    "Evidence",
    "Fast",
    "Kept",
    "Path",
    "Problem",
    "ProphetEngine",
    "detailed_engine",
    "engine",
    "names",
]

GROUP = "groundswell.engines"
LEAST_MS = 2000  # below it the detailed engine would leave out nearly all members
_STATISTICAL = (Ets, Theta, ProphetEngine, Sarimax, UnobservedComponents)
_MEMBERS = (Fast, Boosting, UnobservedComponents, Theta)  # of a stack: others raised its error on the choosing half
_KINDS = (Fast, SeasonalNaive, *_STATISTICAL, CrostonEngine, Sba, Tsb, Reduction, Boosting)
_BUILT_IN: dict[str, type[Engine]] = {kind.name: kind for kind in _KINDS}


def detailed_engine(deadline_ms: float | None = None, without: str | None = None, kept: Kept | None = None) -> Detailed:
    """The stack of the built-in members, or of all `without` one; what is `kept` is not fitted again."""
    members = [kind() for kind in _MEMBERS if kind.name != without]
    return Detailed(members, slow_moving=[Sba(), Tsb()], deadline_ms=deadline_ms, kept=kept)


def names() -> list[str]:
    """Names of all engines that can be asked for, `auto` among them."""
    return sorted({*_BUILT_IN, Detailed.name, *(point.name for point in entry_points(group=GROUP)), "auto"})


def engine(name: str | Engine, deadline_ms: float | None = None) -> tuple[Engine, str]:
    """The engine of that name and why it was chosen; raises OptionError with the known names."""
    if isinstance(name, Engine):
        return name, "handed over"
    if deadline_ms is not None and not deadline_ms > 0:
        raise OptionError("deadline_ms", deadline_ms, "a number of milliseconds above 0")
    if name == "auto":
        return _auto(deadline_ms)
    if name == Detailed.name:
        return detailed_engine(deadline_ms), "asked for by name"
    if name in _BUILT_IN:
        return _BUILT_IN[name](), "asked for by name"
    if name.startswith(SKTIME):
        return SktimeEngine(name.removeprefix(SKTIME)), "asked for by its import path"
    for point in entry_points(group=GROUP):
        if point.name == name:
            return point.load()(), "asked for by name (plug-in)"
    raise OptionError("engine", name, f"one of {', '.join(names())}, or {SKTIME} and an import path")


def _auto(deadline_ms: float | None) -> tuple[Engine, str]:
    """The detailed engine where there is time for it: it errs less, but takes hundreds of times as long."""
    if deadline_ms is None:
        return detailed_engine(), "auto: the more accurate one, as no deadline was given"
    if deadline_ms < LEAST_MS:
        return Fast(), f"auto: a deadline of {deadline_ms:g} ms is too short for the detailed engine ({LEAST_MS} ms)"
    return detailed_engine(deadline_ms), f"auto: the more accurate one that a deadline of {deadline_ms:g} ms allows"
