"""Engines by name. Plug-ins join through the entry point group `groundswell.engines`."""

from __future__ import annotations

from importlib.metadata import entry_points

from forecast.engines.base import Engine, Evidence, Path, Problem
from forecast.engines.boosting import Boosting
from forecast.engines.ets import Ets
from forecast.engines.fast import Fast
from forecast.engines.intermittent import CrostonEngine, Sba, Tsb
from forecast.engines.prophet import ProphetEngine
from forecast.engines.sarimax import Sarimax
from forecast.engines.seasonal_naive import SeasonalNaive
from forecast.engines.sktime_path import PREFIX as SKTIME
from forecast.engines.sktime_path import Reduction, SktimeEngine
from forecast.engines.theta import Theta
from forecast.engines.unobserved_components import UnobservedComponents
from forecast.errors import OptionError

__all__ = ["Engine", "Evidence", "Path", "Problem", "engine", "names"]

GROUP = "groundswell.engines"
_STATISTICAL = (Ets, Theta, ProphetEngine, Sarimax, UnobservedComponents)
_KINDS = (Fast, SeasonalNaive, *_STATISTICAL, CrostonEngine, Sba, Tsb, Reduction, Boosting)
_BUILT_IN: dict[str, type[Engine]] = {kind.name: kind for kind in _KINDS}


def names() -> list[str]:
    """Names of all engines that can be asked for, `auto` among them."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group=GROUP)), "auto"})


def engine(name: str, deadline_ms: float | None = None) -> tuple[Engine, str]:
    """The engine of that name and why it was chosen; raises OptionError with the known names."""
    if deadline_ms is not None and not deadline_ms > 0:
        raise OptionError("deadline_ms", deadline_ms, "a number of milliseconds above 0")
    if name == "auto":
        within = "no deadline" if deadline_ms is None else f"deadline {deadline_ms:g} ms"
        return Fast(), f"auto: the most accurate engine there is, {within}"
    if name in _BUILT_IN:
        return _BUILT_IN[name](), "asked for by name"
    if name.startswith(SKTIME):
        return SktimeEngine(name.removeprefix(SKTIME)), "asked for by its import path"
    for point in entry_points(group=GROUP):
        if point.name == name:
            return point.load()(), "asked for by name (plug-in)"
    raise OptionError("engine", name, f"one of {', '.join(names())}, or {SKTIME} and an import path")
