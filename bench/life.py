"""The life of models on real vintages, week by week: python -m bench.life [--tasks DIR] [--categories N] [--home DIR].

Each week from June 2020 to July 2022 every category is forecast from what had been published by then, the forecasts
that can be scored are, and `tick` looks for drift, searches, and moves challengers, all through the functions that
`serve` uses. At the end: error of the living configurations against the frozen default, alarms, promotions with their
evidence, and every receipt made again.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import orjson
import pandas as pd

from api.forecasting import Forecaster
from api.ledger import Issued, Ledger
from api.life.alerts import alerts
from api.life.editions import Pause
from api.life.log import happenings
from api.life.retune import retune
from api.life.score_as import score_as
from api.life.scoring import no_pause, score_issued
from api.life.tick import tick
from api.models import ForecastRequest
from api.receipts import receipt_at
from api.replay import chosen, replays
from api.settings import Settings
from api.snapshots import Snapshots
from bench.life_home import fill, task_folder
from forecast import ForecastError, OptionError
from forecast.configuration import DEFAULT
from signals.store import Snapshot

FIRST, LAST = dt.datetime(2020, 6, 24, 9), dt.datetime(2022, 7, 13, 9)
HORIZON = 4


def main() -> None:
    """Go through it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=Path, default=Path("../shared/bench"), help="folder of the benchmark")
    parser.add_argument("--categories", type=int, help="only so many of the nine")
    parser.add_argument("--home", type=Path, help="keep the home here; it must be new")
    given = parser.parse_args()
    folder = task_folder(given.tasks)
    with tempfile.TemporaryDirectory() as scratch:
        run(given.home or Path(scratch) / "home", folder, given.categories)


def run(home: Path, folder: Path, count: int | None) -> None:
    """In a new home."""
    if home.exists():
        raise SystemExit(f"{home} is there already: name a new folder")
    names = fill(home, folder, count)
    settings = Settings(home=home)
    started = time.perf_counter()
    for moment in weeks(FIRST, LAST):
        told = live(settings, names, moment)
        print(f"{moment:%Y-%m-%d} {told}", flush=True)
    print(f"\n{len(names)} categories, {time.perf_counter() - started:.0f} s\n")
    print_errors(settings, names)
    print_alarms(settings)
    print_changes(settings)
    print_replayed(settings)


def weeks(first: dt.datetime, last: dt.datetime) -> list[dt.datetime]:
    """The same hour of each week."""
    return [first + dt.timedelta(weeks=week) for week in range((last - first).days // 7 + 1)]


def live(settings: Settings, names: list[str], moment: dt.datetime) -> str:
    """One week: forecast, score, look; what happened."""
    issue(settings, names, moment)
    snapshot = Snapshots(settings.home).current()
    scored = score_issued(settings, snapshot, moment=moment)

    def begin(category: str, why: str) -> bool:
        return searched(settings, snapshot, category, why, moment, no_pause)

    done = tick(settings, snapshot, moment, begin=begin, pause=no_pause)
    alarms = [f"{one.category}: {one.kind}" for one in done.alerts]
    moved = [f"{category} {what}" for category, what in done.moved]
    return f"{scored.actuals} actuals  {len(done.begun)} searches  " + "; ".join([*alarms, *moved])


def searched(
    settings: Settings, snapshot: Snapshot, category: str, why: str, moment: dt.datetime, pause: Pause
) -> bool:
    """Search at once; a search that is not possible yet is noted, as the job does."""
    try:
        retune(settings, snapshot, category, why, moment, pause)
    except OptionError:
        return False
    return True


def issue(settings: Settings, names: list[str], moment: dt.datetime) -> None:
    """Forecast each category as if asked at that moment, and keep it in the ledger."""
    forecaster = Forecaster(settings, Snapshots(settings.home))
    made: list[Issued] = []
    for number, name in enumerate(names):
        body = ForecastRequest(category=name, horizon=HORIZON, as_of=f"{moment.isoformat()}Z")
        try:
            one = forecaster.make(body, receipt=receipt_at(moment, number))
        except ForecastError:  # nothing had been published of it, or too little
            continue
        made.append(dataclasses.replace(one, issued=moment))
    Ledger(settings).append(*made)


def print_errors(settings: Settings, names: list[str]) -> None:
    """Mean absolute error by category against the last vintage: as served, and by the default all the time."""
    snapshot, rows = Snapshots(settings.home).current(), []
    for name in names:
        frame = score_as(settings, snapshot, name, DEFAULT)
        means = frame[["loss", "other_loss", "reference"]].mean()
        after = frame[frame["configuration"] != DEFAULT.name]
        rows.append(
            {"category": name, "forecasts": len(frame), "living": means["loss"], "frozen": means["other_loss"],
             "ratio": means["loss"] / means["other_loss"], "served by others": len(after),
             "ratio there": after["loss"].sum() / after["other_loss"].sum() if len(after) else np.nan,
             "seasonal naive": means["reference"]}
        )  # fmt: skip
    table = pd.DataFrame(rows).set_index("category")
    print("mean absolute error of the median, periods 1 to 4 ahead, against what is known by now")
    print(table.round(3).to_string())
    print(f"geometric mean of living / frozen: {np.exp(np.log(table['ratio']).mean()):.4f}\n")


def print_alarms(settings: Settings) -> None:
    """By date."""
    found, total = alerts(settings, limit=10_000)
    print(f"{total} alarms")
    for one in reversed(found):
        print(f"  {one.raised:%Y-%m-%d} {one.category}: {one.kind} {one.signal} ({one.cause})\n    {one.sentence}")
        print(f"    done: {one.done}")


def print_changes(settings: Settings) -> None:
    """What was searched and moved, with the evidence."""
    entries = happenings(settings, limit=100_000)[::-1]
    searches = [one for one in entries if one.action == "retuned"]
    outcomes = pd.Series([one.evidence["outcome"] for one in searches], dtype="str").value_counts()
    print(f"\n{len(searches)} searches: {', '.join(f'{count} {name}' for name, count in outcomes.items())}")
    for one in entries:
        if one.action != "retuned":
            evidence = orjson.dumps(one.evidence).decode()
            print(f"  {one.moment:%Y-%m-%d} {one.category}: {one.action} {one.configuration}\n    {one.reason}")
            print(f"    {evidence if len(evidence) < 600 else evidence[:600] + '…'}")


def print_replayed(settings: Settings) -> None:
    """Each receipt made again from the store by what the ledger has of it."""
    receipts = chosen(settings, category=None, since=None, sample=None)
    outcomes = Counter(one.outcome for one in replays(settings, receipts))
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    print(f"\n{len(receipts)} receipts replayed: {told}")


if __name__ == "__main__":
    main()
