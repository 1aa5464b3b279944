"""`python -m bench.hierarchy [--tasks DIR]`: forecasts of a tree before and after they are made to add up.

Without `--tasks` the demo retailer's categories under one total, at the past origins that the forecaster itself looks
at. With the folder of the benchmark's tasks, the retail sales of `us_retail` grouped by hand (no series that is a part
of another), forecast at each of the task's origins from what was known then: WAPE in per cent and MASE by level.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from bench.machine import machine
from forecast import Hierarchy, reconcile
from forecast.coherent import METHODS
from forecast.metrics import seasonal_scale

DEMO = Path(__file__).parents[1] / "data" / "demo" / "sales.csv"
TOTAL = "All retail"
GROUPS = {
    "Vehicles and fuel": ("Motor vehicle and parts dealers", "Gasoline stations"),
    "Food": ("Food and beverage stores", "Restaurants and other eating places"),
    "Home": (
        "Building mat. and garden equip. and supplies dealers",
        "Furniture and home furnishings stores",
        "Electronics and appliance stores",
    ),
    "Apparel": ("Clothing stores", "Shoe stores"),
    "Leisure": ("Book stores", "Sporting goods stores", "Hobby, toy, and game stores"),
    "General": (
        "Department stores",
        "Electronic shopping and mail-order houses",
        "Health and personal care stores",
        "Office supplies and stationery stores",
        "Gift, novelty, and souvenir stores",
    ),
}
PARENTS: dict[str, str | None] = {leaf: group for group, leaves in GROUPS.items() for leaf in leaves}
PARENTS |= dict.fromkeys(GROUPS, TOTAL)
SEASON = 12


def demo() -> None:
    """The newest values of the demo's weeks, all categories under one total."""
    rows = pd.read_csv(DEMO).sort_values("known_at").drop_duplicates(["category", "week"], keep="last")
    history = rows.rename(columns={"category": "unique_id", "week": "ds", "units": "y"})[["unique_id", "ds", "y"]]
    ends = history.groupby("unique_id")["ds"].max()
    history = history[history["ds"] <= ends.min()]
    for method in METHODS:
        found = reconcile(history, 8, dict.fromkeys(ends.index, "All"), method=method)
        print(f"{method}\n{found.gains.round(4).to_string(index=False)}")


def retail(folder: Path) -> None:
    """Real origins, each with the vintage of its day."""
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    sales = pd.read_parquet(folder / "sales.parquet")
    sales = sales[sales["series"].isin(PARENTS)]
    errors = []
    for origin in task["origins"]:
        known = sales[sales["known_at"] <= pd.Timestamp(origin)]
        history = known.rename(columns={"series": "unique_id"})[["unique_id", "ds", "y"]]
        for method in METHODS:
            found = reconcile(history, task["horizon"], PARENTS, method=method)
            errors.append(_errors(found, sales).assign(origin=origin, method=method))
    told = pd.concat(errors)
    table = told.groupby(["level", "method"], sort=False).apply(_measures)
    print(f"us_retail, {len(task['origins'])} origins, {len(PARENTS) + 1} series\n{table.round(3).to_string()}")
    print(f"\nby half of the origins, WAPE after / before\n{_halves(told, task['origins']).round(4).to_string()}")


def _errors(found: Hierarchy, sales: pd.DataFrame) -> pd.DataFrame:
    """One row a node and period: actual, before, after and what MASE divides by."""
    wide = sales.pivot(index="ds", columns="series", values="y")[list(found.tree.leaves)]
    actual = pd.DataFrame(found.tree.sums(wide.to_numpy().T).T, index=wide.index, columns=list(found.tree.names))
    frames = []
    for name, depth in zip(found.tree.names, found.tree.depths, strict=True):
        after, before = found.forecasts[name], found.before[name]
        history = before.history["y"].to_numpy(dtype=float)
        frame = pd.DataFrame({"level": depth, "node": name, "before": before.mean, "after": after.mean})
        frame["actual"] = actual[name].reindex(pd.DatetimeIndex(before.ds)).to_numpy()
        frames.append(frame.assign(scale=seasonal_scale(history, SEASON)))
    return pd.concat(frames).dropna(subset="actual")


def _measures(rows: pd.DataFrame) -> pd.Series:
    size = np.abs(rows["actual"]).sum()
    off = {name: np.abs(rows["actual"] - rows[name]) for name in ("before", "after")}
    measures = {f"wape {name}": 100 * each.sum() / size for name, each in off.items()}
    measures |= {f"mase {name}": (each / rows["scale"]).mean() for name, each in off.items()}
    return pd.Series(measures | {"gain %": 100 * (1 - off["after"].sum() / off["before"].sum())})


def _halves(told: pd.DataFrame, origins: list[str]) -> pd.DataFrame:
    early = told["origin"].isin(origins[: len(origins) // 2]).map({True: "earlier", False: "later"})
    ratio = told.groupby([told["level"], told["method"], early], sort=False).apply(
        lambda rows: np.abs(rows["actual"] - rows["after"]).sum() / np.abs(rows["actual"] - rows["before"]).sum()
    )
    return pd.DataFrame(ratio.unstack())


def main() -> None:
    """Forecast, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=Path, help="folder of the benchmark's tasks")
    given = parser.parse_args()
    print(machine())
    if given.tasks:
        retail(given.tasks / "us_retail")
    else:
        demo()


if __name__ == "__main__":
    main()
