"""A category at the bottom of a tree: what its forecast needs, and what totals take of its sales."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from api.likeness import NOTHING_SAID, Said, is_told, kin_of
from api.security import Caller
from api.service import Inputs, history_frame, read_related
from api.unsold import NothingKnownError
from forecast import frequency as freq
from forecast.like import BORROWING, is_short
from forecast.series import MIN_PERIODS
from forecast.totals import cleaned_versions, known_sales
from signals.store import CategoryRecord, Snapshot


class LeftOutError(Exception):
    """A category takes no part in a tree, and why."""


@dataclass(frozen=True)
class Asked:
    """Of which state of the store, at which moment, and by whom a tree is asked for."""

    snapshot: Snapshot
    data_version: int
    moment: dt.datetime  # UTC without a zone
    named: bool  # somebody named the moment
    horizon: int
    max_nowcast_days: int
    engine: str
    caller: Caller


@dataclass(frozen=True)
class Leaf:
    """One category; `known` are its sales by label, `versions` all that was known of them, without accepted events.

    `last` is the label of the last period that its forecast starts from: its own, or that of those that it is like.
    """

    inputs: Inputs
    known: pd.Series
    versions: pd.DataFrame  # ds, y, known_at
    last: np.datetime64

    @property
    def is_new(self) -> bool:
        """Whether its own history does not tell its forecast: it borrows, begins or ends, or is as good as none."""
        if self.inputs.like or self.known.size < MIN_PERIODS or self.inputs.phases.ends is not None:
            return True
        begins = self.inputs.phases.begins
        if begins is None:
            return False
        since = int((self.known.index > pd.Timestamp(begins.last)).sum())
        return is_short(since, self.inputs.record.frequency)

    def is_over(self, newest: pd.Timestamp, max_days: int) -> bool:
        """Whether nothing is sold any more where another was sold in the period `newest`."""
        if self.known.empty or self.known.index[-1] >= newest:
            return False
        ends = self.inputs.phases.ends
        ended = ends is not None and ends.last <= np.datetime64(newest, "D")
        return bool(ended) or (newest - self.known.index[-1]).days > max_days

    def over(self, newest: pd.Timestamp) -> Leaf:
        """The same with zeros to that period."""
        frequency = self.inputs.record.frequency
        labels = freq.between(np.datetime64(self.known.index[-1], "D"), np.datetime64(newest, "D"), frequency)[1:]
        ds, known_at = pd.DatetimeIndex(labels), pd.DatetimeIndex(freq.spans(labels, frequency)[1])
        known = pd.concat([self.known, pd.Series(0.0, index=ds)])
        versions = pd.concat([self.versions, pd.DataFrame({"ds": ds, "y": 0.0, "known_at": known_at})])
        history = pd.DataFrame({"ds": known.index, "y": known.to_numpy()})
        phases = self.inputs.phases
        whole = phases.at_full_level(history, frequency) if phases else history
        return Leaf(
            replace(self.inputs, history=whole, like={}, warnings=()), known, versions, np.datetime64(newest, "D")
        )


def read_leaf(asked: Asked, record: CategoryRecord) -> Leaf:
    """Read one category as for a forecast of its own, with those that it is like; raises LeftOutError."""
    name, told = record.category, is_told(record)
    if not (record.periods or told):
        raise LeftOutError(f"no sales of {name} are known: it is left out")
    try:
        inputs = read_related(
            asked.snapshot,
            name,
            asked.horizon,
            _within_sight(asked, record),
            as_of=asked.moment,
            data_version=asked.data_version,
            from_origin=True,
            max_nowcast_days=asked.max_nowcast_days,
        )
    except NothingKnownError as error:
        raise LeftOutError(f"no sales of {name} are known: it is left out") from error
    return _leaf(asked, inputs, told=told)


def _leaf(asked: Asked, inputs: Inputs, *, told: bool) -> Leaf:
    record, moment = inputs.record, pd.Timestamp(asked.moment)
    raw = history_frame(asked.snapshot, record.category, as_of=asked.moment, data_version=asked.data_version)
    known = known_sales(raw, record.frequency, moment)
    if not known.any() and is_short(known.size, record.frequency) and not told:
        raise LeftOutError(f"no sales of {record.category} are known: it is left out")
    if not known.any() and not is_short(known.size, record.frequency):
        inputs = replace(inputs, like={})  # it is not new, but never sold: another's level would be nonsense
    if asked.engine not in BORROWING:
        inputs = replace(inputs, like={})
        if inputs.history.empty:
            raise LeftOutError(
                f"{record.category} has no sales and is left out: the engine {asked.engine} borrows nothing"
            )
    versions = raw if known.size < MIN_PERIODS else cleaned_versions(raw, record.frequency, moment, inputs.events)
    return Leaf(inputs, known, versions, _last(inputs, versions, moment))


def _last(inputs: Inputs, versions: pd.DataFrame, moment: pd.Timestamp) -> np.datetime64:
    frequency = inputs.record.frequency
    histories = [one.history for one in inputs.like.values()] if versions.empty else [versions]
    found = [known_sales(one, frequency, moment) for one in histories if not one.empty]
    ends = [one.index[-1] for one in found if not one.empty]
    if not ends:
        raise LeftOutError(f"no sales of {inputs.record.category} are known: it is left out")
    return np.datetime64(max(ends), "D")


def _within_sight(asked: Asked, record: CategoryRecord) -> Said:
    """Whom a key may not see, nothing is borrowed from: answers name them."""
    if asked.caller.categories is None:
        return NOTHING_SAID
    names = kin_of(asked.snapshot, record, NOTHING_SAID, asked.data_version).names
    seen = tuple(name for name in names if asked.caller.may_see(name))
    return NOTHING_SAID if seen == names else Said(like=seen)
