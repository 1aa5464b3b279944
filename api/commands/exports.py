"""`export`: issued forecasts as an ERP takes them, into a file or into the ERP itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.commands import common

if TYPE_CHECKING:
    from api.erp.exports.base import Row, Target
    from api.erp.exports.buckets import Bucket
    from api.ledger import Issued
    from api.settings import Settings
    from signals.redact import Redactor

NAMES = ("business-central", "d365", "demand-planning", "tryton")


@click.command("export")
@click.argument("target", type=click.Choice(NAMES))
@click.option("--category", "categories", multiple=True, help="Only this category; repeat it for several.")
@click.option("--receipt", "receipts", multiple=True, help="This issued forecast; repeat it for several.")
@click.option(
    "--horizon", type=click.IntRange(1, 520), help="Make new forecasts of so many periods first, and export those."
)
@common.serving_engine
@click.option("--redate", is_flag=True, help="Keep the running period too, under the date of tomorrow.")
@click.option("--out", type=common.OutFile(), help="The file to write.  [default: stdout]")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, not CSV.")
@click.option("--push", is_flag=True, help="Write the rows to the target itself; what was written is not sent again.")
@click.option("--dry-run", is_flag=True, help="With --push: say how many rows would be written.")
@click.option(
    "--step",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With demand-planning: the input of a custom step; the forecast is written beside it.",
)
@click.pass_context
def export_command(
    ctx: click.Context,
    /,
    target: str,
    categories: tuple[str, ...],
    receipts: tuple[str, ...],
    horizon: int | None,
    engine: str | None,
    redate: bool,
    out: Path | None,
    as_json: bool,
    push: bool,
    dry_run: bool,
    step: Path | None,
) -> None:
    """Export forecasts to TARGET, as [exports.TARGET] of groundswell.toml says.

    Exported is the newest issued forecast of each category. Periods that have begun are left out.
    """
    if step is not None:
        _step(target, step, engine, out)
        return
    settings = common.settings_of(ctx)
    entries = _entries(settings, categories, receipts, horizon, engine)
    made, redactor, rows = _rows(settings, target, entries, redate=redate)
    if push:
        _push(settings, made, redactor, rows, dry_run=dry_run, as_json=as_json)
    else:
        _write(rows, out, as_json=as_json)


def _entries(
    settings: Settings, categories: Sequence[str], receipts: Sequence[str], horizon: int | None, engine: str | None
) -> list[Issued]:
    """The forecasts to export."""
    import api.erp.state  # noqa: F401 - before the ledger opens the database, which makes the tables that are known
    from api.issued import last_of_category
    from api.ledger import Ledger
    from api.snapshots import Snapshots

    if receipts and (categories or horizon is not None):
        raise click.UsageError("--receipt excludes --category and --horizon")
    ledger = Ledger(settings)
    if receipts:
        found = {receipt: ledger.resolve(receipt) for receipt in receipts}
        if missing := [receipt for receipt, entry in found.items() if entry is None]:
            raise common.Failed(f"no forecast was issued with the receipt {missing[0]!r}")
        return [entry for entry in found.values() if entry is not None]
    snapshot = Snapshots(settings.home).current()
    names = [snapshot.category(name).category for name in categories] or snapshot.names()
    if horizon is not None:
        return _made(settings, ledger, names, horizon, engine)
    newest = {name: last_of_category(settings, name) for name in names}
    for name in [name for name, entry in newest.items() if entry is None]:
        common.note(f"note: {name} has no issued forecast of the sales in the store; --horizon makes one")
    return [entry for entry in newest.values() if entry is not None]


def _made(settings: Settings, ledger: Any, names: Sequence[str], horizon: int, engine: str | None) -> list[Issued]:
    """A new forecast of each category, kept in the ledger like any other."""
    from api.errors import Problem
    from api.forecasting import Forecaster
    from api.models import ForecastRequest
    from api.snapshots import Snapshots
    from forecast import ForecastError, OptionError

    forecaster, entries = Forecaster(settings, Snapshots(settings.home)), []
    for name in names:
        try:
            entry = forecaster.make(ForecastRequest(category=name, horizon=horizon, engine=engine), face="export")
        except Problem as problem:  # beyond a limit of the settings
            raise common.Misused(str(problem.detail)) from problem
        except OptionError:
            raise
        except ForecastError as error:
            common.note(f"note: {name} left out: {error}")
            continue
        entries.append(entry)
    ledger.append(*entries)
    return entries


def _rows(
    settings: Settings, name: str, entries: Sequence[Issued], *, redate: bool
) -> tuple[Target, Redactor, Sequence[Row]]:  # fmt: skip
    from api.erp.config import load_system
    from api.erp.exports import TARGETS
    from api.erp.exports.base import only_its_own
    from api.erp.exports.buckets import buckets_of, coming, today_of

    kind = TARGETS[name]
    loaded = load_system(settings.home, "exports", name, kind.settings_type)
    target, said = kind(loaded.settings), loaded.settings
    attributes = _attributes(settings, said.categories)
    found = buckets_of(entries, attributes, said.decimals)
    buckets = coming(found, today_of(said, loaded.where), redate=redate)
    _tell_left_out(found, buckets)
    return target, loaded.redactor, only_its_own(target.rows(buckets))


def _tell_left_out(found: Sequence[Bucket], kept: Sequence[Bucket]) -> None:
    if begun := len(found) - len(kept):
        common.note(f"note: {begun} of {len(found)} periods have begun and are left out")
    if authors := [bucket.author for bucket in kept if bucket.author is not None]:
        whose = ", ".join(sorted(set(authors)))
        common.note(f"note: {len(authors)} of {len(kept)} quantities are overrides, of {whose}")
    if not kept:
        raise common.Failed("there is nothing to export: no issued forecast has a period that begins after today")


def _attributes(settings: Settings, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The attributes of each category: those of the store, and before them those of groundswell.toml."""
    from api.snapshots import Snapshots
    from signals.connector import ConfigError

    frame = Snapshots(settings.home).current().categories()
    stored = zip(frame["category"], frame["attributes"], strict=True)
    held: dict[str, dict[str, Any]] = {
        name: json.loads(text) if isinstance(text, str) and text else {} for name, text in stored
    }
    for name in given:
        if name not in held:
            raise ConfigError("categories", name, f"categories of the store: {', '.join(sorted(held))}")
    return {name: values | given.get(name, {}) for name, values in held.items()}


