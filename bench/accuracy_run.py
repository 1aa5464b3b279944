"""Forecast the cases of a task in worker processes that hold one case at a time."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.groundswell_model import Case, answer


class Answered(NamedTuple):
    """What a worker hands back: the forecast, its seconds, and which signals it admitted."""

    frame: pd.DataFrame
    seconds: float
    admitted: tuple[str, ...]


def answered(case: Case, with_signals: bool) -> Answered:
    """Forecast one case."""
    start = time.perf_counter()
    result = answer(case, with_signals)
    frame = result.to_frame()
    return Answered(frame, time.perf_counter() - start, tuple(s.signal for s in result.signals if s.admitted))


def rows_of(score: ModuleType, pairs: list[tuple[Any, np.ndarray]], with_signals: bool, jobs: int) -> pd.DataFrame:
    """One row a case: the benchmark's scores, `mae` in sales units, `width` of the 80 % interval, `admitted`."""
    cases = [case for case, _ in pairs]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(answered, cases[:1] * jobs, [with_signals] * jobs))  # imports before the clock counts
        found = list(pool.map(answered, cases, [with_signals] * len(cases), chunksize=4))
    return pd.DataFrame([_row(score, *pair, one) for pair, one in zip(pairs, found, strict=True)])


def _row(score: ModuleType, case: Any, actual: np.ndarray, one: Answered) -> dict[str, object]:
    out = one.frame
    row: dict[str, object] = score.score(case, actual, out, one.seconds)
    median = out["median"].to_numpy()
    width = (out["hi-80"] - out["lo-80"]).mean() / max(np.abs(median).mean(), np.finfo(float).tiny)
    return row | {"mae": np.abs(actual - median).mean(), "width": width, "admitted": one.admitted}
