"""`python -m bench`: the measurements that need nothing but this checkout, one after the other."""

from __future__ import annotations

import subprocess
import sys

COMMANDS = (
    ("bench.imports",),
    ("bench.store",),
    ("bench.importing",),
    ("bench.parsing",),
    ("bench.pulling", "--series", "100", "--kills", "5"),
    ("bench.stitching",),
    ("bench.odata",),
    ("bench.latency",),
    ("bench.business_central",),
    ("bench.requests",),
    ("bench.batch", "--series", "10000"),
    ("bench.runs", "--series", "5000"),
    ("bench.runs", "--series", "5000", "--face", "http"),
    ("bench.deadline",),
    ("bench.noise",),
    ("bench.planned",),
    ("bench.scenarios",),
    ("bench.events",),
    ("bench.shocks",),
    ("bench.holidays",),
    ("bench.hierarchy",),
    ("bench.newcomers",),
    ("bench.drift",),
    ("bench.promotion",),
    ("bench.accuracy", "--jobs", "2"),
    ("bench.nasty", "--series", "10000"),
)


def main() -> None:
    """Run each in a process of its own."""
    for command in COMMANDS:
        print(f"\n== python -m {' '.join(command)}", flush=True)
        subprocess.run([sys.executable, "-m", *command], check=True)
    print("\nAlso: python -m bench.first_run (a fresh clone), python -m bench.accuracy --tasks DIR (real sales)")


if __name__ == "__main__":
    main()
