"""Columns of a caller's frame as arrays: one clear error for what cannot be read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.errors import ForecastError
from forecast.transform import FloatArray

Refusal = type[ForecastError]


def require(frame: pd.DataFrame, names: tuple[str, ...], field: str, error: Refusal) -> None:
    """Refuse a frame that lacks a column or has one of these twice."""
    columns = list(frame.columns)
    missing = [name for name in names if name not in columns]
    if missing:
        raise error(field, f"columns {columns}", f"columns {', '.join(names)} ({', '.join(missing)} missing)")
    twice = [name for name in (*names, "known_at") if columns.count(name) > 1]
    if twice:
        raise error(field, f"column {twice[0]} twice", "each column once")


def numbers(column: pd.Series, field: str, error: Refusal) -> FloatArray:
    """Floats, NaN where unknown; refuses what is not a finite number, booleans and dates among them."""
    if pd.api.types.is_bool_dtype(column.dtype) or not _numeric(column):
        raise error(field, f"{column.dtype} values", "numbers, NaN where unknown")
    try:
        values = column.to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError) as problem:
        raise error(field, str(problem), "numbers, NaN where unknown") from problem
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise error(field, f"infinity in row {row}", "finite numbers, NaN where unknown")
    if (np.abs(values) > LARGEST).any():
        row = int((np.abs(np.nan_to_num(values)) > LARGEST).argmax())
        raise error(field, f"{values[row]:g} in row {row}", f"numbers up to {LARGEST:g}")
    return values


LARGEST = 1e100  # sums and squares of larger numbers leave the range of floats


def _numeric(column: pd.Series) -> bool:
    return pd.api.types.is_object_dtype(column.dtype) or (
        pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype)
    )


def flags(column: pd.Series, field: str, error: Refusal) -> np.ndarray:
    """Booleans; unknown is False."""
    if not pd.api.types.is_bool_dtype(column.dtype) and not set(column.dropna()) <= {True, False}:
        raise error(field, f"{column.dtype} values", "true or false")
    return column.to_numpy(dtype=bool, na_value=False)


def days(column: pd.Series, field: str, error: Refusal) -> np.ndarray:
    """Local dates: a time zone is dropped, not converted, as a day is a day where it was sold."""
    return _dates(column, field, error, utc=False).to_numpy().astype("datetime64[D]")


def moments(column: pd.Series, field: str, error: Refusal) -> np.ndarray:
    """Moments in UTC, without time zone."""
    return _dates(column, field, error, utc=True).to_numpy().astype("datetime64[us]")


def _dates(column: pd.Series, field: str, error: Refusal, *, utc: bool) -> pd.Series:
    try:
        parsed = pd.to_datetime(column)
    except (ValueError, TypeError, OverflowError) as problem:
        raise error(field, str(problem).split("\n")[0], "dates") from problem
    if not pd.api.types.is_datetime64_any_dtype(parsed.dtype):
        raise error(field, f"{parsed.dtype} values", "dates, all of one time zone or of none")
    if parsed.isna().any():
        raise error(field, f"no date in row {int(parsed.isna().to_numpy().argmax())}", "a date in every row")
    if parsed.dt.tz is not None:
        parsed = (parsed.dt.tz_convert("UTC") if utc else parsed).dt.tz_localize(None)
    return parsed
