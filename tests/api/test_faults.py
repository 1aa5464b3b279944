"""What is beneath a running server breaks: small versions of `python -m bench.faults` and `bench.chaos`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.chaos import chaos
from bench.faults import Outcome, Plan, clock, database, disk, duplicates, writes
from bench.postgresql import PROGRAMS
from bench.preloaded import COMPILER

PLAN = Plan(times=1, seconds=3.0, rate=8.0)
TOLD = {"200", "202", "503"}

pytestmark = pytest.mark.heavy


def needs(tool: object, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not tool, reason=f"it takes {package}")


def can_mount() -> bool:
    rights = re.search(r"CapEff:\s*(\w+)", Path("/proc/self/status").read_text())
    return os.geteuid() == 0 and rights is not None and bool(int(rights[1], 16) >> 21 & 1)  # CAP_SYS_ADMIN


CASES = [
    pytest.param(database, {"database-unavailable"}, id="database", marks=needs(PROGRAMS, "PostgreSQL")),
    pytest.param(disk, {"disk-full"}, id="disk", marks=needs(can_mount(), "root, to mount a small disk")),
    pytest.param(writes, {"disk-error"}, id="writes", marks=needs(COMPILER, "a C compiler")),
]


@pytest.mark.parametrize(("case", "problems"), CASES)
def test_an_outage_is_told_and_loses_nothing(case: Callable[[Plan], Outcome], problems: set[str]) -> None:
    outcome = case(PLAN)
    assert outcome.lost == 0
    assert set(outcome.sent) <= TOLD
    assert set(outcome.problems) <= problems
    assert outcome.account.states["forecasts now"]["answered"] > 0


@needs(COMPILER, "a C compiler")
def test_a_clock_that_jumps_loses_nothing() -> None:
    outcome = clock(PLAN)
    assert outcome.lost == 0
    assert set(outcome.sent) <= TOLD


def test_what_comes_twice_is_done_once() -> None:
    assert duplicates(PLAN).lost == 0


def test_kills_lose_nothing(tmp_path: Path) -> None:
    killed, _, found = chaos(tmp_path, 4, 8.0, 3)
    assert killed.total() == 4
    assert (found.lost, found.mistaken) == (0, 0)
