"""What each member of the detailed engine is worth: the error without it, and its seconds."""

from __future__ import annotations

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


def print_members(score: ModuleType, parts: dict[str, pd.DataFrame]) -> None:
    """One line a member: by how much its presence lowers the error, in each part of the task, and what it costs."""
    names = [column.removeprefix(CPU) for column in parts["all"].columns if column.startswith(CPU)]
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
