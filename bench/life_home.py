"""A home with the sales of `us_spending_realtime` as they were published and revised, and mobility."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from signals.store import Batch, submit

TASK = "us_spending_realtime"
WEEK = pd.Timedelta(days=7)


def task_folder(bench: Path) -> Path:
    """The folder of the task; SystemExit where it is absent."""
    folder = bench / "tasks" / TASK
    if not (folder / "sales.parquet").exists():
        raise SystemExit(f"no task {TASK} at {bench}: give the folder of the benchmark as --tasks DIR")
    return folder


def fill(home: Path, folder: Path, categories: int | None = None) -> list[str]:
    """Put every published vintage of the task into the store of a new home; the names of its categories."""
    sales, signals = (pd.read_parquet(folder / f"{name}.parquet") for name in ("sales", "signals"))
    names = sorted(sales["series"].unique())[:categories]
    sales = sales[sales["series"].isin(names)]
    seen = signals[signals["series"] == names[0]]  # the same for all of them
    kinds = sorted(seen["signal"].unique())
    submit(
        home,
        Batch(
            "bench",
            sales=_weeks(sales).rename(columns={"series": "category", "y": "quantity"}),
            categories=pd.DataFrame(
                {"category": names, "frequency": "W-SUN", "unit": "index", "timezone": None, "calendar": None,
                 "parent": None, "attributes": None}
            ),
            signals=pd.DataFrame({"signal": kinds, "source": "bench", "aggregation": "mean", "future_known": False}),
            observations=_weeks(seen).drop(columns=["series", "source"]),
            candidates=pd.DataFrame([{"category": name, "signal": kind} for name in names for kind in kinds]),
        ),
    )  # fmt: skip
    return names


def _weeks(frame: pd.DataFrame) -> pd.DataFrame:
    """Weeks by the Sunday that ends them, as half-open spans; nothing is known of a week before it is over."""
    days = frame["ds"].astype("datetime64[us]")
    end = days + pd.Timedelta(days=1)
    known = frame["known_at"].astype("datetime64[us]")
    spans: dict[str, Any] = {
        "start": end - WEEK,
        "end": end,
        "known_at": known.where(known >= end, end),
        "source": "bench",
    }
    made = frame.drop(columns="ds").assign(**spans)
    key = [name for name in ("series", "signal") if name in made] + ["start", "known_at"]
    return made.drop_duplicates(key, keep="last")  # of two that came on one day the later
