"""`reconcile`: forecasts of all levels of a tree that add up."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.commands import common
from api.commands.forecasts import LEVELS

if TYPE_CHECKING:
    import pandas as pd

    from api.tree_models import Node, TreeAnswer, TreeRequest
    from forecast import ForecastError


@click.command("reconcile")
@click.argument("category")
@click.option(
    "--horizon", type=click.IntRange(1, 520), default=8, show_default=True, help="Periods to forecast, from now on."
)
@click.option(
    "--method",
    type=click.Choice(["wls", "mint", "bottom_up", "top_down"]),
    default="wls",
    show_default=True,
    help="How forecasts of all levels are made to add up.",
)
@click.option(
    "--plan",
    "plans",
    multiple=True,
    help="A plan to split, such as 2026-W48=1000, 2027=52000 or 2026-W49..2027-W02=6000; repeat it for several.",
)
@click.option("--plan-for", help="The category that the plan is for.  [default: CATEGORY]")
@common.engine
@click.option(
    "--budget",
    type=common.Duration(),
    help="Time that the engines auto and detailed may take for the whole tree, such as 60s, 2m or 500ms; it chooses "
    "among them and their members.",
)
@common.as_of
@LEVELS
@click.option(
    "--csv", "csv", type=common.OutFile(), help="Write CSV to this file as well: one row a category and period."
)
@common.as_json
@click.pass_context
def reconcile_command(
    ctx: click.Context,
    /,
    plans: tuple[str, ...],
    plan_for: str | None,
    as_of: dt.datetime | None,
    levels: tuple[int, ...],
    budget: int | None,
    csv: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Forecast CATEGORY and all categories below it so that every level adds up.

    The tree is that of the categories' parents (`groundswell import categories`). A plan for one category is split
    over those below it, and over the periods that it spans, as their forecasts are.
    """
    from api.tree_models import TreeRequest
    from forecast import ForecastError

    if plan_for and not plans:
        raise click.UsageError("--plan-for goes with --plan")
    common.check_budget(options["engine"], budget)
    asked = {**options, "levels": list(levels), "as_of": common.aware(as_of), "deadline_ms": budget}
    if plans:
        asked["plan"] = {"category": plan_for, "periods": [_planned(text) for text in plans]}
    body = common.model(TreeRequest, asked)
    try:
        answer = _answered(ctx, body)
    except ForecastError as error:
        raise _told(error, plans) from error
    if csv is not None:
        _frame(answer).to_csv(csv, index=False)
    if as_json:
        common.write_json(answer.model_dump(mode="json"))
    else:
        _write(answer)


def _answered(ctx: click.Context, body: TreeRequest) -> TreeAnswer:
    """The answer, with a progress bar where a person watches; what takes long is shared by all cores."""
    from api.security import ANYBODY
    from api.trees import answer_tree

    processes = 1 if body.engine == "fast" else len(os.sched_getaffinity(0))
    with click.progressbar(
        length=1, label="Forecasting", file=sys.stderr, hidden=not common.watched(), show_pos=True
    ) as bar:

        def watch(nodes: int) -> Callable[[], None]:
            bar.length = nodes
            return lambda: bar.update(1)

        answer = partial(answer_tree, processes=processes, watch=watch)
        return common.checked(answer, common.open_newest(ctx), common.settings_of(ctx), body, ANYBODY)


def _planned(text: str) -> dict[str, Any]:
    """One entry of a plan, as the API takes it."""
    from api.tree_models import PlannedPeriod

    period, _, value = text.rpartition("=")
    try:
        given = {"period": period, "value": float(value)}
    except ValueError as error:
        raise common.Misused(f"--plan: got {text!r}; wanted a period and a number, such as 2026-W48=1000") from error
    try:
        common.model(PlannedPeriod, given)
    except common.Misused as error:
        raise common.Misused(f"--plan {text}: wanted {error.message.removeprefix('period: ')}") from error
    return given


