"""docs/erp/exports.md describes each setting of each system, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from api.erp.config import ExportSettings, erp_variables
from api.erp.exports import TARGETS
from api.erp.imports import SOURCES
from api.erp.imports.base import ImportSettings
from signals.config import secret_fields

PAGE = (Path(__file__).parents[3] / "docs" / "erp" / "exports.md").read_text(encoding="utf-8")
SECTIONS: list[tuple[str, type[BaseModel], type[BaseModel] | None]] = [
    ("Of every target:", ExportSettings, None),
    *((f"`[exports.{name}]`", target.settings_type, ExportSettings) for name, target in TARGETS.items()),
    ("Of every source:", ImportSettings, None),
    *((f"`[imports.{name}]`", source.settings_type, ImportSettings) for name, source in SOURCES.items()),
]


def row(model: type[BaseModel], name: str) -> str:
    """The row of one setting."""
    field = model.model_fields[name]
    secret = name in secret_fields(model)
    default = "secret" if secret else "" if field.default in ("", None, {}) else f"`{shown(field.default)}`"
    return f"| `{name}` | {default} | {field.description} |"


def shown(value: object) -> str:
    """A default as TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f'{key} = "{text}"' for key, text in value.items()) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{text}"' for text in value) + "]"
    return f"{value}"


@pytest.mark.parametrize(("head", "model", "base"), SECTIONS, ids=[head for head, *_ in SECTIONS])
def test_each_setting_has_its_row(head: str, model: type[BaseModel], base: type[BaseModel] | None) -> None:
    place = re.search(rf"^{re.escape(head)}.*\n\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert place, head
    names = [name for name in model.model_fields if base is None or name not in base.model_fields]
    assert place[1].splitlines()[2:] == [row(model, name) for name in names]


def test_secrets_have_variables_that_settings_knows() -> None:
    assert {"GROUNDSWELL_D365_CLIENT_SECRET", "GROUNDSWELL_BUSINESS_CENTRAL_PASSWORD", "GROUNDSWELL_TRYTON_KEY"} <= (
        erp_variables()
    )
    assert "GROUNDSWELL_TRYTON_KEY_FILE" in erp_variables()
    assert SecretStr not in {field.annotation for field in ExportSettings.model_fields.values()}
