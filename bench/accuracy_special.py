"""What two tasks are asked beyond the rest: categories against plain smoothing, and what admission does for cars."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd

Rows = pd.DataFrame
_SINCE = "2008-01-01"
_DRAWS = 2000
_BLOCK = 3  # origins follow each other by a month: what lifts one error lifts the next


def print_special(score: ModuleType, task: str, rows: Rows, plain: Rows | None, peers: dict[str, Rows]) -> None:
    """The lines of the task, where it has any."""
    if task == "us_spending_realtime":
        print_against(score, rows, peers["ses"])
    if task == "autos_trends" and plain is not None:
        print_admission(rows, plain)


def print_against(score: ModuleType, rows: Rows, ses: Rows) -> None:
    """By category, the ratio of our mase to that of simple exponential smoothing."""
    print("  mase against simple exponential smoothing (ses), by category")
    for name, own in rows.groupby("series"):
        paired = score.compare(own, ses, "mase")
        print(f"    {name!s:40} {paired['ratio']:.3f} (se {paired['se']:.3f}), {paired['n']} origins")


def print_admission(rows: Rows, plain: Rows) -> None:
    """How often each signal is admitted from 2008 on, and what that does to the error."""
    late = rows["origin"] >= _SINCE
    admitted = rows.loc[late, "admitted"]
    for name in sorted({signal for found in rows["admitted"] for signal in found}):
        print(
            f"  admitted from 2008 on: {name} at {admitted.map(lambda found, n=name: n in found).mean():.0%} of origins"
        )
    if not any(map(len, admitted)):
        print("  admitted from 2008 on: no signal at any origin")
    for title, part in (("all origins", rows), ("from 2008 on", rows[late])):
        if len(part) < 2:
            continue
        both = part.merge(plain, on=["series", "origin"], suffixes=("", "_without"))
        ratio, low, high = bootstrap_ratio(both["mae"].to_numpy(), both["mae_without"].to_numpy())
        print(f"  error with / without signals, {title}: {ratio:.3f}, 90 % interval {low:.3f} to {high:.3f}")


def bootstrap_ratio(ours: np.ndarray, others: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Ratio of the mean errors (origins,) and its 90 % interval, from resampled blocks of neighbouring origins."""
    n = len(ours)
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n, (_DRAWS, -(-n // _BLOCK)))
    picked = ((first[:, :, None] + np.arange(_BLOCK)) % n).reshape(_DRAWS, -1)[:, :n]
    drawn = ours[picked].mean(axis=1) / others[picked].mean(axis=1)
    low, high = np.percentile(drawn, [5, 95])
    return float(ours.mean() / others.mean()), float(low), float(high)
