"""Pulls are killed at random moments while readers read: nothing is lost, nothing twice, no reader sees an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.heavy
def test_kills_lose_nothing() -> None:
    command = [sys.executable, "-m", "bench.pulling", "--series", "20", "--kills", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "5 kills of a pull of 20 series: nothing lost, nothing twice" in done.stdout
