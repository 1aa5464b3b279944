"""What `import forecast` costs beyond numpy and pandas: `python -m bench.imports` (CPU seconds, median of 15 runs)."""

from __future__ import annotations

import statistics
import subprocess
import sys

from bench.machine import machine

RUNS = 15
_TIMED = "import time, {before}; start = time.process_time(); import {module}; print(time.process_time() - start)"


def cpu_seconds(module: str, before: str) -> float:
    """Median CPU seconds of importing `module` in a new process in which `before` is imported already."""
    command = [sys.executable, "-c", _TIMED.format(module=module, before=before)]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(RUNS)]
    return statistics.median(map(float, runs))


def main() -> None:
    """Print one line a module."""
    print(machine())
    print(f"  import forecast, after numpy and pandas  {cpu_seconds('forecast', 'numpy, pandas'):.4f} s of CPU")
    print(f"  import numpy and pandas themselves       {cpu_seconds('numpy, pandas', 'sys'):.4f} s of CPU")
    print(f"  import api.cli (start of every command)  {cpu_seconds('api.cli', 'sys'):.4f} s of CPU")


if __name__ == "__main__":
    main()
