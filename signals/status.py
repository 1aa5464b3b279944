"""How each source fares: how old its values are, when it was asked last, and what a person should see to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from signals.config import PullConfig, Wanted, load_config
from signals.home import utc
from signals.pull_state import PullState, moment_at
from signals.store import Snapshot, StoreEmpty, open_snapshot

_LENGTH = {"D": 1, "W": 7, "MS": 31, "QS": 92}  # days of one period, at most
SLACK = timedelta(days=1)


@dataclass(frozen=True)
class SourceStatus:
    """One connector that groundswell.toml sets up. Moments are UTC without a zone.

    state: ok, never (not pulled yet), late (no error, but its values are older than they should be), degraded (its last
    pull failed or was quarantined; the last good values stay), closed (left alone until `closed_until`), off (its terms
    are not accepted), or unused (no entry wants it).
    last: end of the newest period that is over, of the signal that lags most; age_days: since then.
    """

    connector: str
    title: str
    state: str
    message: str
    entries: int
    signals: int
    last: datetime | None
    age_days: float | None
    succeeded: datetime | None
    next_due: datetime | None
    quarantined: int
    closed_until: datetime | None
    licence: str


def source_status(home: Path, now: datetime | None = None) -> list[SourceStatus]:
    """The status of each connector that groundswell.toml sets up, by name; raises ConfigError."""
    config = load_config(home)
    if not config.connectors:
        return []
    try:
        ends: dict[str, datetime] = _ends(open_snapshot(home), utc(now))
    except StoreEmpty:
        ends = {}
    state = PullState(home)
    return [_status(name, config, state, ends, utc(now)) for name in sorted(config.connectors)]


def _ends(snapshot: Snapshot, now: datetime) -> dict[str, datetime]:
    """By signal: the end of its newest period that is over."""
    frame = snapshot.signals().dropna(subset=["last"])
    length = frame["cadence"].fillna("D").str.split("-").str[0].map(_LENGTH).fillna(1)
    ends = frame["last"] + pd.to_timedelta(length, unit="D")
    return {name: min(end.to_pydatetime(), now) for name, end in zip(frame["signal"], ends, strict=True)}


def _status(
    name: str, config: PullConfig, state: PullState, ends: dict[str, datetime], now: datetime
) -> SourceStatus:  # fmt: skip
    connector = config.connectors[name]
    wanted = [one for one in config.wanted if one.connector is connector]
    fared = [state.entry(one.key) for one in wanted]
    signals = [signal for one in wanted for signal in connector.signals(one.entry)]
    known = [ends[signal.signal] for signal in signals if signal.signal in ends]
    last = min(known) if known else None
    count, _ = state.set_aside(name)
    _, closed, _ = state.breaker(name)
    errors = [one.error for one in fared if one.error]
    done = [one.succeeded for one in fared if one.succeeded is not None]
    facts: dict[str, Any] = {
        "closed_until": moment_at(closed) if closed > time.time() else None,
        "succeeded": min(done) if done else None,
    }
    found, message = _judged(wanted, facts, errors, late=_is_late(wanted, ends, now))
    if found in ("ok", "late") and (new := len(fared) - len(done)):
        message = "; ".join([*([message] if message else []), f"{new} of {len(fared)} entries not pulled yet"])
    return SourceStatus(
        name, connector.about.title, found, message, len(wanted), len(signals), last,
        None if last is None else round((now - last) / timedelta(days=1), 2),
        next_due=_next(wanted, state), quarantined=count, licence=connector.about.licence, **facts,
    )  # fmt: skip


def _judged(wanted: Sequence[Wanted], facts: dict[str, Any], errors: Sequence[str], *, late: bool) -> tuple[str, str]:
    if not wanted:
        return "unused", "no [[signals]] table names it"
    if not all(one.allowed for one in wanted):
        return "off", f"set accept_terms = true in [connectors.{wanted[0].connector.name}] to agree to its terms"
    if facts["closed_until"] is not None:
        return "closed", f"left alone until {facts['closed_until']:%Y-%m-%d %H:%M} UTC: {'; '.join(errors)}"
    if errors:
        return "degraded", "; ".join(dict.fromkeys(errors))
    if facts["succeeded"] is None:
        return "never", "not pulled yet: groundswell signals pull"
    return ("late", "its values are older than they should be") if late else ("ok", "")


def _is_late(wanted: Sequence[Wanted], ends: dict[str, datetime], now: datetime) -> bool:
    for one in wanted:
        for signal in one.connector.signals(one.entry):
            period = timedelta(days=_LENGTH[signal.cadence.split("-")[0]])
            allowed = period + max(signal.publication_lag, timedelta(0)) + one.every + SLACK
            if signal.signal in ends and now - ends[signal.signal] > allowed:
                return True
    return False


def _next(wanted: Sequence[Wanted], state: PullState) -> datetime | None:
    """When `groundswell serve` pulls it next; None: at once, or never."""
    last = [(state.entry(one.key).attempted, one.every) for one in wanted if one.allowed]
    due = [attempted + every for attempted, every in last if attempted is not None]
    return min(due) if due and len(due) == len(last) else None
