"""What persons decided on events in the sales, as the store keeps it: what was decided by a moment, and what holds."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import pandas as pd

from forecast import Event
from signals.store import Snapshot

ACCEPTED, REFUSED = "accepted", "refused"


@dataclass(frozen=True)
class Decision:
    """One decision; `evidence` is what was proposed when it was taken, None where nothing was."""

    event: Event
    decision: Literal["accepted", "refused"]
    author: str
    reason: str | None
    evidence: Mapping[str, Any] | None
    decided: dt.datetime  # UTC without a zone


def decisions_of(snapshot: Snapshot, category: str, as_of: dt.datetime, data_version: int) -> list[Decision]:
    """The decisions on a category's events that were taken by a moment, in their order."""
    return [one for one in _all(snapshot, data_version).get(category, ()) if one.decided <= as_of]


def in_force(snapshot: Snapshot, category: str, as_of: dt.datetime, data_version: int) -> tuple[Event, ...]:
    """The events of a category that were accepted, and not refused later, by a moment."""
    last = {one.event: one.decision for one in decisions_of(snapshot, category, as_of, data_version)}
    return tuple(event for event, decision in last.items() if decision == ACCEPTED)


@lru_cache(maxsize=4)
def _all(snapshot: Snapshot, data_version: int) -> dict[str, tuple[Decision, ...]]:
    """By category. Cached, for what a data version holds never changes, and each forecast asks."""
    found: dict[str, list[Decision]] = {}
    for row in snapshot.events(data_version=data_version).to_dict("records"):
        last = row["end"] - pd.Timedelta(days=1)
        decision = Decision(
            Event(row["kind"], row["start"].date(), last.date()),
            row["decision"],
            row["author"],
            row["reason"] if isinstance(row["reason"], str) else None,
            json.loads(row["evidence"]) if isinstance(row["evidence"], str) else None,
            row["known_at"].to_pydatetime(),
        )
        found.setdefault(row["category"], []).append(decision)
    return {category: tuple(decisions) for category, decisions in found.items()}
