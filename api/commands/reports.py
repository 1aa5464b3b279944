"""`report`: forecasts of many categories as one page."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.commands import common

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.reports.report import ReportItem
    from api.settings import Settings
    from forecast import Configuration
    from signals.store import Snapshot


@click.command("report")
@click.option("--out", type=common.OutFile(), required=True, help="The HTML file to write.")
@click.option(
    "--category", "categories", multiple=True, help="Only this category; repeat it for several.  [default: all]"
)
@common.horizon
@common.serving_engine
@common.budget
@common.as_of
@click.option("--title", default="Sales forecast", show_default=True, help="Heading of the report.")
@click.pass_context
def report_command(
    ctx: click.Context,
    out: Path,
    categories: tuple[str, ...],
    horizon: int,
    engine: str | None,
    budget: int | None,
    as_of: dt.datetime | None,
    title: str,
) -> None:
    """Write one self-contained HTML file: forecasts, charts, and what moved them."""
    from api.reports.remarks import freshness
    from api.reports.sentences import three_sentences

    common.check_budget(engine, budget)
    snapshot = common.open_newest(ctx)
    names = list(categories) or snapshot.names()
    settings, engines = common.settings_of(ctx), {name: common.serving(ctx, name, engine) for name in names}
    items = report_items(snapshot, names, horizon, engines=engines, budget=budget, as_of=as_of, settings=settings)
    wrong = [] if as_of else _wrong(ctx, names)
    write_report(out, items, title=title, source_note="", data_version=snapshot.data_version, alerts=wrong)
    for sentence in three_sentences(items):
        click.echo(sentence)
    if old := freshness(items, dt.datetime.now(dt.UTC)):
        common.note(f"note: {old}")
    click.echo(f"Report: {out}")


def report_items(
    snapshot: Snapshot,
    names: list[str],
    horizon: int,
    *,
    engines: Mapping[str, Configuration] | None = None,
    budget: int | None = None,
    as_of: dt.datetime | None = None,
    settings: Settings | None = None,
) -> list[ReportItem]:
    """Forecast each category, as `engines` says, with a progress bar where a person watches.

    `settings`: with overrides.
    """
    from api.database import now
    from api.overrides.publishing import answered
    from api.reports.report import ReportItem
    from api.service import forecast_category, moment_of
    from forecast.configuration import DEFAULT

    items = []
    with click.progressbar(names, label="Forecasting", file=sys.stderr, hidden=not common.watched()) as bar:
        for name in bar:
            engine = (engines or {}).get(name, DEFAULT)
            result = forecast_category(snapshot, name, horizon, as_of=as_of, engine=engine, deadline_ms=budget)
            told = None
            if settings is not None:
                told = answered(settings, result, snapshot.data_version, moment_of(as_of) or now())
            items.append(ReportItem(snapshot.category(name), result, result.history, moment=as_of, answer=told))
    return items


def _wrong(ctx: click.Context, names: list[str]) -> list[str]:
    """A sentence on each alert of these categories that is not closed."""
    from api.database import FILE
    from api.life.alerts import UNDER_WAY, alerts

    settings = common.settings_of(ctx)
    if not settings.database_url and not (settings.home / FILE).exists():  # who only reads makes none
        return []
    found = [one for state in UNDER_WAY for one in alerts(settings, categories=names, state=state)[0]]
    return [f"{one.category}: {one.sentence}" for one in found]


def write_report(
    out: Path,
    items: list[ReportItem],
    *,
    title: str,
    source_note: str,
    data_version: int,
    alerts: Sequence[str] = (),
) -> None:
    """Write the report whole or not at all."""
    from api.reports.report import build_report

    now = dt.datetime.now(dt.UTC)
    text = build_report(
        items, title=title, generated_at=now, source_note=source_note, data_version=data_version, alerts=alerts
    )
    part = out.with_name(f".{out.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(out)


COMMANDS = (report_command,)
