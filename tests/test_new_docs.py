"""docs/new.md and docs/trees.md: their Python runs, and the command prints what is shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.cli import cli
from api.commands.running import load_demo
from tests.test_scenario_docs import same

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLE = re.compile(r"^\$ groundswell --home data/home-demo (reconcile .+)\n((?:[^`].*\n|\n)+)", re.MULTILINE)


def test_the_python_of_what_is_new_runs() -> None:
    page = (DOCS / "new.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["answer"].engine.reason.startswith("the level is that of its 3 known periods; ")
    assert "sales end from 2025-02-01 to 2025-02-28: nothing is sold after it" in names["answer"].warnings


def test_the_python_of_trees_runs() -> None:
    page = (DOCS / "trees.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    total = names["plan"].query("unique_id == 'all'")
    assert total["plan"].sum() == pytest.approx(3900, rel=1e-12)
    assert sorted(names["plan"]["unique_id"].unique()) == ["all", "boots", "hats", "sandals", "shoes"]


@pytest.mark.heavy
def test_the_command_prints_what_is_shown(tmp_path: Path) -> None:
    load_demo(tmp_path)
    for page in ("trees.md", "cli.md"):
        ((arguments, shown),) = EXAMPLE.findall((DOCS / page).read_text(encoding="utf-8"))
        result = CliRunner().invoke(cli, ["--home", str(tmp_path), *shlex.split(arguments)])
        assert result.exit_code == 0, result.output
        assert same(result.stdout) == same(shown)
