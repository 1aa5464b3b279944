"""Engines in sales units: effects add there, where the working scale multiplies them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from forecast.engines.base import Engine, Path, Problem
from forecast.engines.direct import Direct
from forecast.engines.fast import Fast
from forecast.transform import IDENTITY, FloatArray

_LEAST = 0.05  # of the smallest sale: a forecast below it has no logarithm worth having
_SMALL = 1e-12


class InUnits(Engine):
    """Another engine on the sales themselves; its terms are told on the working scale, and add up there.

    On a history that can be negative the working scale is that of sales, and the two engines are one.
    """

    uses_signals = False
    damps_trend = True
    kind: ClassVar[type[Engine]]

    def predict(self, problem: Problem) -> Path:
        """The terms of the other engine."""
        problem = replace(problem, regressors=())
        if not problem.transform.log:
            return Path(self.kind().predict(problem).terms)
        sales = np.exp(problem.z)
        least = problem.transform.offset or _LEAST * float(sales.min())
        path = self.kind().predict(replace(problem, z=sales, transform=IDENTITY))
        return Path(logarithmic(path.terms, least))


def logarithmic(terms: Mapping[str, FloatArray], least: float) -> dict[str, FloatArray]:
    """Terms (horizon,) that add up to the logarithm of the sum of `terms`, `least` or more, by LMDI (Ang 2004)."""
    move = np.sum([term for name, term in terms.items() if name != "level"], axis=0)
    start = np.log(np.maximum(terms["level"], least))
    whole = np.log(np.maximum(terms["level"] + move, least))
    still = np.abs(move) < _SMALL
    rate = np.where(still, np.exp(-start), (whole - start) / np.where(still, 1.0, move))
    return {name: start if name == "level" else rate * term for name, term in terms.items()}


class Additive(InUnits):
    """The fast engine in sales units: a season of so many pieces, not of so many per cent."""

    name = "additive"
    summary = "the fast engine in sales units: trend and season add instead of multiplying"
    kind = Fast
    leads = True
    backtest_origins = 26


class DirectAdditive(InUnits):
    """Direct regression in sales units."""

    name = "direct_additive"
    summary = "the engine direct in sales units: moves add instead of multiplying"
    kind = Direct
    min_periods = Direct.min_periods
    backtest_origins = Direct.backtest_origins
