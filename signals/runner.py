"""Pulls what groundswell.toml wants: plan, fetch, land, parse, check, hand over. Every source is treated alike.

A kill at any moment loses nothing: payloads are landed before they are read, rows and cursors are stored in one
transaction, and the next pull goes on from the cursors, less an overlap that catches revisions.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from signals.batch import AppendResult, BatchRefused
from signals.config import AnyConnector, PullConfig, Wanted, load_config
from signals.connector import ConfigError, Drift, Payload, Pull, Request, Signal, Task
from signals.frames import batch_of, check_observations, check_records
from signals.handing import Handing
from signals.home import Home, utc
from signals.landing import Landing, PayloadLost, pull_key
from signals.plugged import slips
from signals.pull_state import Landed, PullState
from signals.redact import Redactor
from signals.store import DiskFull, Snapshot, StoreDamaged, StoreEmpty, UnknownCategory, open_snapshot
from signals.transport import SourceClosed, SourceFailed, Stopped, Transport

logger = logging.getLogger(__name__)

REUSE = timedelta(hours=6)  # a payload that a killed pull had landed is not asked for again so soon
THREADS = 8
TROUBLES = 3  # pulls of an entry that may fail before the rest of it is left for the next time
Progress = Callable[[int, int, str], None]  # pulls done, pulls planned, which source


class SourceBusy(RuntimeError):  # noqa: N818 - named for what happened, as its callers read it
    """Another process pulls this source at present."""


@dataclass(frozen=True)
class Outcome:
    """What became of one entry.

    status: done, fresh (not due yet), off, failed, drifted, stopped, waiting or busy (another process pulls it).
    """

    connector: str
    where: str
    status: str
    message: str = ""
    requests: int = 0
    inserted: int = 0
    unchanged: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing needs a person."""
        return self.status in ("done", "fresh", "off", "stopped")


@dataclass
class _Job:
    """One entry on its way."""

    wanted: Wanted
    signals: tuple[Signal, ...] = ()
    since: dict[str, datetime] = field(default_factory=dict)
    pulls: tuple[Pull, ...] = ()
    tickets: dict[str, list[int]] = field(default_factory=dict)  # with the payloads behind each
    requests: int = 0
    status: str = "done"
    message: str = ""

    troubles: list[str] = field(default_factory=list)

    def fail(self, status: str, message: str) -> None:
        self.status, self.message = status, message

    def trouble(self, status: str, message: str) -> None:
        """One pull of several that failed; the others go on."""
        self.troubles.append(message)
        self.fail(status, "; ".join(dict.fromkeys(self.troubles)))


@dataclass(frozen=True)
class Options:
    """How to pull.

    only: names of connectors; empty: all. due: leave out what was pulled less than its `every` ago. again: read the
    whole history anew. accept: names of connectors whose changed record counts are right. stop: set it to end soon.
    wait: seconds that the owner of the store may take to store what was pulled.
    """

    only: Collection[str] = ()
    due: bool = False
    again: bool = False
    accept: Collection[str] = ()
    stop: threading.Event = field(default_factory=threading.Event)
    wait: float = 120.0


def pull_signals(
    home: Path,
    options: Options | None = None,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
    make_transport: Callable[..., Transport] = Transport,
) -> list[Outcome]:
    """Pull every entry of groundswell.toml that is wanted now, sources side by side; the outcomes in its order.

    A source that fails does not stop the others. Raises ConfigError where groundswell.toml cannot be used; DiskFull.
    """
    options = options or Options()
    config = load_config(home)
    for name in options.only:
        if name not in config.connectors:
            raise ConfigError("connector", name, f"one that groundswell.toml sets up: {', '.join(config.connectors)}")
    Home(home).create()
    runner = _Runner(home, config, options, utc(now), progress, make_transport)
    names = [name for name in config.connectors if not options.only or name in options.only]
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="pull") as threads:
        found = list(threads.map(runner.run, names))
    outcomes = {outcome.where: outcome for part in found for outcome in part}
    return [outcomes[wanted.where] for wanted in config.wanted if wanted.where in outcomes]


