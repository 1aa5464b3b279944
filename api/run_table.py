"""The results of a run as rows: one a forecast and period, one a forecast that could not be made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
import pyarrow as pa

from api.ledger import Issued
from api.tables import published_columns

Result = tuple[int, str | None, Issued | bytes]  # which one it was, its category, and the forecast or the problem

_HEAD = {"number": pa.int32(), "category": pa.string(), "receipt": pa.string(), "unit": pa.string()}
_BODY = {"period": pa.date32(), "kind": pa.string(), "value": pa.float64(), "median": pa.float64()}
_CONTRIBUTIONS = pa.map_(pa.string(), pa.float64())
_TAIL = {"overrides": pa.string(), "contributions": _CONTRIBUTIONS, "problem": pa.string()}


def schema_of(levels: Sequence[float]) -> pa.Schema:
    """The columns of the results of a run whose forecasts have these levels."""
    ends = [f"{end}-{level:g}" for level in levels for end in ("lo", "hi")]
    published = ["published", *(f"published-{end}" for end in ends)]
    return pa.schema(_HEAD | _BODY | dict.fromkeys([*ends, *published], pa.float64()) | _TAIL)


def table_of(results: Sequence[Result]) -> pa.Table:
    """The rows of some results, in their order. A row has nulls for levels that others asked for."""
    blocks = [_problem(result) if isinstance(result[2], bytes) else _forecast(result) for result in results]
    levels = sorted({float(name[3:]) for block, _ in blocks for name in block if name.startswith("lo-")})
    schema = schema_of(levels)
    columns: dict[str, list[Any]] = {name: [] for name in schema.names if name != "contributions"}
    for block, rows in blocks:
        for name, column in columns.items():
            column += block[name] if name in block else [None] * rows
    arrays = {name: pa.array(column, schema.field(name).type) for name, column in columns.items()}
    return pa.table(arrays | {"contributions": _contributions(blocks)}, schema)


Block = tuple[dict[str, list[Any]], int]  # by column the values of one result, and how many rows it is


def _problem(result: Result) -> Block:
    number, category, problem = result
    assert isinstance(problem, bytes)
    return {"number": [number], "category": [category], "problem": [problem.decode()]}, 1


def _forecast(result: Result) -> Block:
    number, category, made = result
    assert isinstance(made, Issued)
    answer = orjson.loads(made.answer)
    periods = answer["forecast"]
    same = {"number": number, "category": category, "receipt": answer["receipt"], "unit": answer["unit"]}
    block = {name: [value] * len(periods) for name, value in same.items()}
    block["period"] = [_day(period["period"]) for period in periods]
    for name in ("kind", "value", "median", "contributions"):
        block[name] = [period[name] for period in periods]
    for level in periods[0]["intervals"]:
        block[f"lo-{level}"] = [period["intervals"][level][0] for period in periods]
        block[f"hi-{level}"] = [period["intervals"][level][1] for period in periods]
    shown = [published_columns(period) for period in periods]
    block |= {name: [one[name] for one in shown] for name in shown[0]}
    return block, len(periods)


def _contributions(blocks: Sequence[Block]) -> pa.Array:
    """A map a row, null where there is no forecast."""
    drivers: list[str] = []
    shares: list[float] = []
    offsets: list[int | None] = []
    for block, rows in blocks:
        if "contributions" not in block:
            offsets += [None] * rows
        for parts in block.get("contributions", ()):
            offsets.append(len(drivers))
            drivers += parts
            shares += parts.values()
    ends = pa.array([*offsets, len(drivers)], pa.int32())
    return pa.MapArray.from_arrays(ends, pa.array(drivers, pa.string()), pa.array(shares, pa.float64()))


@lru_cache(maxsize=4096)
def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)
