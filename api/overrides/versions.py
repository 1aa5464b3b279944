"""One state of an override: never changed, for each change makes the next one."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forecast.words import number

SET, CHANGED, WITHDRAWN, RESTORED = "set", "changed", "withdrawn", "restored"


@dataclass(frozen=True)
class Author:
    """Who acts: the name that is told, and the key."""

    name: str
    key_id: str | None = None


@dataclass(frozen=True)
class Version:
    """One row of the table. Moments are UTC without a zone; `first` and `last` are days, `last` the last of them."""

    number: int
    id: str
    version: int
    category: str
    first: dt.date
    last: dt.date
    frequency: str
    layer: str
    action: str
    moment: dt.datetime
    author: str
    key_id: str | None
    value: float | None
    percent: float | None
    reason: str
    expires: dt.datetime | None
    withdrawn: bool
    seen: Mapping[str, Any]

    @property
    def reference(self) -> str:
        """What names this state of the override, for good."""
        return f"{self.id}.{self.version}"

    @property
    def said(self) -> str:
        """The number, as people write it."""
        if self.percent is not None:
            return f"{number(self.percent, _digits(self.percent), sign=True)} %"
        assert self.value is not None
        return number(self.value, _digits(self.value))

    def state(self, moment: dt.datetime) -> str:
        """in_force, expired or withdrawn."""
        if self.withdrawn:
            return "withdrawn"
        return "expired" if self.expires is not None and self.expires <= moment else "in_force"

    def told(self) -> str:
        """Who did what when, in words."""
        what = {SET: f"set it to {self.said}", CHANGED: f"changed it to {self.said}", WITHDRAWN: "withdrew it"}
        did = what.get(self.action, f"restored it to {self.said}")
        return f"{self.author} {did} at {self.moment:%Y-%m-%d %H:%M:%S} UTC ({self.reason})"


def version_of(row: Mapping[Any, Any]) -> Version:
    """A row of the table."""
    return Version(**{**row, "seen": json.loads(row["seen"])})


def newest(rows: Iterable[Version]) -> list[Version]:
    """The last state of each override among rows in the order of their numbers; in the order of their last change."""
    last: dict[str, Version] = {}
    for one in rows:
        last.pop(one.id, None)
        last[one.id] = one
    return list(last.values())


def ordered(found: Iterable[Version], layers: Sequence[str]) -> tuple[Version, ...]:
    """In the order in which they apply: by layer, then by their last change; layers that are no more come first."""
    rank = {name: place for place, name in enumerate(layers)}
    return tuple(sorted(found, key=lambda one: (rank.get(one.layer, -1), one.number)))


def _digits(value: float) -> int:
    """As many decimals as it was written with, at most six."""
    text = f"{value:.6f}".rstrip("0")
    return len(text.partition(".")[2])
