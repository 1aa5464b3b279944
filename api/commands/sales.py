"""`sales pull`, `sales check`, `sales status`: sales from the sources that groundswell.toml names."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.commands import common
from api.commands.imports import WAIT

if TYPE_CHECKING:
    from signals.sales_config import SalesSource
    from signals.sales_sources import SalesResult, SourceStatus

NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")


@click.group("sales")
def sales_group() -> None:
    """Pull sales from folders, addresses and databases: the [[sales]] tables of groundswell.toml."""


@sales_group.command("pull")
@NAMES
@click.option("--again", is_flag=True, help="Read again what has not changed, and forget which files were there.")
@WAIT
@common.as_json
@click.pass_context
def pull_command(ctx: click.Context, names: tuple[str, ...], again: bool, wait: float, as_json: bool) -> None:
    """Pull the sources called NAME, or all, now. All of a source is stored, or nothing."""
    from signals.sales_sources import pull_sales

    home = common.settings_of(ctx).home
    sources = _sources(home, names)
    _tell(ctx, (pull_sales(home, source, again=again, timeout=wait) for source in sources), as_json=as_json)


@sales_group.command("check")
@NAMES
@common.as_json
@click.pass_context
def check_command(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Read and check the sources called NAME, or all, and store nothing."""
    from signals.sales_sources import check_sales

    home = common.settings_of(ctx).home
    sources = _sources(home, names)
    _tell(ctx, (check_sales(home, source) for source in sources), as_json=as_json, dry_run=True)


@sales_group.command("status")
@common.as_json
@click.pass_context
def status_command(ctx: click.Context, as_json: bool) -> None:
    """Show each source, what became of its last pull, and when `groundswell serve` pulls it next."""
    from signals.sales_sources import sales_status

    with _configured():
        found = sales_status(common.settings_there(ctx).home)
    if as_json:
        common.write_json([_status(one) for one in found])
        return
    rows = [
        [one.source.name, one.source.place, one.state.status, _minute(one.state.succeeded), _minute(one.due) or "now"]
        for one in found
    ]
    common.write_table(["source", "place", "last pull", "last done (UTC)", "due (UTC)"], rows, left=5)
    for one in found:
        if one.state.error:
            click.echo(f"{one.source.name}: {one.state.error}")


def _sources(home: Path, names: tuple[str, ...]) -> list[SalesSource]:
    """The sources of these names, or all of groundswell.toml."""
    from signals.sales_config import load_sales_sources
    from signals.toml_tables import FILE

    with _configured():
        known = {source.name: source for source in load_sales_sources(home)}
    if not known:
        raise common.Misused(f"{home / FILE} has no [[sales]] table; docs/sources/sales.md shows some")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise common.Misused(
                f"there is no source {name!r}; "
                + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}")
            )
    return [known[name] for name in names or known]


@contextmanager
def _configured() -> Iterator[None]:
    """A mistake in groundswell.toml as wrong use."""
    from signals.connector import ConfigError

    try:
        yield
    except ConfigError as error:
        raise common.Misused(str(error)) from error


def _tell(ctx: click.Context, results: Iterator[SalesResult], *, as_json: bool, dry_run: bool = False) -> None:
    """Show each result as it comes; exit code 1 where a source is not done."""
    seen = []
    for result in results:
        seen.append(result)
        if not as_json:
            _show(result, dry_run=dry_run)
    if as_json:
        common.write_json([asdict(result) for result in seen])
    if not all(result.done for result in seen):
        ctx.exit(1)


def _show(result: SalesResult, *, dry_run: bool) -> None:
    click.echo(f"{result.name}: {_sentence(result, dry_run=dry_run)}")
    for field, column in result.mapping.items():
        click.echo(f"  {field:<12} {column}")
    for text in result.notes:
        click.echo(f"  note: {text}")


def _sentence(result: SalesResult, *, dry_run: bool) -> str:
    if result.counts is None:
        read = f"{result.rows:,} rows read; nothing stored"
        return read if dry_run and result.done else f"{result.status}{': ' if result.error else ''}{result.error}"
    counts = result.counts
    withdrawn = f", {counts.withdrawn:,} withdrawn" if counts.withdrawn else ""
    told = f"{result.rows:,} rows: {counts.inserted:,} new, {counts.unchanged:,} unchanged{withdrawn}"
    return f"{told}; data version {counts.data_version}{'; ' if result.error else ''}{result.error}"


def _status(one: SourceStatus) -> dict[str, Any]:
    state = {name: value for name, value in asdict(one.state).items() if name != "content"}
    return {"name": one.source.name, "place": one.source.place, **state, "due": one.due}


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


COMMANDS = (sales_group,)
