"""Accuracy beside peers on real sales, with and without signals: `python -m bench.accuracy --bench DIR`.

DIR holds `score.py`, `tasks/` and `results/` of the shared benchmark (default: `../shared/bench`). Prints, for every
task, our scores, seasonal naive's and the best stored peer's, and the paired ratio to that peer with its standard
error.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd

from bench.machine import machine

MODELS = ("fast", "fast_without_signals")


def load_score(folder: Path) -> ModuleType:
    """The benchmark's own scoring module; SystemExit where it is absent."""
    if not (folder / "score.py").exists():
        raise SystemExit(f"no benchmark at {folder}: give its folder as --bench DIR")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.path.insert(0, str(folder))
    return importlib.import_module("score")


def rows_of(score: ModuleType, folder: Path, results: Path, jobs: int) -> list[dict[str, object]]:
    """One row a model for one task: ours, seasonal naive and the best peer by `mase`."""
    peers = score.stored(folder.name, results)
    best = min(peers, key=lambda name: peers[name]["mase"].mean())
    rows = []
    for model in MODELS:
        ours = score.run(f"bench.groundswell_model:{model}", folder, jobs=jobs)
        paired = {m: score.compare(ours, peers[best], m) for m in ("mase", "sql")}
        ratios = {f"{m}/best": f"{c['ratio']:.3f} ±{c['se']:.3f}" for m, c in paired.items()}
        rows.append({"task": folder.name, "model": f"groundswell {model}", **score.summary(ours, folder), **ratios})
    stored = {name: score.summary(peers[name], folder) for name in ("seasonal_naive", best)}
    return rows + [{"task": folder.name, "model": name, **summary} for name, summary in stored.items()]


def main() -> None:
    """Score every task (or `--task NAME`) and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, default=Path("../shared/bench"))
    parser.add_argument("--task", default=None)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    score = load_score(options.bench.resolve())
    print(machine())
    for name, folder in score.task_dirs().items():
        if options.task in (None, name):
            table = pd.DataFrame(rows_of(score, folder, options.bench / "results", options.jobs))
            print(table.round(3).to_string(index=False, na_rep=""), flush=True)


if __name__ == "__main__":
    main()
