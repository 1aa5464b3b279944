"""docs/erp/business_central.md says what is served."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from api.cli import cli
from api.erp import bc_errors
from api.erp.bc_forecast import find
from api.erp.bc_profiles import Profile, read_profiles
from api.erp.bc_request import MODELS
from api.snapshots import Snapshots
from tests.api.erp.exchange import asked
from tests.api.stores import fill, last_week

PAGE = (Path(__file__).parents[3] / "docs" / "erp" / "business_central.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def test_the_example_still_answers_so(service: TestClient) -> None:
    found = re.search(r"\$ curl (.+)\n +(\{.+\})\n", PAGE)
    assert found is not None
    words = shlex.split(found[1])
    address = urlsplit(words[0])
    answer = service.post(f"{address.path}?{address.query}&anchor=2026-11-24", content=words[words.index("-d") + 1])
    assert answer.text == found[2]


def test_the_error_of_the_example_is_still_told_so(service: TestClient) -> None:
    expected = next(json.loads(text) for kind, text in BLOCK.findall(PAGE) if kind == "json" and "error" in text)
    assert service.post("/score", json=asked([1.0, 2], horizon=0)).json() == expected


def test_each_number_of_an_error_has_its_row() -> None:
    ours = {value for name, value in vars(bc_errors).items() if name.isupper() and isinstance(value, int)}
    assert ours == {int(number) for number in re.findall(r"^\| (\d+) \| 400 \|", PAGE, re.MULTILINE)}


def test_each_key_of_a_profile_has_its_row_and_the_example_can_be_read(tmp_path: Path) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([\w]+)`? \|", PAGE, re.MULTILINE))
    for name, field in Profile.model_fields.items():
        assert rows[name] == (field.default or "none")
    example = next(text for kind, text in BLOCK.findall(PAGE) if kind == "toml" and "business_central" in text)
    (tmp_path / "groundswell.toml").write_text(example, encoding="utf-8")
    assert set(read_profiles(tmp_path)) == {"default", "old"}


def test_the_items_of_the_example_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "data" / "home"
    fill(home, last_week())
    monkeypatch.chdir(tmp_path)
    Path("items.csv").write_text(next(text for kind, text in BLOCK.findall(PAGE) if kind == "csv"), encoding="utf-8")
    command = re.search(r"^    groundswell (import categories .+)$", PAGE, re.MULTILINE)
    assert command is not None
    assert CliRunner().invoke(cli, shlex.split(command[1])).exit_code == 0
    found = find(Snapshots(home), ["1896-S", "1900-S", "1901-S"])
    assert {item: store.record.category for item, store in found.items()} == {"1896-S": "Boots", "1900-S": "Boots"}


@pytest.mark.parametrize("model", MODELS)
def test_each_model_is_named(model: str) -> None:
    assert model in PAGE
