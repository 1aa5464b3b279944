"""What goes wrong with the configuration that serves a category, from the scores of its forecasts: pure functions.

A model is fitted anew for every forecast, so its parameters cannot grow stale; its configuration can. Everything is
found again from the whole record, so there is no state to keep: `watch` on a longer record returns the same alarms and
perhaps some more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecast import drift_words as words
from forecast.detectors import Jump, Sensitivity, rises
from forecast.drift_causes import cause_of
from forecast.drift_inputs import season_moves, signal_faults
from forecast.drift_record import Alarm, Record, Signal, weekly
from forecast.frequency import family
from forecast.transform import FloatArray, median

__all__ = ["WATCHES", "Alarm", "Record", "Signal", "Watch", "watch"]

_FLOOR = 0.05  # of the usual loss of the reference: no ratio to next to nothing


@dataclass(frozen=True)
class Watch:
    """How sensitive each detector is; chosen and confirmed by `python -m bench.drift`, see docs/drift.md."""

    loss: Sensitivity
    coverage: Sensitivity
    bias: Sensitivity


def _watch(settle: int, sooner: float) -> Watch:
    """`sooner`: by how much a threshold is lower where a year has fewer periods, and so fewer chances to be wrong."""
    return Watch(
        loss=Sensitivity(delta=0.12, least=0.7 * sooner, noise=22 * sooner, settle=settle),
        coverage=Sensitivity(delta=0.08, least=0.8 * sooner, noise=48 * sooner, settle=settle),
        bias=Sensitivity(delta=0.04, least=0.4 * sooner, noise=100 * sooner, settle=settle),
    )


WATCHES = {"W": _watch(26, 1.0), "MS": _watch(12, 0.55), "QS": _watch(8, 0.5)}


def watch(record: Record, sensitivity: Watch | None = None) -> list[Alarm]:
    """All alarms of a record, by the period that raised them; one whose record is too short has none.

    A loss is the rise of the log ratio of the champion's loss to that of the reference: what makes sales as hard to
    forecast for both, such as a holiday or a shock, cancels. Daily records are watched week by week. Raises OptionError
    for a record that cannot be right.
    """
    record.check()
    signals = [alarm for signal in record.signals for alarm in signal_faults(record, signal)]
    folded = weekly(record)
    chosen = sensitivity or WATCHES[family(folded.frequency)]
    found = [*_losses(folded, chosen), *_coverage(folded, chosen), *_biases(folded, chosen)]
    explained = [replace(alarm, cause=cause_of(folded, alarm, signals)) for alarm in found]
    alarms = [words.told(alarm, folded.frequency) for alarm in (*explained, *season_moves(folded))]
    alarms += [words.told(alarm, record.frequency) for alarm in signals]
    return sorted(alarms, key=lambda alarm: (alarm.found, alarm.kind))


def log_ratio(record: Record, settle: int) -> FloatArray:
    """The champion's loss against that of the reference, (n,), NaN where either is not known.

    Both are raised by a twentieth of the usual loss of the reference in the first `settle` scored periods, so that a
    period without error (no sale in a category that sells rarely) has a ratio and a small one. All NaN where neither
    had any loss then.
    """
    both = np.isfinite(record.loss) & np.isfinite(record.reference)
    first = np.flatnonzero(both)[:settle]
    seen = np.concatenate([record.reference[first], record.loss[first]])
    seen = seen[seen > 0]
    if first.size < settle or not seen.size:
        return np.full(record.loss.size, np.nan)
    floor = _FLOOR * median(seen)
    return np.asarray(np.log((record.loss + floor) / (record.reference + floor)))


def _losses(record: Record, sensitivity: Watch) -> list[Alarm]:
    ratio = log_ratio(record, sensitivity.loss.settle)
    return [
        _alarm(record, "loss", jump, [100 * float(np.expm1(size)) for size in (jump.size, jump.low, jump.high)], "%")
        for jump in rises(ratio, sensitivity.loss)
    ]


def _coverage(record: Record, sensitivity: Watch) -> list[Alarm]:
    """Actuals leave the intervals more often than they did."""
    return [
        _alarm(record, "coverage", jump, [-100 * size for size in (jump.size, jump.high, jump.low)], "points")
        for jump in rises(1 - record.inside, sensitivity.coverage)
    ]


def _biases(record: Record, sensitivity: Watch) -> list[Alarm]:
    """Forecasts became too high or too low, in per cent of the usual sale of the first periods."""
    settle = sensitivity.bias.settle
    sold = np.abs(record.sales[-record.loss.size :])
    first = sold[np.isfinite(record.error) & np.isfinite(sold)][:settle]
    usual = float(first.mean()) if first.size == settle else 0.0
    if usual <= 0:
        return []
    alarms = []
    for sign in (1, -1):
        for jump in rises(sign * record.error / usual, sensitivity.bias):
            sizes = sorted(sign * 100 * size for size in (jump.low, jump.high))
            alarms.append(_alarm(record, "bias", jump, [sign * 100 * jump.size, *sizes], "%"))
    return alarms


def _alarm(record: Record, kind: str, jump: Jump, sizes: Sequence[float], unit: str) -> Alarm:
    since, found = record.ds[jump.since], record.ds[jump.found]
    return Alarm(kind, since, found, sizes[0], sizes[1], sizes[2], unit)
