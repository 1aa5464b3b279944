"""docs/operations.md and docs/deploy.md against what is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.doctor.operations import PATIENCE, SOON
from api.idempotency import KEPT
from api.ingest import Heart
from api.jobs import Jobs
from api.settings import Settings
from signals.inbox import KEEP_RECEIPTS
from tests.api.stores import fill, last_week

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SERIES = re.compile(r"groundswell_[a-z_]+")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The families that a home with everything has."""
    home = tmp_path_factory.mktemp("home")
    fill(home, last_week())
    (home / "groundswell.toml").write_text('[[signals]]\nconnector = "holidays"\ncountries = ["US"]\n')
    Jobs(Settings(home=home)).accept("slow", b"1")
    heart = Heart(home)
    heart.tell("")
    client = TestClient(create_app(Settings(home=home)))
    client.post("/v1/forecasts", json={"category": "Boots", "horizon": 1})
    text = client.get("/metrics").text
    heart.end()
    families = text_string_to_metric_families(text)
    return {f"{one.name}_total" if one.type == "counter" else one.name for one in families}


def test_each_figure_has_its_row(given: set[str]) -> None:
    rows = {name for line in PAGE.splitlines() if line.startswith("| `groundswell_") for name in SERIES.findall(line)}
    assert rows == given


def blocks() -> list[Any]:
    return [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def test_alert_rules_ask_for_figures_that_there_are(given: set[str]) -> None:
    scrape, rules = blocks()
    assert scrape["rule_files"] == ["groundswell.rules.yml"]
    asked = {name for rule in rules["groups"][0]["rules"] for name in SERIES.findall(rule["expr"])}
    assert {name.removesuffix("_bucket") for name in asked} <= given
    assert all(rule["alert"].startswith("Groundswell") for rule in rules["groups"][0]["rules"])


def test_what_is_kept() -> None:
    fields = Settings.model_fields
    assert f"`keep_jobs_days` ({fields['keep_jobs_days'].default})" in PAGE
    assert f"`keep_receipts_days` ({fields['keep_receipts_days'].default}: for ever)" in PAGE
    assert f"`keep_inline_days` ({fields['keep_inline_days'].default})" in PAGE
    assert f"| {KEPT.total_seconds() / 3600:.0f} hours |" in PAGE
    assert f"| {KEEP_RECEIPTS.days} days |" in PAGE
    assert f"within {SOON.days} days" in PAGE
    assert PATIENCE.total_seconds() == 3600
    assert "waited for an hour" in PAGE


@pytest.mark.parametrize("name", ["operations.md", "deploy.md"])
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / "docs" / name).read_text(encoding="utf-8")):
        assert (ROOT / "docs" / target).exists(), target


def test_files_that_the_page_names_are_there() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for path in re.findall(r"deploy/(?:overlays|base|Dockerfile)[\w./-]*", page):
        assert (ROOT / path).exists(), path
