"""Reads the landed payloads of a source again, after its parser was mended, without asking the source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import pandas as pd

from signals.batch import AppendResult, Batch, BatchRefused
from signals.config import AnyConnector, Wanted, load_config
from signals.connector import ConfigError, Drift, Observations, Payload, Pull, Signal
from signals.frames import batch_of, check_observations
from signals.handing import Handing
from signals.landing import Landing, PayloadLost
from signals.plugged import slips
from signals.pull_state import Landed, PullState
from signals.runner import only_one

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Reparsed:
    """What became of a source's payloads.

    pulls: that were read and stored; inserted: values that they added; failed: pulls that cannot be read, and `reason`,
    why the last; waiting: pulls that the owner of the store has yet to store.
    """

    pulls: int
    inserted: int
    failed: int
    reason: str = ""
    waiting: int = 0


def reparse(home: Path, connector: str, *, progress: Progress | None = None, wait: float = 120.0) -> Reparsed:
    """Read every pull of a connector again, oldest first; what it gives anew is stored, the rest unchanged.

    A value gets the moment at which it would have become known had the parser been right from the start, and replaces
    what was recorded for that moment: an earlier data version still has that. Pulls that were broken off are left to
    the next pull, and cursors stay where they are. Raises ConfigError where groundswell.toml does not set it up.
    """
    config = load_config(home)
    if connector not in config.connectors:
        raise ConfigError("connector", connector, f"one that groundswell.toml sets up: {', '.join(config.connectors)}")
    state = PullState(home)
    landing = Landing(home, state, config.connectors[connector], config.redactor)
    wanted = [one for one in config.wanted if one.connector.name == connector]
    with only_one(home, connector):
        return _Rereader(config.connectors[connector], landing, state, wanted, Handing(home)).read(progress, wait)


@dataclass
class _Rereader:
    connector: AnyConnector
    landing: Landing
    state: PullState
    wanted: Sequence[Wanted]
    handing: Handing
    seen: set[tuple[object, ...]] = field(default_factory=set)  # signal, window and start of what came before
    doubtful: set[str] = field(default_factory=set)  # signals of whose past a pull cannot be read
    failed: int = 0
    reason: str = ""

    def read(self, progress: Progress | None, wait: float) -> Reparsed:
        """Hand over what each whole pull gives, and mark its payloads once that is stored."""
        groups = [list(group) for _, group in groupby(self.state.landed(self.connector.name), key=lambda one: one.run)]
        tickets: dict[str, list[int]] = {}
        for number, group in enumerate(groups, 1):
            batch = self._tried(group)
            if batch is not None:
                tickets[self.handing.give(batch, group[-1].fetched_at)] = [one.id for one in group]
            if progress is not None:
                progress(number, len(groups), "reading")
        return self._settled(tickets, wait)

    def _settled(self, tickets: dict[str, list[int]], wait: float) -> Reparsed:
        answers = self.handing.settle(list(tickets), wait)
        for ticket, answer in answers.items():
            if isinstance(answer, BatchRefused):
                self._fail(tickets[ticket], str(answer))
            elif answer is not None:
                self.state.mark(tickets[ticket], "stored")
        stored = [one for one in answers.values() if isinstance(one, AppendResult)]
        inserted = sum(one.inserted + one.withdrawn for one in stored)
        waiting = sum(one is None for one in answers.values())
        return Reparsed(len(stored), inserted, self.failed, self.reason, waiting)

    def _fail(self, ids: list[int], reason: str) -> None:
        self.failed, self.reason = self.failed + 1, reason
        self.state.mark(ids, "set aside", reason)

    def _tried(self, group: list[Landed]) -> Batch | None:
        names = json.loads(group[0].pull)
        found = next(self._wanting(set(names)), None)
        if found is None or any(one.state == "landed" for one in group):
            return None  # nobody wants these signals any more, or the pull was broken off
        try:
            return self._batch(group, *found)
        except (Drift, PayloadLost) as error:
            stored = any(one.state == "stored" for one in group)
            self.doubtful.update(names if stored else ())
            self._fail([] if stored else [one.id for one in group], str(error))  # what is stored stays so
            return None

    def _wanting(self, names: set[str]) -> Iterator[tuple[Wanted, list[Signal]]]:
        """The entries that want some of these signals, and which."""
        for wanted in self.wanted:
            signals = [one for one in self.connector.signals(wanted.entry) if one.signal in names]
            if signals:
                yield wanted, signals

    def _batch(self, group: list[Landed], wanted: Wanted, signals: list[Signal]) -> Batch:
        payloads = [self.landing.read(one) for one in group]
        pull = _pull_of(group[0], signals, payloads)
        earlier, fetched = self._earlier(group, pull.recall), group[-1].fetched_at
        with slips("reading the answer"):
            if self.connector.next_page(pull, payloads) is not None:
                raise Drift("a later page of the pull was never fetched")
            found = self.connector.parse(pull, [*earlier, *payloads])
            check_observations(found, pull, {one.signal: one for one in signals}, fetched)
            found = self._dated(found, fetched)
            batch = batch_of(self.connector, signals, pull, found, wanted.categories, _sha(payloads), fetched)
        return replace(batch, cursors=None, reread=True)

    def _earlier(self, group: list[Landed], recall: timedelta) -> list[Payload]:
        """What the parser was also handed when the pull was new."""
        if not recall:
            return []
        since = group[-1].fetched_at - recall
        known = self.state.landed(self.connector.name, group[0].pull, since)
        return [
            self.landing.read(one) for one in known
            if one.fetched_at < group[0].fetched_at and one.state == "stored"
        ]  # fmt: skip

    def _dated(self, found: Observations, fetched: datetime) -> Observations:
        """A period that an earlier pull has given already was, as this one gives it, known when this was fetched.

        The first time it is left to the store, which takes it to have been known after its lag, as in a first pull.
        """
        frame = found.frame.reset_index(drop=True)
        key = [name for name in ("signal", "window", "start") if name in frame]
        keys = pd.Series(list(frame[key].itertuples(index=False, name=None)), dtype=object)
        late = keys.isin(self.seen) | frame["signal"].isin(self.doubtful)
        self.seen.update(keys)
        given = frame["known_at"] if "known_at" in frame else pd.Series(pd.NaT, frame.index, dtype="datetime64[us]")
        return replace(found, frame=frame.assign(known_at=given.mask(late & given.isna(), pd.Timestamp(fetched))))


def _pull_of(landed: Landed, signals: list[Signal], payloads: Sequence[Payload]) -> Pull:
    """The pull that payloads answer, of which the first ones were planned; its secrets are not known any more."""
    said = json.loads(landed.request)["pull"]
    through, recall = datetime.fromisoformat(said["through"]), timedelta(seconds=said["recall"])
    requests = tuple(payload.request for payload in payloads[: said["planned"]])
    return Pull(tuple(one.signal for one in signals), requests, through, said["context"], recall)


def _sha(payloads: Sequence[Payload]) -> str:
    return hashlib.sha256(b"".join(payload.body for payload in payloads)).hexdigest()
