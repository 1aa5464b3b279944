"""docs/events.md: its commands print what it shows, its Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from api.cli import cli
from signals.store import Batch, submit
from tests.api.stores import last_week

PAGE = (Path(__file__).parent.parent / "docs" / "events.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^\$ groundswell (.+)\n((?:[^`$].*\n|\n)*)", re.MULTILINE)
MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"


def sales(n: int = 208) -> pd.DataFrame:
    """Weekly sales in which something happened: start, end, quantity."""
    rng, t = np.random.default_rng(1), np.arange(n)
    season = 0.25 * np.sin(2 * np.pi * t / 52.18)
    y = 100 * np.exp(season + np.cumsum(0.02 * rng.normal(size=n)) + 0.08 * rng.normal(size=n))
    y[60] *= 2.2
    y[100:104] = 0
    y[170:] *= 1.5
    start = pd.date_range(end=last_week(), periods=n, freq="7D")
    return pd.DataFrame({"start": start, "end": start + pd.Timedelta(days=7), "quantity": y.round()})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("events")
    category = pd.DataFrame({"category": ["Boots"], "frequency": ["W-SUN"], "unit": ["pairs"]})
    submit(home, Batch("test", categories=category, sales=sales().assign(category="Boots")))
    return home


def dated(text: str, weeks: int) -> str:
    """A command of the page with its days as they lie in the store of the test."""
    return re.sub(r"\d{4}-\d\d-\d\d", lambda day: f"{pd.Timestamp(day[0]) + pd.Timedelta(weeks=weeks):%Y-%m-%d}", text)


def same(text: str) -> str:
    """The words and the form: which day it is, and so each figure, differs from week to week."""
    text = re.sub(r"^(In all \S+: level).*", r"\1", text, flags=re.MULTILINE)  # small drivers come and go
    return re.sub(r"\d[\d,.]*", "0", re.sub(MONTHS, "Jan", re.sub(r" {2,}", "  ", text))).strip()


def test_the_commands_print_what_is_shown(home: Path) -> None:
    shown_at = pd.Timestamp("2026-11-29")  # the last week of the page
    weeks = (last_week() + pd.Timedelta(days=6) - shown_at).days // 7
    found = EXAMPLE.findall(PAGE)
    assert len(found) == 5
    for arguments, shown in found:
        result = CliRunner().invoke(cli, ["--home", str(home), *shlex.split(dated(arguments, weeks))])
        assert result.exit_code == 0, result.output
        assert same(result.stdout) == same(shown)


def test_the_python_runs() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    frame = sales()
    history = pd.DataFrame({"ds": frame["end"] - pd.Timedelta(days=1), "y": frame["quantity"]})
    names: dict[str, Any] = {"history": history}
    exec(code, names)
    assert {one.kind for one in names["found"]} == {"outlier", "stock_out", "level_shift"}
    assert len(names["result"].events) == len(names["found"])
