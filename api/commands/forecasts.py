"""`forecast` and `backtest`: what the store knows, seen ahead, and how that went before."""

from __future__ import annotations

import datetime as dt
import shlex
from typing import TYPE_CHECKING, Any

import click

from api.commands import common

if TYPE_CHECKING:
    import pandas as pd

    from forecast import Forecast
    from signals.store import Snapshot

LEVELS = click.option(
    "--level",
    "levels",
    type=click.IntRange(1, 99),
    multiple=True,
    default=(80, 95),
    help="Level of a prediction interval in per cent; repeat it for several.  [default: 80, 95]",
)


LIKE = click.option(
    "--like",
    multiple=True,
    help="Category that a short history borrows from; repeat it for several.  [default: as the store says, else those "
    "of the same parent]",
)
PHASE_IN = click.option("--phase-in", help="When sales begin: 2026-W49, or 2026-W49..2027-W02 gradually.")
PHASE_OUT = click.option("--phase-out", help="When sales end, written in the same way.")


@click.command("forecast")
@click.argument("category")
@common.horizon
@common.serving_engine
@common.budget
@LIKE
@PHASE_IN
@PHASE_OUT
@common.as_of
@LEVELS
@common.as_json
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV: ds, mean, median, lo-80, hi-80, …")
@click.option("--without-events", is_flag=True, help="Leave the sales as they are, accepted events included.")
@click.option("--without-overrides", is_flag=True, help="Only what the system says.")
@click.pass_context
def forecast_command(
    ctx: click.Context,
    category: str,
    horizon: int,
    engine: str | None,
    budget: int | None,
    like: tuple[str, ...],
    phase_in: str | None,
    phase_out: str | None,
    as_of: dt.datetime | None,
    levels: tuple[int, ...],
    as_json: bool,
    as_csv: bool,
    without_events: bool,
    without_overrides: bool,
) -> None:
    """Forecast CATEGORY from its sales and its candidate signals.

    The horizon counts from the last complete period whose sales are known. A category with less than a year of sales
    borrows from those that it is like. Overrides are shown beside what the system says.
    """
    from api.database import now
    from api.likeness import Said
    from api.overrides.publishing import answered
    from api.service import as_answer, forecast_category, moment_of

    common.one_format(as_json=as_json, as_csv=as_csv)
    common.check_budget(engine, budget)
    snapshot = common.open_newest(ctx)
    said = Said(like or None, phase_in, phase_out)
    result = forecast_category(
        snapshot,
        category,
        horizon,
        as_of=as_of,
        engine=common.serving(ctx, category, engine),
        deadline_ms=budget,
        levels=levels,
        events=not without_events,
        said=said,
    )
    if without_overrides:
        answer = as_answer(result, snapshot.data_version)
    else:
        answer = answered(common.settings_of(ctx), result, snapshot.data_version, moment_of(as_of) or now())
    if as_csv:
        click.echo(_frame(result, answer).to_csv(index=False, date_format="%Y-%m-%d"), nl=False)
        return
    if as_json:
        common.write_json(answer)
        return
    _write_forecast(answer)
    if not without_events and answer["engine"]["name"] != "like":  # whose sales are too few to look for any
        _tell_proposals(snapshot, category, as_of)


def _tell_proposals(snapshot: Snapshot, category: str, as_of: dt.datetime | None) -> None:
    """A note on what looks like an event and waits for somebody to decide."""
    from api.events import asked_of, events_of

    found = events_of(snapshot, asked_of(snapshot, category, as_of)).events
    open_ = [one for one in found if one.state == "proposed" and (one.score or 0.0) >= _STRONG]
    if open_:
        named = ", ".join(f"{one.kind} {one.first}" for one in open_[:_NAMED]) + (", …" if len(open_) > _NAMED else "")
        count = "1 event" if len(open_) == 1 else f"{len(open_)} events"
        common.note(
            f"note: {count} in the sales neither accepted nor refused ({named}): "
            f"groundswell events list {shlex.quote(category)}"
        )


def _frame(result: Forecast, answer: dict[str, Any]) -> pd.DataFrame:
    """The rows of a forecast, with what is published where there are overrides."""
    import pandas as pd

    from api.tables import published_columns

    frame = result.to_frame()
    if "overrides" not in answer:
        return frame
    published = pd.DataFrame([published_columns(row) for row in answer["forecast"]], index=frame.index)
    return pd.concat([frame, published], axis=1)


def _write_forecast(answer: dict[str, Any]) -> None:
    from api.overrides.applying import sentence_of
    from forecast.words import digits_for, number

    history, rows = answer["history"], answer["forecast"]
    unit = f", {answer['unit']}" if answer["unit"] else ""
    click.echo(f"{answer['category']}{unit} ({answer['frequency']})")
    moment = f"as of {answer['as_of'][:16].replace('T', ' ')} UTC, " if answer["as_of"] else ""
    known = f"{history['periods']} periods known, {history['start']} to {history['end']}"
    click.echo(f"{known if history['periods'] else 'no sales known'}; {moment}data version {answer['data_version']}\n")
    levels = list(rows[0]["intervals"])
    digits = digits_for(row["value"] for row in rows)
    table = [
        [
            row["period"] + ("" if row["kind"] == "forecast" else f" ({row['kind']})"),
            number(row["value"], digits),
            *(" … ".join(number(end, digits) for end in row["intervals"][level]) for level in levels),
        ]
        for row in rows
    ]
    head = ["period", "forecast", *(f"{level} % interval" for level in levels)]
    if "overrides" in answer:
        head.append("published")
        for cells, row in zip(table, rows, strict=True):
            shown = row.get("published")
            cells.append(f"{number(shown['value'], digits)} ({shown['author']})" if shown else cells[1])
    common.write_table(head, table)
    click.echo(f"\n{_made_up_of(rows, digits)}")
    click.echo(quality_sentence(answer["quality"]))
    used = answer["engine"]
    if (used["name"], used["reason"]) != ("fast", "asked for by name"):  # as of all other answers
        click.echo(f"Engine: {used['name']}, {used['reason']}.")
    if record := used.get("record"):
        _write_record(record)
    for event in answer["events"]:
        click.echo(f"Event: {event['sentence']}.")
    for one in answer.get("overrides", ()):
        click.echo(f"Override: {sentence_of(one)}.")
    if used["name"] != "like":  # its signals are those of the categories that it borrows from
        _write_signals(answer["signals"])
    for warning in answer["warnings"]:
        common.note(f"note: {warning}")


