"""`scenario`: what if signals, promotions or prices took other paths?"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from api.commands import common
from api.commands.forecasts import LEVELS

if TYPE_CHECKING:
    from api.scenario_models import Evaluation, Outcome, Scenario, SignalEffect
    from api.scenarios import Scenarios

_CATEGORY = click.option("--category", help="The category, where several have a scenario of that name.")
_HORIZON = click.option(
    "--horizon", type=click.IntRange(1, 520), help="Periods to forecast.  [default: as it was kept]"
)

_STEPS = 4  # of a path that are shown


@click.group("scenario")
def scenario_command() -> None:
    """Ask what if signals, promotions or prices took other paths, and keep the question."""


@scenario_command.command("new")
@click.argument("name")
@click.option("--category", required=True, help="The category that is forecast.")
@click.option("--change", "changes", multiple=True, required=True, help="What changes; repeat it for several.")
@click.option(
    "--horizon", type=click.IntRange(1, 520), default=8, show_default=True, help="Periods to forecast, from now on."
)
@common.engine
@common.as_of
@LEVELS
@common.as_json
@click.pass_context
def new_command(
    ctx: click.Context, /, name: str, changes: tuple[str, ...], levels: tuple[int, ...], as_json: bool, **options: Any
) -> None:
    """Answer a scenario and keep it as NAME.

    A change is a signal, what becomes of it, and the periods:

    \b
      --change "search/winter_jackets +20% 2026-W48..2026-W51"
      --change "mobility like 2020-04 2026-12"
      --change "promotions/footwear =0.4 2026-11-29"

    +20%, -20% and x1.2 are relative to what is expected, =0.4 (or one value a period, =0.4,0.2) is absolute, and
    `like` is the mean of a past period. A period is a day, a week, a month, a year, or two of these with .. between.
    """
    from api.scenario_models import ScenarioRequest
    from api.scenarios import asked_of, evaluate
    from forecast import SignalsError
    from forecast.changes import change_of

    try:
        fields = [vars(change_of(text, "--change")) for text in changes]
    except SignalsError as error:
        raise common.Misused(str(error)) from error
    moment = options.pop("as_of")
    asked = {**options, "name": name, "levels": list(levels), "changes": fields} | (
        {} if moment is None else {"as_of": common.aware(moment)}
    )
    body = common.model(ScenarioRequest, asked)
    port = _port(ctx)
    common.checked(port.check_free, body.category, body.name)
    wanted = {body.name: [change.change() for change in body.changes]}
    answer = common.checked(evaluate, common.open_newest(ctx), common.settings_of(ctx), asked_of(body), wanted)
    made = common.checked(port.add, body, answer, _operator())
    _show(made, as_json)


@scenario_command.command("list")
@click.option("--category", help="Only those of this category.")
@common.as_json
@click.pass_context
def list_command(ctx: click.Context, category: str | None, as_json: bool) -> None:
    """List the scenarios, the newest first, with what they came to when they were last answered."""
    from forecast.words import number

    items, _ = _port(ctx).page(None if category is None else {category}, None)
    if as_json:
        common.write_json([item.model_dump(mode="json", exclude_none=True) for item in items])
        return
    table = [
        [
            item.name,
            item.category,
            f"{item.evaluated:%Y-%m-%d}",
            number(item.total.difference, sign=True),
            _pct(item.total),
        ]
        for item in items
    ]
    common.write_table(["scenario", "category", "answered", "difference", "%"], table, left=3)


@scenario_command.command("show")
@click.argument("name")
@_CATEGORY
@click.option("--again", is_flag=True, help="Answer it anew, with what is known now.")
@_HORIZON
@common.as_of
@common.as_json
@click.pass_context
def show_command(
    ctx: click.Context,
    name: str,
    category: str | None,
    again: bool,
    horizon: int | None,
    as_of: dt.datetime | None,
    as_json: bool,
) -> None:
    """Show the scenario NAME (or its id): its last answer, or with --again a new one, which is kept."""
    from api.scenarios import Asked, changes_of, evaluate

    if not again and (horizon or as_of):
        raise click.UsageError("--horizon and --as-of go with --again")
    port = _port(ctx)
    found = _find(port, name, category)
    if again:
        asked = Asked(found.category, horizon or found.horizon, found.engine, found.levels, as_of)
        wanted = {found.name: changes_of(found)}
        port.keep(found.id, common.checked(evaluate, common.open_newest(ctx), common.settings_of(ctx), asked, wanted))
        found = _find(port, found.id, found.category)
    _show(found, as_json)


@scenario_command.command("compare")
@click.argument("names", nargs=-1, required=True)
@_CATEGORY
@click.option("--horizon", type=click.IntRange(1, 520), help="Periods to forecast.  [default: the longest of theirs]")
@common.engine
@common.as_of
@LEVELS
@common.as_json
@click.pass_context
def compare_command(
    ctx: click.Context,
    /,
    names: tuple[str, ...],
    category: str | None,
    as_of: dt.datetime | None,
    levels: tuple[int, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Answer the scenarios NAMES of one category anew, side by side with the baseline."""
    from api.scenario_models import CompareRequest
    from api.scenarios import changes_of, compared, evaluate

    port = _port(ctx)
    found = [_find(port, name, category) for name in names]
    if len({one.id for one in found}) < len(found):
        raise common.Misused("NAMES: each scenario once")
    body = CompareRequest(
        scenarios=[one.id for one in found], levels=list(levels), as_of=common.aware(as_of), **options
    )
    asked = common.checked(compared, found, body)
    wanted = {one.name: changes_of(one) for one in found}
    answer = common.checked(evaluate, common.open_newest(ctx), common.settings_of(ctx), asked, wanted)
    if as_json:
        common.write_json(answer.model_dump(mode="json"))
    else:
        _write(answer)


