"""Homes with sales and with a groundswell.toml, and commands over them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from api.cli import cli
from tests.api.stores import CATEGORIES, fill, last_week

COMMAND = [sys.executable, "-c", "from api.cli import main; main()"]
ITEMS = dict(zip(CATEGORIES, ("D0001", "D0002"), strict=True))


def categories(target: str) -> str:
    """The part of groundswell.toml that gives each category its item."""
    return "".join(
        f'[exports.{target}.categories."{name}"]\nitem = "{item}"\nunit = "ea"\n' for name, item in ITEMS.items()
    )


def filled(home: Path, toml: str = "") -> Path:
    """A home with two weekly categories whose last week is the last whole one."""
    fill(home, last_week())
    (home / "groundswell.toml").write_text(toml, encoding="utf-8")
    return home


def run(home: Path, *words: object) -> Result:
    """A command over a home, in this process."""
    return CliRunner().invoke(cli, ["--home", str(home), *map(str, words)])


def done(home: Path, *words: object) -> str:
    """What a command wrote that has to succeed."""
    result = run(home, *words)
    assert result.exit_code == 0, result.output + result.stderr
    return result.stdout


def environment(**variables: str) -> dict[str, str]:
    """The environment of a process of its own."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OPENBLAS_NUM_THREADS": "1", **variables}
