"""Ways to make forecasts of all levels add up: from values of all nodes (nodes, ...) to coherent ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from forecast.season import BoolArray
from forecast.transform import FloatArray
from forecast.tree import Tree

Method = Literal["wls", "mint", "bottom_up", "top_down"]
METHODS: tuple[Method, ...] = ("wls", "mint", "bottom_up", "top_down")
LEARNING = ("wls", "mint")
LEAST_ERRORS = 24  # before variances are made of them
_LEAST = 1e-8  # of the largest variance: a node that never errs would be trusted without end


def coherent(
    tree: Tree, method: Method, values: FloatArray, moments: FloatArray | None, known: FloatArray | None = None
) -> FloatArray:
    """Values (nodes, periods) that add up; bottom-up where a method learns from errors and there are too few.

    `moments` (nodes, nodes) are second moments of errors, see `moments_of`. `known` (leaves, periods) are values that
    are no forecasts any more, NaN elsewhere: they stay as they are, and only the rest is made to add up.
    """
    if known is None or np.isnan(known).all():
        return _adding_up(tree, method, values, moments, np.zeros(len(tree.leaves), dtype=bool))
    out = np.empty_like(values)
    patterns, which = np.unique(np.isfinite(known), axis=1, return_inverse=True)
    for number, fixed in enumerate(patterns.T):
        at = np.flatnonzero(which.ravel() == number)
        sold = tree.sums(np.where(fixed[:, None], known[:, at], 0.0))
        rest = values[:, at] - sold
        rest[len(tree.inner) :][fixed] = 0.0
        out[:, at] = sold + _adding_up(tree, method, rest, moments, fixed)
    return out


def _adding_up(
    tree: Tree, method: Method, values: FloatArray, moments: FloatArray | None, fixed: BoolArray
) -> FloatArray:
    """As `coherent`; leaves that are `fixed`, at zero, do not move."""
    if method == "top_down":
        return top_down(tree, values, fixed)
    if method == "bottom_up" or moments is None:
        return bottom_up(tree, values)
    free = np.append(np.ones(len(tree.inner), dtype=bool), ~fixed)
    return np.asarray(least_variance(tree, np.where(free[:, None] & free, moments, 0.0)) @ values)


def moments_of(method: Method, errors: FloatArray, apart: Mapping[int, float]) -> FloatArray | None:
    """Second moments (nodes, nodes) of errors (nodes, observations) as a method takes them; None from too few.

    `apart` has the size of the errors of nodes, by number, whose errors are not among these.
    """
    if method not in LEARNING or (errors.shape[1] < LEAST_ERRORS and len(apart) < len(errors)):
        return None
    own = np.array([apart.get(i, np.nan) for i in range(len(errors))])
    if np.isfinite(own).all():
        return np.diag(np.square(_floored(own)))
    size = np.where(np.isfinite(own), own, np.sqrt(np.mean(np.square(errors), axis=1)))
    if method == "wls":
        return np.diag(np.square(_floored(size)))
    joined = shrunk_covariance(errors)
    for i in apart:
        joined[i] = joined[:, i] = 0.0
    return np.asarray(joined + np.diag(np.where(np.isfinite(own), np.square(_floored(size)), 0.0)))


def bottom_up(tree: Tree, values: FloatArray) -> FloatArray:
    """Leaves stay as they are, and are summed."""
    return tree.sums(values[len(tree.inner) :])


def top_down(tree: Tree, values: FloatArray, fixed: BoolArray | None = None) -> FloatArray:
    """Roots stay as they are; what is missing from each parent is shared out by the size of the children's forecasts.

    Without negative values these are the forecast proportions of Athanasopoulos, Ahmed and Hyndman 2009; in equal parts
    where all forecasts are zero. Leaves that are `fixed` at zero get nothing.
    """
    out = values.copy()
    free = tree.below @ (np.ones(len(tree.leaves)) if fixed is None else ~fixed)
    open_ = np.append(free > 0, np.ones(len(tree.leaves), dtype=bool) if fixed is None else ~fixed)
    for i, name in enumerate(tree.inner):
        children = [j for j, child in enumerate(tree.names) if tree.parent.get(child) == name and open_[j]]
        if not children:
            continue
        size = np.abs(values[children]).sum(axis=0)
        share = np.where(size > 0, np.abs(values[children]) / np.where(size > 0, size, 1.0), 1 / len(children))
        out[children] = values[children] + share * (out[i] - values[children].sum(axis=0))
    return tree.sums(out[len(tree.inner) :])


def least_variance(tree: Tree, moments: FloatArray) -> FloatArray:
    """The matrix (nodes, nodes) to the coherent forecasts of least error variance, from second moments of errors.

    Minimum trace reconciliation (Wickramasuriya, Athanasopoulos and Hyndman 2019; with variances alone, weighted least
    squares: Hyndman, Lee and Wang 2016). Solved for the constraints, of which there are as many as inner nodes.
    """
    gaps = np.hstack([np.eye(len(tree.inner)), -tree.below])  # zero for coherent forecasts
    return np.asarray(np.eye(len(tree.names)) - moments @ gaps.T @ np.linalg.solve(gaps @ moments @ gaps.T, gaps))


def shrunk_covariance(errors: FloatArray) -> FloatArray:
    """Second moments of errors (nodes, observations); correlations drawn to none as far as they are unsure.

    Schäfer and Strimmer 2005.
    """
    count, size = errors.shape[1], _sizes(errors)
    scaled = errors / size[:, None]
    product = scaled @ scaled.T
    correlation = product / count
    unsure = (np.square(scaled) @ np.square(scaled).T - np.square(product) / count) / (count * max(count - 1, 1))
    apart = ~np.eye(len(errors), dtype=bool)
    strength = float(np.square(correlation[apart]).sum())
    drawn = min(1.0, max(0.0, float(unsure[apart].sum()) / strength)) if strength > 0 else 1.0
    correlation = np.where(apart, (1 - drawn) * correlation, 1.0)
    return np.asarray(correlation * np.outer(size, size))


def _sizes(errors: FloatArray) -> FloatArray:
    return _floored(np.sqrt(np.mean(np.square(errors), axis=1)))


def _floored(size: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(size, np.sqrt(_LEAST) * max(float(size.max()), 1e-12)))
