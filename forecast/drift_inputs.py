"""What goes wrong with what a forecast is made from: a signal that died or changed scale, a season that moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from forecast.drift_causes import REGIME, SIGNAL
from forecast.drift_record import Alarm, Record, Signal
from forecast.frequency import family, numbered, season_lengths
from forecast.robust import windows
from forecast.season import IntArray
from forecast.transform import FloatArray

DIED, RESCALED, MOVED = "signal died", "signal changed scale", "season moved"


@dataclass(frozen=True)
class Patience:
    """In periods: a signal is `silent` for so long before it may be dead, its steps are compared over `window` of them,
    it is judged after `settle`."""

    silent: int
    window: int
    settle: int


_PATIENCE = {
    "D": Patience(silent=28, window=56, settle=182),
    "W": Patience(silent=8, window=13, settle=39),
    "MS": Patience(silent=4, window=6, settle=18),
    "QS": Patience(silent=3, window=4, settle=12),
}
_EVERY = {"W": 4, "MS": 1, "QS": 1}  # periods between looks at the season: a year changes little in a week
_DAYS = {"W": 7, "MS": 1, "QS": 1}
_REACH = {"W": (3, 8), "MS": (1, 3), "QS": (1, 1)}  # a season moves by so many periods at least, at most
_TIMES = 3.0  # as large or as small as any step before: another scale
_EVER = 1.5  # times as far as the steps ever were from their usual size
_STILL = 2  # times as long as it ever was
_ALIKE = 0.85  # correlation with the past season once it is moved
_NEARER = 0.35  # what may remain of the squared distance once it is moved
_YEARS = 2  # that are the past season
Found = tuple[int, int, float]  # since, found, change


def signal_faults(record: Record, signal: Signal) -> list[Alarm]:
    """Where the signal stopped telling anything, and where it went on in another scale; nothing of one without effect.

    An effect of zero in all periods says that no forecast used the signal: whoever does not need it need not know.
    """
    if signal.effect is not None and not (np.abs(np.nan_to_num(signal.effect)) > 0).any():
        return []
    patience = _PATIENCE[family(record.frequency)]
    found = [(DIED, one) for one in _deaths(signal.values, patience)]
    found += [(RESCALED, one) for one in _rescaled(signal.values, patience)]
    return [
        Alarm(kind, record.ds[since], record.ds[at], change, None, None, "%", SIGNAL, signal.name)
        for kind, (since, at, change) in found
    ]


def _deaths(x: FloatArray, patience: Patience) -> Iterator[Found]:
    """Each time that the signal is missing or does not move for much longer than it ever did before."""
    moved = np.isfinite(x) & (np.r_[True, x[1:] != x[:-1]])
    longest = run = 0
    dead = False
    for place, moves in enumerate(moved.tolist()):
        if moves:
            longest, run, dead = max(longest, 0 if dead else run), 0, False
            continue
        run += 1
        if not dead and place >= patience.settle and run >= max(patience.silent, _STILL * longest + 1):
            dead = True
            yield place - run + 1, place, -100.0


def _rescaled(x: FloatArray, patience: Patience) -> Iterator[Found]:
    """Each time that the usual step of the signal becomes many times as large or as small as before, and stays so."""
    steps = np.abs(np.diff(x, prepend=np.nan))
    usual = _usual(windows(steps, patience.window - 1, 0))
    start = 0
    for place in range(x.size):
        if place - start < patience.settle or not usual[place] > 0:
            continue
        before = usual[start + patience.window : place - patience.window + 1]
        before = np.log(before[before > 0])
        if not before.size or not steps[place - patience.silent + 1 : place + 1].any():
            continue  # of a dead signal there is more to say than its scale
        typical = float(np.median(before))
        change = float(np.log(usual[place])) - typical
        if abs(change) > max(np.log(_TIMES), _EVER * float(np.abs(before - typical).max())):
            since = place - patience.window + 1 + _first_new(steps, place, patience, typical, change)
            size = float(np.median(steps[since : place + 1])) or float(usual[place])
            yield since, place, 100 * (size / float(np.exp(typical)) - 1)
            start = place


def _usual(steps: FloatArray) -> FloatArray:
    """The mean step over the last axis without the largest eighth, so that a single leap is no new scale; NaN where a
    step is not known."""
    ranked = np.sort(steps, axis=-1)
    kept = np.asarray(ranked[..., : steps.shape[-1] - steps.shape[-1] // 8].mean(axis=-1))
    return np.where(np.isfinite(ranked[..., -1]), kept, np.nan)


def _first_new(steps: FloatArray, place: int, patience: Patience, typical: float, change: float) -> int:
    """Which step of the window is the first that looks like the new scale rather than the old."""
    window = steps[place - patience.window + 1 : place + 1]
    with np.errstate(divide="ignore"):
        size = np.clip(np.log(window) - typical, -abs(change), abs(change))  # a step of zero is as small as can be
    new = np.sign(change) * (size - change / 2)
    gain = np.cumsum(new[::-1])[::-1]
    return int(np.argmax(gain))


def season_moves(record: Record) -> list[Alarm]:
    """Where the last year of sales looks like the years before it, only some periods earlier or later.

    At most once a year, and not where the year before had already been as far off: then there is no season to move.
    """
    length = season_lengths(record.frequency)[-1]
    least, most = _REACH[family(record.frequency)]
    lags = np.arange(-most, most + 1)
    year = round(length)
    log = np.log(np.where(record.sales > 0, record.sales, np.nan))
    first = record.sales.size - record.ds.size  # the place in the sales of the first period of the record
    start = max(first, (_YEARS + 1) * year + most)
    alarms: list[Alarm] = []
    for place in range(first, log.size):
        if place < start or _number(record, place - first) % _EVERY[family(record.frequency)]:
            continue
        lag = _best_lag(log, place, length, lags)
        if abs(lag) < least or abs(_best_lag(log, place - year, length, lags)) >= abs(lag):
            continue
        since = record.ds[max(place - year + 1 - first, 0)]
        alarms.append(Alarm(MOVED, since, record.ds[place - first], float(lag), None, None, "periods", REGIME))
        start = place + year
    return alarms


def _number(record: Record, place: int) -> int:
    """The number of a period that stays the same in a longer record."""
    return int(numbered(record.ds[place : place + 1])[0]) // _DAYS[family(record.frequency)]


def _best_lag(log: FloatArray, place: int, length: float, lags: IntArray) -> int:
    """By how many periods the year that ends at `place` is later than those before it; 0 where it is not clearly so."""
    year = round(length)
    last = np.arange(place - year + 1, place + 1)
    back = np.rint(np.arange(1, _YEARS + 1) * length).astype(int)
    at = last - lags[:, None, None] - back[None, :, None]  # (lags, years, periods)
    past = np.where((at >= 0) & (at < last[0]), log[np.clip(at, 0, log.size - 1)], np.nan)
    past = past - _mean(past)
    profile = _mean(np.moveaxis(past, 1, -1))[..., 0]  # (lags, periods)
    known = np.isfinite(profile).all(axis=0) & np.isfinite(log[last])
    if known.sum() < year / 2:
        return 0
    now = log[last][known] - log[last][known].mean()
    moved = profile[:, known] - profile[:, known].mean(axis=1, keepdims=True)
    distance = ((moved - now) ** 2).sum(axis=1)
    best = int(np.argmin(distance))
    size = np.sqrt((moved[best] ** 2).sum() * (now**2).sum())
    alike = float(moved[best] @ now) / size if size > 0 else 0.0
    nearer = distance[best] <= _NEARER * distance[lags.size // 2]
    return int(lags[best]) if alike >= _ALIKE and nearer else 0


def _mean(x: FloatArray) -> FloatArray:
    """The mean over the last axis of what is known, which stays; NaN where nothing is."""
    count = np.isfinite(x).sum(axis=-1, keepdims=True)
    total = np.where(np.isfinite(x), x, 0.0).sum(axis=-1, keepdims=True)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
