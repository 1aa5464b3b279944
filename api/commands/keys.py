"""`keys` and `audit`: who may call the API, and who changed what."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from api.commands import common

if TYPE_CHECKING:
    from api.keys import Key
    from api.settings import Settings

SCOPES = (
    "forecast:read", "forecast:write", "data:read", "data:write", "jobs:read", "jobs:write", "model:write",
    "metrics:read", "admin",
)  # fmt: skip
USUAL = ("forecast:read", "forecast:write", "data:read", "jobs:read", "jobs:write")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class Span(click.ParamType[dt.timedelta]):
    """A span of time such as 90d, up to ten years."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.timedelta:
        if isinstance(value, dt.timedelta):
            return value
        found = re.fullmatch(r"([1-9]\d{0,4})([hdw])", value)
        span = dt.timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
        if span is None or span > dt.timedelta(days=3653):
            self.fail(f"{value!r} is no span; write it like 12h, 90d or 52w, at most ten years", param, ctx)
        return span


class Scope(click.Choice[str]):
    """One of the scopes, or that of a layer of overrides."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        found = re.fullmatch(r"override:([a-z][a-z0-9]{0,29})", value) if ctx is not None else None
        if found is None or ctx is None:
            return str(super().convert(value, param, ctx))
        layers = common.settings_of(ctx).override_layers.replace(" ", "").split(",")
        if found[1] not in layers:
            self.fail(f"there is no layer {found[1]!r} (setting override_layers: {', '.join(layers)})", param, ctx)
        return str(value)


@click.group("keys")
def keys_command() -> None:
    """Make, list, rotate and revoke API keys."""


@keys_command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=Scope(SCOPES),
    multiple=True,
    help="What the key may do, once for each; override:LAYER for a layer of overrides, such as override:planner.  "
    "[default: all but data:write, model:write, metrics:read, admin and those of layers]",
)
@click.option(
    "--category", "categories", multiple=True, help="A category that it may see, once for each; default: all."
)
@click.option("--expires", type=Span(), help="For how long it is good: 12h, 90d, 52w; default: until it is revoked.")
@common.as_json
@click.pass_context
def create_command(
    ctx: click.Context,
    name: str,
    scopes: tuple[str, ...],
    categories: tuple[str, ...],
    expires: dt.timedelta | None,
    as_json: bool,
) -> None:
    """Make an API key called NAME, after whoever calls with it. It is shown once."""
    from api.keys import create

    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise click.UsageError("NAME must have 1 to 200 printable characters")
    settings = common.settings_of(ctx)
    key, text = create(settings, name, scopes or USUAL, categories or None, expires)
    _show(key, text, as_json)
    _note_unknown(settings, categories)


def _note_unknown(settings: Settings, categories: Sequence[str]) -> None:
    """Say which categories the store has not: it may be a slip, or they come with a later import."""
    from api.snapshots import Snapshots
    from signals.store import StoreEmpty

    try:
        known = set(Snapshots(settings.home).current().categories()["category"]) if categories else set()
    except StoreEmpty:
        known = set()
    for name in [name for name in categories if name not in known]:
        common.note(f"note: the store has no category {name!r} yet; the key will see it once it is imported")


@keys_command.command("rotate")
@click.argument("name")
@common.as_json
@click.pass_context
def rotate_command(ctx: click.Context, name: str, as_json: bool) -> None:
    """Make the successor of the key NAME; the old one stays good until you revoke it."""
    from api.keys import rotate

    key, text = rotate(common.settings_there(ctx), name)
    _show(key, text, as_json)


@keys_command.command("revoke")
@click.argument("key_id", metavar="ID")
@common.as_json
@click.pass_context
def revoke_command(ctx: click.Context, key_id: str, as_json: bool) -> None:
    """End the key ID for good, within 5 seconds also where `groundswell serve` runs."""
    from api.database import now
    from api.keys import revoke

    before = revoke(common.settings_there(ctx), key_id).state(now())
    if as_json:
        common.write_json({"id": key_id, "before": before, "state": "revoked"})
    else:
        click.echo(f"key {key_id} was {before} and is revoked")


@keys_command.command("list")
@common.as_json
@click.pass_context
def list_command(ctx: click.Context, as_json: bool) -> None:
    """List all keys, the newest first, without their secrets."""
    from api.keys import all_keys

    rows = [_row(key) for key in all_keys(common.settings_there(ctx))]
    if as_json:
        common.write_json(rows)
        return
    table = [
        [
            row["id"],
            row["name"],
            row["state"],
            *(_minute(row[name]) for name in ("created", "expires", "last_used")),
            " ".join(row["scopes"]),
            "all" if row["categories"] is None else ", ".join(row["categories"]),
        ]
        for row in rows
    ]
    head = ["id", "name", "state", "created", "expires", "last used", "scopes", "categories"]
    common.write_table(head, table, left=len(head))


@click.command("audit")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Newest rows to show.")
@common.as_json
@click.pass_context
def audit_command(ctx: click.Context, limit: int, as_json: bool) -> None:
    """Show who changed what, the newest first. Forecasts are in the ledger instead."""
    from api.audit import newest

    rows = [{**row, "moment": _aware(row["moment"])} for row in newest(common.settings_there(ctx), limit)]
    if as_json:
        common.write_json(rows)
        return
    head = ["moment", "key", "action", "subject", "status", "request"]
    table = [
        [
            _minute(row["moment"]),
            row["key_id"] or "",
            row["action"],
            row["subject"],
            str(row["details"].get("status", "")),
            row["request_id"] or "",
        ]
        for row in rows
    ]
    common.write_table(head, table, left=len(head))


def _show(key: Key, text: str, as_json: bool) -> None:
    row = _row(key)
    if as_json:
        common.write_json({"key": text, **row})
        return
    click.echo(text)
    common.note(f"note: key {key.id} of {key.name!r} is shown this once; keep it where secrets are kept")
    common.note(f"note: it may {', '.join(row['scopes'])}; it is good until {row['expires'] or 'it is revoked'}")


def _row(key: Key) -> dict[str, Any]:
    from api.database import now

    return {
        "id": key.id,
        "name": key.name,
        "state": key.state(now()),
        "scopes": sorted(key.scopes),
        "categories": None if key.categories is None else sorted(key.categories),
        "created": _aware(key.created),
        "expires": _aware(key.expires),
        "revoked": _aware(key.revoked),
        "last_used": _aware(key.last_used),
    }


def _aware(moment: dt.datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _minute(moment: str | None) -> str:
    return "" if moment is None else moment[:16].replace("T", " ")


COMMANDS = (keys_command, audit_command)
