"""The `groundswell` command: the group, its errors and its exit codes. Each command lives in `api/commands`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import click

from api.commands import (
    erp_imports,
    events,
    exports,
    forecasts,
    imports,
    jobs,
    keys,
    ledger,
    life,
    listings,
    overrides,
    reports,
    run,
    running,
    sales,
    scenarios,
    scores,
    signals,
    trees,
    upkeep,
)
from api.commands.common import Failed, Home, Misused, take_home

HOME_HELP = "Directory of the store; default: GROUNDSWELL_HOME or data/home."


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

    from api.backup import BackupRefused
    from api.erp.client import ErpRefused
    from api.keys import KeysError
    from api.serve import ServeError
    from api.settings import SettingError
    from forecast import ForecastError
    from signals.batch import BatchRefused
    from signals.connector import ConfigError
    from signals.refused import ImportRefused
    from signals.runner import SourceBusy
    from signals.schema import SchemaMismatch
    from signals.store import DiskFull, PublishFailed, StoreBusy, StoreDamaged, StoreEmpty, UnknownCategory

    refusals = (
        ForecastError,
        ImportRefused,
        BatchRefused,
        SettingError,
        ConfigError,
        ServeError,
        UnknownCategory,
        ErpRefused,
        KeysError,
        BackupRefused,
    )
    store = (DiskFull, PublishFailed, SourceBusy, StoreBusy, StoreDamaged, StoreEmpty, SchemaMismatch)
    return (*refusals, *store, OSError, duckdb.IOException)


def _told(error: Exception) -> Failed:
    from api.settings import SettingError
    from forecast import OptionError
    from signals.connector import ConfigError

    if isinstance(error, OSError) and error.strerror:
        return Failed(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    text = " ".join(str(error).split())
    return Misused(text) if isinstance(error, (SettingError, ConfigError, OptionError)) else Failed(text)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--home", type=Home(), expose_value=False, callback=take_home, is_eager=True, help=HOME_HELP)
@click.version_option(version("groundswell"), prog_name="groundswell")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Forecast sales per product category, with the outside signals that help.

    Exit codes: 0 done, 1 failed, 2 wrong use.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _add(group: click.Group, command: click.Command) -> None:
    """Add a command, with `--home` after it as well as before it."""
    group.add_command(command)
    leaves = list(command.commands.values()) if isinstance(command, click.Group) else []
    if not leaves or (isinstance(command, click.Group) and command.invoke_without_command):
        leaves.append(command)
    for leaf in leaves:
        if not any(parameter.name == "home" for parameter in leaf.params):
            leaf.params.append(
                click.Option(["--home"], type=Home(), expose_value=False, callback=take_home, help=HOME_HELP)
            )


NOUNS = (
    erp_imports, imports, sales, signals, forecasts, reports, ledger, scenarios, trees, events, overrides, scores, life,
    run, listings, running, exports, keys, jobs, upkeep,
)  # fmt: skip
for noun in NOUNS:
    for command in noun.COMMANDS:
        _add(cli, command)


def main() -> None:
    """The entry point of the `groundswell` script."""
    cli()


if __name__ == "__main__":
    main()
