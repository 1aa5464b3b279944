"""The demo retailer forecast from past origins, each seeing only what was known then."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from forecast import forecast

DEMO = Path(__file__).parent.parent / "data" / "demo"
HORIZON, SEASON = 8, 52
STEP = pd.Timedelta(weeks=4)
_BOUNDS = {0.025: "lo-95", 0.1: "lo-80", 0.5: "median", 0.9: "hi-80", 0.975: "hi-95"}


@dataclass(frozen=True)
class Case:
    """One category at one origin, as it was known then, and what came true."""

    category: str
    origin: pd.Timestamp
    history: pd.DataFrame
    signals: pd.DataFrame | None
    actual: np.ndarray


def _read(name: str) -> pd.DataFrame:
    frame = pd.read_csv(DEMO / name).rename(columns={"week": "ds", "units": "y", "date": "ds"})
    known = pd.to_datetime(frame["known_at"], utc=True).dt.tz_localize(None)
    return frame.assign(ds=pd.to_datetime(frame["ds"]), known_at=known)


def cases(origins: int, with_signals: bool) -> list[Case]:
    """Every category at the last `origins` origins, four weeks apart, whose whole horizon has come true."""
    sales, signals = _read("sales.csv"), _read("signals.csv")
    last = sales["known_at"].min() + (sales["ds"].max() - sales["ds"].min()) - pd.Timedelta(weeks=HORIZON)
    found = []
    for name in sorted(sales["category"].unique()):
        own, offered = sales[sales["category"] == name], signals[signals["category"].isin([name, "*"])]
        for origin in [last - k * STEP for k in reversed(range(origins))]:
            known = offered[offered["known_at"] <= origin].drop(columns=["category", "unit", "source"])
            found.append(_case(name, own, known if with_signals else None, origin))
    return found


def _case(name: str, own: pd.DataFrame, signals: pd.DataFrame | None, origin: pd.Timestamp) -> Case:
    history = own[own["known_at"] <= origin][["ds", "y", "known_at"]]
    final = own.sort_values("known_at").drop_duplicates("ds", keep="last").sort_values("ds")
    actual = final[final["ds"] > history["ds"].max()]["y"].to_numpy(float)[:HORIZON]
    return Case(name, origin, history, signals, actual)


def score(case: Case) -> dict[str, object]:
    """Scores of one case, ours and seasonal naive's; sums of errors and sales for the WAPE of many."""
    out = forecast(case.history, HORIZON, signals=case.signals, as_of=case.origin).to_frame()
    seen = case.history.sort_values("known_at").drop_duplicates("ds", keep="last").sort_values("ds")["y"]
    y, actual = seen.to_numpy(float), case.actual
    naive = np.abs(actual - y[-SEASON:][:HORIZON])
    scale = np.abs(y[SEASON:] - y[:-SEASON]).mean()
    error = np.abs(actual - out["median"].to_numpy())
    inside = {k: ((actual >= out[f"lo-{k}"]) & (actual <= out[f"hi-{k}"])).mean() for k in (80, 95)}
    pinball = [np.maximum(q * d, (q - 1) * d).mean() for q, d in ((q, actual - out[c]) for q, c in _BOUNDS.items())]
    return {
        "category": case.category,
        "mase": error.mean() / scale,
        "sql": 2 * np.mean(pinball) / scale,
        "c80": inside[80],
        "c95": inside[95],
        "naive mase": naive.mean() / scale,
        "_error": error.sum(),
        "_naive": naive.sum(),
        "_sold": np.abs(actual).sum(),
    }


def table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """One row a category and one for all: means of the scores, WAPE of ours and of seasonal naive in per cent."""
    frame = pd.DataFrame(rows)
    both = pd.concat([frame, frame.assign(category="all")])
    grouped = both.groupby("category", sort=False)
    summary = grouped[["mase", "naive mase", "sql", "c80", "c95"]].mean()
    sums = grouped[["_error", "_naive", "_sold"]].sum()
    summary.insert(0, "n", grouped.size())
    summary["wape %"] = 100 * sums["_error"] / sums["_sold"]
    summary["naive wape %"] = 100 * sums["_naive"] / sums["_sold"]
    return summary


def print_demo(origins: int, without_signals: bool, jobs: int) -> None:
    """Score the retailer and print the table."""
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = table(list(pool.map(score, cases(origins, True), chunksize=8)))
        if without_signals:
            plain = table(list(pool.map(score, cases(origins, False), chunksize=8)))
            found[["mase without", "sql without", "wape % without"]] = plain[["mase", "sql", "wape %"]]
    print(f"  demo retailer (simulated), weekly, horizon {HORIZON}, {origins} origins four weeks apart")
    print(found.round(3).to_string())
