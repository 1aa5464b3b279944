"""docs/life.md: its commands print what it shows, its Python runs; what is said of those who are served holds."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from api.cli import cli
from api.database import now
from api.life.moves import promote_named
from api.life.serving import By, champion_of
from api.settings import Settings
from tests.api.life.lives import GOOD
from tests.api.life.test_life_faces import settings as settings

PAGE = (Path(__file__).parents[3] / "docs" / "life.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^\$ groundswell (.+)\n((?:[^`$].*\n|\n)*)", re.MULTILINE)


def call(settings: Settings, *words: str) -> str:
    result = CliRunner().invoke(cli, ["--home", str(settings.home), *words])
    assert result.exit_code == 0, result.output
    return result.output


def same(text: str) -> str:
    """The words and the form: dates, ids and figures depend on the day."""
    text = re.sub(r"cfg_[0-9a-f]{16}", "cfg", re.sub(r"\d{4}-\d\d-\d\d", "day", text))
    return re.sub(r"Since .*|It is worse\.|done: .*", "told", text).strip()


def test_the_commands_print_what_is_shown(settings: Settings) -> None:
    found = EXAMPLE.findall(PAGE)
    assert len(found) == 5
    for arguments, shown in found:
        assert same(call(settings, *shlex.split(arguments))) == same(shown)


def test_the_python_runs(settings: Settings) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"home": settings.home}
    exec(code, names)
    assert names["champion"].engine == "seasonal_naive"
    assert names["changes"]
    assert [one.kind for one in names["alerts"]] == ["loss"]


def test_commands_are_served_by_the_champion_and_the_report_tells_alerts(settings: Settings, tmp_path: Path) -> None:
    assert "Engine: seasonal_naive" in call(settings, "forecast", "Boots", "--horizon", "2")
    assert "Engine:" not in call(settings, "forecast", "Boots", "--horizon", "2", "--engine", "fast")
    naive = call(settings, "backtest", "Boots", "--horizon", "2", "--json")
    assert '"engine": "seasonal_naive"' in naive
    assert champion_of(Settings(home=tmp_path / "none"), "Boots").engine == "fast"
    assert not (tmp_path / "none").exists()
    out = tmp_path / "report.html"
    call(settings, "report", "--out", str(out), "--horizon", "2")
    page = out.read_text(encoding="utf-8")
    assert "What goes wrong" in page
    assert "Boots: It is worse." in page
    promote_named(settings, "Boots", GOOD.name, By("agreed", now(), "Ann"))  # which closes the alert
    assert champion_of(settings, "Boots") == GOOD
    call(settings, "report", "--out", str(out), "--horizon", "2")
    assert "What goes wrong" not in out.read_text(encoding="utf-8")
