"""`import business-central` and `import tryton`: sales from an ERP's own ledger."""

from __future__ import annotations

import datetime as dt
from contextlib import closing

import click

from api.commands import common
from api.commands.imports import DRY_RUN, WAIT, finish, import_group
from api.known import known_categories


def _add(name: str, what: str) -> None:
    """Add the command that imports from one system."""

    @import_group.command(
        name,
        help=f"Import sales from {what}, as [imports.{name}] of groundswell.toml says: a category for each item.\n\n"
        "Only what has changed since the last import is read.",
    )
    @click.option("--again", is_flag=True, help="Read the whole history anew.")
    @DRY_RUN
    @WAIT
    @common.as_json
    @click.pass_context
    def command(ctx: click.Context, /, again: bool, dry_run: bool, wait: float, as_json: bool) -> None:
        _import(ctx, name, again=again, dry_run=dry_run, wait=wait, as_json=as_json)


_add("business-central", "the item ledger entries of Business Central")
_add("tryton", "the stock moves of Tryton to customers")


def _import(ctx: click.Context, name: str, *, again: bool, dry_run: bool, wait: float, as_json: bool) -> None:
    from api.database import engine_of
    from api.erp.config import load_system
    from api.erp.imports import SOURCES
    from api.erp.imports.entries import fetch, prepare
    from signals.lock import StoreBusy, ingest_lock

    settings = common.settings_of(ctx)
    kind = SOURCES[name]
    loaded = load_system(settings.home, "imports", name, kind.settings_type)
    folder, engine = settings.home / "state", engine_of(settings)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with closing(kind(loaded.settings, loaded.redactor)) as source, ingest_lock(folder / f"import-{name}.lock"):
            fetched = fetch(engine, source, again=again)
            now = dt.datetime.now(dt.UTC)
            prepared = prepare(engine, source, loaded.settings, known_categories(settings.home), now)
    except StoreBusy as busy:
        raise common.Failed(f"{busy.owner} imports from {name} at this moment") from busy
    if not as_json:
        click.echo(f"{fetched.entries:,} entries read")
    finish(settings.home, prepared, dry_run=dry_run, wait=wait, as_json=as_json)


COMMANDS = ()  # they are part of `import`
