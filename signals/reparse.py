"""Reads the landed payloads of a source again, after its parser was mended, without asking the source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import pandas as pd

from signals.batch import AppendResult, BatchRefused
from signals.config import Wanted, load_config
from signals.connector import ConfigError, Drift, Pull
from signals.frames import batch_of, check_observations
from signals.handing import Handing
from signals.home import utc
from signals.landing import Landing
from signals.pull_state import Landed, PullState
from signals.runner import only_one

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Reparsed:
    """What became of a source's payloads: pulls read, values added, pulls that cannot be read, and why the last."""

    pulls: int
    inserted: int
    failed: int
    reason: str = ""


def reparse(home: Path, connector: str, *, progress: Progress | None = None, wait: float = 120.0) -> Reparsed:
    """Read every landed payload of a connector again, oldest first; what it gives anew is stored, the rest unchanged.

    A value counts as known from when its payload was fetched, so that no earlier moment learns of it.
    Raises ConfigError where groundswell.toml does not set the connector up.
    """
    config = load_config(home)
    if connector not in config.connectors:
        raise ConfigError("connector", connector, f"one that groundswell.toml sets up: {', '.join(config.connectors)}")
    state = PullState(home)
    landing = Landing(home, state, config.connectors[connector], config.redactor)
    wanted = [one for one in config.wanted if one.connector.name == connector]
    with only_one(home, connector):
        groups = [list(group) for _, group in groupby(state.landed(connector), key=lambda one: one.run)]
        return _Rereader(home, landing, state, wanted).read(groups, progress, wait)


class _Rereader:
    def __init__(self, home: Path, landing: Landing, state: PullState, wanted: list[Wanted]) -> None:
        self._landing, self._state, self._wanted, self._handing = landing, state, wanted, Handing(home)

    def read(self, groups: list[list[Landed]], progress: Progress | None, wait: float) -> Reparsed:
        tickets, failed, reason = [], 0, ""
        for number, group in enumerate(groups, 1):
            try:
                tickets += self._group(group)
            except (Drift, BatchRefused) as error:
                failed, reason = failed + 1, str(error)
                self._state.mark([one.id for one in group], "set aside", reason)
            if progress is not None:
                progress(number, len(groups), "reading")
        answers = self._handing.settle(tickets, wait).values()
        inserted = sum(one.inserted + one.withdrawn for one in answers if isinstance(one, AppendResult))
        return Reparsed(len(groups) - failed, inserted, failed, reason)

    def _group(self, group: list[Landed]) -> list[str]:
        names = set(json.loads(group[0].pull))
        for wanted in self._wanted:
            signals = [one for one in wanted.connector.signals(wanted.entry) if one.signal in names]
            if signals:
                break
        else:
            return []  # nobody wants these signals any more
        said = json.loads(group[0].request)["pull"]
        recall = timedelta(seconds=said["recall"])
        through = datetime.fromisoformat(said["through"])
        pull = Pull(tuple(one.signal for one in signals), (), through, said["context"], recall)
        fetched = group[-1].fetched_at
        earlier = [
            one for one in self._state.landed(wanted.connector.name, group[0].pull, fetched - recall)
            if recall and one.fetched_at < group[0].fetched_at and one.state == "stored"
        ]  # fmt: skip
        payloads = [self._landing.read(one) for one in (*earlier, *group)]
        found = wanted.connector.parse(pull, payloads)
        check_observations(found, pull, {one.signal: one for one in signals}, utc(None))
        if all(one.state == "stored" for one in group):
            found = type(found)(_known_by(found.frame, fetched), found.attributes)
        sha = hashlib.sha256(b"".join(payload.body for payload in payloads)).hexdigest()
        batch = batch_of(wanted.connector, signals, pull, found, wanted.categories, sha)
        ticket = self._handing.give(batch, fetched)
        self._state.mark([one.id for one in group], "stored")
        return [ticket]


def _known_by(frame: pd.DataFrame, fetched: datetime) -> pd.DataFrame:
    """Undated values as known when they were fetched."""
    moment = pd.Series([pd.Timestamp(fetched)] * len(frame), index=frame.index, dtype="datetime64[us]")
    return frame.assign(known_at=frame["known_at"].fillna(moment) if "known_at" in frame else moment)
