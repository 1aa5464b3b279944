"""Entries for groundswell.toml that may serve a category, proposed by the connectors from its name."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from signals.config import AnyConnector, load_config, loadable_connectors
from signals.connector import CategoryFacts, Drift
from signals.plugged import slips
from signals.store import CategoryRecord

logger = logging.getLogger(__name__)

# Words that say nothing of what is sold, in the languages that category names often have.
_EMPTY = re.compile(
    r"and|for|from|the|und|oder|der|die|das|les|des|los|misc|various|general|products?|goods|items|stores?|shops?|"
    r"category|total|all|other"
)


def facts_of(record: CategoryRecord) -> CategoryFacts:
    """What connectors are told of a category."""
    words = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", record.category.lower())
    kept = tuple(dict.fromkeys(word for word in words if len(word) > 2 and not _EMPTY.fullmatch(word)))
    return CategoryFacts(record.category, record.frequency, record.calendar, kept)


def suggest(home: Path, record: CategoryRecord, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Entries that may serve a category and are not wanted yet: those of connectors set up already come first.

    Each is a whole `[[signals]]` table. `only`: these connectors. Raises ConfigError.
    """
    config, facts = load_config(home), facts_of(record)
    known = {
        (one.connector.name, _plain(one.entry.model_dump(mode="json", exclude_unset=True))) for one in config.wanted
    }
    kinds = {name: type(connector) for name, connector in config.connectors.items()}
    kinds |= {name: kind for name, kind in loadable_connectors().items() if name not in kinds}
    found = []
    for name, kind in kinds.items():
        if only and name not in only:
            continue
        for entry in _proposed(kind, facts):
            if (name, _plain(entry)) not in known:
                found.append({"connector": name, "categories": [record.category], **entry})
    return found


def _proposed(kind: type[AnyConnector], facts: CategoryFacts) -> list[Mapping[str, Any]]:
    try:
        with slips("proposing entries"):
            return list(kind.suggest(facts))
    except Drift as error:
        logger.warning("%s proposes nothing: %s", kind.name, error)
        return []


def _plain(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True, default=str)


def as_toml(entries: Sequence[Mapping[str, Any]]) -> str:
    """`[[signals]]` tables as text."""
    return "\n".join(
        "[[signals]]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in one.items()) for one in entries
    )


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)  # TOML writes text, numbers and truth as JSON does
