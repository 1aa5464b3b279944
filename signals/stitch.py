"""One consistent series from several windows of an index that is drawn anew and scaled to 100 with every request.

A window j answers for bucket i with a whole number y[i, j] = round(factor[j] * (level[i] + sampling error)): 100 is
the window's own largest value, and each request draws another sample of all searches. Taking the sampled searches as
Poisson counts, the variance of a reading is

    factor[j]^2 * dispersion * level[i]  +  1 / 12

where the last term is the rounding. All levels and factors are estimated together from every overlap (a joint two-way
fit), never from single points, and a window that a spike has pressed into few whole numbers weighs little.

Sources: Eichenauer, Indergand, Martinez and Sax, "Obtaining consistent time series from Google Trends", Economic
Inquiry 60(2), 2022 (overlapping daily windows, averaged and bent to the weekly series); West, "Calibration of Google
Trends Time Series", CIKM 2020 (rounding is what limits an estimate, hence many wide overlaps); Denton, "Adjustment of
monthly or quarterly series to annual totals", JASA 66, 1971 (a smooth bend in place of steps).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ROUNDING = 1 / 12  # variance of what rounding to whole numbers takes away
HUBER = 2.5  # readings further off than so many standard deviations count less for a window's factor
FLOOR = 1e-6  # least level, relative to the mean, so that logarithms exist
START = 1e-2  # dispersion to begin with
STEPS, TOLERANCE = 200, 1e-9
SLIGHT = 1e-9
OUTLIER = 9.0  # squared deviations beyond it count as this
LEAST_WEEKS = 4  # to judge a bend by
DRIFTS = np.concatenate([[0.0], np.geomspace(1e-4, 10, 26)])  # variance of the bend's weekly step / of a week's error


@dataclass(frozen=True)
class Fit:
    """Levels and factors behind several windows.

    level: (n,) with mean 1, NaN where no window has a reading.
    factor: (k,) what a window made of a level of 1.
    dispersion: sampling variance of one reading of a level of 1; NaN where no bucket was read twice.
    error: (n,) standard deviation of log level; NaN where the dispersion is.
    """

    level: Array
    factor: Array
    dispersion: float
    error: Array

    @property
    def noise(self) -> float:
        """Standard deviation of the logarithm of a typical bucket in one window; NaN where it cannot be known."""
        typical = float(np.nanmedian(self.level))
        return float(np.sqrt(self.dispersion / typical)) if typical > 0 else np.nan


def fit_windows(readings: Array, dispersion: float = np.nan) -> Fit:
    """Estimate levels and factors from readings (n buckets, k windows), NaN where a window does not reach.

    `dispersion` holds where no bucket was read twice, so that it cannot be estimated. Raises ValueError where a window
    has no positive value or shares none with the others: its scale cannot be known.
    """
    read = np.isfinite(readings)
    y = np.where(read, readings, 0.0)
    _check(y)
    some, repeated = read.any(axis=1), bool((read.sum(axis=1) > 1).any())
    factor, spread = _first_factors(y, read), START if repeated else dispersion
    level = _levels(y, factor, read.astype(np.float64))
    for _ in range(STEPS):
        unit = level[some].mean()
        level, factor = level / unit, factor * unit
        weight = read / _variance(level, factor, spread)
        level = _levels(y, factor, weight)
        step = _factor_step(y, level, factor, weight)
        factor = factor * np.exp(step)
        spread = spread * _excess(y, level, factor, weight) if repeated else spread
        if np.abs(step).max() < TOLERANCE:
            break
    return _fit(level, factor, spread, read)


def _fit(level: Array, factor: Array, spread: float, read: Mask) -> Fit:
    some = read.any(axis=1)
    unit = level[some].mean()
    level, factor = level / unit, factor * unit
    information = (read * np.outer(level, factor) ** 2 / _variance(level, factor, spread)).sum(axis=1)
    error = 1 / np.sqrt(np.where(some, information, 1.0))
    return Fit(np.where(some, level, np.nan), factor, spread, np.where(some, error, np.nan))


def _check(y: Array) -> None:
    """Every window needs a positive value, and a chain of overlaps that leads to every other one."""
    if not len(y) or not (y > 0).any(axis=0).all():
        raise ValueError("a window holds no positive value, so that its scale cannot be known")
    positive = (y > 0).astype(np.float64)
    touching = positive.T @ positive > 0
    reached = touching[0]
    for _ in range(len(touching)):
        reached = touching[reached].any(axis=0)
    if not reached.all():
        raise ValueError("the windows do not overlap, so that they have no common scale")


def _first_factors(y: Array, read: Mask) -> Array:
    """Factors by ratios of sums, each window's from the known one that it shares most with."""
    shared = np.sqrt(y).T @ np.sqrt(y)
    factor = np.full(y.shape[1], np.nan)
    factor[0] = 1.0
    while np.isnan(factor).any():
        known = ~np.isnan(factor)
        open_pairs = np.where(known[:, None] & ~known, shared, -1.0)
        old, new = np.unravel_index(int(open_pairs.argmax()), shared.shape)
        both = read[:, old] & read[:, new]
        factor[new] = factor[old] * y[both, new].sum() / y[both, old].sum()
    return factor


