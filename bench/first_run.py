"""A newcomer's first run: `python -m bench.first_run` clones this checkout, makes an environment and runs the demo.

Prints seconds to install, size on disk, seconds and peak memory of the demo. What is committed is what is measured.
"""

from __future__ import annotations

import resource
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.machine import machine


def timed(*command: str, cwd: Path) -> float:
    """Wall seconds of a command that has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def size_mb(folder: Path) -> float:
    """Size of the files under a folder."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and not f.is_symlink()) / 1e6


def main() -> None:
    """Clone, install, run the demo twice."""
    print(machine())
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "groundswell"
        subprocess.run(["git", "clone", "--quiet", str(Path.cwd()), str(clone)], check=True)
        print(f"  install             {timed('make', '.venv/.installed', cwd=clone):7.1f} s")
        print(f"  environment on disk {size_mb(clone / '.venv'):7.0f} MB")
        first = timed("make", "demo", cwd=clone)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
        print(f"  demo                {first:7.1f} s")
        print(f"  demo again          {timed('make', 'demo', cwd=clone):7.1f} s")
        print(f"  peak of any process {peak:7.0f} MB (pip's own among them)")


if __name__ == "__main__":
    main()
