"""Columns of a caller's frame as arrays: one clear error for what cannot be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from forecast.errors import ForecastError
from forecast.frequency import Days, IntArray
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
    if not _numeric(column.dtype):
        raise error(field, f"{column.dtype} values", "numbers, NaN where unknown")
    try:
        values = column.to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError) as problem:
        raise error(field, str(problem), "numbers, NaN where unknown") from problem
    refuse_too_large(values, field, error)
    return values


LARGEST = 1e100  # sums and squares of larger numbers leave the range of floats


def refuse_too_large(values: FloatArray, field: str, error: Refusal) -> None:
    """Refuse infinity and what is beyond `LARGEST`."""
    if (np.abs(values) > LARGEST).any():
        raise _too_large(values, field, error)


def _too_large(values: FloatArray, field: str, error: Refusal) -> ForecastError:
    infinite = np.isinf(values)
    if infinite.any():
        return error(field, f"infinity in row {int(infinite.argmax())}", "finite numbers, NaN where unknown")
    row = int((np.abs(values) > LARGEST).argmax())
    return error(field, f"{values[row]:g} in row {row}", f"numbers up to {LARGEST:g}")


def _numeric(dtype: Any) -> bool:
    if dtype.kind in "iuf":
        return True
    kinds = pd.api.types
    other = kinds.is_numeric_dtype(dtype) and not kinds.is_bool_dtype(dtype) and not kinds.is_complex_dtype(dtype)
    return kinds.is_object_dtype(dtype) or other


def flags(column: pd.Series, field: str, error: Refusal) -> np.ndarray:
    """Booleans; unknown is False."""
    if not pd.api.types.is_bool_dtype(column.dtype) and not set(column.dropna()) <= {True, False}:
        raise error(field, f"{column.dtype} values", "true or false")
    return column.to_numpy(dtype=bool, na_value=False)


def days(column: pd.Series, field: str, error: Refusal) -> Days:
    """Local dates: a time zone is dropped, not converted, as a day is a day where it was sold."""
    parsed = _dates(column, field, error)
    if isinstance(parsed.dtype, pd.DatetimeTZDtype):
        parsed = parsed.dt.tz_localize(None)
    return _filled(parsed, field, error).astype("datetime64[D]")


def moments(column: pd.Series, field: str, error: Refusal) -> np.ndarray:
    """Moments in UTC, without time zone."""
    return _filled(_dates(column, field, error), field, error)


def order(key: IntArray, known: np.ndarray | None) -> IntArray | slice:
    """What sorts rows by `key` (rows,), then by when they were known: indices, or all of them where they are sorted."""
    rising = key[1:] >= key[:-1]
    if known is not None:
        rising &= (key[1:] > key[:-1]) | (known[1:] >= known[:-1])
    if rising.all():
        return slice(None)
    return np.argsort(key, kind="stable") if known is None else np.lexsort((known, key))


def repeated(key: IntArray, known: np.ndarray | None) -> np.ndarray:
    """Which sorted rows have the key, and the moment where there is one, of the row before them, (rows - 1,)."""
    same = key[1:] == key[:-1]
    return np.asarray(same if known is None else same & (known[1:] == known[:-1]))


def _dates(column: pd.Series, field: str, error: Refusal) -> pd.Series:
    if isinstance(column.dtype, (np.dtype, pd.DatetimeTZDtype)) and column.dtype.kind == "M":
        return column  # what pandas' parser would hand back, after a search for repeats
    try:
        parsed = pd.to_datetime(column)
    except (ValueError, TypeError, OverflowError) as problem:
        raise error(field, str(problem).split("\n")[0], "dates") from problem
    if not pd.api.types.is_datetime64_any_dtype(parsed.dtype):
        raise error(field, f"{parsed.dtype} values", "dates, all of one time zone or of none")
    return parsed


def _filled(dates: pd.Series, field: str, error: Refusal) -> np.ndarray:
    moments = np.asarray(dates.array, dtype="datetime64[us]")  # of a time zone: in UTC
    unknown = np.isnat(moments)
    if unknown.any():
        raise error(field, f"no date in row {int(unknown.argmax())}", "a date in every row")
    return moments