def _variance(level: Array, factor: Array, dispersion: float) -> Array:
    sampling = 0.0 if np.isnan(dispersion) else dispersion
    return np.asarray(sampling * np.outer(level, factor**2) + ROUNDING)


def _levels(y: Array, factor: Array, weight: Array) -> Array:
    """The levels that fit best, given factors."""
    amount = (weight * factor**2).sum(axis=1)
    level = (weight * y * factor).sum(axis=1) / np.where(amount > 0, amount, 1.0)
    return np.asarray(np.maximum(level, FLOOR * level.mean()))


def _factor_step(y: Array, level: Array, factor: Array, weight: Array) -> Array:
    """A Gauss-Newton step of the log factors (k,), with the levels following along."""
    fitted = np.outer(level, factor)
    robust = weight * _huber((y - fitted) * np.sqrt(weight))
    information = robust * fitted**2
    of_level = information.sum(axis=1)
    shared = information / np.sqrt(np.where(of_level > 0, of_level, 1.0))[:, None]
    matrix = np.diag(information.sum(axis=0)) - shared.T @ shared
    gradient = (robust * fitted * (y - fitted)).sum(axis=0)
    matrix += information.sum() / len(factor) ** 2  # the overall level is free: this holds the mean step at 0
    return np.asarray(np.linalg.solve(matrix, gradient).clip(-1, 1))


def _huber(off: Array) -> Array:
    return np.asarray(HUBER / np.maximum(np.abs(off), HUBER))


def _excess(y: Array, level: Array, factor: Array, weight: Array) -> float:
    """Squared residuals of buckets read several times, in units of what their variances let expect."""
    amount = weight * factor**2
    total = amount.sum(axis=1, keepdims=True)
    kept = np.where(weight > 0, 1 - amount / np.where(total > 0, total, 1.0), 0.0)  # of its variance by a residual
    several = kept > SLIGHT
    squares = np.minimum((y - np.outer(level, factor)) ** 2 * weight / np.where(several, kept, 1.0), OUTLIER)
    freedom = kept.sum() - (len(factor) - 1)
    return float(np.clip((squares * kept)[several].sum() / max(freedom, 1.0), 0.1, 10.0))


def bend(fit: Fit, weekly: Fit, week: npt.NDArray[np.int64]) -> Fit:
    """The daily fit bent smoothly until its weeks agree with a weekly series, as far as both are exact.

    week: (n,) the place in `weekly` of each day, -1 where there is none. The bend's logarithm is a random walk over
    weeks, linear between their middles; how far it goes is estimated from how the two series differ (a local level
    model by maximum likelihood), so that a coarse weekly series does not spoil a good daily one.
    """
    whole, gap, variance = _gaps(fit, weekly, week)
    if len(whole) < LEAST_WEEKS:
        return fit
    smooth = _local_level(whole, gap, variance)
    middles = np.array([np.flatnonzero(week == one).mean() for one in whole])
    level = fit.level * np.exp(np.interp(np.arange(len(week)), middles, smooth))
    unit = float(np.nanmean(level))
    return replace(fit, level=level / unit, factor=fit.factor * unit)


def _gaps(fit: Fit, weekly: Fit, week: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Array, Array]:
    """Weeks with all their days, the logarithm of weekly level / mean daily level, and its variance."""
    used = (week >= 0) & np.isfinite(fit.level)
    size = len(weekly.level)
    days = np.bincount(week[used], minlength=size)
    mean = np.bincount(week[used], fit.level[used], size) / np.maximum(days, 1)
    of_mean = np.bincount(week[used], (fit.level * fit.error)[used] ** 2, size) / np.maximum(days, 1) ** 2
    whole = np.flatnonzero((days == 7) & (weekly.level > SLIGHT) & (mean > SLIGHT))
    variance = weekly.error[whole] ** 2 + of_mean[whole] / mean[whole] ** 2
    return whole, np.log(weekly.level[whole] / mean[whole]), variance


def _local_level(place: npt.NDArray[np.int64], gap: Array, variance: Array) -> Array:
    """The random walk behind noisy values: its smoothed values at the same places."""
    walk = np.minimum(place[:, None], place).astype(np.float64) - place[0]
    noise = np.diag(variance / variance.mean())
    best, smooth = -np.inf, np.full(len(gap), gap.mean())
    for drift in DRIFTS:
        likelihood, values = _likelihood(noise, drift * walk, gap)
        if likelihood > best:
            best, smooth = likelihood, values
    return smooth


def _likelihood(noise: Array, walk: Array, gap: Array) -> tuple[float, Array]:
    """Restricted log likelihood with scale and starting value estimated, and the smoothed values."""
    total = noise + walk
    inverse = np.linalg.inv(total)
    weight = inverse.sum()
    mean = float(inverse.sum(axis=0) @ gap / weight)
    off = gap - mean
    pull = inverse @ off
    freedom = len(gap) - 1
    likelihood = -0.5 * (freedom * np.log(off @ pull) + np.linalg.slogdet(total)[1] + np.log(weight))
    return float(likelihood), np.asarray(mean + walk @ pull)
