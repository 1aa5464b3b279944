"""Business Central's calls against a server process."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.heavy
def test_the_benchmark_calls_a_server_and_gets_every_row() -> None:
    command = [sys.executable, "-m", "bench.business_central", "--count", "8", "--run", "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if line.startswith(("  no signals", "  5 daily"))]) == 4
    assert "call 4 of a run" in done.stdout
