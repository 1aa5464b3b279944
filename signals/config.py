"""Which signals are pulled: the `[[signals]]` and `[connectors.NAME]` tables of groundswell.toml."""

from __future__ import annotations

import difflib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from signals.connector import GROUP, ConfigError, Connector, ConnectorSettings, Drift, Entry
from signals.durations import Duration
from signals.names import name_problem
from signals.plugged import slips, told
from signals.redact import Redactor, holds_secret
from signals.toml_tables import FILE, list_of_tables, read_tables

logger = logging.getLogger(__name__)

AnyConnector = Connector[Any, Any]
M = TypeVar("M", bound=BaseModel)


class _Common(BaseModel):
    """What every `[[signals]]` table may say, whatever its connector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connector: str = Field(min_length=1)
    categories: tuple[str, ...] = Field(("*",), min_length=1)
    every: Duration | None = None
    start: date | None = None


@dataclass(frozen=True)
class Wanted:
    """One `[[signals]]` table: what is wanted of which connector for which categories."""

    connector: AnyConnector
    entry: Entry
    categories: tuple[str, ...]
    every: timedelta
    start: datetime | None  # where its history begins; None: as the connector says
    where: str

    @property
    def key(self) -> str:
        """What names it between runs, as long as what is asked for, and for whom, stays the same."""
        asked = self.entry.model_dump(mode="json", exclude_defaults=True) | {"categories": sorted(self.categories)}
        return f"{self.connector.name} {json.dumps(asked, sort_keys=True, ensure_ascii=False)}"

    @property
    def allowed(self) -> bool:
        """Whether the operator has agreed to the source's terms, where that is asked for."""
        return not self.connector.about.consent or bool(self.connector.settings.accept_terms)


@dataclass(frozen=True)
class PullConfig:
    """What groundswell.toml says of signals: connectors by name that are set up, entries in order, and the secrets."""

    connectors: Mapping[str, AnyConnector] = field(default_factory=dict)
    wanted: tuple[Wanted, ...] = ()
    redactor: Redactor = field(default_factory=Redactor)


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def connector_names() -> list[str]:
    """The names of all connectors that are installed, built in or plug-in."""
    return sorted(_points())


