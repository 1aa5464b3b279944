"""Ways to make forecasts of all levels add up: from values of all nodes (nodes, ...) to coherent ones."""

from __future__ import annotations

from typing import Literal

import numpy as np

from forecast.transform import FloatArray
from forecast.tree import Tree

Method = Literal["wls", "mint", "bottom_up", "top_down"]
METHODS: tuple[Method, ...] = ("wls", "mint", "bottom_up", "top_down")
LEAST_ERRORS = 24  # before variances are made of them
_LEAST = 1e-8  # of the largest variance: a node that never errs would be trusted without end


def coherent(tree: Tree, method: Method, values: FloatArray, errors: FloatArray) -> FloatArray:
    """Values (nodes, periods) that add up; bottom-up where a method learns from errors and there are too few."""
    if method == "top_down":
        return top_down(tree, values)
    if method == "bottom_up" or errors.shape[1] < LEAST_ERRORS:
        return bottom_up(tree, values)
    moments = shrunk_covariance(errors) if method == "mint" else np.diag(np.square(_sizes(errors)))
    return np.asarray(least_variance(tree, moments) @ values)


def bottom_up(tree: Tree, values: FloatArray) -> FloatArray:
    """Leaves stay as they are, and are summed."""
    return tree.sums(values[len(tree.inner) :])


def top_down(tree: Tree, values: FloatArray) -> FloatArray:
    """Roots stay as they are; each parent is split as the children's own forecasts are.

    Forecast proportions (Athanasopoulos, Ahmed and Hyndman 2009); in equal parts where all of these are zero.
    """
    out = values.copy()
    for i, name in enumerate(tree.inner):
        children = [j for j, child in enumerate(tree.names) if tree.parent.get(child) == name]
        total = values[children].sum(axis=0)
        share = np.where(total > 0, values[children] / np.where(total > 0, total, 1.0), 1 / len(children))
        out[children] = out[i] * share
    return out


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
    size = np.sqrt(np.mean(np.square(errors), axis=1))
    return np.asarray(np.maximum(size, np.sqrt(_LEAST) * max(float(size.max()), 1e-12)))
