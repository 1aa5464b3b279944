"""The README's examples run as written, on files of the shape that it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import cli
from api.settings import Settings
from forecast import Hierarchy, engines, forecast
from tests.fakes.server import serving
from tests.fakes.wikimedia import Wikimedia
from tests.forecast.series_makers import weekly_sales

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [code for name, code in BLOCKS if name == language]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `sales.csv` and `signals.csv` as a user might have them: one version a value, no known_at."""
    folder = tmp_path_factory.mktemp("user")
    sales = pd.read_csv(ROOT / "data/demo/sales.csv", comment="#").drop_duplicates(["category", "week"], keep="last")
    sales.drop(columns="known_at").to_csv(folder / "sales.csv", index=False)
    signals = pd.read_csv(ROOT / "data/demo/signals.csv", comment="#").query("signal == 'mobility'")
    signals[["signal", "date", "value"]].to_csv(folder / "signals.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def outputs(folder: Path) -> dict[str, str]:
    """What each command of the README printed, run in its order; `serve` is replaced by the REST test."""
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("groundswell ") and line != "groundswell serve"]
    assert len(commands) == 7
    printed = {}
    views = {str(day.date()): 900 + day.day for day in pd.date_range("2022-01-01", pd.Timestamp.today())}
    pages = {("en.wikipedia", title): views for title in ("Jacket", "Winter_clothing")}
    with pytest.MonkeyPatch.context() as patch, serving(Wikimedia(pages)) as fake:
        patch.chdir(folder)
        (folder / "home").mkdir()
        (table,) = blocks("toml")
        here = table.replace("[connectors.wikimedia]", f'[connectors.wikimedia]\nbase_url = "{fake.url}"')
        (folder / "home" / "groundswell.toml").write_text(here, encoding="utf-8")
        for command in commands:
            result = CliRunner().invoke(cli, ["--home", str(folder / "home"), *shlex.split(command)[1:]])
            assert result.exit_code == 0, f"{command}\n{result.output}"
            printed[command] = result.output
    return printed


def test_the_commands_run_in_their_order(outputs: dict[str, str], folder: Path) -> None:
    forecast = outputs['groundswell forecast "Clothing stores" --horizon 8']
    assert "80 % interval" in forecast
    assert "mobility" in forecast
    assert (folder / "report.html").stat().st_size > 1_000_000
    assert "done" in outputs["groundswell signals pull"]
    assert "ok" in outputs["groundswell signals status"]
    assert "[[signals]]" in outputs['groundswell signals suggest "Clothing stores"']


def test_the_python_example_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert len(names["result"].to_frame()) == 8  # type: ignore[attr-defined]


def test_the_rest_example_answers_with_the_fields_shown(outputs: dict[str, str], folder: Path) -> None:
    (call,) = blocks("console")
    body = shlex.split(call)[-1]
    client = TestClient(create_app(Settings(home=folder / "home")))
    answer = client.post("/v1/forecasts", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    shown = set(re.findall(r'^(?: |\{)"(\w+)"|, "(\w+)": ["{\[]', blocks("text")[1], re.MULTILINE))
    top = {name for pair in shown for name in pair if name} & {"receipt", "forecast", "signals", "quality", "as_of"}
    assert top <= set(answer.json())
    assert {"forecast", "signals", "quality"} <= top


def test_it_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) < 120
    for target in re.findall(r"\]\(([^)#]+)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


@pytest.mark.parametrize("target", ["setup", "test", "demo", "serve", "bench", "lint"])
def test_each_make_target_is_described(target: str) -> None:
    assert re.search(rf"^{target}:.*## \w", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_command_line_shows_the_same_three_sentences() -> None:
    (sentences,) = re.findall(r"^Over the last .*?alone\.$", README, re.MULTILINE | re.DOTALL)
    assert sentences in (ROOT / "docs/cli.md").read_text(encoding="utf-8")


def block_of(page: str, part: str) -> str:
    """The one block of Python on a page that has this part."""
    text = (ROOT / page).read_text(encoding="utf-8")
    (code,) = [code for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if part in code]
    return str(code)


def test_the_tree_of_the_docs_adds_up() -> None:
    history = pd.concat([weekly_sales(60).assign(unique_id=name) for name in ("Boots", "Sandals", "Hats")])
    planned = pd.DatetimeIndex(history["ds"]).max() + pd.Timedelta(weeks=1)
    names: dict[str, object] = {"history": history, "plan": pd.Series([500.0], index=pd.DatetimeIndex([planned]))}
    exec(compile(block_of("docs/method.md", "reconcile"), "docs/method.md", "exec"), names)
    found = names["found"]
    assert isinstance(found, Hierarchy)
    np.testing.assert_allclose(
        found.forecasts["All"].mean, sum(found.forecasts[name].mean for name in found.tree.leaves), rtol=1e-9
    )


def test_the_engine_of_the_docs_runs() -> None:
    names: dict[str, object] = {}
    exec(compile(block_of("docs/method.md", "class Drift"), "docs/method.md", "exec"), names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(engines._BUILT_IN, "drift", names["Drift"])
        result = forecast(weekly_sales(60), 4, engine="drift")
    assert result.engine.name == "drift"
    assert len(result.median) == 4


def test_every_engine_is_documented() -> None:
    page = (ROOT / "docs/method.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in engines.names())