def _write(rows: Sequence[Row], out: Path | None, *, as_json: bool) -> None:
    """The rows into a file, whole or not at all, or to stdout."""
    from api.erp.exports.demand_planning import as_csv

    text = json.dumps([dict(row.fields) for row in rows], indent=2) + "\n" if as_json else as_csv(rows)
    if out is None:
        click.echo(text, nl=False)
        return
    part = out.with_name(f".{out.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(out)
    click.echo(f"{len(rows):,} rows in {out}")


def _push(
    settings: Settings, target: Target, redactor: Redactor, rows: Sequence[Row], *, dry_run: bool, as_json: bool
) -> None:
    from api.database import engine_of
    from api.erp.exports.push import Push
    from signals.lock import StoreBusy, ingest_lock

    remote = target.remote(redactor)
    folder = settings.home / "state"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with closing(remote), ingest_lock(folder / f"export-{target.name}.lock"):
            push = Push(engine_of(settings), target.name, target.place, remote)
            if dry_run:
                click.echo(f"{push.waiting(rows):,} of {len(rows):,} rows would be written to {target.name}")
                return
            with click.progressbar(length=1, label="Writing", file=sys.stderr, hidden=not common.watched()) as bar:

                def step(done: int, total: int) -> None:
                    bar.length = total
                    bar.update(done - bar.pos)

                pushed = push.run(rows, step)
    except StoreBusy as busy:
        raise common.Failed(f"{busy.owner} exports to {target.name} at this moment") from busy
    if as_json:
        common.write_json(vars(pushed))
        return
    click.echo(
        f"{len(rows):,} rows: {pushed.created:,} created, {pushed.updated:,} updated, {pushed.same:,} found as they "
        f"are, {pushed.remembered:,} written before"
    )


def _step(target: str, path: Path, engine: str | None, out: Path | None) -> None:
    """Answer a custom step of Demand planning."""
    from api.erp.exports.custom_step import read_step, run_step
    from forecast.configuration import DEFAULT

    if target != "demand-planning":
        raise click.UsageError("--step only with demand-planning")
    made = run_step(read_step(path), engine=engine or DEFAULT.engine)
    for text in made.left_out:
        common.note(f"note: left out {text}")
    if not made.series:
        raise common.Failed(f"no series of {path} can be forecast")
    place = out or path.with_name(f"{path.stem}-forecast.csv")
    part = place.with_name(f".{place.name}.part")
    part.write_text(made.text, encoding="utf-8")
    part.replace(place)
    click.echo(f"{made.series:,} series in {place}")


COMMANDS = (export_command,)