class _Runner:
    def __init__(
        self, home: Path, config: PullConfig, options: Options, now: datetime, progress: Progress | None,
        make_transport: Callable[..., Transport],
    ) -> None:  # fmt: skip
        self._home, self._config, self._options, self._now = home, config, options, now
        self._state, self._handing, self._make_transport = PullState(home), Handing(home), make_transport
        self._handing.store()  # what a killed pull had handed over moves the cursors
        self._snapshot = _newest(home)
        self._cursors = self._snapshot.cursors() if self._snapshot else {}
        self._count = _Count(progress)

    def run(self, name: str) -> list[Outcome]:
        """Pull all that is wanted of one connector, in order."""
        connector = self._config.connectors[name]
        jobs = [_Job(wanted) for wanted in self._config.wanted if wanted.connector is connector]
        redactor = self._config.redactor
        transport = self._make_transport(connector, self._state, redactor, self._options.stop.wait)
        source = _Source(connector, transport, Landing(self._home, self._state, connector, redactor), redactor)
        try:
            if all(self._is_fresh(job.wanted) for job in jobs):
                return [Outcome(name, job.wanted.where, "fresh") for job in jobs]
            with only_one(self._home, name):
                source.landing.tidy()
                for job in jobs:
                    self._prepare(job)
                self._count.plan(sum(len(job.pulls) for job in jobs))
                for job in jobs:
                    self._work(job, source)
                return [self._settle(job) for job in jobs]
        except SourceBusy as busy:
            return [Outcome(name, job.wanted.where, "busy", str(busy)) for job in jobs]
        finally:
            transport.close()

    def _prepare(self, job: _Job) -> None:
        wanted = job.wanted
        if not wanted.allowed:
            job.fail("off", f"set accept_terms = true in [connectors.{wanted.connector.name}] to agree to its terms")
            return
        if self._is_fresh(wanted):
            job.fail("fresh", f"pulled less than {wanted.every} ago")
            return
        try:
            self._check_categories(wanted)
        except UnknownCategory as error:
            job.fail("failed", str(error))
            return
        job.signals = tuple(wanted.connector.signals(wanted.entry))
        job.since = {signal.signal: self._since(wanted, signal) for signal in job.signals}
        try:
            with slips("planning", ConfigError):
                begin = wanted.start or self._now - wanted.connector.policy.history
                task = Task(wanted.entry, job.signals, job.since, self._now, begin)
                job.pulls = tuple(wanted.connector.plan(task))
        except (Drift, ConfigError) as error:
            job.fail("failed", self._config.redactor.text(str(error)))

    def _is_fresh(self, wanted: Wanted) -> bool:
        """Whether only what is due is pulled, and this is not."""
        last = self._state.entry(wanted.key).attempted
        return self._options.due and last is not None and timedelta(0) <= self._now - last < wanted.every

    def _check_categories(self, wanted: Wanted) -> None:
        for category in wanted.categories:
            if category == "*":
                continue
            if self._snapshot is None:
                raise UnknownCategory(category, [])
            self._snapshot.category(category)

    def _since(self, wanted: Wanted, signal: Signal) -> datetime:
        policy = wanted.connector.policy
        begin = wanted.start or self._now - policy.history
        through = self._cursors.get(signal.signal)
        if through is None or self._options.again:
            return begin
        begun = self._state.begun(signal.signal)
        if wanted.start is not None and begun is not None and wanted.start < begun:
            return begin  # `start` was moved to an earlier day
        # A clock that was ahead when the cursor was set must not leave a gap.
        return max(begin, min(through.to_pydatetime(), self._now) - policy.overlap)

    def _work(self, job: _Job, source: _Source) -> None:
        if job.status != "done":
            return
        unread: set[str] = set()  # a later part of a signal must not be read before an earlier one
        for pull in job.pulls:
            if unread.intersection(pull.signals):
                continue
            if len(job.troubles) == TROUBLES or self._options.stop.is_set():
                break
            try:
                self._pull(job, pull, source)
            except Stopped:
                break
            except SourceClosed as closed:
                job.trouble("failed", self._config.redactor.text(str(closed)))
                return
            except (Drift, SourceFailed, BatchRefused, PayloadLost) as error:
                unread.update(pull.signals)
                status = "drifted" if isinstance(error, Drift) else "failed"
                job.trouble(status, f"{pull.signals[0]}: {self._config.redactor.text(str(error))}")
            self._count.one(source.connector.name)
        if self._options.stop.is_set() and job.status == "done":
            job.fail("stopped", "stopped; the next pull goes on from here")

    def _pull(self, job: _Job, pull: Pull, source: _Source) -> None:
        """One pull: its rows and cursors are handed over together, or nothing is."""
        payloads, numbers, fetched = source.gather(pull, self._state, self._now, self._options.stop)
        job.requests += fetched
        earlier = source.recall(pull, self._state, self._now, numbers)
        accepted = source.connector.name in self._options.accept
        usual = {name: None if accepted else self._state.usual_records(name) for name in pull.signals}
        sha = hashlib.sha256(b"".join(payload.body for payload in payloads)).hexdigest()
        try:
            with slips("reading the answer"):
                found = source.connector.parse(pull, [*earlier, *payloads])
                check_observations(found, pull, {one.signal: one for one in job.signals}, self._now)
                records = check_records(found, usual)
                batch = batch_of(source.connector, job.signals, pull, found, job.wanted.categories, sha, self._now)
        except Drift as drift:
            self._state.mark(numbers, "set aside", self._config.redactor.text(str(drift)))
            raise
        job.tickets[self._handing.give(batch, max((p.fetched_at for p in payloads), default=self._now))] = numbers
        self._state.set_usual_records(records)

    def _settle(self, job: _Job) -> Outcome:
        """Wait until what was handed over is stored, and remember how the entry fared."""
        answers = self._handing.settle(list(job.tickets), self._options.wait)
        stored = [answer for answer in answers.values() if isinstance(answer, AppendResult)]
        for ticket, answer in answers.items():
            if isinstance(answer, BatchRefused):
                job.fail("drifted", str(answer))
            if answer is not None:
                aside = isinstance(answer, BatchRefused)
                self._state.mark(job.tickets[ticket], "set aside" if aside else "stored", str(answer) if aside else "")
        if None in answers.values() and job.status == "done":
            job.fail("waiting", "handed over; the owner of the store has not stored it yet")
        if job.status in ("done", "failed", "drifted", "waiting"):
            error = job.message if job.status in ("failed", "drifted") else ""
            self._state.set_entry(job.wanted.key, job.wanted.connector.name, self._now, error)
        if job.status == "done":
            self._state.set_begun(job.since)
        inserted = sum(one.inserted + one.withdrawn for one in stored)
        unchanged = sum(one.unchanged for one in stored)
        name = job.wanted.connector.name
        return Outcome(name, job.wanted.where, job.status, job.message, job.requests, inserted, unchanged)


