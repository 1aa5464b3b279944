"""docs/import.md: a promotion plan and prices as it shows them are imported, used and asked about."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from api.cli import cli
from signals.store import Batch, submit
from tests.api.stores import last_week

PAGE = (Path(__file__).parent.parent / "docs" / "import.md").read_text(encoding="utf-8")
PART = PAGE[PAGE.index("### Promotions and prices") : PAGE.index("## Categories")]
WEEKS, AHEAD = 160, 6


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--home", str(home), *words])


def done(home: Path, *words: str) -> Any:
    result = run(home, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Weekly sales of Boots that follow a plan and a price, which run six weeks past them."""
    home, rng = tmp_path / "home", np.random.default_rng(1)
    plan = (rng.uniform(size=WEEKS + AHEAD) < 0.15).astype(float)
    price = np.where(rng.uniform(size=plan.size) < 0.2, 49.9, 59.9)
    start = pd.date_range(end=last_week(), periods=WEEKS, freq="7D")
    effect = 0.5 * plan - 2 * np.log(price / 59.9)
    y = 100 * np.exp(effect[:WEEKS] + 0.05 * rng.normal(size=WEEKS))
    sales = pd.DataFrame(
        {"category": "Boots", "start": start, "end": start + pd.Timedelta(days=7), "quantity": y.round()}
    )
    submit(home, Batch("test", categories=pd.DataFrame({"category": ["Boots"], "frequency": ["W-SUN"]}), sales=sales))
    week = pd.date_range(start[0] + pd.Timedelta(days=6), periods=plan.size, freq="7D")
    rows = {"promotion/boots": plan, "price/boots": price}
    frames = [pd.DataFrame({"category": "Boots", "signal": k, "week": week, "value": v}) for k, v in rows.items()]
    pd.concat(frames).to_csv(home / "plan.csv", index=False, date_format="%Y-%m-%d")
    return home


def test_the_file_that_is_shown_is_taken(home: Path) -> None:
    (shown,) = re.findall(r"^```csv\n(.*?)^```", PART, re.MULTILINE | re.DOTALL)
    assert shown.splitlines()[0] == (home / "plan.csv").read_text(encoding="utf-8").splitlines()[0]
    (home / "plan.csv").write_text(shown, encoding="utf-8")
    (command,) = re.findall(r"^\$ groundswell (.+)$", PART, re.MULTILINE)
    result = run(home, *command.replace("plan.csv", str(home / "plan.csv")).split())
    assert result.exit_code == 0, result.output
    assert {row["signal"]: row["future_known"] for row in done(home, "signals")} == {
        "price/boots": True,
        "promotion/boots": True,
    }


def test_plans_move_the_forecast_and_can_be_asked_about(home: Path) -> None:
    missing = run(home, "scenario", "new", "Dearer", "--category", "Boots", "--change", "price/boots +5% 2099-W50")
    assert missing.exit_code != 0
    assert "groundswell import signals FILE --future-known" in missing.stderr
    assert run(home, "import", "signals", str(home / "plan.csv"), "--future-known").exit_code == 0
    made = done(home, "forecast", "Boots", "--horizon", "12")
    assert {row["signal"] for row in made["signals"] if row["admitted"]} >= {"price/boots", "promotion/boots"}
    assert any("taken as usual after the plan's end" in text for text in made["warnings"])
    ahead = last_week() + pd.Timedelta(days=13)
    change = f"price/boots +5% {ahead:%Y-%m-%d}..{ahead + pd.Timedelta(days=21):%Y-%m-%d}"
    asked = done(home, "scenario", "new", "Dearer", "--category", "Boots", "--change", change)
    assert asked["answer"]["scenarios"][0]["total"]["difference"] < 0
