"""bench.life goes through a past week by week, and says where the benchmark is absent."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench import life, life_home


def folder_of(home: Path) -> Path:
    """A benchmark of two categories, each week printed two days after it and revised a week later."""
    folder = home / "tasks" / life_home.TASK
    folder.mkdir(parents=True)
    weeks = pd.date_range("2020-01-05", periods=30, freq="7D")
    sales = [
        {"series": name, "ds": week, "y": 100.0 + number + later, "known_at": week + pd.Timedelta(days=3 + 7 * later)}
        for name in ("Food", "Toys")
        for number, week in enumerate(weeks)
        for later in (0, 1)
    ]
    seen = [
        {"series": name, "signal": "parks", "ds": week, "value": float(number % 5), "known_at": week}
        for name in ("Food", "Toys")
        for number, week in enumerate(weeks)
    ]
    pd.DataFrame(sales).to_parquet(folder / "sales.parquet")
    pd.DataFrame(seen).to_parquet(folder / "signals.parquet")
    return folder


def test_a_past_is_gone_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(life, "FIRST", pd.Timestamp("2020-07-01 09:00").to_pydatetime())
    monkeypatch.setattr(life, "LAST", pd.Timestamp("2020-07-29 09:00").to_pydatetime())
    life.run(tmp_path / "home", folder_of(tmp_path), 1)
    told = capsys.readouterr().out
    assert "1 categories" in told
    assert "geometric mean of living / frozen: 1.0000" in told
    assert "0 alarms" in told
    assert "5 receipts replayed: 5 identical" in told
    with pytest.raises(SystemExit, match="is there already"):
        life.run(tmp_path / "home", tmp_path / "tasks", None)


def test_an_absent_benchmark_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="give the folder of the benchmark as --tasks DIR"):
        life_home.task_folder(tmp_path)
