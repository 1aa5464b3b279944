"""What each member of the detailed engine is worth: the error without it, its seconds and its memory."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType

import pandas as pd

from bench.groundswell_model import Case, answer
from forecast.engines import Kept, detailed_engine

DETAILED = "detailed"
WITHOUT, CPU = "without ", "cpu "  # columns of rows, one a member


def left_out(case: Case, with_signals: bool, kept: Kept) -> dict[str, pd.DataFrame]:
    """The forecasts of the stack without each of its members; what is kept is weighed anew and not fitted again."""
    names = list(kept.seconds)
    return {
        name: answer(case, with_signals, detailed_engine(without=name, kept=kept)).to_frame()
        for name in names
        if len(names) > 1
    }


def megabytes(case: Case, with_signals: bool, name: str) -> float:
    """By how much one forecast by an engine raises the peak memory of this process: wants a process of its own."""
    before = _peak()
    answer(case, with_signals, name)
    return (_peak() - before) / 1000


def _peak() -> int:
    """Peak memory of this process in kB as Linux tells it; getrusage would begin with that of the parent."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def print_memory(case: Case, names: list[str]) -> None:
    """One line: the memory that each engine alone, and the whole stack, takes for a case, libraries included."""
    told = []
    for name in names:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            told.append(f"{name} {pool.submit(megabytes, case, True, name).result():.0f}")
    print(f"  MB of memory for one case beyond what the process holds before: {', '.join(told)}")


def member_names(rows: pd.DataFrame) -> list[str]:
    """The members whose costs are in the rows of cases."""
    return [column.removeprefix(CPU) for column in rows.columns if column.startswith(CPU)]


def print_members(score: ModuleType, parts: dict[str, pd.DataFrame]) -> None:
    """One line a member: by how much its presence lowers the error, in each part of the task, and what it costs."""
    names = member_names(parts["all"])
    if not names:
        return
    print("  members: gain = 100 (1 - mase / mase without it), its standard error, and seconds of CPU a case")
    for name in names:
        told = [_gain(score, rows, name, part) for part, rows in parts.items() if len(rows) > 1]
        print(f"    {name:22} {parts['all'][CPU + name].mean():.2f} s  {'  '.join(told)}")
    total = sum(parts["all"][CPU + name].fillna(0.0).mean() for name in names)
    print(f"    {'all':22} {total:.2f} s")


def _gain(score: ModuleType, rows: pd.DataFrame, name: str, part: str) -> str:
    rows = rows.dropna(subset=[WITHOUT + name])
    without = rows.assign(mase=rows[WITHOUT + name])
    paired = score.compare(rows, without, "mase")
    return f"{part} {100 * (1 - paired['ratio']):+.2f} % ({100 * paired['se']:.2f})"
