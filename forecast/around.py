"""The periods around a planned signal: a promotion is also felt the week before it and the week after.

The signal a period earlier and a period later are signals of their own, of which a planned one has the values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecast.engines.base import Evidence
from forecast.regressors import Regressor
from forecast.surprise import Surprises, surprises
from forecast.transform import FloatArray

BEFORE, AFTER = "(before)", "(after)"


@dataclass(frozen=True)
class Around:
    """The neighbours of one planned `signal`, as they are, and `apart` from what goes with the signal itself.

    A plan that lasts some periods, or comes at the same time each year, is like its neighbours: what the forecast had
    not learnt of it at past origins speaks for them, too.
    """

    signal: str
    whole: Surprises
    apart: Surprises


def planned_around(
    found: Surprises, evidence: Sequence[Evidence], admitted: Collection[str], horizon: int
) -> Iterator[Around]:
    """The neighbours of each admitted signal that is planned."""
    lags = {e.signal: e.lag or 0 for e in evidence}
    for i, name in enumerate(found.names):
        if name in admitted and name in found.planned:
            shifts = {name: lags[name]}
            shifts |= {_free(f"{name} {side}", found): lags[name] + by for side, by in ((BEFORE, -1), (AFTER, 1))}
            laid = [_neighbour(label, found.z[i], by) for label, by in shifts.items()]
            three = replace(surprises(laid, found.filter, found.grid, horizon), only_now=True)
            yield Around(name, three.only([label for label in shifts if label != name]), three.beside(name))


def _neighbour(name: str, z: FloatArray, lag: int) -> Regressor:
    """The signal `lag` periods before each period (after it where negative)."""
    at = np.arange(z.size) - lag
    x = np.where((at >= 0) & (at < z.size), z[np.clip(at, 0, z.size - 1)], np.nan)
    return Regressor(name, x, int(np.flatnonzero(np.isfinite(x))[-1]), future_known=True)


def _free(name: str, found: Surprises) -> str:
    """A name that no signal of the request has."""
    while name in found.order:
        name += "*"
    return name
