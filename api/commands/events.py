"""`events`: outliers, stock-outs, one-off events and level shifts in the sales; a person accepts or refuses them."""

from __future__ import annotations

import datetime as dt
import getpass
from typing import TYPE_CHECKING, Any

import click

from api.commands import common

if TYPE_CHECKING:
    from api.event_models import CategoryEvents, SalesEvent

KINDS = ("outlier", "stock_out", "one_off", "level_shift")


class Day(click.ParamType[dt.date]):
    """A day in ISO 8601."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        if isinstance(value, dt.date):
            return value
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day; write it like 2026-03-01", param, ctx)


def _decision(command: Any) -> Any:
    """What `accept` and `refuse` take."""
    options = (
        click.argument("category"),
        click.argument("kind", metavar="KIND", type=click.Choice(KINDS)),
        click.argument("first", type=Day()),
        click.argument("last", type=Day(), required=False),
        click.option("--reason", help="Why, for those who read it later."),
        click.option("--author", help="Who decides.  [default: the user of this computer]"),
        common.as_json,
        click.pass_context,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group("events")
def events_command() -> None:
    """Look for events in the sales, and accept or refuse them.

    An event that is accepted is taken out of what forecasts are made from; a proposal changes none.
    """


@events_command.command("list")
@click.argument("category")
@common.as_of
@common.as_json
@click.pass_context
def list_command(ctx: click.Context, category: str, as_of: dt.datetime | None, as_json: bool) -> None:
    """List the events of CATEGORY: what is proposed, and what was decided by whom."""
    from api.events import asked_of, events_of

    snapshot = common.open_newest(ctx)
    answer = events_of(snapshot, asked_of(snapshot, category, as_of))
    if as_json:
        common.write_json(answer.model_dump(mode="json", exclude={"effect"}))
        return
    if not answer.events:
        click.echo(f"Nothing in the sales of {category} looks like an event.")
        return
    rows = [[str(one.first), str(one.last), one.kind, one.state, _score(one)] for one in answer.events]
    common.write_table(["first", "last", "kind", "state", "score"], rows, left=4)
    click.echo()
    for one in answer.events:
        _write(one)


@events_command.command("accept")
@_decision
def accept_command(ctx: click.Context, /, **given: Any) -> None:
    """Accept the event of KIND in CATEGORY from the day FIRST to LAST, or one that only you know of.

    Without LAST it is all of the one that FIRST is any day of, or that period alone. KIND is outlier, stock_out,
    one_off or level_shift.
    """
    _decide(ctx, "accepted", **given)


@events_command.command("refuse")
@_decision
def refuse_command(ctx: click.Context, /, **given: Any) -> None:
    """Refuse the event of KIND in CATEGORY from the day FIRST to LAST, also one that was accepted before.

    Without LAST it is all of the one that FIRST is any day of.
    """
    _decide(ctx, "refused", **given)


def _decide(ctx: click.Context, decision: str, *, as_json: bool, author: str | None, **given: Any) -> None:
    from pydantic import ValidationError

    from api.event_models import DecisionRequest
    from api.events import asked_of, decided, events_of, found, wanted_of
    from signals.store import submit

    snapshot, category = common.open_newest(ctx), given.pop("category")
    first, last = (None if day is None else str(day) for day in (given.pop("first"), given.pop("last")))
    try:
        body = DecisionRequest.model_validate(given | {"first": first, "last": last, "decision": decision})
    except ValidationError as error:
        raise common.Misused(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    event, batch = decided(snapshot, category, wanted_of(body, author or getpass.getuser()))
    submit(common.settings_of(ctx).home, batch)
    newest = common.open_newest(ctx)
    answer = events_of(newest, asked_of(newest, category))
    told = found(answer.events, event, answer.frequency)
    if as_json:
        common.write_json(told.model_dump(mode="json"))
    else:
        _write(told)


@events_command.command("compare")
@click.argument("category")
@common.horizon
@click.option("--proposed", is_flag=True, help="As if all that is proposed were accepted as well.")
@common.as_of
@common.as_json
@click.pass_context
def compare_command(
    ctx: click.Context, category: str, horizon: int, proposed: bool, as_of: dt.datetime | None, as_json: bool
) -> None:
    """Forecast CATEGORY with its accepted events taken out and without, side by side; from now on."""
    from api.events import asked_of, effect_of, events_of

    snapshot = common.open_newest(ctx)
    asked = asked_of(snapshot, category, as_of)
    answer = events_of(snapshot, asked)
    answer.effect = effect_of(snapshot, asked, horizon, "proposed" if proposed else "accepted")
    if as_json:
        common.write_json(answer.model_dump(mode="json"))
    else:
        _write_effect(answer)


def _write_effect(answer: CategoryEvents) -> None:
    from forecast.words import digits_for, number

    effect = answer.effect
    assert effect is not None
    states = ("accepted", effect.events)
    taken = [one for one in answer.events if one.state in states]
    click.echo(f"{answer.category}: {len(taken)} of {len(answer.events)} events are taken out\n")
    digits = digits_for(one.with_events.value for one in effect.periods)
    level = next(iter(effect.periods[0].with_events.intervals))
    rows = []
    for one in effect.periods:
        cells = [cell for side in (one.with_events, one.without_events) for cell in _cells(side, level, digits)]
        rows.append([f"{one.period}", *cells, number(one.difference, digits, sign=True)])
    head = ("events taken out", f"{level} % interval", "sales as they are", f"{level} % interval", "difference")
    common.write_table(["period", *head], rows)
    click.echo(f"\nIn all {number(effect.total, digits, sign=True)}")
    for event in taken:
        click.echo(f"  {event.state}: {event.sentence}")


def _cells(side: Any, level: str, digits: int) -> list[str]:
    from forecast.words import number

    low, high = side.intervals[level]
    return [number(side.value, digits), f"{number(low, digits)} … {number(high, digits)}"]


def _score(one: SalesEvent) -> str:
    return "" if one.score is None else f"{one.score:.1f}"


def _write(one: SalesEvent) -> None:
    click.echo(f"{one.first}  {one.sentence}")
    for decision in one.decisions:
        why = f": {decision.reason}" if decision.reason else ""
        click.echo(f"    {decision.decision} by {decision.author}, {decision.decided:%Y-%m-%d %H:%M} UTC{why}")


COMMANDS = (events_command,)
