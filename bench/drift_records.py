"""Made records of a category's forecasts: shocks that last, heavy tails, holidays, a pandemic; and what goes wrong.

A category has `members` series that are scored each period; the more there are, the less its loss is left to chance.
Champion and reference err alike (correlation 0.8), by 8 % and 10 % of sales. Errors follow Student's t with four
degrees of freedom, three tenths of their variance is common to all members and lasts (first-order autocorrelation 0.5),
their size wanders (standard deviation 25 %) and is twice as large in the last tenth of each year. The reference's
standing wanders too (5 %, half-life four months), and each category has holidays in which it is better or worse (10 %).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast import frequency as freq
from forecast.drift import Record, Signal

ALIKE, COMMON, TAIL = 0.8, 0.3, 4
CHAMPION, REFERENCE = 0.08, 0.10  # of sales
INSIDE = 1.1  # typical errors: about 80 % of them are smaller
BEGIN = {"D": "2021-01-04", "W-SUN": "2021-01-10", "MS": "2015-01-01", "QS": "1990-01-01"}
RAMP = 0.25  # of a year


@dataclass(frozen=True)
class World:
    """One kind of record: `change` is what goes wrong by `size` (0.3 for 30 %) from the period `at` on."""

    members: int = 60
    frequency: str = "W-SUN"
    years: int = 4
    wander: float = 0.05
    holidays: float = 0.10
    pandemic: bool = False
    sells_rarely: bool = False
    change: str | None = None
    size: float = 0.0
    at: int = 0

    @property
    def year(self) -> int:
        """Periods in a year."""
        return round(freq.season_lengths(self.frequency)[-1])

    @property
    def periods(self) -> int:
        """Periods of a record."""
        return self.years * self.year


def lasting(innovations: np.ndarray, rho: float) -> np.ndarray:
    """A first-order autoregression (n,) of unit variance from innovations of unit variance."""
    x = innovations.copy()
    for i in range(1, x.size):
        x[i] = rho * x[i - 1] + np.sqrt(1 - rho**2) * innovations[i]
    return x


def heavy(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Student's t of unit variance."""
    return np.asarray(rng.standard_t(TAIL, shape) / np.sqrt(TAIL / (TAIL - 2)))


def made(rng: np.random.Generator, world: World) -> Record:
    """One record of three more years of sales than of scores."""
    n, year = world.periods, world.year
    late = np.maximum(np.arange(n) - world.at, 0) if world.change else np.zeros(n)
    changed = (np.arange(n) >= world.at) & (world.change is not None)
    sales = _sales(rng, world)
    size = sales[-n:] * sizes(rng, world)
    champion, reference = errors(rng, world)
    reference = reference * np.exp(world.wander * lasting(rng.normal(size=n), 0.5 ** (3 / year)))[:, None]
    factor = np.exp(world.holidays * rng.normal() * _is_holiday(world))
    if world.change in ("loss", "slow loss"):
        reach = np.ones(n) if world.change == "loss" else np.minimum(late / (RAMP * year), 1)
        factor = factor * (1 + world.size * reach * changed)
    bias = world.size / CHAMPION * changed if world.change == "bias" else np.zeros(n)
    narrow = 1 - world.size * changed if world.change == "intervals" else np.ones(n)
    e = CHAMPION * (champion * factor[:, None] + bias[:, None])
    return Record(
        ds=freq.consecutive(np.datetime64(BEGIN[world.frequency], "D"), n, world.frequency),
        frequency=world.frequency,
        loss=size * np.abs(e).mean(axis=1),
        reference=size * REFERENCE * np.abs(reference).mean(axis=1),
        error=size * e.mean(axis=1),
        inside=(np.abs(e) < CHAMPION * INSIDE * narrow[:, None] * _width(size, sales[-n:])[:, None]).mean(axis=1),
        sales=sales,
        signals=(_signal(rng, world, changed),),
    )


def _is_holiday(world: World) -> np.ndarray:
    place = (np.arange(world.periods) % world.year) / world.year
    return np.asarray(place >= 0.9)


def sizes(rng: np.random.Generator, world: World) -> np.ndarray:
    """How large errors are against the usual, (n,); in a pandemic four times as large for a quarter of a year."""
    n = world.periods
    size = np.exp(0.25 * lasting(rng.normal(size=n), 0.5 ** (16 / world.year))) * np.where(_is_holiday(world), 2, 1)
    if world.pandemic:
        begin = rng.integers(world.year, n - world.year)
        size[begin : begin + world.year // 4] *= 4
    return np.asarray(size)


def _width(size: np.ndarray, sales: np.ndarray) -> np.ndarray:
    """Intervals follow the size of recent errors, one period late, (n,)."""
    share = size / sales
    return np.asarray(np.r_[share[0], share[:-1]] / share)


def errors(rng: np.random.Generator, world: World) -> tuple[np.ndarray, np.ndarray]:
    """Unit errors of champion and reference, each (n, members); zero where nothing is sold of what sells rarely."""
    n, members = world.periods, world.members
    common = lasting(heavy(rng, n), 0.5)[:, None]
    shared = np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * heavy(rng, n, members)
    both = [ALIKE * shared + np.sqrt(1 - ALIKE**2) * heavy(rng, n, members) for _ in range(2)]
    sold = rng.uniform(size=(n, members)) < (0.3 if world.sells_rarely else 1.0)
    return both[0] * sold, both[1] * sold


def _sales(rng: np.random.Generator, world: World) -> np.ndarray:
    """Sales of all years and three more before, (m,): a season, a wandering level, and noise."""
    m = world.periods + 3 * world.year
    place = np.arange(m, dtype=float)
    if world.change == "season":
        place -= world.size * (np.arange(m) >= 3 * world.year + world.at)
    angle = 2 * np.pi * place / freq.season_lengths(world.frequency)[-1]
    season = 0.25 * np.sin(angle) + 0.15 * np.cos(2 * angle)
    level = np.cumsum(0.15 / np.sqrt(world.year) * rng.normal(size=m))
    return np.asarray(1000 * np.exp(season + level + 0.06 * heavy(rng, m)))


def _signal(rng: np.random.Generator, world: World, changed: np.ndarray) -> Signal:
    """A signal that wanders about its mean and has a season of its own, whole numbers as a count of searches has."""
    n = world.periods
    x = 40 + 8 * np.sin(2 * np.pi * np.arange(n) / world.year) + 6 * lasting(heavy(rng, n), 0.8)
    if world.change == "signal scale":
        x = np.where(changed, x * world.size, x)
    x = np.round(np.maximum(x, 0))
    if world.change == "signal":
        x[changed] = np.nan if world.size else x[world.at]
    return Signal("search/boots", x, np.full(n, 2.0))
