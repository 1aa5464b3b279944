"""`python -m bench.newcomers [--tasks DIR] [--origins N] [--jobs N]`: forecasts of categories cut short.

Each series of a group plays the new category at each origin: only its last periods are kept, none to a season, and the
others of its group keep theirs. By kept periods, MASE and scaled quantile loss of `forecast_like`, and of the fast
engine on the short history alone, and the share of actuals inside the intervals. Without `--tasks` the demo retailer,
whose categories are one group; with the folder of the benchmark's tasks real sales, apart for the half of the series on
which choices are made and for the rest.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench import accuracy_demo
from bench.accuracy_tasks import load_score, parts
from bench.arguments import whole_number
from bench.hierarchy import PARENTS
from bench.machine import machine
from forecast import forecast, forecast_like
from forecast.like import is_short
from forecast.metrics import seasonal_scale

KEPT = (0, 1, 3, 6, 10, 26, 52)
LEAST_ALONE = 2  # periods that the fast engine needs
TASKS = ("us_retail", "us_spending", "olist_trends", "fashion_social")
_BOUNDS = {0.025: "lo-95", 0.1: "lo-80", 0.5: "median", 0.9: "hi-80", 0.975: "hi-95"}


@dataclass(frozen=True)
class Known:
    """One series at one origin: what was known there, what came true, and the group that it belongs to."""

    series: str
    group: str
    origin: str
    history: pd.DataFrame
    actual: np.ndarray
    frequency: str
    season: int


def real(tasks: Path, name: str, origins: int | None) -> list[Known]:
    """The series of a task that belong to a group, at its origins."""
    score = load_score(tasks)
    return [
        Known(case.series, group, str(case.origin), case.history, actual, case.frequency, case.season_length)
        for case, actual in score.load_cases(score.task_dirs()[name], origins, None)
        if (group := _group(name, case.series)) is not None
    ]


def _group(task: str, series: str) -> str | None:
    """Retail sales by their groups of hand, fashion by country, sex and kind, else the whole task."""
    if task == "us_retail":
        return PARENTS.get(series)
    return series.rpartition("_")[0] if task == "fashion_social" else task


def demo(origins: int) -> list[Known]:
    """The categories of the demo retailer."""
    return [
        Known(case.category, "demo", str(case.origin), _newest(case.history), case.actual, "W-SUN", 52)
        for case in accuracy_demo.cases(origins, False)
    ]


def _newest(history: pd.DataFrame) -> pd.DataFrame:
    return history.sort_values(["ds", "known_at"]).drop_duplicates("ds", keep="last")[["ds", "y"]]


def scored(given: tuple[Known, dict[str, pd.DataFrame]]) -> list[dict[str, object]]:
    """One row for each number of kept periods."""
    case, like = given
    scale = seasonal_scale(case.history["y"].to_numpy(dtype=float), case.season)
    rows = []
    for kept in [kept for kept in KEPT if is_short(kept, case.frequency)]:
        short, horizon = case.history.tail(kept), len(case.actual)
        out = forecast_like(short if kept else None, horizon, like, frequency=case.frequency).to_frame()
        row: dict[str, object] = {"series": case.series, "origin": case.origin, "kept": kept, "relatives": len(like)}
        row |= _errors(case.actual, out, scale, "")
        if kept >= LEAST_ALONE:
            row |= _errors(case.actual, forecast(short, horizon, frequency=case.frequency).to_frame(), scale, " alone")
        rows.append(row)
    return rows


def _errors(actual: np.ndarray, out: pd.DataFrame, scale: float, name: str) -> dict[str, float]:
    off = {q: actual - out[column].to_numpy(dtype=float) for q, column in _BOUNDS.items()}
    inside = {k: ((actual >= out[f"lo-{k}"]) & (actual <= out[f"hi-{k}"])).mean() for k in (80, 95)}
    loss = np.mean([np.maximum(q * each, (q - 1) * each).mean() for q, each in off.items()])
    return {
        f"mase{name}": np.abs(off[0.5]).mean() / scale,
        f"sql{name}": 2 * loss / scale,
        f"c80{name}": inside[80],
        f"c95{name}": inside[95],
    }


def with_relatives(found: Iterable[Known]) -> list[tuple[Known, dict[str, pd.DataFrame]]]:
    """Each with the histories of the others of its group at the same origin; those without any are left out."""
    groups: dict[tuple[str, str], list[Known]] = {}
    for case in found:
        groups.setdefault((case.group, case.origin), []).append(case)
    pairs = []
    for group in groups.values():
        for case in group:
            like = {other.series: other.history for other in group if other is not case}
            pairs += [(case, like)] if like else []
    return pairs


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Means by kept periods, and the ratios to the fast engine alone."""
    names = ["mase", "sql", "c80", "c95"]
    mean = rows.groupby("kept")[names + [f"{name} alone" for name in names[:3]]].mean()
    for measure in ("mase", "sql"):
        mean[f"{measure} / alone"] = mean[measure] / mean[f"{measure} alone"]
    return mean


def print_group(name: str, found: list[Known], jobs: int) -> None:
    """Forecast, score and print a table for each part."""
    pairs = with_relatives(found)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        rows = pd.DataFrame([row for own in pool.map(scored, pairs, chunksize=4) for row in own])
    split = parts(rows) if name in TASKS else {"all": rows}
    for part, own in split.items():
        cases = int((own["kept"] == 0).sum())
        print(f"\n{name}, {part}: {cases} cases, {own['relatives'].mean():.1f} relatives each")
        print(table(own).round(3).to_string(na_rep=""), flush=True)


def main() -> None:
    """Forecast, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=Path, help="folder of the benchmark's tasks")
    parser.add_argument("--origins", type=whole_number, help="origins of each series")
    parser.add_argument("--jobs", type=whole_number, default=1)
    given = parser.parse_args()
    print(machine())
    if not given.tasks:
        print_group("demo retailer (simulated)", demo(given.origins or 12), given.jobs)
        return
    for name in TASKS:
        print_group(name, real(given.tasks, name, given.origins), given.jobs)


if __name__ == "__main__":
    main()
