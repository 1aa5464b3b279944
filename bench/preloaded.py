"""Faults that are put between a program and the C library: a clock that jumps, writes that fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

COMPILER = shutil.which("cc")


class Preloaded:
    """A library of ours and the number that it obeys; it acts on processes that are started with `variables`.

    jumping_clock: seconds by which the wall clock is ahead, below 0 behind; timers stay right.
    failing_writes: how many of a million writes fail; only files below the folder FAILING_WRITES_BELOW.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._file, library = folder / f"{name}.number", folder / f"{name}.so"
        assert COMPILER is not None, "there is no C compiler (Debian package gcc)"
        self._file.write_bytes(bytes(8))
        source = Path(__file__).with_name(f"{name}.c")
        subprocess.run([COMPILER, "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.variables = {"LD_PRELOAD": str(library), name.upper(): str(self._file)}

    def set(self, number: int) -> None:
        """From now on, in all processes."""
        descriptor = os.open(self._file, os.O_WRONLY)
        try:
            os.pwrite(descriptor, number.to_bytes(8, "little", signed=True), 0)
        finally:
            os.close(descriptor)
