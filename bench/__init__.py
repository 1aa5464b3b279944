"""Benchmarks: each one a command, `python -m bench.NAME`."""

import os

# One BLAS thread a process, as the server has it; numpy reads this once, so it has to be said before numpy loads.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
