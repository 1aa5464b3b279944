"""The `groundswell` command: the group, its errors and its exit codes. Each command lives in `api/commands`."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from api.commands import forecasts, imports, listings, running
from api.commands.common import Failed, Misused


class Commands(click.Group):
    """Turns the errors that a command may meet into one line each; any other is a defect and keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError, KeyboardInterrupt):
            raise  # click ends each of these as it should, `groundswell … | head` quietly
        except _expected() as error:
            raise _told(error) from error


def _expected() -> tuple[type[Exception], ...]:
    """Asked only when something was raised: to import these would make every command start slowly."""
    import duckdb

    from api.serve import ServeError
    from api.settings import SettingError
    from forecast import ForecastError
    from signals.batch import BatchRefused
    from signals.refused import ImportRefused
    from signals.schema import SchemaMismatch
    from signals.store import StoreBusy, StoreDamaged, StoreEmpty, UnknownCategory

    refusals = (ForecastError, ImportRefused, BatchRefused, SettingError, ServeError, UnknownCategory)
    return (*refusals, StoreBusy, StoreDamaged, StoreEmpty, SchemaMismatch, OSError, duckdb.IOException)


def _told(error: Exception) -> Failed:
    from api.settings import SettingError

    if isinstance(error, OSError) and error.strerror:
        return Failed(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    text = " ".join(str(error).split())
    return Misused(text) if isinstance(error, SettingError) else Failed(text)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the store; default: GROUNDSWELL_HOME or data/home.",
)
@click.version_option(version("groundswell"), prog_name="groundswell")
@click.pass_context
def cli(ctx: click.Context, home: Path | None) -> None:
    """Forecast sales per product category, with the outside signals that help.

    Exit codes: 0 done, 1 failed, 2 wrong use.
    """
    ctx.obj = home
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for command in (*imports.COMMANDS, *forecasts.COMMANDS, *listings.COMMANDS, *running.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """The entry point of the `groundswell` script."""
    cli()
