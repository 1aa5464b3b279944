"""`forecast()`, `backtest()`, `what_if()`: validation, backtest, intervals, guards, explanation around any engine."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecast import explain, intervals, plausible
from forecast import frequency as freq
from forecast.arrays import SignalValues, Values
from forecast.backtest import Backtest, Past, errors_of, rolling, scored
from forecast.changes import Change, paths
from forecast.configuration import Configuration
from forecast.engines import Wanted
from forecast.engines.base import Engine, Path, Problem
from forecast.errors import HistoryError, OptionError, SignalsError
from forecast.events import Applied, Event, cleaned
from forecast.intervals import Errors
from forecast.options import check_horizon, checked_levels, moment_of
from forecast.phases import BEGINS, ENDS
from forecast.problem import Sources
from forecast.regressors import SignalRows, read
from forecast.result import EngineUsed, Forecast, SignalReport
from forecast.scale import GUARD, SPREAD, Scale, guarded
from forecast.scenario import PREFIX, Conditional, Effect, widened
from forecast.season import holidays_signal
from forecast.series import Series, versions
from forecast.transform import FloatArray, choose
from forecast.what_if import Mean, WhatIf, outcome

VERSION = "5"  # of the method: answers of another version may differ
_TOLD = 0.005  # a smaller weight of a stack's member is as good as none
RESERVED = ("level", "trend", "season", "calendar", "remainder", "guard", "closed", BEGINS, ENDS, "ds")


@dataclass(frozen=True)
class _Run:
    """One request after the engine has spoken."""

    engine: Engine
    reason: str
    series: Series
    sources: Sources
    scale: Scale
    problem: Problem
    past: Past
    path: Path
    errors: Errors
    moment: pd.Timestamp | None
    known: Series  # with the events that were taken out of `series`
    events: tuple[Applied, ...]
    configuration: str


def forecast(
    history: pd.DataFrame | pd.Series | Values,
    horizon: int,
    *,
    signals: pd.DataFrame | Sequence[SignalValues] | None = None,
    engine: str | Engine | Configuration = "fast",
    levels: Sequence[float] = (80, 95),
    frequency: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    scenario: Mapping[str, pd.Series] | None = None,
    calendar: str | None = None,
    season_length: float | None = None,
    deadline_ms: float | None = None,
    members: Collection[str] | None = None,
    events: Sequence[Event] = (),
    category: str | None = None,
    unit: str | None = None,
) -> Forecast:
    """Forecast a sales series `horizon` periods past its last complete known one.

    `history` has columns `ds`, `y` (or is a Series on dates) and `signals` is long, `signal, ds, value` (or `start`,
    `end` for `ds`), of any cadence; both may carry `known_at` with repeated vintages, `signals` also `future_known`
    and `aggregation`. Consecutive values may come without a frame, as `Values` and `SignalValues`. `as_of` hides what
    became known later. `calendar` names a country whose moving holidays are followed, and whose holidays are offered
    as a signal. `scenario` maps a signal to another path, a Series of values on dates. `levels` are per cent.
    `engine` may be a whole `Configuration`. `deadline_ms` is the time that the engines "auto" and "detailed" may take;
    with the `members` that it left before (`engine.members` of that answer) no clock decides, and the same answer
    comes. `events` are taken out of what the engine sees (see `Event`). Raises ForecastError for bad input.
    """
    started = time.perf_counter()
    checked = checked_levels(levels)
    wanted = Wanted(engine, deadline_ms, members)
    run = _run(history, horizon, signals, wanted, frequency, as_of, calendar, season_length, None, False, events)
    effects = Conditional(run.problem, run.series).effects(scenario) if scenario else ()
    return _answer(run, checked, effects, category, unit, started)


def _answer(
    run: _Run,
    levels: tuple[float, ...],
    effects: Sequence[Effect],
    category: str | None,
    unit: str | None,
    started: float,
) -> Forecast:
    """What the engine said, with the effects of a scenario on top, in sales units."""
    horizon = run.problem.horizon
    terms, clipped = _guarded(run.path.terms | {PREFIX + e.signal: e.step for e in effects}, run.scale)
    path = np.sum(list(terms.values()), axis=0)
    spread = intervals.now(run.errors, horizon, len(run.problem) - 1)
    mean = run.scale.mean(path, *intervals.at(spread, np.array(SPREAD)).T)
    spread = widened(spread, effects)
    mean, parts = explain.exact(mean, explain.contributions(terms, mean, run.scale.transform))
    importance = explain.importance(parts, run.path.lately)
    weekdays = plausible.closed_weekdays(run.series)
    shut = plausible.is_closed(run.series.future(horizon), weekdays)
    return Forecast(
        category=category,
        unit=unit,
        frequency=run.series.frequency,
        as_of=run.moment,
        history=run.known,
        history_start=run.series.start,
        history_end=run.series.end - np.timedelta64(1, "D"),
        engine=_engine_used(run),
        ds=run.series.future(horizon).copy(),  # the grid's own are shared
        kinds=freq.kinds(run.series.future(horizon), run.series.frequency, run.moment),
        mean=np.where(shut, 0.0, mean),
        median=np.where(shut, 0.0, run.scale.units(path)),
        grid=np.where(shut[:, None], 0.0, run.scale.units(path[:, None] + _laid(spread, path, run.problem))),
        parts=plausible.close(parts, mean, shut),
        levels=levels,
        signals=_reports(run, importance),
        importance=importance,
        backtest=scored(run.past, run.errors, run.problem, run.series, run.scale, levels, run.engine.name),
        events=run.events,
        warnings=[*_warnings(run, weekdays, clipped, bool(effects)), *run.scale.note(path + _highest(spread, levels))],
        fit_ms=1000 * (time.perf_counter() - started),
    )


def _highest(spread: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """The upper end of the widest interval, (horizon,)."""
    return intervals.at(spread, np.array([0.5 + max(levels) / 200]))[:, 0]


def what_if(
    history: pd.DataFrame | pd.Series | Values,
    horizon: int,
    scenarios: Mapping[str, Sequence[Change]],
    *,
    signals: pd.DataFrame | Sequence[SignalValues] | None = None,
    engine: str = "fast",
    levels: Sequence[float] = (80, 95),
    frequency: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    calendar: str | None = None,
    season_length: float | None = None,
    events: Sequence[Event] = (),
    category: str | None = None,
    unit: str | None = None,
) -> WhatIf:
    """The forecast beside what it would be if signals took other paths, for each of the named `scenarios`.

    Other arguments as for `forecast`. Raises ForecastError for bad input; of a change it names `changes.0.first` and
    the like.
    """
    started = time.perf_counter()
    checked = checked_levels(levels)
    wanted = Wanted(engine)
    run = _run(history, horizon, signals, wanted, frequency, as_of, calendar, season_length, None, False, events)
    baseline = _answer(run, checked, (), category, unit, started)
    conditional, mean = Conditional(run.problem, run.series), _mean_of(run)
    outcomes = {}
    for name, changes in scenarios.items():
        compiled = paths(changes, conditional, run.series, "changes" if len(scenarios) == 1 else f"{name}: changes")
        effects = conditional.effects(compiled.values)
        changed = _answer(run, checked, effects, category, unit, started)
        outcomes[name] = outcome(name, baseline, changed, effects, mean, compiled.notes)
    return WhatIf(baseline, outcomes)


def _laid(spread: FloatArray, path: FloatArray, problem: Problem) -> FloatArray:
    """Quantiles around the path, (horizon, probabilities), between the logarithmic scale and that of sales."""
    if not problem.transform.log:
        return spread
    usual = intervals.usual_level(problem.z, problem.season_lengths)[-1]
    return intervals.between(spread, (path - usual)[:, None])


def _mean_of(run: _Run) -> Mean:
    """From steps on top of the path, (…, horizon), to the expectation of each period."""
    horizon = run.problem.horizon
    path = run.path.median
    low, high = intervals.at(intervals.now(run.errors, horizon, len(run.problem) - 1), np.array(SPREAD)).T
    shut = plausible.is_closed(run.series.future(horizon), plausible.closed_weekdays(run.series))
    return lambda steps: np.where(shut, 0.0, run.scale.mean(run.scale.hold(path + steps), low, high))


def backtest(
    history: pd.DataFrame | pd.Series | Values,
    horizon: int,
    *,
    origins: int | None = None,
    signals: pd.DataFrame | Sequence[SignalValues] | None = None,
    engine: str | Engine | Configuration = "fast",
    levels: Sequence[float] = (80, 95),
    frequency: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    calendar: str | None = None,
    season_length: float | None = None,
    events: Sequence[Event] = (),
) -> Backtest:
    """Forecast from up to `origins` past origins (what the engine can afford where None) and score what has come true.

    Arguments as for `forecast`. Raises ForecastError for bad input.
    """
    if origins is not None and (isinstance(origins, bool) or not isinstance(origins, int) or origins < 1):
        raise OptionError("origins", origins, "a whole number from 1")
    checked = checked_levels(levels)
    wanted = Wanted(engine)
    run = _run(history, horizon, signals, wanted, frequency, as_of, calendar, season_length, origins, True, events)
    return scored(run.past, run.errors, run.problem, run.series, run.scale, checked, run.engine.name)


def _run(
    history: pd.DataFrame | pd.Series | Values,
    horizon: int,
    signals: pd.DataFrame | Sequence[SignalValues] | None,
    wanted: Wanted,
    frequency: str | None,
    as_of: str | pd.Timestamp | None,
    calendar: str | None,
    season_length: float | None,
    origins: int | None,
    every_step: bool,
    events: Sequence[Event],
) -> _Run:
    check_horizon(horizon)
    wanted.check()
    moment = moment_of(as_of)
    configuration = wanted.configuration
    all_versions = versions(history, frequency, season_length, moment).newest(configuration.history)
    known = all_versions.read(moment)
    past_versions, applied = cleaned(all_versions, known, events)
    series = past_versions.read(moment) if applied else known
    offered = _used(read(signals, moment), configuration) + (
        read(holidays_signal(series, horizon, calendar)) if calendar else []
    )
    sources = Sources(past_versions, _unreserved(offered), horizon, calendar, configuration.memory)
    moment = sources.moment(moment)
    transform = choose(series.y, configuration.transform)
    problem = sources.problem(series, transform, moment)
    chosen, reason = wanted.engine(problem, twice=sources.revised and moment is not None)
    if len(series) < chosen.min_periods:
        raise HistoryError(
            "history", f"{len(series)} periods", f"at least {chosen.min_periods} for the engine {chosen.name}"
        )
    past, path = rolling(chosen, sources, problem, transform, moment, origins, every_step=every_step)
    if alone := wanted.alone(path.members):
        chosen, reason = alone
        past, fast = rolling(chosen, sources, problem, transform, moment, origins, every_step=every_step)
        path = replace(fast, members=path.members, notes=path.notes)
    return _Run(
        chosen,
        reason,
        series,
        sources,
        guarded(transform, series.y),
        problem,
        past,
        path,
        errors_of(past, problem),
        moment,
        known,
        applied,
        configuration.name,
    )


def _engine_used(run: _Run) -> EngineUsed:
    return EngineUsed(
        run.engine.name, run.configuration, "champion", _reason(run), tuple(run.path.members), run.path.record
    )


def _reason(run: _Run) -> str:
    """Why this engine, and of a stack what its members weigh, the heaviest first."""
    if run.engine.name in run.path.members:  # it was left alone
        return run.reason
    ranked = sorted(run.path.members.items(), key=lambda item: (-item[1], item[0]))
    told = ", ".join(f"{name} {weight:.2f}" for name, weight in ranked if weight >= _TOLD)
    return f"{run.reason}; stacked from {told}{_beside_fast(run)}" if told else run.reason


def _beside_fast(run: _Run) -> str:
    """The stack's error beside the fast engine's at the same past origins, which the record of neither says."""
    missed = {one.name: one.wape for one in run.path.record}
    stack, fast = missed.get("stack"), missed.get("fast")
    if stack is None or fast is None or len(missed) == 2:  # it is the fast engine alone
        return ""
    return (
        f"; at its {run.past.told(run.problem).origins.size} past origins it missed by {100 * stack:.1f} % of sales, "
        f"the fast engine at the same by {100 * fast:.1f} %"
    )


def _used(signals: list[SignalRows], configuration: Configuration) -> list[SignalRows]:
    """Those that the configuration does not leave out."""
    return [one for one in signals if configuration.signals is None or one.name in configuration.signals]


def _unreserved(signals: list[SignalRows]) -> tuple[SignalRows, ...]:
    """The signals, none of which may be called like a driver or column of the forecast itself, or like another."""
    for signal in signals:
        if sum(other.name == signal.name for other in signals) > 1:
            raise SignalsError("signals.signal", signal.name, "a name other than that of the calendar's own signal")
        if signal.name in RESERVED or signal.name.startswith(PREFIX):
            raise SignalsError("signals.signal", signal.name, f"a name other than {', '.join(RESERVED)} or {PREFIX}…")
    return tuple(signals)


def _guarded(terms: dict[str, FloatArray], scale: Scale) -> tuple[dict[str, FloatArray], bool]:
    """Hold the median inside the guard; what was cut off is the driver `guard`."""
    median = np.sum(list(terms.values()), axis=0)
    held = scale.hold(median)
    clipped = bool((held != median).any())
    return (terms | {"guard": held - median} if clipped else terms), clipped


def _reports(run: _Run, importance: list[explain.Importance]) -> list[SignalReport]:
    share = {row.driver: row.share for row in importance}
    labels = np.concatenate([run.series.ds, run.series.future(run.problem.horizon)])
    edges = {r.name: r.known_to for r in run.problem.regressors}
    if not run.engine.uses_signals:
        unused = f"the engine {run.engine.name} does not use signals"
        return [
            SignalReport(name, False, None, None, None, None, _label(labels, edge), 0.0, unused)
            for name, edge in edges.items()
        ]
    return [
        SignalReport(
            signal=e.signal,
            admitted=e.admitted,
            gain_pct=e.gain_pct,
            gain_interval_pct=e.gain_interval_pct,
            lag=e.lag,
            lead=e.lead,
            known_to=_label(labels, min(edges[name] for name in e.members or (e.signal,))),
            importance=share.get(e.signal, 0.0),
            reason=e.reason,
            members=e.members,
        )
        for e in run.path.evidence
    ]


def _label(labels: freq.Days, edge: int) -> str | None:
    return str(labels[edge]) if edge >= 0 else None


def _warnings(run: _Run, weekdays: list[int], clipped: bool, scenario: bool) -> list[str]:
    found = list(run.known.notes)
    if weekdays:
        found.append(plausible.closed_note(weekdays))
    strange = plausible.implausible(run.series)
    if strange:
        found.append(strange)
    if intervals.scored(run.errors, len(run.problem) - 1) < intervals.MIN_ORIGINS:
        found.append("the history is too short to measure errors; intervals rest on its own steps and are wide")
    if clipped:
        found.append(f"a guard held the forecast inside {GUARD:g} times the largest sale of the history")
    found += [*run.path.notes, *_edges(run)]
    if scenario:
        found.append("a scenario tells what usually goes together with such a path, not what it would cause")
    return found


def _edges(run: _Run) -> list[str]:
    """Signals that end too early, in one sentence a kind."""
    last = len(run.problem) - 1
    plans = [r for r in run.problem.regressors if r.future_known and r.known_to < last + run.problem.horizon]
    late = [r for r in run.problem.regressors if not r.future_known and 0 <= r.edge < last]
    found = []
    assumed = [f"{r.name} as {r.x[-1]:g}" for r in plans if r.told is not None]
    if assumed:
        found.append(
            f"planned ahead, but not for the whole horizon; taken as usual after the plan's end: {', '.join(assumed)}"
        )
    short = [r.name for r in plans if r.told is None]
    if short:
        found.append(f"declared future-known, but without values for the whole horizon: {', '.join(short)}")
    if late:
        names = ", ".join(f"{r.name} ({last - r.edge})" for r in late)
        found.append(f"signals that end before the last known sale, by so many periods: {names}")
    return found
