"""What a category is like, when it begins and when it ends: as a request says, else as the store does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from forecast import OptionError, Phases, phase_of
from signals.store import CategoryRecord, Snapshot

MOST = 12  # categories that one borrows from: more would take time and tell nothing new


@dataclass(frozen=True)
class Said:
    """What a request says; None: what the store says. `like` may name nobody."""

    like: tuple[str, ...] | None = None
    phase_in: str | None = None
    phase_out: str | None = None


NOTHING_SAID = Said()


@dataclass(frozen=True)
class Kin:
    """Names of the categories that one is like, and who says so."""

    names: tuple[str, ...] = ()
    because: str = ""


def phases_of(record: CategoryRecord, said: Said) -> Phases:
    """When a category begins and ends; raises OptionError."""
    stored = _attributes(record)
    begins, ends = said.phase_in or stored.get("phase_in"), said.phase_out or stored.get("phase_out")
    return said_phases(Said(phase_in=begins and str(begins), phase_out=ends and str(ends)))


def said_phases(said: Said) -> Phases:
    """When what a request is about begins and ends; raises OptionError."""
    return Phases(
        phase_of(said.phase_in, "phase_in") if said.phase_in else None,
        phase_of(said.phase_out, "phase_out") if said.phase_out else None,
    )


def has_kin(record: CategoryRecord, said: Said) -> bool:
    """Whether there may be categories to borrow from."""
    if said.like is not None:
        return bool(said.like)
    return record.parent is not None or "like" in _attributes(record)


def is_told(record: CategoryRecord) -> bool:
    """Whether the store says what a category is like, or when it begins: without sales it is new, and not empty."""
    return not {"like", "phase_in"}.isdisjoint(_attributes(record))


def kin_of(snapshot: Snapshot, record: CategoryRecord, said: Said, data_version: int) -> Kin:
    """The categories to borrow from: those that are named, else the others below the same parent, at most `MOST`.

    Raises UnknownCategory, and OptionError where a category is named as like itself.
    """
    named = said.like if said.like is not None else _several(_attributes(record).get("like"))
    if record.category in named:
        raise OptionError("like", record.category, "categories other than itself")
    if named or said.like is not None:
        for name in named:
            snapshot.category(name, data_version)
        return Kin(tuple(dict.fromkeys(named)), "like the categories named")
    if record.parent is None:
        return Kin()
    found = snapshot.categories(data_version)
    if (found["parent"] == record.category).any():
        return Kin()  # a total is no category beside others
    beside = (found["parent"] == record.parent) & (found["frequency"] == record.frequency) & (found["periods"] > 0)
    beside &= found["category"] != record.category
    names = found[beside].sort_values(["periods", "category"], ascending=[False, True])["category"].tolist()
    others = f"{MOST} of {len(names)}" if len(names) > MOST else "the others"
    return Kin(tuple(names[:MOST]), f"like {others} below {record.parent}")


def _attributes(record: CategoryRecord) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(record.attributes) if record.attributes else {}
    return found


def _several(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(str(one) for one in value) if isinstance(value, list) else (str(value),)
