"""Does this signal earn its place, out of sample?

Only out-of-sample errors count, and only what the signal had shown by the origin. A signal is admitted at an origin
where
  1. the one-step errors of the forecast without it go with its surprises: the encompassing test of Harvey, Leybourne
     and Newbold (1998), with a bound that is stricter the more lags are tried and signals offered;
  2. adjusting the forecast by it, with coefficients known at each origin, has gained, or at least not lost.
Signals enter one by one, the strongest first, each judged on what those before it left unexplained.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from forecast.around import Around, planned_around
from forecast.candidates import Candidates, candidates_of
from forecast.engines.base import Evidence
from forecast.evidence import MEMORY, MIN_MEASURED, MIN_PAIRS, Sheet, Spread, Trial, sheet_of, spread, try_all
from forecast.origins import Origins
from forecast.surprise import LAGS, Surprises
from forecast.transform import FloatArray

MAX_ADMITTED = 4
_INTERVAL = 1.645  # standard errors on either side of a gain: 90 %
_NEAR = 0.6  # of its bound: where no other candidate comes so near, none is tried on what is left
_PERIODS_A_STEP = 12  # held surprises reach no further than a twelfth of the history
_TINY = 1e-300
_SHOWN = 0.1  # per cent: smaller losses are not told in figures

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Admitted:
    """What signals add to the forecast, and why.

    `adjustment` (steps, origins) is the sum of the adjustments that had been chosen at each origin, from what was known
    there; `now` has for each signal or group admitted at the last origin its adjustment (horizon,), `past` its part of
    `adjustment`; `evidence` is that of the last origin, one a signal offered and one a group admitted.
    """

    adjustment: FloatArray
    now: dict[str, FloatArray]
    past: dict[str, FloatArray]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class _Branch:
    """Blocks (mask) in which the same candidates have entered so far, and the errors (steps, origins) they leave."""

    errors: FloatArray
    blocks: BoolArray
    taken: tuple[int, ...]


class _Desk:
    """One request: collects adjustments and evidence while candidates enter."""

    def __init__(
        self, grid: Origins, surprises: Surprises, horizon: int, half_life: float, shape: tuple[int, ...]
    ) -> None:
        self.grid, self.surprises, self.horizon = grid, surprises, horizon
        self.half_life = MEMORY * half_life / grid.stride
        self.candidates: Candidates = candidates_of(surprises, horizon)
        self.adjustment = np.zeros(shape)
        self.now: dict[str, FloatArray] = {}
        self.past: dict[str, FloatArray] = {}
        self.evidence: dict[str, Evidence] = {}

    def enter(self, branch: _Branch) -> _Branch | None:
        """Let the strongest candidate enter at each origin of a branch.

        Returns where today's did, to go on from there; None where it is the last. Choices that do not hold today are
        not followed further.
        """
        nearest = sheet_of(branch.errors[:1], self.grid.delays[:1], self.half_life)
        trial = try_all(nearest, self.candidates)
        self.evidence |= _evidence(nearest, trial, self.candidates, branch.taken)
        choice = _strongest(trial, branch)
        if (choice < 0).all():
            return None
        sheet = sheet_of(branch.errors, self.grid.delays, self.half_life)
        for chosen in sorted(set(choice[choice >= 0].tolist())):
            spread_ = self._spread(sheet, trial, *divmod(chosen, len(LAGS)))
            part = np.where(self.candidates.blocks.each(choice == chosen), spread_.adjustment, 0.0)
            self.adjustment += part
            if chosen == choice[-1]:
                candidate, column = divmod(chosen, len(LAGS))
                name = self.candidates.names[candidate]
                self.now[name], self.past[name] = self._now(spread_, sheet, trial, candidate, column), part
                left = _Branch(branch.errors - spread_.adjustment, choice == chosen, (*branch.taken, candidate))
        return left if choice[-1] >= 0 and _others_near(trial, left) else None

    def _spread(self, sheet: Sheet, trial: Trial, candidate: int, column: int) -> Spread:
        steps = np.array(self.grid.steps)
        reach = int(self.candidates.reach[candidate, column])
        surprise = self._surprise(trial, candidate, column, steps, np.arange(self.grid.rows.size))
        usable = steps <= max(reach, self.grid.n // _PERIODS_A_STEP)
        nearest = self.candidates.blocks.each(trial.coefficient[candidate, column])
        return spread(sheet, surprise, nearest, steps <= reach, usable)

    def _surprise(
        self, trial: Trial, candidate: int, column: int, steps: npt.NDArray[np.int64], at: npt.NDArray[np.int64]
    ) -> FloatArray:
        """The candidate's surprise at each of `steps` and of the origins `at` (indices), (steps, origins).

        Beyond its news the newest surprise is held.
        """
        nearest = self.candidates.blocks.whole(trial.raw[candidate, column])[at]
        held = np.minimum(steps, self.candidates.reach[candidate, column])
        out = np.tile(nearest, (steps.size, 1))
        if held[-1] > 1:
            later = held > 1
            rows = self.grid.rows[at]
            out[later] = self.surprises.steps_ahead(candidate, LAGS[column], held[later], rows)
        return out

    def _now(self, chosen: Spread, sheet: Sheet, trial: Trial, candidate: int, column: int) -> FloatArray:
        """The adjustment at the last origin for every step, coefficients taken between the steps of the grid."""
        steps = np.arange(1, self.horizon + 1)
        surprise = self._surprise(trial, candidate, column, steps, np.array([self.grid.rows.size - 1]))[:, 0]
        between = np.log(steps), np.log(self.grid.steps)
        largest = np.interp(*between, sheet.largest[:, -1])
        return np.clip(np.interp(*between, chosen.coefficient[:, -1]) * surprise, -largest, largest)


def admit(errors: FloatArray, grid: Origins, surprises: Surprises, horizon: int, half_life: float) -> Admitted:
    """Judge all signals by the `errors` (steps, origins) of the forecast without them, at every origin.

    A planned signal that is admitted today may have moved the periods around it too: what it was a period later (sales
    that wait for it) and a period earlier (sales that it brought forward) are judged on what is left, beside the plan.
    `half_life` of the blend's memory is in periods.
    """
    found = _admitted(errors, grid, surprises, horizon, half_life)
    for around in planned_around(surprises, found.evidence, found.now, horizon):
        more = _around(errors - found.adjustment, grid, around, horizon, half_life)
        told = tuple(replace(e, members=(around.signal,)) for e in more.evidence if e.signal in more.now)
        found = Admitted(
            found.adjustment + more.adjustment, found.now | more.now, found.past | more.past, found.evidence + told
        )
    return found


def _around(errors: FloatArray, grid: Origins, around: Around, horizon: int, half_life: float) -> Admitted:
    """The neighbours of a plan that enter: those that do so apart from it.

    Where they would as they are, too, errors are adjusted by that: what they have in common with the plan makes up for
    how far its own coefficient was drawn to zero.
    """
    apart = _admitted(errors, grid, around.apart, horizon, half_life)
    whole = _admitted(errors, grid, around.whole.only(apart.now), horizon, half_life)
    return whole if whole.now.keys() == apart.now.keys() else apart


def _admitted(errors: FloatArray, grid: Origins, surprises: Surprises, horizon: int, half_life: float) -> Admitted:
    desk = _Desk(grid, surprises, horizon, half_life, errors.shape)
    branch: _Branch | None = None
    if surprises.names:
        branch = _Branch(errors, np.ones(desk.candidates.blocks.blocks, dtype=bool), ())
    while branch and len(desk.now) < MAX_ADMITTED:
        branch = desk.enter(branch)
    return Admitted(desk.adjustment, desk.now, desk.past, _told(desk))


def _others_near(trial: Trial, branch: _Branch) -> bool:
    """Whether any candidate that has not entered comes near its bound today."""
    nearest = trial.strength[..., -1].max(axis=1)
    nearest[list(branch.taken)] = 0.0
    return bool((nearest > _NEAR).any())


def _strongest(trial: Trial, branch: _Branch) -> npt.NDArray[np.int64]:
    """In each block of the branch the candidate and lag that may enter and is strongest, flattened; -1 for none."""
    passes = trial.passes
    passes[list(branch.taken)] = False
    flat = passes.reshape(-1, passes.shape[-1])
    at = np.flatnonzero(flat.any(axis=0) & branch.blocks)
    best = np.full(passes.shape[-1], -1)
    if at.size:
        strength = trial.strength.reshape(flat.shape)[:, at]
        best[at] = np.where(flat[:, at], strength, 0.0).argmax(axis=0)
    return best


def _evidence(sheet: Sheet, trial: Trial, candidates: Candidates, taken: tuple[int, ...]) -> dict[str, Evidence]:
    """Evidence of the last origin on every candidate that has not entered, at the lag where it may or nearly may."""
    passes, strength = trial.passes[..., -1], trial.strength[..., -1]
    best = np.where(passes.any(axis=1, keepdims=True) & ~passes, 0.0, strength).argmax(axis=1)
    each = np.arange(best.size)
    blocks = candidates.blocks
    used = blocks.each(trial.pairs[each, best] >= MIN_PAIRS) * sheet.seen[0]
    gains = _gains(sheet.error[0], blocks.whole(trial.adjustment[each, best]), used)
    measured = used.sum(axis=1)
    out = {}
    for i, column in enumerate(best.tolist()):
        if i not in taken:
            found = float(strength[i, column]), float(candidates.bounds[i, column])
            verdict = _verdict(candidates.names[i], bool(passes[i, column]), *found, int(measured[i]), gains[i])
            told = measured[i] >= MIN_MEASURED
            lag, lead = LAGS[column], int(candidates.reach[i, column])
            out[verdict.signal] = replace(verdict, lag=lag, lead=lead) if told else verdict
    return out


def _verdict(
    name: str, admitted: bool, strength: float, bound: float, measured: int, gains: tuple[float, float, float]
) -> Evidence:
    """One candidate's evidence in words and numbers."""
    if measured < MIN_MEASURED:
        reason = f"not enough history to tell: measured at {measured} past origins, needs {MIN_MEASURED}"
        return Evidence(name, False, reason)
    gain, low, high = gains
    evidence = f"(evidence {strength * bound:.1f}, needs {bound:.1f})"
    if admitted:
        reason = f"lowers the error out of sample by {gain:.1f} % {evidence}"
    elif gain < 0:
        size = f"{-gain:.1f} %" if gain <= -_SHOWN else f"less than {_SHOWN} %"
        reason = f"would have raised the error out of sample by {size}"
    else:
        reason = f"no clear evidence out of sample {'of late ' if strength > 1 else ''}{evidence}"
    return Evidence(name, admitted, reason, gain, (low, high))


