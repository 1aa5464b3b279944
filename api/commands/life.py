"""`model`, `retune` and `alerts`: which configuration serves a category, and what goes wrong."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import click

from api.commands import common

if TYPE_CHECKING:
    from api.life.models import AlertAnswer, CategoryConfigurations, ModelConfiguration, Serving
    from api.life.serving import By

STATES = ("open", "acknowledged", "closed")
_reason = click.option("--reason", help="Why, for those who read it later.")
_author = click.option("--author", help="Who decides.  [default: the user of this computer]")


def _decision(command: Any) -> Any:
    """What each decision takes."""
    for option in reversed((_reason, _author, common.as_json, click.pass_context)):
        command = option(command)
    return command


@click.group("model")
def model_command() -> None:
    """See which configuration serves a category, and decide about it."""


@model_command.command("show")
@click.argument("category", required=False)
@common.as_json
@click.pass_context
def show_command(ctx: click.Context, category: str | None, as_json: bool) -> None:
    """Show the champion of CATEGORY, its challenger and the evidence; without CATEGORY of all, one a line."""
    from api.life.answers import configurations, portfolio

    settings, snapshot = common.settings_there(ctx), common.open_newest(ctx)
    if category is not None:
        _show(configurations(settings, snapshot, category), as_json)
        return
    whole = portfolio(settings, snapshot, limit=len(snapshot.names()))
    if as_json:
        common.write_json(whole.model_dump(mode="json"))
    else:
        common.write_table(["category", "champion", "challenger", "stage"], [_line(one) for one in whole.items], left=4)


@model_command.command("log")
@click.argument("category")
@common.as_json
@click.pass_context
def log_command(ctx: click.Context, category: str, as_json: bool) -> None:
    """List what was found and decided for CATEGORY, the newest first."""
    from api.life.answers import configurations

    told = configurations(common.settings_there(ctx), common.open_newest(ctx), category)
    if as_json:
        common.write_json([one.model_dump(mode="json") for one in told.changes])
        return
    for one in told.changes:
        name = f" {one.configuration}" if one.configuration else ""
        click.echo(f"{one.moment:%Y-%m-%d %H:%M}  {one.action}{name} by {one.actor}\n    {one.reason}")
    if not told.changes:
        click.echo(f"Nothing was ever changed for {category}.")


@model_command.command("promote")
@click.argument("category")
@click.argument("configuration", required=False)
@_decision
def promote_command(
    ctx: click.Context, category: str, configuration: str | None, reason: str | None, author: str | None, as_json: bool
) -> None:
    """Make the challenger of CATEGORY the champion, or a CONFIGURATION by its id."""
    from api.life.moves import promote_named

    _check(ctx, category)
    promote_named(common.settings_there(ctx), category, configuration, _by(reason, author))
    _shown(ctx, category, as_json)


@model_command.command("rollback")
@click.argument("category")
@_decision
def rollback_command(ctx: click.Context, category: str, reason: str | None, author: str | None, as_json: bool) -> None:
    """Put the champion of before back for CATEGORY, or end its challenger."""
    from api.life.moves import place_now, roll_back

    _check(ctx, category)
    settings = common.settings_there(ctx)
    if not roll_back(settings, place_now(settings, category), _by(reason, author)):
        raise common.Failed(f"what serves {category} was changed by another at this moment: look again")
    _shown(ctx, category, as_json)


@model_command.command("pin")
@click.argument("category")
@click.option("--off", is_flag=True, help="Let the gates decide again.")
@_decision
def pin_command(
    ctx: click.Context, category: str, off: bool, reason: str | None, author: str | None, as_json: bool
) -> None:
    """Keep the champion of CATEGORY: nothing takes its place but by a person."""
    from api.life.moves import pin

    _check(ctx, category)
    pin(common.settings_there(ctx), category, not off, _by(reason, author))
    _shown(ctx, category, as_json)


@model_command.command("veto")
@click.argument("category")
@click.argument("configuration")
@_decision
def veto_command(
    ctx: click.Context, category: str, configuration: str, reason: str | None, author: str | None, as_json: bool
) -> None:
    """Never try CONFIGURATION for CATEGORY again."""
    from api.life.moves import forbid

    _check(ctx, category)
    forbid(common.settings_there(ctx), category, configuration, _by(reason, author))
    _shown(ctx, category, as_json)


@model_command.command("look")
@common.as_json
@click.pass_context
def look_command(ctx: click.Context, as_json: bool) -> None:
    """Look for drift and move challengers on, as `serve` does in the background; searches are left to it."""
    from api.database import now
    from api.jobs import Jobs
    from api.life.living import beginning
    from api.life.scoring import no_pause
    from api.life.tick import tick

    settings = common.settings_there(ctx)
    begin = beginning(settings, Jobs(settings))
    done = tick(settings, common.open_newest(ctx), now(), begin=begin, pause=no_pause)
    told = {"alerts": [one.id for one in done.alerts], "searches": done.begun, "moved": done.moved}
    if as_json:
        common.write_json(told)
        return
    click.echo(f"{len(done.alerts)} new alerts, {len(done.begun)} searches begun, {len(done.moved)} challengers moved")
    for alert in done.alerts:
        click.echo(f"{alert.id}  {alert.category}: {alert.sentence}")


@click.command("retune")
@click.argument("category")
@click.option("--later", is_flag=True, help="Leave it to `groundswell serve`, as a job.")
@_decision
def retune_command(
    ctx: click.Context, category: str, later: bool, reason: str | None, author: str | None, as_json: bool
) -> None:
    """Search for a better configuration of CATEGORY; what passes the backtest becomes its challenger."""
    from api.database import engine_of, now
    from api.jobs import Jobs
    from api.life import retune_job
    from api.life.retune import retune
    from api.life.scoring import no_pause

    _check(ctx, category)
    settings, why = common.settings_there(ctx), f"{author or getpass.getuser()}: {reason or 'asked for'}"
    if later:
        number, _ = retune_job.begin(Jobs(settings), engine_of(settings), category, why)
        told = {"job": number}
        click.echo(f"job {number}; `groundswell serve` does it") if not as_json else common.write_json(told)
        return
    done = retune(settings, common.open_newest(ctx), category, why, now(), no_pause)
    if as_json:
        common.write_json({"outcome": done.outcome, "reason": done.sentence, "evidence": done.evidence})
    else:
        click.echo(f"{done.outcome}: {done.sentence}")


@click.group("alerts")
def alerts_command() -> None:
    """See what goes wrong with the forecasts, and say that it is known or over."""


@alerts_command.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.  [default: all]")
@click.option("--category", help="Only those of this category.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Newest rows to show.")
@common.as_json
@click.pass_context
def list_command(ctx: click.Context, state: str | None, category: str | None, limit: int, as_json: bool) -> None:
    """List alerts, the newest first."""
    from api.life.answers import alert_page

    categories = None if category is None else [category]
    page = alert_page(common.settings_there(ctx), categories=categories, state=state, limit=limit)
    if as_json:
        common.write_json(page.model_dump(mode="json")["items"])
        return
    for one in page.items:
        _write_alert(one)
    if not page.items:
        click.echo("There are no alerts.")
    if page.total > len(page.items):
        common.note(f"note: {page.total - len(page.items)} older ones are not shown (--limit)")


@alerts_command.command("acknowledge")
@click.argument("alert")
@_decision
def acknowledge_command(ctx: click.Context, alert: str, reason: str | None, author: str | None, as_json: bool) -> None:
    """Say that ALERT is known; it is not raised again while it lasts."""
    _settle(ctx, alert, "acknowledged", reason, author, as_json)


@alerts_command.command("close")
@click.argument("alert")
@_decision
def close_command(ctx: click.Context, alert: str, reason: str | None, author: str | None, as_json: bool) -> None:
    """Say that ALERT is over; it is raised again where it is found anew."""
    _settle(ctx, alert, "closed", reason, author, as_json)


def _settle(ctx: click.Context, alert: str, state: Any, reason: str | None, author: str | None, as_json: bool) -> None:
    from api.database import now
    from api.life.alerts import number_of, settle
    from api.life.answers import alert_answer

    number, settings = number_of(alert), common.settings_there(ctx)
    actor = author or getpass.getuser()
    found = None if number is None else settle(settings, number, state, actor=actor, reason=reason, moment=now())
    if found is None:
        raise common.Failed(f"there is no alert {alert}; `groundswell alerts list` shows them")
    told = alert_answer(found)
    if as_json:
        common.write_json(told.model_dump(mode="json"))
    else:
        _write_alert(told)


def _check(ctx: click.Context, category: str) -> None:
    """Refuse a category that the store does not have."""
    common.open_newest(ctx).category(category)


def _by(reason: str | None, author: str | None) -> By:
    from api.database import now
    from api.life.serving import By

    return By(reason or "decided by a person", now(), author or getpass.getuser())


def _shown(ctx: click.Context, category: str, as_json: bool) -> None:
    from api.life.answers import configurations

    _show(configurations(common.settings_there(ctx), common.open_newest(ctx), category), as_json)


def _show(told: CategoryConfigurations, as_json: bool) -> None:
    if as_json:
        common.write_json(told.model_dump(mode="json"))
        return
    since = f", since {told.since:%Y-%m-%d}" if told.since else ""
    click.echo(f"{told.category}{since}{' (pinned)' if told.pinned else ''}")
    sides = {"champion": told.champion, "challenger": told.challenger, "previous": told.previous}
    for role, one in sides.items():
        if one is not None:
            click.echo(f"  {role:<10} {one.configuration}  {_settings(one)}")
    if told.stage:
        click.echo(f"  stage      {told.stage}, {told.share_pct} % of requests")
    if told.evidence:
        seen = told.evidence
        click.echo(f"  evidence   {seen.e_value:.1f} for and {seen.against:.1f} against it (20 decides), "
                   f"{seen.scores} scores, loss {seen.gain_pct:+.1f} % lower")  # fmt: skip
    for name in told.vetoed:
        click.echo(f"  vetoed     {name}")
    if told.searching:
        click.echo(f"  searching  job {told.searching}")


def _line(one: Serving) -> list[str]:
    stage = "" if one.stage is None else f"{one.stage} {one.share_pct} %"
    challenger = "" if one.challenger is None else _settings(one.challenger)
    return [one.category, _settings(one.champion) + (" (pinned)" if one.pinned else ""), challenger, stage]


def _settings(one: ModelConfiguration) -> str:
    parts = [one.engine]
    parts += [] if one.signals is None else [f"signals {', '.join(one.signals) or 'none'}"]
    parts += [] if one.transform == "auto" else [f"transform {one.transform}"]
    parts += [] if one.history is None else [f"history {one.history}"]
    parts += [] if one.memory == 1.0 else [f"memory {one.memory:g}"]
    return ", ".join(parts)


def _write_alert(one: AlertAnswer) -> None:
    click.echo(f"{one.id}  {one.raised:%Y-%m-%d}  {one.category}: {one.kind} ({one.cause}), {one.state}")
    click.echo(f"    {one.sentence}\n    done: {one.done or 'nothing yet'}")
    if one.actor:
        click.echo(f"    {one.state} by {one.actor}{f': {one.reason}' if one.reason else ''}")


COMMANDS = (model_command, retune_command, alerts_command)
