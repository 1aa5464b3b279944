"""What a scenario answers: the forecast under it beside the baseline, their difference, and what each signal has in it.

How far off an effect may be comes from its coefficient's standard error: some thousand coefficients are taken from its
distribution, the same ones every time, and go the whole way to sales units. Effects of several signals count as
independent of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecast import intervals
from forecast.result import Forecast, SignalReport
from forecast.scenario import Effect
from forecast.transform import FloatArray
from forecast.words import amount, digits_for, number, span_label

_DRAWS = 999
_NORMAL = np.sqrt(2 / np.pi)  # mean absolute value of a normal variable over its deviation
_SMALL = 1e-8  # steps on the working scale below which their derivative is taken
_NUDGE = 1e-4
ASSOCIATION = "an association in past sales, not proof of a cause"

Mean = Callable[[FloatArray], FloatArray]  # from steps on the working scale, (…, horizon), to expected sales
Bounds = dict[float, tuple[FloatArray, FloatArray]]  # by level


@dataclass(frozen=True)
class SignalEffect:
    """What the changed path of one signal has in the difference: by period (horizon,) and in total, with intervals."""

    effect: Effect
    parts: FloatArray
    total: float
    intervals: dict[float, tuple[float, float]]
    report: SignalReport
    used: bool  # by the forecast, alone or in a group
    sentence: str


@dataclass(frozen=True)
class Outcome:
    """One scenario beside the baseline. `difference` (horizon,) is the sum of the effects' parts."""

    name: str
    forecast: Forecast
    difference: FloatArray
    intervals: Bounds
    total: float
    total_intervals: dict[float, tuple[float, float]]
    effects: list[SignalEffect]
    warnings: list[str]

    def to_frame(self, baseline: Forecast) -> pd.DataFrame:
        """ds, baseline, scenario, difference with its lo- and hi- for each level, and a column a changed signal."""
        frame = pd.DataFrame({"ds": pd.DatetimeIndex(baseline.ds), "baseline": baseline.mean})
        frame["scenario"], frame["difference"] = self.forecast.mean, self.difference
        for level, (low, high) in self.intervals.items():
            frame[f"lo-{level:g}"], frame[f"hi-{level:g}"] = low, high
        return frame.assign(**{one.effect.signal: one.parts for one in self.effects})


@dataclass(frozen=True)
class WhatIf:
    """The answer of `what_if()`: the baseline, and each scenario by its name."""

    baseline: Forecast
    outcomes: dict[str, Outcome]

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain data, ready for JSON."""
        base = self.baseline
        head = base.to_head()
        rows = base.to_dict()["forecast"]
        total = float(base.mean.sum())
        return {
            **{name: head[name] for name in ("category", "unit", "frequency", "as_of", "history", "engine", "events")},
            "baseline": {"periods": [_without(row, "contributions") for row in rows], "total": total},
            "scenarios": [_plain(one, total) for one in self.outcomes.values()],
            "warnings": head["warnings"],
        }


def outcome(
    name: str, baseline: Forecast, changed: Forecast, effects: Sequence[Effect], mean: Mean, notes: Sequence[str]
) -> Outcome:
    """Compare a scenario with the baseline; `mean` says what steps on the baseline's path make of it."""
    steps = np.stack([e.step for e in effects])
    difference = changed.mean - baseline.mean
    parts = _shares(steps, difference, mean)
    drawn = _drawn_steps(effects)
    away = mean(drawn.sum(axis=0)) - mean(np.zeros(steps.shape[1]))
    drawn_parts = _shares(drawn, away, mean)
    levels = baseline.levels
    of_signals = [
        _signal_effect(effect, part, _spans(totals, levels), baseline)
        for effect, part, totals in zip(effects, parts, drawn_parts.sum(axis=-1), strict=True)
    ]
    return Outcome(
        name,
        changed,
        difference,
        _bounds(away, levels),
        float(difference.sum()),
        _spans(away.sum(axis=-1), levels),
        of_signals,
        [*notes, *_held(effects), *_cautious(effects), *_together(effects)],
    )


def _shares(steps: FloatArray, difference: FloatArray, mean: Mean) -> FloatArray:
    """Each signal's part of `difference` (…, horizon) for `steps` (signals, …, horizon), in sales units.

    Steps add up on the working scale; all have the same rate of sales units to it (the logarithmic mean where that
    scale is the logarithm), so that the parts add up to the difference.
    """
    total = steps.sum(axis=0)
    nudge = np.full(total.shape[-1], _NUDGE)
    slope = (mean(nudge) - mean(-nudge)) / (2 * _NUDGE)
    small = np.abs(total) < _SMALL
    rate = np.where(small, slope, difference / np.where(small, 1.0, total))
    return np.asarray(rate * steps)


def _drawn_steps(effects: Sequence[Effect]) -> FloatArray:
    """Steps for coefficients from the distribution of each, (signals, draws, horizon)."""
    scores = _NORMAL * intervals.student(np.arange(1, _DRAWS + 1) / (_DRAWS + 1))
    mixed = np.random.default_rng(0)
    steps = []
    for effect in effects:
        found = effect.response
        drawn = np.stack([mixed.permutation(scores) for _ in found.lags])
        steps.append(effect.steps(found.coefficient + drawn.T @ found.root.T))
    return np.stack(steps)


def _bounds(drawn: FloatArray, levels: Sequence[float]) -> Bounds:
    """The central interval of each level over the draws, the first axis."""
    ends = np.array([(0.5 - level / 200, 0.5 + level / 200) for level in levels])
    found = np.quantile(drawn, ends.ravel(), axis=0)
    return {level: (found[2 * i], found[2 * i + 1]) for i, level in enumerate(levels)}


