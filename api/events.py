"""Events in the sales of a category: what is proposed, what was decided, and what it does to the forecast."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from api.database import now
from api.decisions import Decision, decisions_of, in_force
from api.event_models import Beside, CategoryEvents, DecisionRequest, DecisionTaken, EventEffect, SalesEvent, State
from api.scenario_models import Expected
from api.service import Inputs, moment_of, read_inputs, run
from forecast import Event, OptionError, Proposal, detect
from forecast import frequency as freq
from forecast.engines import Wanted
from forecast.events import LEVEL_SHIFT, NAMES, day_of, labels_of, periods_named, taken_out
from forecast.series import MIN_PERIODS
from forecast.words import number
from signals.batch import Batch
from signals.store import Snapshot

FAST = Wanted("fast")
_SAME_SHIFT = 3  # periods by which a level shift may be found elsewhere when more sales are known
_SAME_EXTENT = 0.5  # share of the days of either that two events have in common which are one
_LEAST_LEFT = 0.1  # share of the known periods that events have to leave
_EVIDENCE = ("size", "size_pct", "score", "sentence")


@dataclass(frozen=True)
class Asked:
    """Whose events, as of when."""

    category: str
    as_of: dt.datetime  # UTC without a zone
    data_version: int


def asked_of(snapshot: Snapshot, category: str, as_of: dt.datetime | None = None) -> Asked:
    """As of now where no moment is given; raises OptionError for one that has not come."""
    return Asked(category, moment_of(as_of) or now(), snapshot.data_version)


@dataclass(frozen=True)
class _Told:
    """One event with all that is known of it."""

    event: Event
    proposal: Proposal | None
    decisions: tuple[Decision, ...] = ()

    @property
    def state(self) -> State:
        """What holds."""
        return self.decisions[-1].decision if self.decisions else "proposed"

    @property
    def evidence(self) -> Mapping[str, Any]:
        """What was proposed when it was decided on last, or what is proposed now."""
        seen = [one.evidence for one in self.decisions if one.evidence is not None]
        if seen:
            return seen[-1]
        return {} if self.proposal is None else asdict(self.proposal)

    def reported(self, frequency: str) -> str:
        """A sentence on what a person alone knew of."""
        span = periods_named(*labels_of(self.event, frequency), frequency)
        return f"{self.decisions[0].author} reported this of {span}: {NAMES[self.event.kind]}."


def events_of(snapshot: Snapshot, asked: Asked) -> CategoryEvents:
    """What is proposed and what was decided, as of a moment; raises ForecastError and what the store raises."""
    inputs = _read(snapshot, asked)
    told = [_told(one, inputs.record.frequency) for one in _known(snapshot, asked, inputs)]
    record = inputs.record
    return CategoryEvents(
        category=asked.category, unit=record.unit, frequency=record.frequency, as_of=_aware(asked.as_of),
        data_version=asked.data_version, events=told, effect=None,
    )  # fmt: skip


def _read(snapshot: Snapshot, asked: Asked, horizon: int = 1, *, events: bool = True) -> Inputs:
    return read_inputs(
        snapshot,
        asked.category,
        horizon,
        as_of=asked.as_of,
        data_version=asked.data_version,
        from_origin=True,
        events=events,
    )


def _known(snapshot: Snapshot, asked: Asked, inputs: Inputs) -> list[_Told]:
    """Events that were decided on, and proposals that are none of those, in the order of time."""
    taken: dict[Event, list[Decision]] = {}
    for one in decisions_of(snapshot, asked.category, asked.as_of, asked.data_version):
        taken.setdefault(one.event, []).append(one)
    proposed = {_event_of(one, inputs.record.frequency): one for one in _proposals(inputs)}
    decided = [_Told(event, proposed.get(event), tuple(decisions)) for event, decisions in taken.items()]
    fresh = [
        _Told(event, one) for event, one in proposed.items() if not any(_settles(d, event, inputs) for d in decided)
    ]
    return sorted([*decided, *fresh], key=lambda told: (told.event.first, told.event.last, told.event.kind))


def _proposals(inputs: Inputs) -> list[Proposal]:
    return detect(
        inputs.history,
        signals=inputs.signals,
        frequency=inputs.record.frequency,
        as_of=None if inputs.as_of is None else pd.Timestamp(inputs.as_of),
        calendar=inputs.record.calendar,
        unit=inputs.record.unit,
    )


def _event_of(proposal: Proposal, frequency: str) -> Event:
    """A proposal by its days, as decisions name events."""
    return _whole(Event(proposal.kind, proposal.first, proposal.last), frequency)


def _whole(event: Event, frequency: str) -> Event:
    """An event from the first day of its first period to the last day of its last; raises OptionError."""
    starts, ends = freq.spans(np.array(labels_of(event, frequency), "datetime64[D]"), frequency)
    return Event(event.kind, day_of(starts[0]), day_of(ends[1] - np.timedelta64(1, "D")))


def _settles(decided: _Told, proposed: Event, inputs: Inputs) -> bool:
    """Whether a decision leaves nothing to propose: on that very event, if not to the day, or taking all of it out."""
    other = decided.event
    if LEVEL_SHIFT in (proposed.kind, other.kind):
        ends = np.sort(np.array([labels_of(e, inputs.record.frequency)[0] for e in (proposed, other)]))
        near = freq.between(ends[0], ends[1], inputs.record.frequency).size <= _SAME_SHIFT + 1
        return proposed.kind == other.kind and near
    common = (min(proposed.last, other.last) - max(proposed.first, other.first)).days + 1
    if decided.state == "accepted" and common == _days(proposed):
        return True
    least = _SAME_EXTENT if proposed.kind == other.kind else 1.0
    return common >= least * (_days(proposed) + _days(other) - common)


def _days(event: Event) -> int:
    return (event.last - event.first).days + 1


def _told(one: _Told, frequency: str) -> SalesEvent:
    first, last = (day_of(label) for label in labels_of(one.event, frequency))
    evidence = one.evidence
    return SalesEvent(
        kind=one.event.kind,
        first=first,
        last=last,
        state=one.state,
        size=evidence.get("size"),
        size_pct=evidence.get("size_pct"),
        score=evidence.get("score"),
        sentence=evidence.get("sentence") or one.reported(frequency),
        decisions=[
            DecisionTaken(decision=d.decision, author=d.author, reason=d.reason, decided=_aware(d.decided))
            for d in one.decisions
        ],
    )


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC)


def effect_of(
    snapshot: Snapshot, asked: Asked, horizon: int, which: Literal["accepted", "proposed"] = "accepted"
) -> EventEffect:
    """The forecast with the events taken out beside the one without, by the fast engine; raises as `events_of`.

    `proposed`: as if everything that is proposed were accepted as well.
    """
    plain = _read(snapshot, asked, horizon, events=False)
    events = in_force(snapshot, asked.category, asked.as_of, asked.data_version)
    if which == "proposed":
        known = _known(snapshot, asked, plain)
        events = (*events, *(one.event for one in known if one.state == "proposed"))
    changed = run(replace(_read(snapshot, asked, horizon), events=events), FAST).to_dict()["forecast"]
    before = {row["period"]: row for row in run(plain, FAST).to_dict()["forecast"]}
    periods = [_beside(row, before[row["period"]]) for row in changed if row["period"] in before]
    return EventEffect(events=which, periods=periods, total=sum(one.difference for one in periods))


def _beside(changed: Mapping[str, Any], plain: Mapping[str, Any]) -> Beside:
    one, other = (Expected(**{name: row[name] for name in Expected.model_fields}) for row in (changed, plain))
    return Beside(
        period=one.period, kind=one.kind, with_events=one, without_events=other, difference=one.value - other.value
    )


@dataclass(frozen=True)
class Decided:
    """A decision that a person takes; `whole`: on all of the event that is known to hold the day which they named."""

    event: Event
    decision: str
    author: str
    reason: str | None = None
    whole: bool = False


def wanted_of(body: DecisionRequest, author: str) -> Decided:
    """A decision as it was asked for; `author` decides where the request names nobody."""
    event = Event(body.kind, body.first, body.last or body.first)
    return Decided(event, body.decision, body.author or author, body.reason, whole=body.last is None)


def decided(snapshot: Snapshot, category: str, wanted: Decided) -> tuple[Event, Batch]:
    """The event that a decision is about, from its first day to its last, and the batch that keeps the decision.

    Raises OptionError for an event outside the sales, one that would leave next to nothing of them, and for a refusal
    of what nobody has proposed or accepted.
    """
    asked = asked_of(snapshot, category)
    inputs = _read(snapshot, asked)
    event = _whole(wanted.event, inputs.record.frequency)
    known = {one.event: one for one in _known(snapshot, asked, inputs)}
    if wanted.whole and event not in known:
        event = _around(event, known)
    _check_inside(event, inputs)
    if event not in known and wanted.decision == "refused":
        raise OptionError(
            "event", f"{event.kind} {event.first} to {event.last}", "an event that is proposed or accepted"
        )
    if wanted.decision == "accepted":
        _check_left(event, inputs)
    return event, _batch(category, event, wanted, known.get(event))


def _around(event: Event, known: Collection[Event]) -> Event:
    """The longest known event of its kind with all its days in it; the event itself where there is none."""
    holding = (e for e in known if e.kind == event.kind and e.first <= event.first and event.last <= e.last)
    return max(holding, key=_days, default=event)


def _check_left(event: Event, inputs: Inputs) -> None:
    """Raises OptionError for an event that leaves next to nothing, with those that were accepted before."""
    sold = inputs.history.dropna(subset=["y"])["ds"].unique()
    ds, frequency = np.array(sold, "datetime64[D]"), inputs.record.frequency
    before, left = (int((~taken_out(ds, e, frequency)).sum()) for e in (inputs.events, (*inputs.events, event)))
    if left < before and left < max(MIN_PERIODS, _LEAST_LEFT * ds.size):
        was = f"{event.kind} {event.first} to {event.last}, which leaves {left} of {ds.size} known periods"
        raise OptionError("event", was, f"events that leave {number(100 * _LEAST_LEFT)} % of them or more")


def _check_inside(event: Event, inputs: Inputs) -> None:
    sold = inputs.history.dropna(subset=["y"])["ds"]
    first, last = (pd.Timestamp(label) for label in labels_of(event, inputs.record.frequency))
    if first < sold.min() or last > sold.max():
        allowed = f"periods with known sales, {sold.min():%Y-%m-%d} to {sold.max():%Y-%m-%d}"
        raise OptionError("event", f"{event.first} to {event.last}", allowed)


def _batch(category: str, event: Event, wanted: Decided, known: _Told | None) -> Batch:
    evidence = None
    if known is not None and known.proposal is not None:
        evidence = json.dumps({name: getattr(known.proposal, name) for name in _EVIDENCE})
    row = {
        "category": category, "kind": event.kind, "start": pd.Timestamp(event.first),
        "end": pd.Timestamp(event.last) + pd.Timedelta(days=1), "decision": wanted.decision, "author": wanted.author,
        "reason": wanted.reason, "evidence": evidence,
    }  # fmt: skip
    return Batch("events", events=pd.DataFrame([row]))


def found(events: Sequence[SalesEvent], event: Event, frequency: str) -> SalesEvent:
    """One of the events, by its days."""
    labels = tuple(day_of(label) for label in labels_of(event, frequency))
    return next(one for one in events if (one.kind, one.first, one.last) == (event.kind, *labels))
