"""In which modules the time of a retrain goes, as the profiler sees it."""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter
from pathlib import Path

from bench.made import Request
from forecast import forecast

_WARM_UP = 10
_PARTS = {
    "reading": ("columns", "series", "frequency", "grid", "regressors", "problem", "season", "transform"),
    "intervals": ("intervals", "backtest", "metrics", "scale", "origins"),
    "answer": ("core", "result", "explain", "plausible", "scenario", "words"),
}


def print_parts(requests: list[Request], name: str) -> None:
    """Own time by part and by module; what is built into Python counts for the module that calls it."""
    for one in requests[:_WARM_UP]:
        _answer(one)
    profiler = cProfile.Profile()
    profiler.enable()
    for one in requests[_WARM_UP:]:
        _answer(one)
    profiler.disable()
    modules = own_time(pstats.Stats(profiler))
    parts: Counter[str] = Counter()
    for module, seconds in modules.items():
        parts[part(module)] += seconds
    count = max(len(requests) - _WARM_UP, 1)
    print(f"  {name}: profiled ms a request (the profiler itself slows it), {count} requests")
    for title, times in (("part", parts), ("module", modules)):
        print(f"\n  {title:32} {'ms':>8} {'share':>7}")
        for key, seconds in times.most_common(24):
            print(f"  {key:32} {1e3 * seconds / count:8.3f} {seconds / sum(times.values()):7.1%}")


def own_time(stats: pstats.Stats) -> Counter[str]:
    """Own seconds by module."""
    found: Counter[str] = Counter()
    table = stats.stats  # type: ignore[attr-defined]  # documented by use alone
    for (file, _, _), (_, _, own, _, callers) in table.items():
        if file != "~":
            found[module_of(file)] += own
            continue
        for (caller, _, _), (_, _, share, _) in callers.items():
            found[module_of(caller)] += share
    return found


def module_of(file: str) -> str:
    """`forecast.NAME` for our own files, the package for installed ones, else `python`."""
    path = Path(file)
    parts = path.with_suffix("").parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    if "forecast" in parts:
        return ".".join(parts[parts.index("forecast") :])
    return "python"


def part(module: str) -> str:
    """The part of a retrain that a module belongs to; what is not listed is the engine's."""
    if not module.startswith("forecast"):
        return f"library: {module}"
    name = module.split(".")[-1]
    return next((key for key, names in _PARTS.items() if name in names), "engine")


def _answer(one: Request) -> None:
    forecast(one.history, one.horizon, signals=one.signals).to_dict()
