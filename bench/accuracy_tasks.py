"""Our scores on the tasks of a benchmark folder, beside the stored scores of peers."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from bench.accuracy_members import DETAILED, member_names, print_members, print_memory
from bench.accuracy_run import rows_of
from bench.accuracy_special import print_special

Rows = pd.DataFrame  # one row a case: series, origin, its scores and `admitted`
MEASURES = ("mase", "sql")
PARTS = ("all", "choosing", "rest")
CHOSEN_BEFORE = "2010-01-01"  # of a task with one series, the origins before this day served for choosing


def load_score(folder: Path) -> ModuleType:
    """The benchmark's own scoring module; SystemExit where it is absent."""
    if not (folder / "score.py").exists():
        raise SystemExit(f"no benchmark at {folder}: give its folder as --tasks DIR")
    sys.path.insert(0, str(folder))
    return importlib.import_module("score")


def parts(rows: Rows) -> dict[str, Rows]:
    """All cases, those that choices were made on (every other series, or the earlier origins of one), and the rest."""
    names = sorted(rows["series"].unique())
    chosen = rows["series"].isin(names[::2]) if len(names) > 1 else rows["origin"] < CHOSEN_BEFORE
    return {"all": rows, "choosing": rows[chosen], "rest": rows[~chosen]}


def best_peers(peers: dict[str, Rows]) -> dict[str, str]:
    """For each measure, the peer with the lowest mean over the whole task: the same for every part of it."""
    means = pd.DataFrame({name: rows[list(MEASURES)].mean() for name, rows in peers.items()})
    return {m: str(means.loc[m].idxmin()) for m in MEASURES}


def line(score: ModuleType, folder: Path, rows: Rows, plain: Rows | None, peers: dict[str, Rows]) -> dict[str, object]:
    """One row of the table: our scores on some cases, seasonal naive's on the same, the ratios to the best peers."""
    summary = score.summary(rows, folder)
    found: dict[str, object] = {"n": len(rows), "mase": summary["mase"]}
    if plain is not None:
        found["without signals"] = summary["mase"] / score.compare(rows, plain, "mase")["ratio"]
    found["seasonal naive"] = summary["mase"] / score.compare(rows, peers["seasonal_naive"], "mase")["ratio"]
    found |= {name: summary[name] for name in ("owa", "sql", "c80", "c95") if name in summary}
    found |= {"width": rows["width"].mean(), "ms": summary["ms"]}
    for measure, peer in best_peers(peers).items():
        paired = score.compare(rows, peers[peer], measure)
        found |= {f"{measure}/best": paired["ratio"], f"{measure} se": paired["se"], f"{measure} best": peer}
    return found


def table(score: ModuleType, folder: Path, rows: Rows, plain: Rows | None, peers: dict[str, Rows]) -> pd.DataFrame:
    """One row a part of the task."""
    lines = {name: line(score, folder, part, plain, peers) for name, part in parts(rows).items() if len(part)}
    return pd.DataFrame(lines.values(), index=pd.Index(lines, name=folder.name))


def print_shock(folder: Path, rows: Rows) -> None:
    """The origins inside a shock apart: intervals are told over calm ones above."""
    shock = json.loads((folder / "task.json").read_text(encoding="utf-8")).get("shock", [])
    inside = rows["origin"].isin(shock)
    if inside.any():
        for name, part in (("shock", rows[inside]), ("calm", rows[~inside])):
            mase, c80, c95 = part[["mase", "c80", "c95"]].mean()
            print(f"  {name:6} origins: {len(part)} cases, mase {mase:.3f}, c80 {c80:.2f}, c95 {c95:.2f}")


def print_beside_fast(score: ModuleType, rows: Rows, fast: Rows) -> None:
    """Ratios to the fast engine on the same cases."""
    for part, own in parts(rows).items():
        if len(own) > 1:
            told = [(m, score.compare(own, fast, m)) for m in MEASURES]
            text = "  ".join(f"{m}/fast {paired['ratio']:.3f} (se {paired['se']:.3f})" for m, paired in told)
            print(f"  {part:9} {text}")


def print_means(tables: list[pd.DataFrame]) -> None:
    """Geometric means over tasks of the ratios to the best peers."""
    print(f"geometric means over {len(tables)} tasks")
    for part in PARTS:
        have = [found.loc[part] for found in tables if part in found.index]
        means = {m: np.exp(np.mean([np.log(row[f"{m}/best"]) for row in have])) for m in MEASURES}
        print(f"  {part:9} " + "  ".join(f"{m}/best {mean:.3f}" for m, mean in means.items()), flush=True)


def print_tasks(
    bench: Path,
    task: str | None,
    thin: tuple[int | None, int | None],
    without_signals: bool,
    jobs: int,
    engine: str = "fast",
) -> None:
    """Score every task, or the one named, and print a table for each, then the geometric means."""
    score = load_score(bench)
    folders = {name: folder for name, folder in score.task_dirs().items() if task in (None, name)}
    if not folders:
        raise SystemExit(f"no task {task}: there are {', '.join(score.task_dirs())}")
    print(
        "  parts: choosing = every other series (or origins before 2010), rest = the others; c80, c95 over calm origins"
    )
    tables = []
    for name, folder in folders.items():
        peers = score.stored(name, bench / "results")
        pairs = score.load_cases(folder, *thin)
        rows = rows_of(score, pairs, True, jobs, engine)
        plain = rows_of(score, pairs, False, jobs, engine) if without_signals or name == "autos_trends" else None
        tables.append(table(score, folder, rows, plain, peers))
        print("\n" + tables[-1].round(3).to_string(na_rep=""))
        print_shock(folder, rows)
        print_special(score, name, rows, plain, peers)
        if engine == DETAILED:
            print_beside_fast(score, rows, rows_of(score, pairs, True, jobs))
            print_members(score, parts(rows))
            print_memory(pairs[-1][0], [*member_names(rows), DETAILED])
        sys.stdout.flush()
    print()
    print_means(tables)
