"""`run` and `prepare`: the night's batch, from files, a database or the store."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.commands import common
from api.commands.forecasts import LEVELS

if TYPE_CHECKING:
    import datetime as dt

    from api.batch.plan import Plan
    from api.batch.run import On, Progress
    from forecast.chunk import ChunkOptions

_SOURCE = click.Path(exists=True, path_type=Path)


@dataclass(frozen=True)
class _Given:
    """Where the series come from, as it was given."""

    sales: tuple[Path, ...]
    signals: tuple[Path, ...]
    candidates: tuple[Path, ...]
    sql: str | None

    @property
    def is_store(self) -> bool:
        return not self.sales and self.sql is None


@click.command("run")
@click.argument("sales", type=_SOURCE, nargs=-1)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where the forecasts go.")
@click.option("--signals", type=_SOURCE, multiple=True, help="Signals of the series in SALES; repeat it for several.")
@click.option("--candidates", type=_SOURCE, multiple=True, help="Which signals may serve which series; default: all.")
@click.option("--sql", metavar="NAME", help="Series that the [[sales]] database NAME of groundswell.toml answers with.")
@common.horizon
@common.engine
@common.as_of
@LEVELS
@click.option("--frequency", help="Of the series in SALES: D, W-SUN, MS or QS.  [default: as each series says]")
@click.option("--calendar", metavar="COUNTRY", help="Follow the holidays of a country, such as US.")
@click.option(
    "--on",
    type=click.Choice(["pool", "spark"]),
    default="pool",
    show_default=True,
    help="What does the work: the cores of this machine, or Apache Spark.",
)
@click.option("--processes", type=click.IntRange(1, 256), help="Processes of the pool.  [default: one a core]")
@common.as_json
@click.pass_context
def run_command(
    ctx: click.Context,
    /,
    sales: tuple[Path, ...],
    out: Path,
    signals: tuple[Path, ...],
    candidates: tuple[Path, ...],
    sql: str | None,
    processes: int | None,
    on: On,
    as_json: bool,
    **options: Any,
) -> None:
    """Forecast many series at once: those in SALES, of a database, or all categories of the store.

    SALES are Parquet, CSV or NDJSON files (or folders of them) with the columns category, ds and y. The results are
    Parquet files in OUT, one a chunk of 256 series. The same command again goes on where a run was interrupted. A
    series that cannot be forecast is a row with its reason.
    """
    from api.batch.run import run_plan
    from api.batch.tables import BatchError

    given = _Given(sales, signals, candidates, sql)
    _check_use(given, on, options)
    try:
        plan = _plan(ctx, given, out, **options)
        if on == "spark":
            _check_spark()
        with click.progressbar(
            length=plan.series, label="Forecasting", file=sys.stderr, hidden=not common.watched(), show_pos=True
        ) as bar:
            manifest = run_plan(plan, on, processes or len(os.sched_getaffinity(0)), _teller(bar))
    except BatchError as error:
        raise common.Misused(str(error)) from error
    _tell(manifest, out, as_json=as_json)
    if not manifest["made"]:
        raise common.Failed(f"no series could be forecast; the reasons are in {out / 'series'}")


def _check_use(given: _Given, on: str, options: dict[str, Any]) -> None:
    if given.sales and given.sql:
        raise click.UsageError("SALES and --sql exclude each other")
    names = ("frequency", "calendar")
    own = [name for name in names if options[name]] + [n for n in ("signals", "candidates") if getattr(given, n)]
    if given.is_store and own:
        raise click.UsageError(f"--{own[0]} is for series in files: a category of the store has its own")
    if given.is_store and on == "spark":
        raise click.UsageError("--on spark takes series in files; `groundswell run` without it takes the store")


def _check_spark() -> None:
    try:
        import pyspark  # noqa: F401 - an optional package
    except ImportError as error:
        raise common.Failed("Spark is not installed: pip install 'groundswell[spark]'") from error


def _plan(
    ctx: click.Context,
    given: _Given,
    out: Path,
    *,
    horizon: int,
    engine: str,
    as_of: dt.datetime | None,
    levels: tuple[int, ...],
    frequency: str | None,
    calendar: str | None,
) -> Plan:
    from api.batch.plan import STAGE, Files, plan_files
    from api.batch.sql import stage_query
    from forecast.chunk import ChunkOptions
    from forecast.engines import engine as known

    known(engine)  # refuses an unknown one now, and not once a series
    moment = None if as_of is None else _utc(as_of).isoformat()
    options = ChunkOptions(
        horizon=horizon, engine=engine, levels=levels, frequency=frequency, as_of=moment, calendar=calendar
    )
    if given.is_store:
        return _of_store(ctx, out, options)
    sales = given.sales
    if given.sql is not None:
        sales = (stage_query(common.settings_of(ctx).home, given.sql, out / STAGE),)
    return plan_files(Files(sales, given.signals, given.candidates), options, out)


def _of_store(ctx: click.Context, out: Path, options: ChunkOptions) -> Plan:
    import datetime as dt

    from api.batch.plan import Stored, begun_store, plan_store

    home, snapshot = common.settings_of(ctx).home, common.open_newest(ctx)
    moment = options.as_of or _utc(dt.datetime.now(dt.UTC)).isoformat()
    names = tuple(snapshot.names())
    source = begun_store(home, out) or Stored(home, snapshot.data_version, moment, names)
    return plan_store(source, options, out)


def _utc(moment: dt.datetime) -> dt.datetime:
    """As the store speaks: UTC without a zone."""
    import datetime as dt

    return moment if moment.tzinfo is None else moment.astimezone(dt.UTC).replace(tzinfo=None)


def _teller(bar: Any) -> Any:
    def tell(progress: Progress) -> None:
        bar.update(progress.done - bar.pos)

    return tell


def _tell(manifest: dict[str, Any], out: Path, *, as_json: bool) -> None:
    if as_json:
        common.write_json(manifest)
        return
    went_on = f", {manifest['resumed_chunks']} chunks of them by an earlier try" if manifest["resumed_chunks"] else ""
    click.echo(
        f"{manifest['made']:,} of {manifest['series']:,} series forecast in {manifest['seconds']:,.1f} s{went_on}"
    )
    if manifest["failed"]:
        click.echo(f"{manifest['failed']:,} could not be: the column problem of {out / 'series'} says why")
    click.echo(f"Results: {out / 'periods'} and {out / 'series'}")


@click.command("prepare")
@click.argument("lines")
@click.option("--out", required=True, help="A new directory for the Parquet files.")
@click.option("--category", default="category", show_default=True, help="Column of the category.")
@click.option("--date", default="date", show_default=True, help="Column of the day, or the moment, of a sale.")
@click.option("--quantity", default="quantity", show_default=True, help="Column of what was sold.")
@click.option("--frequency", default="W-SUN", show_default=True, help="Of the periods: D, W-MON … W-SUN, MS or QS.")
@click.option(
    "--gaps",
    type=click.Choice(["zero", "missing"]),
    default="zero",
    show_default=True,
    help="A period without a line sold nothing, or is not known.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "delta", "csv"]),
    default="parquet",
    show_default=True,
    help="What LINES are.",
)
@click.option("--processes", type=click.IntRange(1, 256), help="Cores, on this machine alone.  [default: all]")
def prepare_command(lines: str, out: str, kind: str, processes: int | None, **columns: Any) -> None:
    """Add up raw sales LINES (one row a sale) to periods with Apache Spark, as Parquet for `run` and `import sales`.

    LINES is a path, or on a cluster whatever address Spark reads. The period that was not over on the last day of all
    lines is left out.
    """
    from api.batch.tables import BatchError
    from forecast.frequency import check

    _check_spark()
    columns["frequency"] = check(columns["frequency"])
    from api.batch.spark import prepare_lines

    try:
        rows = prepare_lines(lines, out, kind, processes or len(os.sched_getaffinity(0)), **columns)
    except BatchError as error:
        raise common.Failed(str(error)) from error
    click.echo(f"{rows:,} periods in {out}")


COMMANDS = (run_command, prepare_command)