def connector_type(name: str, where: str = FILE) -> type[AnyConnector]:
    """The connector of that name; ConfigError with the known ones, and where its code cannot be loaded."""
    if name not in _points():
        near = difflib.get_close_matches(name, _points(), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        names = ", ".join(connector_names())
        raise ConfigError("connector", name, f"one of {names}{hint}, or another once its package is installed", where)
    try:
        kind: type[AnyConnector] = _points()[name].load()
    except Exception as error:
        raise ConfigError("connector", name, f"one whose code can be loaded ({told(error)})", where) from error
    return kind


def loadable_connectors() -> dict[str, type[AnyConnector]]:
    """Every connector that is installed, by name, without those whose code cannot be loaded: the log names them."""
    found = {}
    for name in connector_names():
        try:
            found[name] = connector_type(name)
        except ConfigError as error:
            logger.warning("left out: %s", error)
    return found


def load_config(home: Path, environ: Mapping[str, str] = os.environ) -> PullConfig:
    """Read groundswell.toml of a home; without a file nothing is wanted. Raises ConfigError."""
    path, tables = home / FILE, read_tables(home)
    given, entries = tables.get("connectors", {}), list_of_tables(tables, "signals", home)
    if not isinstance(given, dict) or not all(isinstance(table, dict) for table in given.values()):
        raise ConfigError("connectors", "no tables", "tables that begin with [connectors.NAME]", str(path))
    names = dict.fromkeys([*given, *(str(table.get("connector", "")) for table in entries)])
    reader = _Reader(path, environ)
    connectors = {name: reader.connector(name, given.get(name, {})) for name in names if name}
    wanted = [reader.wanted(table, number, connectors) for number, table in enumerate(entries, 1)]
    return PullConfig(connectors, tuple(wanted), Redactor(reader.secrets))


class _Reader:
    """Reads the tables of one file, and the secrets that belong to them."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path, self._environ = path, environ
        self.secrets: list[str] = []

    def connector(self, name: str, table: Mapping[str, Any]) -> AnyConnector:
        where = f"{self._path}, [connectors.{name}]"
        kind = connector_type(name, where)
        settings = self._settings(kind, name, table, where)
        return kind(settings)

    def wanted(self, table: Mapping[str, Any], number: int, connectors: Mapping[str, AnyConnector]) -> Wanted:
        where = f"{self._path}, [[signals]] {number}"
        _refuse_secrets(table, where)
        common = {name: value for name, value in table.items() if name in _Common.model_fields}
        said = _validated(_Common, common, where)
        connector = connectors[said.connector]
        entry = _validated(
            connector.entry_type, {name: value for name, value in table.items() if name not in common}, where
        )
        _check_signals(connector, entry, where)
        start = None if said.start is None else datetime.combine(said.start, time())
        _refuse_future(start, where)
        return Wanted(connector, entry, said.categories, said.every or connector.policy.every, start, where)

    def _settings(
        self, kind: type[AnyConnector], name: str, table: Mapping[str, Any], where: str
    ) -> ConnectorSettings:  # fmt: skip
        values = dict(table)
        _refuse_secrets(values, where)
        for key in secret_fields(kind.settings_type):
            if key in values:
                allowed = f"a variable {variable(name, key)} or {key}_file: secrets do not belong in this file"
                raise ConfigError(key, "***", allowed, where)
            value = self._secret(name, key, values.pop(f"{key}_file", None), where)
            if value is not None:
                values[key] = SecretStr(value)
                self.secrets.append(value)
        return _validated(kind.settings_type, values, where)

    def _secret(self, name: str, key: str, file: object, where: str) -> str | None:
        if given := self._environ.get(variable(name, key), "").strip():
            return given
        file = self._environ.get(f"{variable(name, key)}_FILE") or file
        if file is None:
            return None
        try:
            if not isinstance(file, str):
                raise ValueError("its name is no text")
            text = (self._path.parent / file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ConfigError(f"{key}_file", str(file), f"a file that can be read ({error})", where) from error
        if not text:
            raise ConfigError(f"{key}_file", str(file), "a file that is not empty", where)
        return text


def secret_fields(model: type[BaseModel]) -> list[str]:
    """The settings that are secrets."""
    return [
        name
        for name, info in model.model_fields.items()
        if info.annotation is SecretStr or SecretStr in get_args(info.annotation)
    ]


def variable(connector: str, setting: str) -> str:
    """The environment variable that holds a secret of a connector."""
    return f"GROUNDSWELL_{connector}_{setting}".upper()


def secret_variables() -> set[str]:
    """Every variable that some connector reads a secret from."""
    names = {
        variable(name, key) for name, kind in loadable_connectors().items() for key in secret_fields(kind.settings_type)
    }  # fmt: skip
    return names | {f"{name}_FILE" for name in names}


def _check_signals(connector: AnyConnector, entry: Entry, where: str) -> None:
    """Refuse an entry whose signals cannot be named so."""
    try:
        with slips("naming its signals", ConfigError):
            signals = list(connector.signals(entry))
    except ConfigError as error:
        raise ConfigError(error.key, error.value, error.allowed, where) from error
    except Drift as error:
        raise ConfigError("connector", connector.name, f"one that can name its signals ({error})", where) from error
    for signal in signals:
        problem = name_problem("signal", signal.signal)
        if problem is not None:
            raise ConfigError("signal", signal.signal, f"another name, for {problem[0]}", where)


def _refuse_secrets(table: Mapping[str, Any], where: str) -> None:
    """Refuse an address that holds a login or a key: the file is copied, backed up and checked in."""
    for key, value in table.items():
        if isinstance(value, str) and holds_secret(value):
            raise ConfigError(key, "***", "an address without a secret; connectors take theirs from variables", where)


def _refuse_future(start: datetime | None, where: str) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    if start is not None and start > now:
        raise ConfigError("start", f"{start:%Y-%m-%d}", "a day that has come", where)


def _validated(model: type[M], values: Mapping[str, Any], where: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors()
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])  # the cause of the others
        key, kind, value = ".".join(map(str, first["loc"])) or "table", first["type"], first["input"]
        if kind == "extra_forbidden":
            near = difflib.get_close_matches(key, model.model_fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(model.model_fields)}"
            raise ConfigError(key, "…", f"no key of this name: {hint}", where) from None  # it may be a secret
        if kind == "missing":
            raise ConfigError(key, "missing", "it is needed", where) from None
        allowed = str(first.get("ctx", {}).get("error") or first["msg"])
        raise ConfigError(key, value, allowed, where) from None
