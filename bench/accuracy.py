"""Accuracy on rolling origins: `python -m bench.accuracy [--tasks DIR] [--engine NAME] [--without-signals] [--jobs N]`.

Without `--tasks`: the demo retailer of `data/demo`, each category forecast from what was known at each origin
(`known_at`), scored on the final figures, beside seasonal naive.

With `--tasks DIR`, a folder with `score.py`, `tasks/` and `results/`: real sales, beside the stored results of peers.
For every task, for all of it, for the part that choices of the method were made on and for the rest: our scores, and
the paired ratio to the best peer, by `mase` and by `sql` each its own, with standard errors. At the end the geometric
means of these ratios over tasks. `--task NAME` scores one, `--without-signals` adds the engine with none offered.
`--engine detailed` also prints ratios to the fast engine, and of each member what it gains, its seconds and memory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from bench.accuracy_demo import print_demo
from bench.accuracy_tasks import print_tasks
from bench.arguments import whole_number
from bench.machine import machine


def main() -> None:
    """Score the demo retailer or the tasks of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=Path, default=None, metavar="DIR", help="score.py, tasks/ and results/")
    parser.add_argument("--task", default=None, help="one task of that folder")
    parser.add_argument("--origins", type=whole_number, default=None, help="so many origins, evenly thinned")
    parser.add_argument("--series", type=whole_number, default=None, help="so many series of a task, evenly thinned")
    parser.add_argument("--without-signals", action="store_true", help="also with no signal offered")
    parser.add_argument("--engine", default="fast", help="the engine scored on the tasks")
    parser.add_argument("--jobs", type=whole_number, default=1)
    options = parser.parse_args()
    print(machine())
    pd.set_option("display.width", 250)
    if options.tasks is None:
        print_demo(options.origins or 26, options.without_signals, options.jobs)
    else:
        thin = (options.origins, options.series)
        print_tasks(options.tasks.resolve(), options.task, thin, options.without_signals, options.jobs, options.engine)


if __name__ == "__main__":
    main()
