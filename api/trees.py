"""Forecasts of a tree of categories of the store that add up, and plans split over it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from api.errors import invalid_field
from api.overrides import applying
from api.overrides.publishing import left_out
from api.security import Caller
from api.service import moment_of
from api.settings import Settings
from api.tree_leaves import Asked
from api.tree_making import Watch, made_nodes, unwatched
from api.tree_models import TreeAnswer, TreeRequest
from api.tree_reading import TreeInputs, read_tree, tree_below
from forecast import Hierarchy, HistoryError, OptionError
from forecast.engines import Wanted
from forecast.plans import partial_periods, spans_of
from forecast.reconcile import adding_up
from forecast.tree import tree_of
from signals.store import Snapshot

Planned = Mapping[str, Mapping[str, float]]  # by category and label


def answer_tree(
    snapshot: Snapshot,
    settings: Settings,
    body: TreeRequest,
    caller: Caller,
    *,
    processes: int = 1,
    watch: Watch = unwatched,
) -> TreeAnswer:
    """Forecast a category and all below it; raises Problem, ForecastError and what the store raises.

    The nodes are forecast in as many `processes`; `watch` is told how many there are, and each that is done.
    """
    version = snapshot.data_version
    _check_limit("horizon", body.horizon, settings.max_horizon, "max_horizon")
    wanted = Wanted(body.engine, body.deadline_ms)
    wanted.check()
    parents = tree_below(snapshot, body.category, version, caller)
    _check_limit("category", len(parents), settings.max_bulk, "max_bulk, categories of one tree")
    named = moment_of(body.as_of)
    asked = Asked(
        snapshot,
        version,
        named or dt.datetime.now(dt.UTC).replace(tzinfo=None),
        named is not None,
        body.horizon,
        settings.max_nowcast_days,
        body.engine,
        caller,
    )
    read = read_tree(asked, parents)
    made = made_nodes(read, wanted, tuple(body.levels), processes, watch)
    read = read.without(made.left_out)
    notes = [f"{name} is left out: {why}" for name, why in made.left_out.items()]
    if not read.leaves:
        raise HistoryError("history", "; ".join(notes), "sales of one category at least that can be forecast")
    tree = tree_of(read.parents)
    found = adding_up(tree, body.method, made.of(tree.leaves), made.of(read.totals), read.new, read.sales)
    told = _told(found, read, body, version, notes)
    periods = applying.spans_of({"forecast": told["nodes"][0]["periods"], "frequency": read.frequency})
    told["warnings"] += left_out(settings, parents, periods, asked.moment, "a tree")
    return TreeAnswer.model_validate_json(orjson.dumps(told))


def _check_limit(field: str, value: int, most: int, setting: str) -> None:
    if value > most:
        message = f"{field}: {value} is above the limit of {most} ({setting})"
        raise invalid_field(field, value, f"<= {most}", message)


def _told(found: Hierarchy, read: TreeInputs, body: TreeRequest, version: int, notes: Sequence[str]) -> dict[str, Any]:
    planned, remarks = _planned(found, body, read.frequency)
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
        "warnings": [*read.warnings, *notes, *_unmeasured(found), *remarks],
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
        "warnings": [*(one["sentence"] for one in answer["events"]), *answer["warnings"]],
    }


def _plain(value: Any) -> Any:
    """A number of a frame as JSON has it: None for one that is not there."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _unmeasured(found: Hierarchy) -> list[str]:
    """What to say where past forecasts do not tell what adding up does."""
    if found.gains["wape_after"].notna().any():
        return []
    return ["the past forecasts of the categories have no origins in common: what adding up gained is not measured"]


def _planned(found: Hierarchy, body: TreeRequest, frequency: str) -> tuple[Planned, list[str]]:
    """The plan for each category that it is split over, by period, and what to say of it."""
    if body.plan is None:
        return {}, []
    name = body.plan.category or body.category
    if name not in found.tree.inner:
        allowed = f"a category with others below it: {', '.join(found.tree.inner)}"
        raise OptionError("plan.category", name, allowed)
    ds = found.forecasts[body.category].ds
    texts = [one.period for one in body.plan.periods]
    fields = [f"plan.periods.{i}.period" for i in range(len(texts))]
    spans = spans_of(texts, ds, frequency, fields)
    plan = {one.period: one.value for one in body.plan.periods}
    split = found.split(name, plan)
    by_node = {
        str(node): dict(zip(rows["ds"].dt.strftime("%Y-%m-%d"), rows["plan"], strict=True))
        for node, rows in split.groupby("unique_id")
    }
    return by_node, partial_periods(spans, ds, frequency)