@scenario_command.command("remove")
@click.argument("name")
@_CATEGORY
@click.pass_context
def remove_command(ctx: click.Context, name: str, category: str | None) -> None:
    """Forget the scenario NAME (or its id), with its answers."""
    port = _port(ctx)
    found = _find(port, name, category)
    port.remove(found.id, _operator())
    click.echo(f"{found.name!r} of {found.category} is forgotten")


def _port(ctx: click.Context) -> Scenarios:
    from api.database import engine_of
    from api.scenarios import Scenarios

    return Scenarios(engine_of(common.settings_there(ctx)))


def _operator() -> Any:
    from api.security import ANYBODY

    return ANYBODY


def _find(port: Scenarios, name: str, category: str | None) -> Scenario:
    found = port.find(category, name)
    if not found:
        raise common.Failed(f"there is no scenario {name!r}; `groundswell scenario list` shows them")
    if len(found) > 1:
        of = ", ".join(one.category for one in found)
        raise common.Misused(f"{name!r} is a scenario of {of}: say which with --category")
    return found[0]


def _show(found: Scenario, as_json: bool) -> None:
    if as_json:
        common.write_json(found.model_dump(mode="json"))
        return
    _write(found.answer)


def _write(answer: Evaluation) -> None:
    from forecast.words import digits_for, number

    unit = f", {answer.unit}" if answer.unit else ""
    moment = f"as of {answer.as_of:%Y-%m-%d %H:%M} UTC, " if answer.as_of else ""
    click.echo(f"{answer.category}{unit} ({answer.frequency}); {moment}data version {answer.data_version}\n")
    digits = digits_for(period.value for period in answer.baseline.periods)
    rows = [
        [
            period.period.isoformat() + ("" if period.kind == "forecast" else f" ({period.kind})"),
            number(period.value, digits),
            *(cell for one in answer.scenarios for cell in _cells(one, i, digits)),
        ]
        for i, period in enumerate(answer.baseline.periods)
    ]
    rows.append(_total(answer, digits))
    level = next(iter(answer.scenarios[0].total.difference_intervals))
    heads = (cell for one in answer.scenarios for cell in (one.name, "difference", f"{level} % interval"))
    common.write_table(["period", "baseline", *heads], rows)
    for one in answer.scenarios:
        click.echo(f"\n{one.name}: {_pct(one.total)} % in all")
        for effect in one.effects:
            click.echo(f"  {effect.sentence}")
            for line in _path(effect):
                click.echo(f"    {line}")
    for warning in [*answer.warnings, *(remark for one in answer.scenarios for remark in one.warnings)]:
        common.note(f"note: {warning}")


def _path(effect: SignalEffect) -> list[str]:
    """The path that is expected and the one that is asked for, and when sales follow."""
    from forecast.words import digits_for, number

    if not effect.path:
        return []
    digits = digits_for(value for step in effect.path for value in (step.expected, step.changed))
    steps = [f"{s.period} {number(s.expected, digits)} → {number(s.changed, digits)}" for s in effect.path[:_STEPS]]
    if len(effect.path) > _STEPS:
        steps.append(f"{len(effect.path) - _STEPS} more")
    lags = ", ".join(number(lag) for lag in effect.lags)
    return [f"expected → changed: {'; '.join(steps)}", f"periods after which sales follow: {lags}"]


def _cells(one: Outcome, at: int, digits: int) -> list[str]:
    period = one.periods[at]
    return _numbers(period.value, period.difference, period.difference_intervals, digits)


def _total(answer: Evaluation, digits: int) -> list[str]:
    from forecast.words import number

    totals = [
        _numbers(t.value, t.difference, t.difference_intervals, digits) for t in (o.total for o in answer.scenarios)
    ]
    return ["in all", number(answer.baseline.total, digits), *(cell for cells in totals for cell in cells)]


def _numbers(value: float, difference: float, intervals: dict[str, tuple[float, float]], digits: int) -> list[str]:
    from forecast.words import number

    low, high = (number(end, digits, sign=True) for end in next(iter(intervals.values())))
    return [number(value, digits), number(difference, digits, sign=True), f"{low} … {high}"]


def _pct(total: Any) -> str:
    from forecast.words import number

    return "" if total.difference_pct is None else number(total.difference_pct, 1, sign=True)


COMMANDS = (scenario_command,)
