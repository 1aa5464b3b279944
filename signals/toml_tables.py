"""The tables of groundswell.toml, the one file in a home that people write."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from signals.connector import ConfigError

FILE = "groundswell.toml"


def read_tables(home: Path) -> dict[str, Any]:
    """What groundswell.toml of a home says; nothing where there is no file. Raises ConfigError."""
    path = home / FILE
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no TOML, no UTF-8, or a number too long
        raise ConfigError(FILE, str(path), f"a TOML file in UTF-8 ({error})", str(path)) from error


def list_of_tables(tables: dict[str, Any], name: str, home: Path) -> list[dict[str, Any]]:
    """The tables that begin with [[name]], in order; ConfigError where something else is called so."""
    found = tables.get(name, [])
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise ConfigError(name, "no list of tables", f"tables that begin with [[{name}]]", str(home / FILE))
    return found
