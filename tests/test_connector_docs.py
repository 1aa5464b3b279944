"""The connector of docs/connectors.md works as it stands there, and each built-in has its page."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from signals import config
from signals.config import connector_names, connector_type
from signals.conformance import check_connector
from signals.connector import GROUP
from signals.store import open_snapshot
from tests.fakes.pulling import pull
from tests.fakes.server import Answer, Asked, serving

DOCS = Path(__file__).parent.parent / "docs"
CODE = re.findall(r"```python\n(.*?)```", (DOCS / "connectors.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def bikes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("documented_bikes")
    monkeypatch.setitem(sys.modules, "documented_bikes", module)
    exec(CODE[0], module.__dict__)
    monkeypatch.setattr(config, "_points", lambda: {"bikes": EntryPoint("bikes", "documented_bikes:Bikes", GROUP)})
    return module


def test_the_example_passes_the_check(bikes: ModuleType) -> None:
    assert "check_connector(Bikes)" in CODE[1]
    check_connector(bikes.Bikes)


def test_the_example_is_forty_lines() -> None:
    assert sum(bool(line.strip()) and "import" not in line for line in CODE[0].splitlines()) <= 40


def test_the_example_pulls(bikes: ModuleType, tmp_path: Path) -> None:
    def source(asked: Asked) -> Answer:
        return Answer({"counts": [{"day": asked.query["from"], "bikes": 7}]})

    with serving(source) as fake:
        table = f'[connectors.bikes]\nbase_url = "{fake.url}"\n[[signals]]\nconnector = "bikes"\nstations = ["north"]\n'
        (outcome,) = pull(tmp_path, table)
    assert (outcome.status, outcome.inserted) == ("done", 1)
    assert list(open_snapshot(tmp_path).observations(["bikes/north/XX"])["value"]) == [7]


def fields(name: str) -> list[tuple[str, type[BaseModel], str]]:
    kind = connector_type(name)
    return [(name, model, field) for model in (kind.settings_type, kind.entry_type) for field in model.model_fields]


@pytest.mark.parametrize("name", connector_names())
def test_each_connector_has_its_page_with_all_its_fields(name: str) -> None:
    page = (DOCS / "sources" / f"{name}.md").read_text(encoding="utf-8")
    missing = [field for _, _, field in fields(name) if f"| `{field}`" not in page and field != "accept_terms"]
    assert not missing
    assert f"](sources/{name}.md)" in (DOCS / "sources.md").read_text(encoding="utf-8")
