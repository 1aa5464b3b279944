"""Measures of error. All take arrays of actuals and forecasts of one shape and skip pairs in which either is NaN."""

from __future__ import annotations

import numpy as np

from forecast.transform import FloatArray


def wape(actual: FloatArray, predicted: FloatArray) -> float | None:
    """Weighted absolute percentage error, `sum |y - f| / sum |y|`; None where all actuals are zero."""
    a, f = _paired(actual, predicted)
    size = float(np.abs(a).sum())
    return float(np.abs(a - f).sum()) / size if size > 0 else None


def mase(actual: FloatArray, predicted: FloatArray, scale: float) -> float | None:
    """Mean absolute scaled error (Hyndman and Koehler 2006); None where the scale is zero or nothing is scored."""
    a, f = _paired(actual, predicted)
    return float(np.abs(a - f).mean()) / scale if a.size and scale > 0 else None


def bias_pct(actual: FloatArray, predicted: FloatArray) -> float | None:
    """`100 sum (f - y) / sum |y|`: positive where forecasts are too high."""
    a, f = _paired(actual, predicted)
    size = float(np.abs(a).sum())
    return 100 * float((f - a).sum()) / size if size > 0 else None


def change_pct(actual: FloatArray, predicted: FloatArray, reference: FloatArray) -> float | None:
    """`100 (MAE / MAE of the reference - 1)`: negative where the forecasts are better."""
    both = np.isfinite(actual) & np.isfinite(predicted) & np.isfinite(reference)
    base = float(np.abs(actual - reference)[both].sum())
    return 100 * (float(np.abs(actual - predicted)[both].sum()) / base - 1) if base > 0 else None


def coverage(actual: FloatArray, low: FloatArray, high: FloatArray) -> float | None:
    """Share of actuals inside `[low, high]`; None where nothing can be scored."""
    scored = np.isfinite(actual) & np.isfinite(low) & np.isfinite(high)
    inside = (actual >= low) & (actual <= high)
    return float(inside[scored].mean()) if scored.any() else None


def seasonal_scale(y: FloatArray, season: int) -> float:
    """In-sample mean absolute error of the seasonal naive forecast; of the naive one within the first season."""
    lag = season if y.size > season else 1
    with np.errstate(invalid="ignore"):
        steps = np.abs(y[lag:] - y[:-lag])
    return float(np.nanmean(steps)) if np.isfinite(steps).any() else 0.0


def _paired(actual: FloatArray, predicted: FloatArray) -> tuple[FloatArray, FloatArray]:
    both = np.isfinite(actual) & np.isfinite(predicted)
    return actual[both], predicted[both]
