"""How intervals live through a shock: `python -m bench.shocks` shifts the level of simulated weekly sales.

Sales are those of `bench.noise`; from one week on they are so many per cent of what they would have been. Every past
forecast is sorted by how many weeks of the new level its origin had seen: the median's error in per cent of sales, how
often the 80 % and the 95 % interval held, and how wide the 80 % one was in per cent of the median.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from bench.arguments import whole_number
from bench.machine import machine
from bench.noise import sales
from forecast import backtest

HORIZON = 8
BEFORE_END = 60  # weeks of the new level in each history
SEEN = {
    "none, and none is forecast": (-(10**6), -HORIZON),
    "none, but some is forecast": (-HORIZON + 1, 0),
    "1": (1, 1),
    "2": (2, 2),
    "3-4": (3, 4),
    "5-8": (5, 8),
    "9-16": (9, 16),
    "17-26": (17, 26),
    "27 and more": (27, 10**6),
}


def past_forecasts(seed: int, n: int, left: float) -> pd.DataFrame:
    """One row a past forecast with the weeks of the new level that its origin had `seen`."""
    y = 100 * np.exp(sales(np.random.default_rng(seed), n))
    y[n - BEFORE_END :] *= left
    ds = pd.date_range("2021-01-03", periods=n, freq="W-SUN")
    frame = backtest(pd.DataFrame({"ds": ds, "y": y}), HORIZON).to_frame()
    before = ds[n - BEFORE_END - 1]
    return frame.assign(seen=(frame["origin"] - before).dt.days // 7)


def measures(rows: pd.DataFrame) -> pd.Series:
    """Of some past forecasts, all in per cent."""
    rows = rows.dropna(subset=["lo-80"])
    inside = {k: rows["actual"].between(rows[f"lo-{k}"], rows[f"hi-{k}"]).mean() for k in (80, 95)}
    error = (rows["median"] - rows["actual"]).abs().sum() / rows["actual"].sum()
    width = ((rows["hi-80"] - rows["lo-80"]) / rows["median"]).mean()
    return 100 * pd.Series({"error": error, "inside 80": inside[80], "inside 95": inside[95], "width 80": width})


def table(left: float, n: int, repeats: int) -> pd.DataFrame:
    """One row for each stretch of `SEEN`."""
    frame = pd.concat([past_forecasts(seed, n, left) for seed in range(repeats)])
    return pd.DataFrame({name: measures(frame[frame["seen"].between(*ends)]) for name, ends in SEEN.items()}).T


def main() -> None:
    """Print one table a shift."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=whole_number, default=50)
    parser.add_argument("--weeks", type=whole_number, default=260)
    options = parser.parse_args()
    print(f"{machine()}; {options.weeks} weeks, horizon {HORIZON}, {options.repeats} repeats")
    for left in (1.0, 0.7, 0.4):
        print(f"\nsales fall to {100 * left:.0f} %; weeks of the new level that the origin had seen:")
        print(table(left, options.weeks, options.repeats).round(1).to_string())


if __name__ == "__main__":
    main()