def _made_up_of(rows: list[dict[str, Any]], digits: int) -> str:
    """What drivers have in the forecast, over the whole horizon: the level, and what moves it, the largest first."""
    from forecast.words import number

    total = {driver: sum(row["contributions"][driver] for row in rows) for driver in rows[0]["contributions"]}
    moves = sorted(((name, part) for name, part in total.items() if name != "level"), key=lambda one: -abs(one[1]))
    shown = [f"{name} {number(part, digits, sign=True)}" for name, part in moves if round(part, digits)]
    level = f"level {number(total['level'], digits)}"
    return f"In all {number(sum(row['value'] for row in rows), digits)}: {', '.join([level, *shown])}."


def _write_record(record: list[dict[str, Any]]) -> None:
    """What each member of a stack is worth."""
    click.echo()
    rows = [
        [one["name"], "" if one["name"] == "stack" else f"{one['weight']:.2f}", *(_share(one[k]) for k in _RECORD)]
        for one in record
    ]
    common.write_table(["member", "weight", "error alone (WAPE)", "error of the stack without it"], rows)


def _write_signals(signals: list[dict[str, Any]]) -> None:
    if not signals:
        click.echo("No signal is a candidate for this category.")
        return
    click.echo("\nSignals")
    for signal in sorted(signals, key=lambda item: not item["admitted"]):
        click.echo(f"  {'used    ' if signal['admitted'] else 'not used'}  {signal['signal']}: {signal['reason']}")


def quality_sentence(quality: dict[str, Any]) -> str:
    """What the backtest says, in one sentence."""
    if not quality["origins"] or quality["wape"] is None:
        return "There is not enough history to test this forecast on the past."
    parts = [f"Tested on {quality['origins']} past origins it missed by {100 * quality['wape']:.1f} % of sales"]
    versus = quality["vs_seasonal_naive_pct"]
    if versus is not None:
        parts.append(f"{abs(versus):.0f} % {'less' if versus < 0 else 'more'} than seasonal naive")
    held = [
        f"{100 * share:.0f} % of the {level} %" for level, share in quality["coverage"].items() if share is not None
    ]
    intervals = f"; {' and '.join(held)} intervals held" if held else ""
    return ", ".join(parts) + intervals + "."


_RECORD = ("wape", "wape_without")
_STRONG = 6.0  # times the usual noise: a weaker proposal is not worth a note
_NAMED = 3


@click.command("backtest")
@click.argument("category")
@common.horizon
@click.option(
    "--origins", type=click.IntRange(1, 500), help="Past moments to forecast from.  [default: as the engine can]"
)
@common.serving_engine
@common.as_of
@LEVELS
@common.as_json
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV: one row an origin and period.")
@click.pass_context
def backtest_command(
    ctx: click.Context,
    category: str,
    horizon: int,
    origins: int | None,
    engine: str | None,
    as_of: dt.datetime | None,
    levels: tuple[int, ...],
    as_json: bool,
    as_csv: bool,
) -> None:
    """Forecast CATEGORY from past moments, with what was known then, and compare with what came."""
    from dataclasses import asdict

    from api.service import backtest_category

    common.one_format(as_json=as_json, as_csv=as_csv)
    snapshot = common.open_newest(ctx)
    chosen = common.serving(ctx, category, engine)
    result = backtest_category(snapshot, category, horizon, origins=origins, as_of=as_of, engine=chosen, levels=levels)
    if as_csv:
        click.echo(result.to_frame().to_csv(index=False, date_format="%Y-%m-%d"), nl=False)
        return
    quality, rows = asdict(result.quality), result.by_lead_time().to_dict("records")
    if as_json:
        head = {"category": category, "engine": result.engine, "data_version": snapshot.data_version}
        common.write_json(head | {"quality": quality, "by_lead_time": rows})
        return
    click.echo(f"{category}: {quality_sentence(quality)}\n")
    scored = [row for row in rows if row["n"]]
    table = [
        [str(row["h"]), str(row["n"]), _share(row["wape"]), _change(row["vs_seasonal_naive_pct"])] for row in scored
    ]
    if scored:
        common.write_table(["periods ahead", "scored", "error (WAPE)", "against seasonal naive"], table)
    common.note("note: every lead time counts here, in the record of a forecast those of 1, 3, 9, 26, … and the last")
    if unscored := len(rows) - len(scored):
        click.echo(f"{unscored} of {len(rows)} lead times have no score: no past forecast reaches so far ahead")


def _share(value: float | None) -> str:
    return "n/a" if value is None or value != value else f"{100 * value:.1f} %"


def _change(value: float | None) -> str:
    return "n/a" if value is None or value != value else f"{value:+.0f} %"


COMMANDS = (forecast_command, backtest_command)