def _told(error: ForecastError, plans: tuple[str, ...]) -> Exception:
    """An error about a plan, told by the option that it was given with."""
    if found := re.fullmatch(r"plan\.periods\.(\d+)\.period", error.field):
        return common.Misused(f"--plan {plans[int(found[1])]}: got {error.value}; wanted {error.allowed}")
    if error.field == "plan.category":
        return common.Misused(f"--plan-for: got {error.value}; wanted {error.allowed}")
    return error


def _write(answer: TreeAnswer) -> None:
    from forecast.words import digits_for

    unit = f", {answer.unit}" if answer.unit else ""
    moment = f"as of {answer.as_of:%Y-%m-%d %H:%M} UTC, " if answer.as_of else ""
    click.echo(f"{answer.category}{unit} ({answer.frequency}); {moment}data version {answer.data_version}\n")
    digits = digits_for(period.value for node in answer.nodes for period in node.periods)
    planned = any(period.planned is not None for node in answer.nodes for period in node.periods)
    levels = list(answer.nodes[0].periods[0].intervals)
    head = ["category", "period", "forecast", *(f"{level} % interval" for level in levels)]
    rows = [row for node in _ordered(answer) for row in _rows(node, levels, digits, planned=planned)]
    common.write_table([*head, "plan"] if planned else head, rows, left=2)
    click.echo("\nError (WAPE) of past forecasts by level, before and after they were made to add up:")
    table = [
        [str(row.level), str(row.nodes), _pct(row.wape_before), _pct(row.wape_after), _change(row.gain_pct)]
        for row in answer.gains
    ]
    common.write_table(["level", "categories", "before", "after", "gain"], table)
    _write_notes(answer)


def _rows(node: Node, levels: list[str], digits: int, *, planned: bool) -> list[list[str]]:
    """One row a period, the category named in the first."""
    from forecast.words import number

    found = []
    for i, one in enumerate(node.periods):
        name = "› " * node.level + node.category if i == 0 else ""
        period = one.period.isoformat() + ("" if one.kind == "forecast" else f" ({one.kind})")
        ends = [" … ".join(number(end, digits) for end in one.intervals[level]) for level in levels]
        plan = ["" if one.planned is None else number(one.planned, digits)] if planned else []
        found.append([name, period, number(one.value, digits), *ends, *plan])
    return found


def _write_notes(answer: TreeAnswer) -> None:
    """What is the same of several categories, once."""
    by: dict[str, list[str]] = {}
    for node in _ordered(answer):
        for text in node.warnings:
            by.setdefault(text, []).append(node.category)
    for warning in [*answer.warnings, *(f"{', '.join(names)}: {text}" for text, names in by.items())]:
        common.note(f"note: {warning}")


def _frame(answer: TreeAnswer) -> pd.DataFrame:
    """One row a category and period, in the order of the tree."""
    import pandas as pd

    rows = []
    for node in _ordered(answer):
        for one in node.periods:
            ends = {
                f"{side}-{level}": end
                for level, pair in one.intervals.items()
                for side, end in zip(("lo", "hi"), pair, strict=True)
            }
            head = {"category": node.category, "parent": node.parent, "level": node.level}
            told = {"period": one.period, "kind": one.kind, "value": one.value, "median": one.median}
            rows.append(head | told | ends | {"before": one.before, "planned": one.planned})
    return pd.DataFrame(rows)


def _ordered(answer: TreeAnswer) -> list[Node]:
    """The categories of the tree, each before those below it."""
    below: dict[str | None, list[Node]] = {}
    for node in answer.nodes:
        below.setdefault(node.parent, []).append(node)
    found, waiting = [], [answer.nodes[0]]
    while waiting:
        node = waiting.pop(0)
        found.append(node)
        waiting = below.get(node.category, []) + waiting
    return found


def _pct(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.2f} %"


def _change(pct: float | None) -> str:
    return "n/a" if pct is None else f"{pct:+.2f} %"


COMMANDS = (reconcile_command,)
