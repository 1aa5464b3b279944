"""Forecasts of a tree of categories of the store that add up, and plans split over it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pandas as pd

from api.database import now
from api.errors import invalid_field
from api.overrides.applying import spans_of
from api.overrides.publishing import left_out
from api.security import Caller
from api.service import moment_of
from api.settings import Settings
from api.tree_models import PlannedPeriod, TreeAnswer, TreeRequest
from api.tree_reading import TreeInputs, read_tree, tree_below
from forecast import Hierarchy, OptionError, SignalsError, reconcile
from forecast import frequency as freq
from forecast.changes import DAYS_ALLOWED, days_of
from signals.store import Snapshot

Planned = Mapping[str, Mapping[str, float]]  # by category and label


def answer_tree(snapshot: Snapshot, settings: Settings, body: TreeRequest, caller: Caller) -> TreeAnswer:
    """Forecast a category and all below it; raises Problem, ForecastError and what the store raises."""
    version = snapshot.data_version
    _check_limit("horizon", body.horizon, settings.max_horizon, "max_horizon")
    parents = tree_below(snapshot, body.category, version, caller)
    _check_limit("category", len(parents), settings.max_bulk, "max_bulk, categories of one tree")
    read = read_tree(
        snapshot,
        parents,
        body.horizon,
        as_of=body.as_of,
        data_version=version,
        max_nowcast_days=settings.max_nowcast_days,
    )
    found = reconcile(
        read.history,
        read.horizon,
        read.parents,
        method=body.method,
        signals=read.signals,
        engine=body.engine,
        levels=tuple(body.levels),
        frequency=read.frequency,
        as_of=None if read.as_of is None else pd.Timestamp(read.as_of),
        calendar=read.shared("calendar"),
    )
    told = _told(found, read, body, version)
    periods = spans_of({"forecast": told["nodes"][0]["periods"], "frequency": read.frequency})
    notes = left_out(settings, parents, periods, moment_of(body.as_of) or now(), "a tree")
    return TreeAnswer.model_validate_json(orjson.dumps(told | {"warnings": [*told["warnings"], *notes]}))


def _check_limit(field: str, value: int, most: int, setting: str) -> None:
    if value > most:
        message = f"{field}: {value} is above the limit of {most} ({setting})"
        raise invalid_field(field, value, f"<= {most}", message)


def _told(found: Hierarchy, read: TreeInputs, body: TreeRequest, version: int) -> dict[str, Any]:
    planned = _split(found, body, read.frequency) if body.plan else {}
    top = found.forecasts[body.category].to_head()
    levels = zip(found.tree.names, found.tree.depths.tolist(), strict=True)
    return {
        "category": body.category,
        "unit": read.shared("unit"),
        "frequency": read.frequency,
        "as_of": top["as_of"],
        "data_version": version,
        "history": top["history"],
        "method": body.method,
        "nodes": [_node(found, name, level, planned.get(name, {})) for name, level in levels],
        "gains": [{name: _plain(value) for name, value in row.items()} for row in found.gains.to_dict("records")],
        "warnings": read.warnings,
    }


def _node(found: Hierarchy, name: str, level: int, planned: Mapping[str, float]) -> dict[str, Any]:
    answer = found.forecasts[name].to_dict()
    before = found.before[name].mean.tolist()
    kept = ("period", "kind", "value", "median", "intervals")
    return {
        "category": name,
        "parent": found.tree.parent.get(name),
        "level": level,
        "engine": answer["engine"],
        "periods": [
            {key: row[key] for key in kept} | {"before": own, "planned": planned.get(row["period"])}
            for row, own in zip(answer["forecast"], before, strict=True)
        ],
        "total": float(found.forecasts[name].mean.sum()),
        "warnings": answer["warnings"],
    }


def _plain(value: Any) -> Any:
    """A number of a frame as JSON has it: None for one that is not there."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _split(found: Hierarchy, body: TreeRequest, frequency: str) -> Planned:
    """The plan for each category that it is split over, by period."""
    assert body.plan is not None
    labels = _labels(body.plan.periods, frequency)
    plan = pd.Series([one.value for one in body.plan.periods], index=pd.DatetimeIndex(labels))
    split = found.split(body.plan.category or body.category, plan.sort_index())
    return {
        str(name): dict(zip(rows["ds"].dt.strftime("%Y-%m-%d"), rows["plan"], strict=True))
        for name, rows in split.groupby("unique_id")
    }


def _labels(periods: Sequence[PlannedPeriod], frequency: str) -> list[np.datetime64]:
    """The label of each planned period; raises OptionError for what is not one period, or is there twice."""
    found: list[np.datetime64] = []
    for i, one in enumerate(periods):
        field = f"plan.periods.{i}.period"
        try:
            ends = np.array(days_of(one.period, field))
        except SignalsError as error:
            raise OptionError(field, one.period, DAYS_ALLOWED) from error
        first, last = freq.label(ends, frequency)
        if first != last:
            raise OptionError(field, one.period, f"one period of {frequency}, or a day of it")
        if first in found:
            raise OptionError(field, one.period, "each period once")
        found.append(first)
    return found
