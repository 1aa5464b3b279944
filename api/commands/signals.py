"""`signals`: list them, pull them, see how their sources fare, propose new ones, read landed payloads again."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.commands import common
from api.commands.imports import WAIT, progress

if TYPE_CHECKING:
    from signals.runner import Outcome

CONNECTORS = click.argument("connectors", nargs=-1)


@click.group("signals", invoke_without_command=True)
@click.option("--category", help="Only the candidate signals of this category.")
@common.as_json
@click.pass_context
def signals_group(ctx: click.Context, category: str | None, as_json: bool) -> None:
    """List the signals of the store; or, with a command, pull them from their sources."""
    if ctx.invoked_subcommand is not None:
        return
    snapshot = common.open_newest(ctx)
    frame = snapshot.signals().sort_values("signal")
    if category is not None:
        snapshot.category(category)  # refuses an unknown one, with near matches
        frame = frame[frame["signal"].isin(snapshot.candidates(category))]
    rows = [
        {**row, "first": common.day(row["first"]), "last": common.day(row["last"])} for row in common.records(frame)
    ]
    if as_json:
        common.write_json(rows)
        return
    table = [
        [
            row["signal"],
            row["source"] or "",
            f"{row['observations']:,}",
            row["first"] or "",
            row["last"] or "",
            "" if row["last_known_at"] is None else f"{row['last_known_at']:%Y-%m-%d %H:%M}",
        ]
        for row in rows
    ]
    common.write_table(["signal", "source", "values", "from", "to", "last known at (UTC)"], table, left=2)


@signals_group.command("pull")
@CONNECTORS
@click.option("--due", is_flag=True, help="Leave out what was pulled less than its `every` ago, as `serve` does.")
@click.option("--again", is_flag=True, help="Read the whole history anew, not from where the last pull ended.")
@click.option("--accept", is_flag=True, help="Take values although they are made from far more or fewer records.")
@WAIT
@common.as_json
@click.pass_context
def pull_command(
    ctx: click.Context, /, connectors: tuple[str, ...], due: bool, again: bool, accept: bool, wait: float, as_json: bool
) -> None:
    """Pull what groundswell.toml wants, of all CONNECTORS or of these.

    Ctrl-C ends it after the request under way; the next pull goes on from there.
    """
    from signals.config import load_config
    from signals.runner import Options, pull_signals

    home = common.settings_of(ctx).home
    if not load_config(home).wanted:
        raise common.Failed(f"nothing is wanted: {home / 'groundswell.toml'} has no [[signals]] table; "
                            "`groundswell signals suggest CATEGORY` proposes some")  # fmt: skip
    with progress("Pulling") as advance, _stoppable() as stop:
        accepted = (connectors or tuple(load_config(home).connectors)) if accept else ()
        options = Options(only=connectors, due=due, again=again, accept=accepted, stop=stop, wait=wait)
        outcomes = pull_signals(home, options, progress=advance)
    if as_json:
        common.write_json([asdict(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            click.echo(_told(outcome))
    if not all(outcome.is_good for outcome in outcomes):
        sys.exit(1)


def _told(outcome: Outcome) -> str:
    where = outcome.where.rpartition(", ")[2]
    counts = f"{outcome.requests:,} requests, {outcome.inserted:,} new values, {outcome.unchanged:,} unchanged"
    message = f": {outcome.message}" if outcome.message else ""
    return f"{outcome.connector:<14} {where:<14} {outcome.status:<8} {counts}{message}"


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def handle(number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        common.note("\nStopping after the request under way …" if number == signal.SIGINT else "Stopping …")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@signals_group.command("status")
@common.as_json
@click.pass_context
def status_command(ctx: click.Context, as_json: bool) -> None:
    """Show the age and health of each source that groundswell.toml sets up."""
    from signals.status import source_status

    found = source_status(common.settings_there(ctx).home)
    if as_json:
        common.write_json([asdict(one) for one in found])
        return
    rows = [
        [
            one.connector,
            one.state,
            f"{one.signals}",
            "" if one.last is None else f"{one.last:%Y-%m-%d}",
            "" if one.age_days is None else f"{one.age_days:.1f}",
            "" if one.succeeded is None else f"{one.succeeded:%Y-%m-%d %H:%M}",
            f"{one.quarantined}",
        ]
        for one in found
    ]
    common.write_table(
        ["source", "state", "signals", "values to", "age, days", "last pulled (UTC)", "quarantined"], rows, left=2
    )
    for one in found:
        if one.message:
            common.note(f"{one.connector}: {one.message}")


@signals_group.command("suggest")
@click.argument("category")
@click.option("--connector", "connectors", multiple=True, help="Only of this connector; may be given several times.")
@click.option("--country", help="Where it is sold, such as US; default: the category's calendar.")
@click.option("--add", is_flag=True, help="Add them to groundswell.toml.")
@common.as_json
@click.pass_context
def suggest_command(
    ctx: click.Context, /, category: str, connectors: tuple[str, ...], country: str | None, add: bool, as_json: bool
) -> None:
    """Propose signals that may serve CATEGORY, from its name, as tables for groundswell.toml."""
    from signals.suggest import as_toml, suggest

    home = common.settings_of(ctx).home
    record = common.open_newest(ctx).category(category)
    record = replace(record, calendar=(country or record.calendar or "").upper() or None)
    entries = suggest(home, record, connectors)
    if as_json:
        common.write_json(entries)
    elif entries:
        click.echo(as_toml(entries), nl=False)
        common.note("\nThey are guesses from the name: read them, mend them, leave out what does not fit.")
    else:
        hint = "" if record.calendar else "; some know one once --country says where it is sold"
        common.note(f"No connector has a proposal for {category!r} beyond what is wanted already{hint}.")
    if add and entries:
        _append(home / "groundswell.toml", as_toml(entries))


def _append(file: Path, text: str) -> None:
    """Add tables at the end of a file that may be edited by hand: what stands there stays as it is."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    part = file.with_suffix(".part")
    part.write_text(f"{before.rstrip()}\n\n{text}".lstrip(), encoding="utf-8")
    part.replace(file)
    common.note(f"Added to {file}; `groundswell signals pull` pulls them.")


@signals_group.command("reparse")
@click.argument("connector")
@WAIT
@common.as_json
@click.pass_context
def reparse_command(ctx: click.Context, /, connector: str, wait: float, as_json: bool) -> None:
    """Read the landed payloads of CONNECTOR again, after its parser was mended; the source is not asked."""
    from signals.reparse import reparse

    with progress("Reading again") as advance:
        found = reparse(common.settings_of(ctx).home, connector, progress=advance, wait=wait)
    if as_json:
        common.write_json(asdict(found))
    else:
        waiting = f"; {found.waiting:,} wait for the owner of the store" if found.waiting else ""
        reason = f"; {found.failed:,} cannot be read: {found.reason}" if found.failed else ""
        click.echo(f"{found.pulls:,} pulls read again: {found.inserted:,} new values{waiting}{reason}")
    if found.failed:
        ctx.exit(1)


COMMANDS = (signals_group,)
