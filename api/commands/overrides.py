"""`override`: what a person publishes in place of the system's forecast."""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.commands import common
from api.overrides.written import NUMBER_ALLOWED, number_of

if TYPE_CHECKING:
    from api.overrides.versions import Author, Version
    from api.settings import Settings


class Number(click.ParamType[dict[str, float]]):
    """An absolute number, or a change in per cent with its sign: the field of the API and its value."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        if isinstance(value, dict):
            return value
        found = number_of(value)
        if found is None:
            self.fail(f"{value!r} is no number; write {NUMBER_ALLOWED}", param, ctx)
        return found


ID = click.argument("override", metavar="OVERRIDE")
REASON = click.option("--reason", required=True, help="Why, for those who read it later.")
AUTHOR = click.option("--author", help="Who decides.  [default: the user of this computer]")
LAYER = click.option("--layer", help="The layer that is written.  [default: the first of override_layers]")
EXPIRES = click.option("--expires", type=common.Moment(), help="It holds until then.  [default: until it is withdrawn]")
SEEN = click.option(
    "--seen", type=click.IntRange(1), help="The version that you saw; refused where it is no longer the newest."
)


@click.group("override")
def override_command() -> None:
    """Publish numbers of your own in place of the system's forecast, which stays beside them.

    They hold for forecasts from then on. Every change is kept, with its author, its moment and its reason.
    """


@override_command.command("set", context_settings={"ignore_unknown_options": True})  # -5% is no option
@click.argument("category")
@click.argument("periods")
@click.argument("number", metavar="VALUE", type=Number())
@REASON
@LAYER
@AUTHOR
@EXPIRES
@click.option("--receipt", help="The forecast that you saw.  [default: the last one of the category]")
@common.as_json
@click.pass_context
def set_command(
    ctx: click.Context,
    category: str,
    periods: str,
    number: dict[str, float],
    reason: str,
    layer: str | None,
    author: str | None,
    expires: dt.datetime | None,
    receipt: str | None,
    as_json: bool,
) -> None:
    """Publish VALUE for the PERIODS of CATEGORY: a number a period (130), or per cent (+10%, -5%).

    PERIODS are a day, week, month or year, or two of them: 2026-12-06, 2026-W49, 2026-W49..2026-W52. Per cent are of
    what the system says in each forecast.
    """
    from api.database import now
    from api.overrides.deciding import set_override
    from api.overrides.models import OverrideRequest

    settings, snapshot = common.settings_of(ctx), common.open_newest(ctx)
    given = {"periods": periods, "reason": reason, "layer": layer, "receipt": receipt, "expires": common.aware(expires)}
    body = common.model(OverrideRequest, given | number)
    made = common.checked(set_override, settings, snapshot, category, body, _author(author), now())
    _write(made, as_json=as_json)


@override_command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@LAYER
@AUTHOR
@common.as_json
@click.pass_context
def import_command(ctx: click.Context, file: Path, layer: str | None, author: str | None, as_json: bool) -> None:
    """Set many at once from FILE (CSV or Parquet), all or none.

    Columns: category, periods, value (130, +10% or -5%) and reason; layer, author and expires may be there. --layer and
    --author are for rows that say nothing.
    """
    from api.database import now
    from api.overrides.importing import import_overrides

    settings, snapshot = common.settings_of(ctx), common.open_newest(ctx)
    made = common.checked(import_overrides, settings, snapshot, file, layer, _author(author), now())
    if as_json:
        common.write_json([_told(one) for one in made])
    else:
        categories = len({one.category for one in made})
        click.echo(f"{len(made):,} overrides set, of {categories} categor{'y' if categories == 1 else 'ies'}")


@override_command.command("list")
@click.argument("category")
@click.option("--all", "everything", is_flag=True, help="Also those that have expired or were withdrawn.")
@click.option("--as-of", type=common.Moment(), help="As it was at this moment (UTC); default: now.")
@common.as_json
@click.pass_context
def list_command(ctx: click.Context, category: str, everything: bool, as_of: dt.datetime | None, as_json: bool) -> None:
    """List the overrides of CATEGORY in force, in the order of time; of the same days the last one decides."""
    from api.database import now
    from api.overrides.deciding import list_of
    from api.service import moment_of

    common.open_newest(ctx).category(category)
    moment = moment_of(as_of) or now()
    found = list_of(common.settings_of(ctx), category, moment, everything=everything)
    if as_json:
        common.write_json(found.model_dump(mode="json"))
        return
    if not found.items:
        click.echo(f"Nobody overrides the forecast of {category}.")
        return
    head = ["override", "first", "last", "value", "layer", "author", "state", "reason"]
    rows = [
        [one.override, f"{one.first}", f"{one.last}", _number(one.value, one.percent), one.layer, one.author,
         one.state.replace("_", " "), one.reason]
        for one in found.items
    ]  # fmt: skip
    common.write_table(head, rows, left=len(head))


@override_command.command("history")
@ID
@common.as_json
@click.pass_context
def history_command(ctx: click.Context, override: str, as_json: bool) -> None:
    """Show every state of OVERRIDE, and what was said of it, the first one first."""
    from api.overrides import kept

    settings = common.settings_there(ctx)
    states, said = _states(settings, override), kept.comments(settings, _id(override))
    if as_json:
        comments = [vars(one) | {"moment": f"{one.moment.isoformat()}Z"} for one in said]
        common.write_json({"states": [_told(one) for one in states], "comments": comments})
        return
    click.echo(f"{states[0].category}, {states[0].first} to {states[0].last}, layer {states[0].layer}")
    for one in states:
        click.echo(f"  {one.version}  {one.told()}{_saw(one)}")
    for comment in said:
        click.echo(f"  {comment.author}, {comment.moment:%Y-%m-%d %H:%M} UTC: {comment.text}")


@override_command.command("change", context_settings={"ignore_unknown_options": True})
@ID
@click.argument("number", metavar="[VALUE]", type=Number(), required=False)
@REASON
@click.option("--expires", help="It holds until this moment (UTC); `never`: until it is withdrawn.")
@AUTHOR
@SEEN
@common.as_json
@click.pass_context
def change_command(
    ctx: click.Context,
    override: str,
    number: dict[str, float] | None,
    reason: str,
    expires: str | None,
    author: str | None,
    seen: int | None,
    as_json: bool,
) -> None:
    """Give OVERRIDE another VALUE (130, +10%, -5%), or another expiry."""
    from api.database import now
    from api.overrides.deciding import change
    from api.overrides.models import OverrideChange

    given: dict[str, Any] = {"reason": reason, **(number or {})}
    if expires is not None:
        moment = None if expires == "never" else common.Moment().convert(expires, None, ctx)
        given["expires"] = common.aware(moment)
    body = common.model(OverrideChange, given)
    settings, snapshot = common.settings_there(ctx), common.open_newest(ctx)
    state = _seen(settings, override, seen)
    made = common.checked(change, settings, snapshot, state, body, _author(author), now())
    _write(made, as_json=as_json)


@override_command.command("withdraw")
@ID
@REASON
@AUTHOR
@SEEN
@common.as_json
@click.pass_context
def withdraw_command(
    ctx: click.Context, override: str, reason: str, author: str | None, seen: int | None, as_json: bool
) -> None:
    """End OVERRIDE: forecasts from now on are published without it. It can be restored."""
    from api.database import now
    from api.overrides.deciding import withdraw

    settings = common.settings_there(ctx)
    made = common.checked(withdraw, settings, _seen(settings, override, seen), reason, _author(author), now())
    _write(made, as_json=as_json)


@override_command.command("restore")
@ID
@click.option("--version", type=click.IntRange(1), help="This state.  [default: the one before the last change]")
@REASON
@AUTHOR
@SEEN
@common.as_json
@click.pass_context
def restore_command(
    ctx: click.Context,
    override: str,
    version: int | None,
    reason: str,
    author: str | None,
    seen: int | None,
    as_json: bool,
) -> None:
    """Bring back an earlier state of OVERRIDE; so a withdrawal is undone."""
    from api.database import now
    from api.overrides.deciding import restore
    from api.overrides.models import RestoreRequest

    settings = common.settings_there(ctx)
    body = common.model(RestoreRequest, {"version": version, "reason": reason})
    made = common.checked(restore, settings, _seen(settings, override, seen), body, _author(author), now())
    _write(made, as_json=as_json)


@override_command.command("comment")
@ID
@click.argument("text")
@AUTHOR
@click.pass_context
def comment_command(ctx: click.Context, override: str, text: str, author: str | None) -> None:
    """Say something of OVERRIDE; `override history` shows it."""
    from api.database import now
    from api.overrides import kept
    from api.overrides.models import CommentRequest

    settings = common.settings_there(ctx)
    _states(settings, override)
    body = common.model(CommentRequest, {"text": text})
    kept.comment(settings, _id(override), body.text, _author(author), now())
    click.echo(f"said of {_id(override)}: {body.text}")


def _author(name: str | None) -> Author:
    from api.overrides.versions import Author

    return Author(name or getpass.getuser())


def _id(override: str) -> str:
    """The id, also of a reference with its version."""
    return override.partition(".")[0]


def _states(settings: Settings, override: str) -> list[Version]:
    from api.overrides import kept

    category = common.checked(kept.find, settings, _id(override))
    return kept.history(settings, category, _id(override))


def _seen(settings: Settings, override: str, seen: int | None) -> Version:
    """The state that the author saw: as they say, or the newest."""
    states = _states(settings, override)
    number = override.partition(".")[2] or seen
    found = [one for one in states if str(one.version) == str(number or len(states))]
    if not found:
        raise common.Misused(f"{_id(override)} has the versions 1 to {len(states)}, not {number}")
    return found[0]


def _write(made: Version, *, as_json: bool) -> None:
    if as_json:
        common.write_json(_told(made))
        return
    click.echo(f"{made.reference}  {made.category}, {made.first} to {made.last}, layer {made.layer}")
    click.echo(f"  {made.told()}{_saw(made)}")
    common.note("note: it counts in forecasts from now on; those that were issued stay as they are")


def _told(one: Version) -> dict[str, Any]:
    from api.database import now
    from api.overrides.deciding import told

    return told(one, now()).model_dump(mode="json")


def _saw(one: Version) -> str:
    """What the author saw of the system's forecast."""
    from forecast.words import digits_for, number

    rows: list[Mapping[str, Any]] = one.seen.get("periods", [])
    if not rows or one.withdrawn:
        return ""
    digits = digits_for(row["value"] for row in rows)
    told = ", ".join(number(row["value"], digits) for row in rows[:4])
    return f"; the system said {told}{' …' if len(rows) > 4 else ''}"


def _number(value: float | None, percent: float | None) -> str:
    return f"{value:,g}" if value is not None else f"{percent:+g} %"


COMMANDS = (override_command,)
