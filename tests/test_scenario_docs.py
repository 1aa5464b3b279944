"""docs/scenarios.md: its commands print what it shows, its Python runs, its figures add up."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.cli import cli
from api.commands.running import load_demo

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
CLI_PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(
    r"^\$ groundswell --home data/home-demo (scenario (?:new|compare) .+)\n((?:[^`].*\n|\n)+)", re.MULTILINE
)
NO_CLOSURES = (
    'scenario new "No closures" --category "Restaurant meals" --change "mobility =0 2026-W48..2026-W50" '
    "--horizon 4 --as-of 2026-11-23T06:00:00Z"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("scenarios")
    load_demo(home)
    return home


def same(text: str) -> str:
    """The words and the form; the last digit of a figure is the processor's."""
    return re.sub(r"[\d,]+", "0", re.sub(r" {2,}", "  ", text)).strip()


@pytest.mark.heavy
def test_the_commands_print_what_is_shown(home: Path) -> None:
    examples = [(CLI_PAGE, 1), (PAGE, 2)]
    found = [example for page, count in examples for example in EXAMPLE.findall(page)[:count]]
    assert [arguments.split()[1] for arguments, _ in found] == ["new", "new", "compare"]
    assert CliRunner().invoke(cli, ["--home", str(home), *shlex.split(NO_CLOSURES)]).exit_code == 0
    for arguments, shown in found:
        result = CliRunner().invoke(cli, ["--home", str(home), *shlex.split(arguments)])
        assert result.exit_code == 0, result.output
        assert same(result.stdout) == same(shown)


def test_the_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(code, names)
    outcome = names["outcome"]
    assert outcome.total < 0
    assert outcome.total_intervals[80][1] < 0
