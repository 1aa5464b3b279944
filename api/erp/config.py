"""Settings of the systems that forecasts go to and sales come from: `[exports.TARGET]` and `[imports.SOURCE]`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from signals.config import read_settings, secret_fields, variable
from signals.connector import ConfigError
from signals.redact import Redactor
from signals.toml_tables import FILE, read_tables

M = TypeVar("M", bound=BaseModel)


class System(BaseModel):
    """What every system is told; a SecretStr comes from a variable or a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        "", pattern=r"^(https?://[^\s?#]+[^\s?#/])?$", description="address of its API, without a slash at the end"
    )
    timeout: float = Field(60.0, gt=0, le=600, description="seconds that one request may take")


class ExportSettings(System):
    """What every target is told of the forecasts."""

    item: str = Field("item", min_length=1, description="attribute of a category that holds its item number")
    unit: str = Field("unit", min_length=1, description="attribute that holds the item's unit of measure")
    decimals: int = Field(3, ge=0, le=5, description="decimal places of a quantity")
    timezone: str = Field("UTC", min_length=1, description="time zone that says which day is today")
    categories: dict[str, dict[str, str | int | float]] = Field(
        {}, description="attributes of categories, which come before those of the store"
    )


@dataclass(frozen=True)
class Loaded(Generic[M]):
    """The settings of one system, and what hides its secrets."""

    settings: M
    redactor: Redactor
    where: str


def load_system(
    home: Path, kind: Literal["exports", "imports"], name: str, model: type[M], environ: Mapping[str, str] = os.environ
) -> Loaded[M]:
    """The table `[kind.name]` of groundswell.toml; a table that is not there is an empty one. Raises ConfigError."""
    where = f"{home / FILE}, [{kind}.{name}]"
    table: Any = read_tables(home).get(kind, {})
    table = table.get(name, {}) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        raise ConfigError(kind, "no table", f"a table that begins with [{kind}.{name}]", where)
    settings, secrets = read_settings(model, name, table, where, home, environ)
    return Loaded(settings, Redactor(secrets), where)


def erp_variables() -> set[str]:
    """Every variable that some target or source reads a secret from."""
    from api.erp.exports import TARGETS
    from api.erp.imports import SOURCES

    kinds: list[tuple[str, type[BaseModel]]] = [(name, target.settings_type) for name, target in TARGETS.items()]
    kinds += [(name, source.settings_type) for name, source in SOURCES.items()]
    names = {variable(name, key) for name, model in kinds for key in secret_fields(model)}
    return names | {f"{name}_FILE" for name in names}
