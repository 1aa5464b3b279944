"""On real sales with real signals the fast engine beats seasonal naive, and the detailed one is no worse than it."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from bench.groundswell_model import detailed, fast

SHARED = Path(__file__).parent.parent.parent / "shared" / "bench"
TASKS = sorted(path.parent.name for path in SHARED.glob("tasks/*/task.json"))

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.shared,
    pytest.mark.skipif(not TASKS, reason="the shared benchmark is not there"),
]


@pytest.fixture(scope="module")
def score() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SHARED))
        return importlib.import_module("score")


@pytest.mark.parametrize("task", TASKS)
def test_mase_is_below_seasonal_naive_on_a_part_of_each_task(score: ModuleType, task: str) -> None:
    cases = score.load_cases(SHARED / "tasks" / task, origins=6, series=12)
    ours = pd.DataFrame([score.score(case, actual, fast(case), 0.0) for case, actual in cases])
    naive = score.stored(task, SHARED / "results")["seasonal_naive"]
    compared = score.compare(ours, naive, "mase")
    assert compared["n"] == len(ours) > 5
    assert compared["ratio"] < 1
    assert 0.6 < ours["c80"].mean() <= 1


@pytest.mark.parametrize("task", TASKS)
def test_the_detailed_engine_is_no_worse_than_the_fast_one(score: ModuleType, task: str) -> None:
    origins = None if task == "autos_trends" else 6  # it has one series
    cases = score.load_cases(SHARED / "tasks" / task, origins=origins, series=12)
    stack, alone = (
        pd.DataFrame([score.score(case, actual, engine(case), 0.0) for case, actual in cases])
        for engine in (detailed, fast)
    )
    assert score.compare(stack, alone, "mase")["ratio"] < 1.01