def _gains(error: FloatArray, adjustment: FloatArray, used: FloatArray) -> list[tuple[float, float, float]]:
    """`100 (1 - MAE with / MAE without)` one step ahead over the past origins `used`, with its 90 % interval.

    Arrays are (candidates, origins); the interval is that of a ratio of means of independent errors.
    """
    without = np.abs(error) * used
    saved = without - np.abs(error - adjustment) * used
    base = np.maximum(without.sum(axis=1), _TINY)
    gain = saved.sum(axis=1) / base
    spread_ = np.sqrt(np.square(saved - gain[:, None] * without).sum(axis=1)) / base
    rows = 100 * np.stack([gain, gain - _INTERVAL * spread_, np.minimum(gain + _INTERVAL * spread_, 1.0)], axis=1)
    return [tuple(row) for row in rows.tolist()]


def _told(desk: _Desk) -> tuple[Evidence, ...]:
    """Evidence in the order of the signals offered, then of the groups that were admitted."""
    found = desk.evidence | {name: Evidence(name, False, reason) for name, reason in desk.surprises.refused.items()}
    if len(desk.now) == MAX_ADMITTED:
        found = {name: _crowded_out(e) if e.admitted and name not in desk.now else e for name, e in found.items()}
    members = {pool.name: tuple(desk.surprises.names[i] for i in pool.members) for pool in desk.candidates.pools}
    groups = [replace(found[name], members=members[name]) for name in desk.now if name in members]
    return (*(found[name] for name in desk.surprises.order), *groups)


def _crowded_out(evidence: Evidence) -> Evidence:
    return replace(evidence, admitted=False, reason=f"{MAX_ADMITTED} stronger signals are admitted already")
