"""What a target of exports is: rows for a file, and, where it has an API, a way to write them there."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from api.erp.config import ExportSettings
from api.erp.exports.buckets import Bucket
from signals.connector import ConfigError
from signals.redact import Redactor


@dataclass(frozen=True)
class Row:
    """One row of an export.

    key: names it between exports: item, place and period. `fields` is what the target sees, by the target's names.
    """

    key: str
    category: str
    receipt: str
    period: dt.date
    fields: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """A hash of what is written."""
        return hashlib.sha256(json.dumps(dict(self.fields), sort_keys=True, default=str).encode()).hexdigest()


class Gone(LookupError):  # noqa: N818 - it says what happened
    """What was written is no longer there."""


class Remote(Protocol):
    """An ERP that rows are written to; rows that belong to one record there come together."""

    at_once: int  # requests under way at the same time

    def record(self, row: Row) -> str:
        """Names the record that a row belongs to."""
        ...

    def find(self, rows: Sequence[Row]) -> str | None:
        """The id of the record of these rows, where it is there: whoever made it, and whether it is finished or not."""
        ...

    def create(self, rows: Sequence[Row]) -> str:
        """Make the record; its id. Raises Unsure where it may have been made."""
        ...

    def update(self, remote: str, rows: Sequence[Row]) -> bool:
        """Make the record of this id hold these rows; whether it had to be changed. Raises Gone."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


class Target(Protocol):
    """A system that forecasts are exported to; made from its settings."""

    name: ClassVar[str]
    settings_type: ClassVar[type[ExportSettings]]

    def __init__(self, settings: Any) -> None: ...

    @property
    def place(self) -> str:
        """Which system of this kind: what was written to another is not taken for written to this one."""
        ...

    def rows(self, buckets: Sequence[Bucket]) -> list[Row]:
        """The rows of an export, in order; ConfigError where an attribute or a setting is missing."""
        ...

    def remote(self, redactor: Redactor) -> Remote:
        """Where rows are pushed to; ConfigError where a setting for that is missing or there is no such thing."""
        ...


def only_its_own(rows: Sequence[Row]) -> Sequence[Row]:
    """Rows of which no two are about the same: two categories would otherwise overwrite each other for ever."""
    seen: dict[str, str] = {}
    for row in rows:
        other = seen.setdefault(row.key, row.category)
        if other != row.category:
            allowed = f"an item of its own for each category: {other!r} and {row.category!r} have the same"
            raise ConfigError("item", row.key, allowed, "the attributes of the categories")
    return rows
