"""`reconcile`: forecasts of all levels of a tree that add up."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from api.commands import common
from api.commands.forecasts import LEVELS

if TYPE_CHECKING:
    from api.tree_models import Node, TreeAnswer


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
@click.option("--plan", "plans", multiple=True, help="A plan to split, such as 2026-W48=1000; repeat it for several.")
@click.option("--plan-for", help="The category that the plan is for.  [default: CATEGORY]")
@common.engine
@common.as_of
@LEVELS
@common.as_json
@click.pass_context
def reconcile_command(
    ctx: click.Context,
    /,
    plans: tuple[str, ...],
    plan_for: str | None,
    as_of: dt.datetime | None,
    levels: tuple[int, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Forecast CATEGORY and all categories below it so that every level adds up.

    The tree is that of the categories' parents (`groundswell import categories`). A plan for one category is split
    over those below it as their forecasts are.
    """
    from api.security import ANYBODY
    from api.tree_models import TreeRequest
    from api.trees import answer_tree

    if plan_for and not plans:
        raise click.UsageError("--plan-for goes with --plan")
    asked = {**options, "levels": list(levels), "as_of": common.aware(as_of)}
    if plans:
        asked["plan"] = {"category": plan_for, "periods": [_planned(text) for text in plans]}
    body = common.model(TreeRequest, asked)
    answer = common.checked(answer_tree, common.open_newest(ctx), common.settings_of(ctx), body, ANYBODY)
    if as_json:
        common.write_json(answer.model_dump(mode="json"))
    else:
        _write(answer)


def _planned(text: str) -> dict[str, Any]:
    """One period of a plan, as the API takes it."""
    period, _, value = text.rpartition("=")
    try:
        return {"period": period, "value": float(value)}
    except ValueError as error:
        raise common.Misused(f"--plan: got {text!r}; wanted a period and a number, such as 2026-W48=1000") from error


def _write(answer: TreeAnswer) -> None:
    from forecast.words import digits_for, number

    unit = f", {answer.unit}" if answer.unit else ""
    moment = f"as of {answer.as_of:%Y-%m-%d %H:%M} UTC, " if answer.as_of else ""
    click.echo(f"{answer.category}{unit} ({answer.frequency}); {moment}data version {answer.data_version}\n")
    digits = digits_for(period.value for node in answer.nodes for period in node.periods)
    rows = [
        [
            period.period.isoformat() + ("" if period.kind == "forecast" else f" ({period.kind})"),
            *(number(node.periods[i].value, digits) for node in _ordered(answer)),
        ]
        for i, period in enumerate(answer.nodes[0].periods)
    ]
    names = [("› " * node.level) + node.category for node in _ordered(answer)]
    common.write_table(["period", *names], rows)
    _write_plan(answer, digits)
    click.echo("\nError (WAPE) of past forecasts by level, before and after they were made to add up:")
    table = [[str(row.level), str(row.nodes), _pct(row.wape_before), _pct(row.wape_after)] for row in answer.gains]
    common.write_table(["level", "categories", "before", "after"], table)
    for warning in [*answer.warnings, *(f"{n.category}: {text}" for n in answer.nodes for text in n.warnings)]:
        common.note(f"note: {warning}")


def _write_plan(answer: TreeAnswer, digits: int) -> None:
    from forecast.words import number

    nodes = [node for node in _ordered(answer) if any(period.planned is not None for period in node.periods)]
    if not nodes:
        return
    click.echo("\nPlan")
    rows = [
        [period.period.isoformat(), *(number(node.periods[i].planned or 0.0, digits) for node in nodes)]
        for i, period in enumerate(nodes[0].periods)
        if period.planned is not None
    ]
    common.write_table(["period", *(node.category for node in nodes)], rows)


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
    return "" if share is None else f"{100 * share:.1f} %"


COMMANDS = (reconcile_command,)
