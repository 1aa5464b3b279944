"""Forecast the cases of a task in worker processes that hold one case at a time."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.accuracy_members import CPU, DETAILED, WITHOUT, left_out
from bench.groundswell_model import Case, answer
from forecast.engines import Kept, detailed_engine


class Answered(NamedTuple):
    """What a worker hands back: the forecast, its seconds, and which signals it admitted.

    Of a stack also the forecasts `without` each member, and the seconds of `cpu` that each took.
    """

    frame: pd.DataFrame
    seconds: float
    admitted: tuple[str, ...]
    without: dict[str, pd.DataFrame]
    cpu: dict[str, float]


def answered(case: Case, with_signals: bool, engine: str = "fast") -> Answered:
    """Forecast one case."""
    start, kept = time.perf_counter(), Kept()
    result = answer(case, with_signals, detailed_engine(kept=kept) if engine == DETAILED else engine)
    frame = result.to_frame()
    seconds, cpu = time.perf_counter() - start, dict(kept.seconds)
    without = left_out(case, with_signals, kept) if engine == DETAILED else {}
    return Answered(frame, seconds, tuple(s.signal for s in result.signals if s.admitted), without, cpu)


def rows_of(
    score: ModuleType, pairs: list[tuple[Any, np.ndarray]], with_signals: bool, jobs: int, engine: str = "fast"
) -> pd.DataFrame:
    """One row a case: the benchmark's scores, `mae` in sales units, `width` of the 80 % interval, `admitted`.

    Of a stack also the `mase` without each member, and the seconds of CPU that each took.
    """
    cases = [case for case, _ in pairs]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(
            pool.map(answered, cases[:1] * jobs, [with_signals] * jobs, [engine] * jobs)
        )  # imports before the clock counts
        same = [with_signals] * len(cases), [engine] * len(cases)
        found = list(pool.map(answered, cases, *same, chunksize=4))
    return pd.DataFrame([_row(score, *pair, one) for pair, one in zip(pairs, found, strict=True)])


def _row(score: ModuleType, case: Any, actual: np.ndarray, one: Answered) -> dict[str, object]:
    out = one.frame
    row: dict[str, object] = score.score(case, actual, out, one.seconds)
    median = out["median"].to_numpy()
    row |= {WITHOUT + name: score.score(case, actual, frame, 0.0)["mase"] for name, frame in one.without.items()}
    row |= {CPU + name: seconds for name, seconds in one.cpu.items()}
    width = (out["hi-80"] - out["lo-80"]).mean() / max(np.abs(median).mean(), np.finfo(float).tiny)
    return row | {"mae": np.abs(actual - median).mean(), "width": width, "admitted": one.admitted}
