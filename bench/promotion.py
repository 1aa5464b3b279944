"""How soon a better challenger is promoted, and how often one that is not: `python -m bench.promotion`.

Losses of made categories as in bench/drift_records.py, champion and challenger in the place of champion and reference:
of one series, whose loss is left to chance, of ten and of sixty. Each week's score is looked at as it
comes, for two years. Thresholds were chosen on seed 0; seed 1, the default, confirms them.
"""

from __future__ import annotations

import argparse

import numpy as np
from statsmodels.tsa.stattools import diebold_mariano_test

from bench.arguments import whole_number
from bench.drift_records import World, errors, lasting, sizes
from bench.machine import machine
from forecast.promotion import Shadowed, shadow_gate

WEEKS = 104
FIRST_LOOK = 20  # of the p-value
KINDS = {"1 series": 1, "10 series": 10, "60 series": 60}
GAINS = (0.0, 0.03, 0.05, 0.10, -0.05, -0.10)
WANDER = 0.03  # standard deviation of the challenger's standing, half-life four months
Losses = tuple[np.ndarray, np.ndarray]


def losses(rng: np.random.Generator, members: int, gain: float, wander: float = 0.0, lead: int = 1) -> Losses:
    """Weekly losses of champion and challenger, (104,) each, whose errors last for `lead` weeks."""
    world = World(members=members, years=3, pandemic=True)
    size, both = sizes(rng, world), errors(rng, world)
    window = np.ones(lead) / np.sqrt(lead)
    pair = [np.apply_along_axis(np.convolve, 0, e, window, "same") for e in both]
    a, b = (size * np.abs(e).mean(axis=1) for e in pair)
    standing = np.exp(wander * lasting(rng.normal(size=size.size), 0.5 ** (1 / 17)))
    return a[-WEEKS:], ((1 - gain) * standing * b)[-WEEKS:]


def peeked(champion: np.ndarray, challenger: np.ndarray) -> bool:
    """Would a p-value that is looked at every week have promoted?"""
    for n in range(FIRST_LOOK, champion.size + 1):
        test = diebold_mariano_test(
            np.zeros(n), champion[:n], challenger[:n], criterion=lambda _, loss: loss, harvey_adj=True
        )
        if test.pvalue < 0.10 and challenger[:n].sum() < champion[:n].sum():  # one-sided 5 %
            return True
    return False


def line(results: list[Shadowed]) -> str:
    """Shares promoted and rejected, and the median week of it."""
    shares = []
    for decision in ("promote", "reject"):
        weeks = [one.decided + 1 for one in results if one.decision == decision and one.decided is not None]
        week = f"week {np.median(weeks):4.0f}" if weeks else "         "
        shares.append(f"{decision} {100 * len(weeks) / len(results):5.1f} % {week}")
    return ", ".join(shares)


def shadowed(seed: int, count: int, kind: str, gain: float, wander: float = 0.0, lead: int = 1) -> list[Shadowed]:
    """What gate 2 decides in each repeat."""
    pairs = (losses(np.random.default_rng([seed, i]), KINDS[kind], gain, wander, lead) for i in range(count))
    return [shadow_gate(a, b, lead) for a, b in pairs]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=whole_number, default=600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{machine()}; {options.count} repeats of {WEEKS} weeks, seed {options.seed}")
    for kind in KINDS:
        for gain in GAINS:
            results = shadowed(options.seed, options.count, kind, gain)
            print(f"  {kind:10} gain {100 * gain:+4.0f} %           {line(results)}")
        wandering = shadowed(options.seed, options.count, kind, 0.0, WANDER)
        print(f"  {kind:10} gain   0 %, wandering  {line(wandering)}")
        for gain in (0.0, 0.10):
            later = shadowed(options.seed, options.count, kind, gain, lead=4)
            print(f"  {kind:10} gain {100 * gain:+4.0f} %, lead 4     {line(later)}")
        few = max(options.count // 4, 1)
        pairs = [losses(np.random.default_rng([options.seed, i]), KINDS[kind], 0.0) for i in range(few)]
        wrong = 100 * np.mean([peeked(a, b) for a, b in pairs])
        print(
            f"  {kind:10} gain   0 %, p-value looked at every week: promoted {wrong:5.1f} % ({few} repeats)", flush=True
        )


if __name__ == "__main__":
    main()
