"""An event in one plain sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecast.events import LEVEL_SHIFT, ONE_OFF, OUTLIER, STOCK_OUT, periods_named
from forecast.words import amount, digits_for, number, period_noun

if TYPE_CHECKING:
    from forecast.proposals import Proposal

_GUESS = {OUTLIER: "an outlier", ONE_OFF: "a one-off event"}


def sentence_of(found: Proposal, expected: float, frequency: str, unit: str | None) -> str:
    """What a proposal is, in a sentence for a person; `expected` is what would have been sold in its periods."""
    digits = digits_for([expected])
    pct = "" if found.size_pct is None else f" ({number(found.size_pct, sign=True)} %)"
    span = periods_named(np.datetime64(found.first), np.datetime64(found.last), frequency)
    if found.kind == LEVEL_SHIFT:
        noun = period_noun(frequency)
        moved = "rose" if found.size > 0 else "fell"
        change = amount(abs(found.size), unit, digits)
        return f"From {span} on sales {moved} by about {change} a {noun}{pct} and stayed there: a level shift?"
    sold = number(expected + found.size, digits)
    if found.kind == STOCK_OUT:
        return f"In {span} {sold} sold where about {amount(expected, unit, digits)} would be usual: a stock-out?"
    than = "more" if found.size > 0 else "less"
    change = amount(abs(found.size), unit, digits)
    return f"In {span} sales were {change}{pct} {than} than would be usual: {_GUESS[found.kind]}?"
