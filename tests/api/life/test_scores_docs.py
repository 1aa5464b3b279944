"""docs/scores.md: its commands print what it shows, its Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.cli import cli
from api.settings import Settings
from tests.api.life.past import publish

PAGE = (Path(__file__).parents[3] / "docs" / "scores.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^\$ groundswell (.+)\n((?:[^`$].*\n|\n)*)", re.MULTILINE)


@pytest.fixture
def overridden(scored: Settings) -> Settings:
    """With the numbers that a person made worse."""
    publish(scored, 20, better=False)
    return scored


def same(text: str) -> str:
    """The words and the form: figures depend on which week it is."""
    words = re.sub(r"made (no clear difference \(error \S+ % \w+\)|the error \S+ % \w+)", "made it so", text)
    return re.sub(r"[+-]?\d[\d,.]*", "0", re.sub(r" {2,}", "  ", words.replace("smaller", "larger"))).strip()


def test_the_commands_print_what_is_shown(overridden: Settings) -> None:
    found = EXAMPLE.findall(PAGE)
    assert [arguments.split()[0] for arguments, _ in found] == ["scores", "scores", "scores", "score"]
    for arguments, shown in found:
        result = CliRunner().invoke(cli, ["--home", str(overridden.home), *shlex.split(arguments)])
        assert result.exit_code == 0, result.output
        assert same(result.stdout) == same(shown)


def test_the_python_runs(scored: Settings) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"home": scored.home}
    exec(code, names)
    assert set(names["ladder"]["step"]) == {"naive", "seasonal_naive", "without_signals", "system"}
    assert len(names["paired"]) == len(names["rows"]) > len(names["watched"]) > 0
    assert {"other_loss", "other_error", "other_covered80"} <= set(names["paired"])
