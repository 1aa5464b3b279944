"""Apache Spark gives the files that the pool gives, and adds up lines as pandas does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.batch.tables import SALES, in_order
from tests.api.batch.made import sales, signals, write

pytest.importorskip("pyspark", reason="an optional package")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs a Java runtime"),
]


def groundswell(*arguments: object, code: int = 0) -> str:
    """Run a command in a process of its own: a JVM stays with the process that started it."""
    command = [sys.executable, "-c", "from api.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONWARNINGS": ""})
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def table(out: Path, kind: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(file) for file in sorted((out / kind).glob("part-*.parquet")))


def test_spark_writes_what_the_pool_writes(tmp_path: Path) -> None:
    frame = pd.concat([sales(600), sales(1, 1).assign(category="short")])
    files = write(frame, tmp_path / "sales.parquet"), write(signals(), tmp_path / "signals.csv")
    asked = ("run", files[0], "--signals", files[1], "--horizon", 3)
    for on in ("pool", "spark"):
        groundswell(*asked, "--out", tmp_path / on, "--on", on)
    for kind in ("periods", "series"):
        assert table(tmp_path / "spark", kind).equals(table(tmp_path / "pool", kind))
    assert len(list((tmp_path / "spark" / "series").glob("part-*"))) == 3
    again = groundswell(
        "run", files[0], "--signals", files[1], "--out", tmp_path / "spark", "--on", "spark", "--horizon", 3
    )
    assert "3 chunks of them by an earlier try" in again


def lines() -> pd.DataFrame:
    """Sales one by one, over days of which the last week is not whole."""
    rng = np.random.default_rng(3)
    days = pd.date_range("2026-01-05", "2026-03-18")
    count = 4_000
    return pd.DataFrame(
        {
            "item": rng.choice(["A", "B", "C"], count, p=[0.6, 0.39, 0.01]),
            "sold_at": rng.choice(days.to_numpy(), count) + pd.to_timedelta(rng.integers(0, 86_399, count), unit="s"),
            "units": rng.integers(-1, 9, count),
        }
    )


@pytest.mark.parametrize(("frequency", "offset"), [("W-SUN", "W-SUN"), ("MS", "MS"), ("D", "D")])
def test_lines_are_added_up_to_periods(tmp_path: Path, frequency: str, offset: str) -> None:
    frame, out = lines(), tmp_path / "out"
    frame.astype({"sold_at": "datetime64[us]"}).to_parquet(tmp_path / "lines.parquet", index=False)
    names = ("--category", "item", "--date", "sold_at", "--quantity", "units", "--frequency", frequency)
    groundswell("prepare", tmp_path / "lines.parquet", "--out", out, *names)
    days = frame["sold_at"].dt.normalize()
    period = days.dt.to_period({"W-SUN": "W-SUN", "MS": "M", "D": "D"}[frequency])
    label = period.dt.end_time.dt.normalize() if frequency.startswith("W") else period.dt.start_time
    whole = frame[period.dt.end_time.dt.normalize() <= days.max()]
    expected = whole.groupby(["item", label])["units"].sum().unstack(0)
    expected = expected.asfreq(offset)
    files = sorted(out.glob("*.parquet"))
    assert in_order(files, SALES, tmp_path / "stage") == files  # `run` reads them without sorting
    got = pd.concat([pd.read_parquet(file) for file in files])
    for item in "ABC":
        mine = got[got["category"] == item].set_index("date")["quantity"]
        told = expected[item].loc[expected[item].first_valid_index() : expected[item].last_valid_index()].fillna(0)
        assert list(mine.index) == list(told.index.date)
        assert list(mine) == list(told)


def test_lines_that_say_nothing_are_refused(tmp_path: Path) -> None:
    frame = lines().head(5).assign(item=None).rename(columns={"item": "category", "sold_at": "date"})
    frame["category"] = frame["category"].astype("string")
    frame.rename(columns={"units": "quantity"}).astype({"date": "datetime64[us]"}).to_parquet(tmp_path / "l.parquet")
    said = groundswell("prepare", tmp_path / "l.parquet", "--out", tmp_path / "out", code=1)
    assert "5 lines have no category, no date or no quantity" in said
