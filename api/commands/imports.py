"""`import sales`, `import signals`, `import economic-tracker`: from files into the store, all or nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.commands import common
from api.known import known_categories, known_signals

if TYPE_CHECKING:
    from signals.prepared import Prepared, Progress
    from signals.store import AppendResult


class Seconds(click.FloatRange):
    """A number of seconds in a range; what is not a number is in none, though no comparison says so."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds: float = super().convert(value, param, ctx)
        if seconds != seconds:
            self.fail(f"{value!r} is not in the range {self._describe_range()}.", param, ctx)
        return seconds


FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
GUESSED = "guessed when not given."
KNOWN_AT = click.option("--known-at", help=f"Column of the moment when a value became known (UTC); {GUESSED}")
FREQUENCY = click.option("--frequency", help=f"D, W, W-MON … W-SUN, MS or QS; {GUESSED}")
DAYFIRST = click.option(
    "--day-first/--month-first", "dayfirst", default=None, help=f"How to read 03/04/2026; {GUESSED}"
)
DECIMAL = click.option("--decimal", type=click.Choice([".", ","]), help=f"The decimal separator; {GUESSED}")
WEEK = click.option(
    "--week",
    type=click.Choice(["begins", "ends"]),
    help=f"Whether the date of a week is its first day or its last; {GUESSED}",
)
DUPLICATES = click.option(
    "--duplicates",
    type=click.Choice(["refuse", "sum", "last"]),
    default="refuse",
    show_default=True,
    help="What to do with two rows for one period.",
)
GAPS = click.option(
    "--gaps",
    type=click.Choice(["missing", "zero"]),
    default="missing",
    show_default=True,
    help="Whether a period without a row is not known or was zero.",
)
LAG_DAYS = click.option(
    "--lag-days",
    type=click.IntRange(0, 3660),
    default=0,
    show_default=True,
    help="Days after the end of a period at which its value became known, where the file does not say.",
)
KINDS = click.option(
    "--kind", "kinds", multiple=True, help="Only this kind of place or travel; may be given several times."
)
REGIONS = click.option(
    "--region", "regions", multiple=True, help="DE, US-NY, US/* or *; may be given several times.  [default: countries]"
)
FOR = click.option(
    "--category",
    "categories",
    multiple=True,
    default=("*",),
    help="Only these categories may use them.  [default: every]",
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Read and check everything, store nothing.")
WAIT = click.option(
    "--wait",
    type=Seconds(0, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds to wait for `groundswell serve` to store the data, where it runs.",
)


@click.group("import")
def import_group() -> None:
    """Import sales and signals. All of a file is stored, or nothing; the same file again changes nothing."""


@import_group.command("sales")
@FILE
@click.option("--category", help=f"Column of the category, or =NAME: all rows belong to NAME; {GUESSED}")
@click.option("--date", help=f"Column of the date; {GUESSED}")
@click.option("--quantity", help=f"Column of the quantity; {GUESSED}")
@KNOWN_AT
@FREQUENCY
@WEEK
@click.option("--unit", help="Unit of the quantity, such as pairs.")
@click.option("--timezone", help="Time zone of the periods, such as Europe/Berlin.  [default: UTC]")
@DUPLICATES
@GAPS
@DAYFIRST
@DECIMAL
@LAG_DAYS
@DRY_RUN
@WAIT
@common.as_json
@click.pass_context
def sales_command(ctx: click.Context, /, file: Path, dry_run: bool, wait: float, as_json: bool, **options: Any) -> None:
    """Import sales from FILE (CSV or Parquet): a row for each category and date."""
    from signals.sales_import import prepare_sales

    home = common.settings_of(ctx).home
    with progress(f"Reading {file.name}") as advance:
        prepared = prepare_sales(file, known_categories=known_categories(home), progress=advance, **options)
    finish(home, prepared, dry_run=dry_run, wait=wait, as_json=as_json)


@import_group.command("signals")
@FILE
@click.option("--signal", help=f"Column of the signal's name, or =NAME: all rows belong to NAME; {GUESSED}")
@click.option("--date", help=f"Column of the date; {GUESSED}")
@click.option("--value", help=f"Column of the value; {GUESSED}")
@click.option(
    "--category", help=f"Column of the category that the signal may serve, or =NAME, =* for every one; {GUESSED}"
)
@click.option("--source", help="Where the signals are from; else the column source.")
@click.option("--region", help="The region they are about; else the column region.")
@click.option("--unit", help="Unit of their values; else the column unit.")
@click.option(
    "--aggregation", type=click.Choice(["mean", "sum"]), help="How finer values become one a period; else the column."
)
@KNOWN_AT
@click.option(
    "--future-known/--not-future-known",
    default=None,
    help=f"Whether coming values are known today, as planned promotions are; {GUESSED}",
)
@FREQUENCY
@WEEK
@DUPLICATES
@GAPS
@DAYFIRST
@DECIMAL
@LAG_DAYS
@DRY_RUN
@WAIT
@common.as_json
@click.pass_context
def signals_command(
    ctx: click.Context, /, file: Path, dry_run: bool, wait: float, as_json: bool, **options: Any
) -> None:
    """Import outside signals from FILE (CSV or Parquet): a row for each signal and date."""
    from signals.signal_import import prepare_signals

    home = common.settings_of(ctx).home
    with progress(f"Reading {file.name}") as advance:
        prepared = prepare_signals(
            file,
            known_signals=known_signals(home),
            known_categories=known_categories(home) or None,
            progress=advance,
            **options,
        )
    finish(home, prepared, dry_run=dry_run, wait=wait, as_json=as_json)


@import_group.command("categories")
@FILE
@DRY_RUN
@WAIT
@common.as_json
@click.pass_context
def categories_command(ctx: click.Context, /, file: Path, dry_run: bool, wait: float, as_json: bool) -> None:
    """Import parent, calendar, unit and attributes of categories from FILE (CSV or Parquet): a row for each.

    Every column but category, parent, calendar, unit and frequency becomes an attribute; an empty cell leaves what
    is there. With a frequency, such as W-SUN, a category may come before its first sale.
    """
    from signals.category_import import prepare_categories

    home = common.settings_of(ctx).home
    prepared = prepare_categories(file, known=common.open_newest(ctx).categories())
    finish(home, prepared, dry_run=dry_run, wait=wait, as_json=as_json)


@import_group.command("economic-tracker")
@DRY_RUN
@WAIT
@common.as_json
@click.pass_context
def economic_tracker_command(ctx: click.Context, /, dry_run: bool, wait: float, as_json: bool) -> None:
    """Import card spending by category and Google mobility of the Opportunity Insights Economic Tracker (US)."""
    from signals.connectors.economic_tracker import EconomicTrackerSettings, prepare_economic_tracker

    settings = common.settings_of(ctx)
    source = EconomicTrackerSettings(
        spending_url=settings.economic_tracker_spending_url, mobility_url=settings.economic_tracker_mobility_url
    )
    with progress("Economic Tracker") as advance:
        prepared = prepare_economic_tracker(settings.home, source, progress=advance)
    finish(settings.home, prepared, dry_run=dry_run, wait=wait, as_json=as_json)


@import_group.command("google-trends")
@FILE
@click.option("--region", help="The place where the file does not name one that is known: US, US-NY, world.")
@FOR
@click.option("--known-at", type=common.Moment(), help="When the file was exported (UTC).  [default: now]")
@DRY_RUN
@WAIT
@common.as_json
@click.pass_context
def google_trends_command(
    ctx: click.Context, /, file: Path, dry_run: bool, wait: float, as_json: bool, **options: Any
) -> None:
    """Import multiTimeline.csv, as the Google Trends page exports it in any language, from FILE."""
    from signals.trends_import import prepare_google_trends

    home = common.settings_of(ctx).home
    with progress(f"Reading {file.name}") as advance:
        prepared = prepare_google_trends(file, known_signals=known_signals(home), progress=advance, **options)
    finish(home, prepared, dry_run=dry_run, wait=wait, as_json=as_json)


def _mobility(name: str, span: str) -> None:
    """Add the command that imports one of the two archives of mobility."""

    @import_group.command(
        f"{name}-mobility",
        help=f"Import {name.title()}'s mobility archive ({span}) from FILE, a CSV file, .gz, .zip or a folder.",
    )
    @click.argument("file", type=click.Path(exists=True, path_type=Path))
    @REGIONS
    @KINDS
    @FOR
    @DRY_RUN
    @WAIT
    @common.as_json
    @click.pass_context
    def command(ctx: click.Context, /, file: Path, dry_run: bool, wait: float, as_json: bool, **options: Any) -> None:
        from signals import mobility_import

        prepare = getattr(mobility_import, f"prepare_{name}_mobility")
        chosen = {key: values or None for key, values in options.items()}
        with progress(f"Reading {file.name}") as advance:
            prepared = prepare(file, progress=advance, **chosen)
        finish(common.settings_of(ctx).home, prepared, dry_run=dry_run, wait=wait, as_json=as_json)


_mobility("apple", "January 2020 to April 2022")
_mobility("google", "February 2020 to October 2022")


def finish(home: Path, prepared: Prepared, *, dry_run: bool, wait: float, as_json: bool) -> None:
    """Show what was understood, store it unless this is a dry run, show what became of it."""
    from signals.store import submit

    if not as_json:
        for field, column in prepared.mapping.items():
            click.echo(f"{field:<14} {column}")
        for text in prepared.notes:
            click.echo(f"note: {text}")
    if common.watched() and not dry_run:
        common.note(f"Storing {prepared.rows:,} rows …")
    result = None if dry_run else submit(home, prepared.batch, timeout=wait)
    if as_json:
        told = {"rows": prepared.rows, "mapping": prepared.mapping, "notes": prepared.notes}
        common.write_json(told | {"result": _counts(result)})
    else:
        click.echo(_sentence(prepared.rows, result))


def _sentence(rows: int, result: AppendResult | None) -> str:
    if result is None:
        return f"{rows:,} rows read; nothing stored (--dry-run)"
    withdrawn = f", {result.withdrawn:,} withdrawn" if result.withdrawn else ""
    counts = f"{result.inserted:,} new, {result.unchanged:,} unchanged{withdrawn}"
    return f"{rows:,} rows: {counts}; data version {result.data_version}"


def _counts(result: AppendResult | None) -> dict[str, int] | None:
    names = ("data_version", "inserted", "unchanged", "withdrawn")
    return None if result is None else {name: getattr(result, name) for name in names}


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """A progress bar on stderr where a person watches; takes steps done, steps in all and what comes next."""
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=not common.watched()) as bar:

        def advance(done: int, total: int, stage: str) -> None:
            bar.length, bar.label = total, f"{label}: {stage}"
            bar.update(done - bar.pos)

        yield advance


COMMANDS = (import_group,)
