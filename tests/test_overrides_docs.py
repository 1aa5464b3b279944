"""docs/overrides.md: its commands print what it shows, its Python runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from api.cli import cli
from api.settings import Settings
from signals.store import open_snapshot
from tests.api.stores import fill, last_week

PAGE = (Path(__file__).parent.parent / "docs" / "overrides.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^\$ groundswell (.+)\n((?:[^`$].*\n|\n)*)", re.MULTILINE)
ID = re.compile(r"ov_[0-9a-f]{20}")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("overrides")
    fill(home, last_week())
    return home


def dated(text: str, weeks: int) -> str:
    """A command of the page with its weeks as they lie in the store of the test."""

    def moved(week: re.Match[str]) -> str:
        return f"{pd.Timestamp.fromisocalendar(int(week[1]), int(week[2]), 1) + pd.Timedelta(weeks=weeks):%G-W%V}"

    return re.sub(r"(\d{4})-W(\d\d)", moved, text)


def same(text: str) -> str:
    """The words and the form: ids, moments and figures differ."""
    return re.sub(r"\d[\d,.]*", "0", ID.sub("ov", re.sub(r" {2,}", "  ", text))).strip()


def outputs(home: Path) -> Iterator[tuple[str, str]]:
    """What is shown of each command, and what it prints."""
    weeks = (last_week() + pd.Timedelta(days=6) - pd.Timestamp("2026-11-29")).days // 7  # the last week of the page
    known: dict[str, str] = {}
    for arguments, shown in EXAMPLE.findall(PAGE):
        words = dated(arguments, weeks)
        for mine, theirs in known.items():
            words = words.replace(mine, theirs)
        result = CliRunner().invoke(cli, ["--home", str(home), *shlex.split(words)])
        assert result.exit_code == 0, result.output
        known |= dict(zip(ID.findall(shown), ID.findall(result.stdout), strict=True))
        yield shown, result.stdout


def test_the_commands_print_what_is_shown(home: Path) -> None:
    found = list(outputs(home))
    assert len(found) == 9
    for shown, printed in found:
        assert same(printed) == same(shown)


def test_the_python_runs(home: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"settings": Settings(home=home), "snapshot": open_snapshot(home)}
    exec(code, names)
    assert names["made"].id in [one.id for one in names["in_force"]]