def _spans(drawn: FloatArray, levels: Sequence[float]) -> dict[float, tuple[float, float]]:
    return {level: (float(low), float(high)) for level, (low, high) in _bounds(drawn, levels).items()}


def _signal_effect(
    effect: Effect, parts: FloatArray, spans: dict[float, tuple[float, float]], baseline: Forecast
) -> SignalEffect:
    report, used = _report(effect.signal, baseline.signals)
    total = float(parts.sum())
    return SignalEffect(
        effect, parts, total, spans, report, used, _sentence(effect, total, spans, baseline, report, used)
    )


def _report(signal: str, reports: Sequence[SignalReport]) -> tuple[SignalReport, bool]:
    """What the forecast says of a signal, and whether it uses it, alone or in a group."""
    own = next(r for r in reports if r.signal == signal)
    return own, own.admitted or any(signal in r.members for r in reports if r.admitted)


def _sentence(
    effect: Effect,
    total: float,
    spans: dict[float, tuple[float, float]],
    baseline: Forecast,
    report: SignalReport,
    used: bool,
) -> str:
    """The effect in words, and that it is an association."""
    known = "the forecast uses this signal too" if used else f"the forecast itself does not use it ({report.reason})"
    why = _why_nothing(effect)
    if why:
        return f"{effect.signal} changes nothing: {why}; {known}."
    level = min(spans)
    digits = digits_for([total, *spans[level]])
    low, high = (number(end, digits, sign=True) for end in spans[level])
    interval = f"{level:g} % interval {low} to {high}"
    if total == 0:
        return (
            f"{effect.signal} changes nothing: how past sales went with it cannot be told from chance ({interval}); "
            f"{known}."
        )
    frame = pd.DataFrame({"ds": pd.DatetimeIndex(baseline.ds)})
    size = amount(abs(total), baseline.unit, digits)
    doubt = "" if spans[level][0] > 0 or spans[level][1] < 0 else ", which may be chance"
    return (
        f"this path of {effect.signal} goes with {size} {'more' if total > 0 else 'less'} over "
        f"{span_label(frame['ds'], baseline.frequency)} ({interval}{doubt}): {ASSOCIATION}; {known}."
    )


def _why_nothing(effect: Effect) -> str:
    """Why a path cannot change anything, or an empty text."""
    if np.array_equal(effect.expected, effect.changed):
        return "this is the path that is expected anyway"
    if not effect.response.told:
        return "there is not enough history to tell how sales go with it"
    return "" if effect.moves.any() else "sales follow it after the horizon"


def _held(effects: Sequence[Effect]) -> list[str]:
    """That an effect is no larger than anything seen, of each signal where it is so."""
    return [
        f"{_far(one)}: its effect is held at the largest error of the forecast so far, and nobody knows whether it "
        "would be larger"
        for one in effects
        if one.held.any()
    ]


def _far(one: Effect) -> str:
    low, high = one.seen
    changed = one.changed[one.changed != one.expected]
    furthest = float(changed[np.abs(changed - (low + high) / 2).argmax()])
    digits = digits_for([low, high])
    seen = f"{number(low, digits)} to {number(high, digits)}"
    if low <= furthest <= high:
        return f"this path of {one.signal} would move sales further than they ever strayed"
    return f"this path of {one.signal} is beyond anything seen ({number(furthest, digits)}, so far {seen})"


def _cautious(effects: Sequence[Effect]) -> list[str]:
    """Why the same plan, entered as known, would come to another number."""
    return [
        f"entered as known, this plan of {one.signal} would move the forecast less: what a signal does is drawn "
        "towards nothing there, for it may be chance"
        for one in effects
        if one.planned and one.step.any()
    ]


def _together(effects: Sequence[Effect]) -> list[str]:
    moving = [e.signal for e in effects if e.step.any()]
    if len(moving) < 2:
        return []
    return [
        f"each effect is that of its signal alone: what {' and '.join(moving)} have in common counts in each of them"
    ]


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def _plain(one: Outcome, baseline_total: float) -> dict[str, Any]:
    changed = one.forecast.to_dict()
    rows = [
        _without(row, "contributions")
        | {
            "difference": float(one.difference[i]),
            "difference_intervals": {f"{k:g}": [float(lo[i]), float(hi[i])] for k, (lo, hi) in one.intervals.items()},
            "effects": {e.effect.signal: float(e.parts[i]) for e in one.effects},
        }
        for i, row in enumerate(changed["forecast"])
    ]
    total = {
        "value": float(one.forecast.mean.sum()),
        "difference": one.total,
        "difference_pct": 100 * one.total / baseline_total if baseline_total > 0 else None,
        "difference_intervals": _listed(one.total_intervals),
    }
    effects = [_plain_effect(e, rows) for e in one.effects]
    return {"name": one.name, "periods": rows, "total": total, "effects": effects, "warnings": one.warnings}


def _plain_effect(one: SignalEffect, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    effect = one.effect
    moved = np.flatnonzero(effect.changed != effect.expected)
    return {
        "signal": effect.signal,
        "value": one.total,
        "intervals": _listed(one.intervals),
        "lags": list(effect.response.lags),
        "used_by_forecast": one.used,
        "reason": one.report.reason,
        "sentence": one.sentence,
        "path": [
            {"period": rows[i]["period"], "expected": float(effect.expected[i]), "changed": float(effect.changed[i])}
            for i in moved.tolist()
        ],
    }


def _listed(spans: dict[float, tuple[float, float]]) -> dict[str, list[float]]:
    return {f"{level:g}": list(span) for level, span in spans.items()}
