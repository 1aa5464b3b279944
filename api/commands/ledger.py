"""`replay` and `ledger export`: issued forecasts made again, and handed over for analysis."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.commands import common

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.replay_models import Replay
    from api.settings import Settings

CATEGORY = click.option("--category", help="Only forecasts of this category; default: of all.")
SINCE = click.option("--since", type=common.Moment(), help="Only those issued from this moment on (UTC).")


@click.command("replay")
@click.argument("receipt", required=False)
@click.option("--all", "every", is_flag=True, help="All on record, instead of one RECEIPT.")
@CATEGORY
@SINCE
@click.option("--sample", type=click.IntRange(1, 1_000_000), help="So many of them, chosen at random.")
@common.as_json
@click.pass_context
def replay_command(
    ctx: click.Context,
    receipt: str | None,
    every: bool,
    category: str | None,
    since: dt.datetime | None,
    sample: int | None,
    as_json: bool,
) -> None:
    """Make the forecast of RECEIPT again from what was known and asked then, and tell whether it is identical.

    Everything but receipt, timing and data version is compared, to the byte. Several: --all, --category or --since.
    Exit code 0 where all are identical, 1 where one differs or cannot be made again.
    """
    from api.replay import chosen, replays

    several = every or category is not None or since is not None
    if (receipt is None) != several:
        raise click.UsageError("name one RECEIPT, or some by --all, --category or --since")
    if sample is not None and not several:
        raise click.UsageError("--sample: only with --all, --category or --since")
    settings = common.settings_there(ctx)
    if receipt is not None:
        found = [_one(settings, receipt)]
        if as_json:
            common.write_json(found[0].model_dump())
        else:
            _write(found[0])
    else:
        moment = None if since is None else since.replace(tzinfo=None)
        found = []
        outcomes = {"identical": 0, "different": 0, "impossible": 0}
        for one in replays(settings, chosen(settings, category=category, since=moment, sample=sample)):
            outcomes[one.outcome] += 1
            found += [] if one.outcome == "identical" else [one]
        _summary(outcomes, found, as_json)
    if any(one.outcome != "identical" for one in found):
        ctx.exit(1)


def _one(settings: Settings, receipt: str) -> Replay:
    from api.replay import replay

    return common.checked(replay, settings, receipt)


def _write(one: Replay) -> None:
    told = {"different": f"{len(one.differences)} fields differ", "impossible": "cannot be made again"}
    click.echo(f"{one.receipt}: {told.get(one.outcome, one.outcome)}")
    if one.differences:
        table = [[row.field, _text(row.issued), _text(row.now)] for row in one.differences]
        common.write_table(["field", "issued", "now"], table, left=3)
    for reason in one.why:
        click.echo(f"{'may be' if one.outcome == 'different' else 'because'}: {reason}")


def _text(value: object) -> str:
    import orjson

    return orjson.dumps(value).decode()


def _summary(outcomes: dict[str, int], others: Iterable[Replay], as_json: bool) -> None:
    if as_json:
        common.write_json({"outcomes": outcomes, "others": [one.model_dump() for one in others]})
        return
    for one in others:
        fields = ", ".join(row.field for row in one.differences[:3]) + (", …" if len(one.differences) > 3 else "")
        click.echo(
            f"{one.receipt} {one.category or ''}: {one.outcome}; {'; '.join([*one.why, *([fields] if fields else [])])}"
        )
    click.echo(f"{sum(outcomes.values()):,} made again: " + ", ".join(f"{n:,} {name}" for name, n in outcomes.items()))


@click.group("ledger")
def ledger_command() -> None:
    """Hand over the ledger of issued forecasts."""


@ledger_command.command("export")
@click.argument("out", type=common.OutFile())
@CATEGORY
@SINCE
@click.option("--until", type=common.Moment(), help="Only those issued before this moment (UTC).")
@common.as_json
@click.pass_context
def export_command(
    ctx: click.Context,
    out: Path,
    category: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
    as_json: bool,
) -> None:
    """Write issued forecasts as tables: into the DuckDB database OUT.duckdb, or beside OUT.parquet a file a table.

    The tables are issued, forecast_period, contribution and signal. May run while `groundswell serve` does.
    """
    from api.ledger_export import Chosen, export

    span = [None if moment is None else moment.replace(tzinfo=None) for moment in (since, until)]
    files, rows = common.checked(export, common.settings_there(ctx), out, Chosen(category, *span))
    if as_json:
        common.write_json({"files": [str(file) for file in files], "rows": rows})
        return
    click.echo(f"{', '.join(str(file) for file in files)}: " + ", ".join(f"{n:,} {name}" for name, n in rows.items()))


COMMANDS = (replay_command, ledger_command)