@dataclass(frozen=True)
class _Source:
    """A connector with what it needs to be asked."""

    connector: AnyConnector
    transport: Transport
    landing: Landing
    redactor: Redactor

    def gather(
        self, pull: Pull, state: PullState, now: datetime, stop: threading.Event
    ) -> tuple[list[Payload], list[int], int]:
        """The answers to all requests of a pull and its further pages, landed; their numbers; how many were fetched."""
        kept = {one.fingerprint: one for one in state.landed(self.connector.name, pull_key(pull), now - REUSE)}
        kept = {key: one for key, one in kept.items() if one.state == "landed"}
        payloads: list[Payload] = []
        numbers: list[int] = []
        run, fetched = secrets.token_hex(8), 0
        waiting = list(pull.requests)
        while waiting:
            request = waiting.pop(0)
            landed = kept.get(self.landing.fingerprint(request))
            payload = None if landed is None else self._kept(landed, request)
            if landed is not None and payload is not None:
                number = landed.id
                state.adopt(number, run)
            else:
                if stop.is_set() and payloads:
                    raise Stopped
                payload, number = self._fetch(run, pull, request)
                fetched += 1
            payloads.append(payload)
            numbers.append(number)
            if not waiting:
                more = self._following(pull, payloads, numbers, state)
                waiting = [] if more is None else [more]
        return payloads, numbers, fetched

    def _kept(self, landed: Landed, request: Request) -> Payload | None:
        """A payload that a killed pull had landed; None where it is damaged and must be asked for again."""
        try:
            return replace(self.landing.read(landed), request=request)
        except PayloadLost:
            return None

    def _fetch(self, run: str, pull: Pull, request: Request) -> tuple[Payload, int]:
        with slips("asking", SourceFailed, Stopped, DiskFull, StoreDamaged):
            payload = self.connector.fetch(request, self.transport.get)
        # Parsers read what is landed: no message of theirs, however cut, can hold a secret.
        payload = replace(payload, body=self.redactor.body(payload.body))
        return payload, self.landing.keep(run, pull, payload, self.transport.headers)

    def _following(self, pull: Pull, payloads: list[Payload], numbers: list[int], state: PullState) -> Request | None:
        try:
            with slips("looking for the next page"):
                return self.connector.next_page(pull, payloads)
        except Drift as drift:
            state.mark(numbers, "set aside", self.redactor.text(str(drift)))
            raise

    def recall(self, pull: Pull, state: PullState, now: datetime, numbers: Sequence[int]) -> list[Payload]:
        """The answers to earlier pulls of the same signals, in order of time."""
        if not pull.recall:
            return []
        earlier = state.landed(self.connector.name, pull_key(pull), now - pull.recall)
        return [self.landing.read(one) for one in earlier if one.id not in numbers and one.state == "stored"]


class _Count:
    """Tells a progress callback how far all sources together are."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._lock, self._done, self._planned = progress, threading.Lock(), 0, 0

    def plan(self, more: int) -> None:
        with self._lock:
            self._planned += more

    def one(self, name: str) -> None:
        with self._lock:
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._planned, name)


@contextmanager
def only_one(home: Path, connector: str) -> Iterator[None]:
    """Hold the lock of a source, or raise SourceBusy; the kernel frees it when its holder dies."""
    descriptor = os.open(home / "state" / f"pull-{connector}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SourceBusy(f"another process pulls {connector} at present") from None
        yield
    finally:
        os.close(descriptor)


def _newest(home: Path) -> Snapshot | None:
    try:
        return open_snapshot(home)
    except StoreEmpty:
        return None
