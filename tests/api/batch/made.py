"""Sales and signals of many series as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

WEEKS = 80


def sales(count: int, weeks: int = WEEKS) -> pd.DataFrame:
    """Weekly sales of series S0000, S0001, …; each of their own size."""
    rng = np.random.default_rng(5)
    ds = pd.date_range(end="2026-11-22", periods=weeks, freq="W-SUN")
    season = 1 + 0.2 * np.sin(2 * np.pi * np.arange(weeks) / 52)
    values = rng.uniform(20, 900, (count, 1)) * season * np.exp(0.05 * rng.normal(size=(count, weeks)))
    names = np.repeat([f"S{i:04d}" for i in range(count)], weeks)
    return pd.DataFrame({"category": names, "ds": np.tile(ds, count), "y": values.ravel().round(2)})


def signals(names: list[str] | None = None, weeks: int = WEEKS) -> pd.DataFrame:
    """Two weekly signals, for all series or for each of `names` alone."""
    rng = np.random.default_rng(6)
    ds = pd.date_range(end="2026-11-22", periods=weeks, freq="W-SUN")

    def one(**owner: str) -> pd.DataFrame:
        frames = [{**owner, "signal": name, "ds": ds, "value": rng.normal(size=weeks)} for name in ("rain", "web")]
        return pd.concat([pd.DataFrame(frame) for frame in frames])

    frames = [one()] if names is None else [one(category=name) for name in names]
    return pd.concat(frames, ignore_index=True)


def write(frame: pd.DataFrame, file: Path) -> Path:
    """The frame as a file of the kind that its name says."""
    if file.suffix == ".csv":
        frame.to_csv(file, index=False, date_format="%Y-%m-%d")
    elif file.suffix == ".ndjson":
        frame.to_json(file, orient="records", lines=True, date_format="iso")
    else:
        frame.to_parquet(file, index=False, row_group_size=1000)
    return file
