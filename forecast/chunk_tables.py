"""The outcomes of many series as two Arrow tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from forecast.errors import ForecastError
from forecast.result import Forecast

Outcome = Forecast | Exception  # what came of one series

_SHARES = pa.map_(pa.string(), pa.float64())
SERIES = pa.schema(
    {
        "category": pa.string(),
        "status": pa.string(),  # forecast or failed
        "problem": pa.string(),  # why it failed
        "unit": pa.string(),
        "frequency": pa.string(),
        "history_start": pa.date32(),
        "history_end": pa.date32(),
        "history_periods": pa.int64(),
        "engine": pa.string(),
        "configuration": pa.string(),
        "origins": pa.int64(),
        "wape": pa.float64(),
        "mase": pa.float64(),
        "bias_pct": pa.float64(),
        "vs_seasonal_naive_pct": pa.float64(),
        "coverage": _SHARES,  # by level
        "admitted": pa.list_(pa.string()),  # signals
        "signals": pa.string(),  # the evidence on each, as JSON
        "importance": _SHARES,  # by driver
        "warnings": pa.list_(pa.string()),
    }
)


@dataclass(frozen=True)
class Chunk:
    """`periods` has one row a category and period, `series` one a category; categories in the order of the sales."""

    periods: pa.Table
    series: pa.Table


def tabulated(outcomes: Sequence[tuple[str, Outcome]], levels: Sequence[float]) -> Chunk:
    """The two tables of a chunk; `levels` name the columns of the intervals."""
    made = [(name, found) for name, found in outcomes if isinstance(found, Forecast)]
    rows = [_series(name, found) for name, found in outcomes]
    return Chunk(_periods(made, sorted(set(levels))), pa.Table.from_pylist(rows, SERIES))


def periods_schema(levels: Sequence[float]) -> pa.Schema:
    """The columns of `periods`."""
    head = {"category": pa.string(), "period": pa.date32(), "kind": pa.string()}
    numbers = ["value", "median", *(f"{end}-{level:g}" for level in sorted(set(levels)) for end in ("lo", "hi"))]
    return pa.schema(head | dict.fromkeys(numbers, pa.float64()) | {"contributions": _SHARES})


def _periods(made: Sequence[tuple[str, Forecast]], levels: Sequence[float]) -> pa.Table:
    schema = periods_schema(levels)
    if not made:
        return schema.empty_table()
    results = [result for _, result in made]
    columns: dict[str, Any] = {
        "category": np.repeat(np.array([name for name, _ in made], dtype=object), [len(r.ds) for r in results]),
        "period": np.concatenate([r.ds for r in results]),
        "kind": [kind for r in results for kind in r.kinds],
        "value": np.concatenate([r.mean for r in results]),
        "median": np.concatenate([r.median for r in results]),
    }
    for level in levels:
        bounds = [r.interval(level) for r in results]
        columns[f"lo-{level:g}"] = np.concatenate([low for low, _ in bounds])
        columns[f"hi-{level:g}"] = np.concatenate([high for _, high in bounds])
    arrays = {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    return pa.table(arrays | {"contributions": _contributions(results)}, schema)


def _contributions(results: Sequence[Forecast]) -> pa.Array:
    """By period the drivers and their shares, (periods,)."""
    keys = [name for r in results for _ in r.kinds for name in r.parts]
    values = np.concatenate([np.array(list(r.parts.values()), dtype=float).T.ravel() for r in results])
    counts = [len(r.parts) for r in results for _ in r.kinds]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.MapArray.from_arrays(pa.array(offsets), pa.array(keys, pa.string()), pa.array(values))


def _series(name: str, found: Outcome) -> dict[str, Any]:
    if isinstance(found, Exception):
        return {"category": name, "status": "failed", "problem": told(found)}
    answer = found.to_head()
    quality = answer["quality"]
    scores = ("origins", "wape", "mase", "bias_pct", "vs_seasonal_naive_pct")
    return {
        "category": name,
        "status": "forecast",
        "unit": found.unit,
        "frequency": found.frequency,
        "history_start": found.history_start.astype(object),
        "history_end": found.history_end.astype(object),
        "history_periods": answer["history"]["periods"],
        "engine": found.engine.name,
        "configuration": found.engine.configuration,
        **{score: quality[score] for score in scores},
        "coverage": list(quality["coverage"].items()),
        "admitted": [signal.signal for signal in found.signals if signal.admitted],
        "signals": json.dumps(answer["signals"]),
        "importance": [(one.driver, one.share) for one in found.importance],
        "warnings": found.warnings,
    }


def told(problem: Exception) -> str:
    """Why a series was not forecast, in one sentence."""
    if isinstance(problem, ForecastError):
        return str(problem)
    return f"an unexpected error: {type(problem).__name__}: {problem}"
