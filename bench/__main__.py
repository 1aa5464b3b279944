"""`python -m bench`: the measurements that need nothing but this checkout, one after the other."""

from __future__ import annotations

import subprocess
import sys

COMMANDS = ("bench.imports", "bench.store", "bench.importing", "bench.noise")


def main() -> None:
    """Run each in a process of its own."""
    for module in COMMANDS:
        print(f"\n== python -m {module}", flush=True)
        subprocess.run([sys.executable, "-m", module], check=True)
    print("\nAlso: python -m bench.first_run (a fresh clone), python -m bench.accuracy --bench DIR (real sales)")


if __name__ == "__main__":
    main()
