"""`score` and `scores`: issued forecasts beside what came."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from api.commands import common
from api.commands.events import Day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.life.score_models import CategoryScores, Portfolio, Step

NAMES = {
    "naive": "naive",
    "seasonal_naive": "seasonal naive",
    "without_signals": "model without signals",
    "system": "system",
    "published": "published",
}


@click.command("score")
@common.as_json
@click.pass_context
def score_command(ctx: click.Context, as_json: bool) -> None:
    """Score issued forecasts by the actuals that are known, as `serve` does in the background.

    Does only what is new, in the whole ledger, and may be broken off at any time.
    """
    from api.database import now
    from api.life.scoring import score_issued

    done = score_issued(common.settings_there(ctx), common.open_newest(ctx), moment=now(), whole=True)
    if as_json:
        common.write_json(asdict(done))
        return
    click.echo(
        f"{done.forecasts:,} forecasts looked at, {done.actuals:,} actuals new or revised; of {done.opened:,} "
        f"different forecasts a period became known, {done.without_signals:,} were made again without signals"
    )


@click.command("scores")
@click.argument("category", required=False)
@click.option("--lead", type=click.IntRange(1, 520), help="Only so many periods ahead.  [default: all together]")
@click.option("--since", type=Day(), help="Only periods with this label or a later one.")
@click.option("--until", type=Day(), help="Only periods with this label or an earlier one.")
@click.option(
    "--basis",
    type=click.Choice(["latest", "first"]),
    default="latest",
    show_default=True,
    help="Actuals as they are known by now, or as they were first known.",
)
@common.as_json
@click.pass_context
def scores_command(
    ctx: click.Context,
    category: str | None,
    lead: int | None,
    since: dt.date | None,
    until: dt.date | None,
    basis: str,
    as_json: bool,
) -> None:
    """Tell how the issued forecasts of CATEGORY did, or of all: what each step from the naive forecast on adds."""
    from api.life.score_answers import category_scores, portfolio
    from api.life.scores import Chosen

    settings, snapshot = common.settings_there(ctx), common.open_newest(ctx)
    wanted = Chosen(lead=lead, since=since, until=until, basis="first" if basis == "first" else "latest")
    if category is not None:
        told = category_scores(settings, snapshot, category, wanted)
        if as_json:
            common.write_json(told.model_dump(mode="json"))
        else:
            _write_category(told)
        return
    whole = portfolio(settings, snapshot, wanted, limit=len(snapshot.categories()))
    if as_json:
        common.write_json(whole.model_dump(mode="json"))
    else:
        _write_all(whole)


def _write_category(told: CategoryScores) -> None:
    click.echo(f"{told.category}: {told.sentence}\n")
    if not told.periods:
        return
    _write_steps(told.ladder[0].steps)
    if len(told.ladder) < 2:
        return
    click.echo("\nError (WAPE) by periods ahead")
    names = list(dict.fromkeys(step.step for one in told.ladder for step in one.steps))
    rows = []
    for one in told.ladder[1:]:
        by_name = {step.step: step for step in one.steps}
        rows.append([str(one.lead), *(_share(by_name[name].wape) if name in by_name else "" for name in names)])
    common.write_table(["ahead", *(NAMES[name] for name in names)], rows)


def _write_all(told: Portfolio) -> None:
    click.echo(f"All categories: {told.sentence}\n")
    if told.ladder.steps:
        _write_steps(told.ladder.steps)
        click.echo()
    for one in told.items:
        click.echo(f"{one.category}: {one.sentence}")


def _write_steps(steps: Sequence[Step]) -> None:
    rows = []
    for one in steps:
        held = [_share(one.coverage.get(level), 0) if one.coverage else "" for level in ("80", "95")]
        gain = one.note or ("" if one.gain_pct is None else f"{one.gain_pct:+.1f} %")
        low, high = one.gain_interval_pct or (None, None)
        between = "" if low is None or high is None else f"{low:+.1f} … {high:+.1f}"
        bias = "" if one.bias_pct is None else f"{one.bias_pct:+.1f} %"
        error = [_share(one.wape), "" if one.mase is None else f"{one.mase:.2f}", bias]
        rows.append([NAMES[one.step], str(one.origins), *error, *held, gain, between])
    head = ["step", "origins", "WAPE", "MASE", "bias", "in 80 %", "in 95 %", "gain", "90 % interval"]
    common.write_table(head, rows)


def _share(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{100 * value:.{digits}f} %"


COMMANDS = (score_command, scores_command)
