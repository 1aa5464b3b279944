"""Sales pulled from folders, addresses and databases into the store, once or on a schedule.

A source is pulled as a whole or not at all. `pull_due_sales` is what a scheduler calls again and again; it must not run
in the process that owns the store, as DuckDB's lock is lost when that process opens the database by other means.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from signals.connector import ConfigError
from signals.home import utc
from signals.lock import StoreBusy, ingest_lock
from signals.prepared import Prepared, counted
from signals.refused import ImportRefused
from signals.rows import utc_now, zone
from signals.sales_config import Address, SalesSource, address, load_sales_sources
from signals.sales_folder import Listing, NotSettled, list_folder
from signals.sales_import import prepare_sales
from signals.sales_sql import Limits, run_query
from signals.sales_state import SourceState, read_state, write_state
from signals.sales_url import land
from signals.store import AppendResult, HandOverPending, PublishFailed, StoreEmpty, open_mended, submit
from signals.tables import Table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SalesResult:
    """What became of one pull.

    status: `stored` (the store has it; `counts` says how many values were new), `unchanged` (the same as last time, and
        not read again), `waiting` (a file may still be written, or another pull of this source runs), `pending` (handed
        over to the owner of the store, who has not answered yet) or `failed` (nothing was stored).
    error: what is in the way of those, in one sentence; empty otherwise.
    mapping, notes: how the columns were understood, and what was assumed, as an import tells it.
    rows: values read.
    """

    name: str
    status: str
    error: str = ""
    rows: int = 0
    mapping: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    counts: AppendResult | None = None

    @property
    def done(self) -> bool:
        """Whether the store has what the source held."""
        return self.status in ("stored", "unchanged")


@dataclass(frozen=True)
class SourceStatus:
    """A source, what became of its last pull, and when it is due (UTC without a zone; None: at once)."""

    source: SalesSource
    state: SourceState
    due: datetime | None


class Found(Protocol):
    """What a source holds now: a hash of it, and a way to read it."""

    @property
    def content(self) -> str: ...

    def read(self) -> Table: ...


def pull_due_sales(home: Path, now: datetime | None = None) -> list[SalesResult]:
    """Pull each source whose `every` has passed since its last attempt; one that fails does not stop the others.

    What became of each is in the result and in the state of the home. Raises ConfigError where groundswell.toml cannot
    be used at all.
    """
    moment = utc(now)
    return [pull_sales(home, one.source, now=now) for one in sales_status(home) if one.due is None or one.due <= moment]


def sales_status(home: Path) -> list[SourceStatus]:
    """Every source of groundswell.toml with what is known of it; raises ConfigError."""
    found = [(source, read_state(home, source.name)) for source in load_sales_sources(home)]
    return [
        SourceStatus(source, state, None if state.attempted is None else state.attempted + source.every)
        for source, state in found
    ]


def check_sales(home: Path, source: SalesSource, now: datetime | None = None) -> SalesResult:
    """Read a source and check all of it, as a pull does, but store nothing; `stored` means that it could be."""
    return _guarded(home, source, lambda place: _check(home, source, place, now))


def pull_sales(
    home: Path, source: SalesSource, *, now: datetime | None = None, again: bool = False, timeout: float = 60.0
) -> SalesResult:
    """Pull a source: read it, unless it is as it was, and hand it to the store; never raises for what a source does.

    What was stored last is read again at most once a day of the source's time zone, as a period that was running may be
    over; `again` reads it now, and forgets which files a folder had. `timeout`: seconds to wait for the store's owner.
    """
    moment = utc(now)
    with ExitStack() as stack:
        try:
            stack.enter_context(ingest_lock(_lock(home, source)))
        except StoreBusy as busy:
            return SalesResult(source.name, "waiting", f"{busy.owner} pulls it now")
        state = read_state(home, source.name)
        known = replace(state, content="", files=()) if again else state
        pull = _Pull(home, source, known, moment)
        result = _guarded(home, source, lambda place: pull.run(place, timeout))
        write_state(home, source.name, pull.after(result, state))
    return result


class _Pull:
    """One pull of a source, with what is to be known of it afterwards."""

    def __init__(self, home: Path, source: SalesSource, state: SourceState, now: datetime) -> None:
        self.home, self.source, self.state, self.now = home, source, state, now
        self.content, self.files = state.content, state.files

    def run(self, place: Address, timeout: float) -> SalesResult:
        found = _look(self.home, self.source, place)
        content = _fingerprint(self.source, found, self.now)
        if content == self.state.content:
            return SalesResult(self.source.name, "unchanged", rows=self.state.rows)
        files = tuple(found.marks) if isinstance(found, Listing) else ()
        notes = _vanished(self.source, self.state.files, files)
        prepared = _prepare(self.home, self.source, found, self.now)
        result = _store(self.home, self.source, prepared, timeout)
        if result.done:
            self.content, self.files = content, files
        return replace(result, notes=(*notes, *result.notes))

    def after(self, result: SalesResult, before: SourceState) -> SourceState:
        """What is known of the source after a pull that ended so; one that waits is due again at once."""
        state = replace(before, status=result.status, error=result.error, content=self.content, files=self.files)
        if result.status != "waiting":
            state = replace(state, attempted=self.now)
        if result.done:
            state = replace(state, succeeded=self.now, rows=result.rows)
        version = result.counts.data_version if result.counts else before.data_version
        return replace(state, data_version=version)


def _guarded(home: Path, source: SalesSource, pull: Callable[[Address], SalesResult]) -> SalesResult:
    """The result of a pull; whatever is raised becomes one sentence without secrets, so that other sources go on."""
    place = Address("")
    try:
        place = address(source, home)
        return pull(place)
    except NotSettled as waiting:
        return SalesResult(source.name, "waiting", str(waiting))
    except (ImportRefused, ConfigError, OSError) as error:
        return SalesResult(source.name, "failed", place.hide(_sentence(error)))
    except Exception as error:  # noqa: BLE001 - one source must not stop the others
        logger.error("%s: %s", source.name, place.hide("".join(traceback.format_exception(error))))
        return SalesResult(source.name, "failed", place.hide(_sentence(error)))


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check(home: Path, source: SalesSource, place: Address, now: datetime | None) -> SalesResult:
    prepared = _prepare(home, source, _look(home, source, place), utc(now))
    return SalesResult(source.name, "stored", "", prepared.rows, prepared.mapping, tuple(prepared.notes))


def _look(home: Path, source: SalesSource, place: Address) -> Found:
    seconds = source.timeout.total_seconds()
    if source.kind == "folder":
        folder, most = Path(place.text), source.max_megabytes
        return list_folder(folder, source.pattern, home, settle=source.settle, max_megabytes=most)
    if source.kind == "url":
        raw = home / "raw" / "sales" / source.name
        return land(place, raw, timeout=seconds, max_megabytes=source.max_megabytes)
    return run_query(place, source.query or "", source.name, home, Limits(seconds, source.max_rows))


def _fingerprint(source: SalesSource, found: Found, now: datetime) -> str:
    """A hash of what the source holds, how it is to be read, and the day: on the next one a period may be over."""
    day = utc_now(now).astimezone(zone(source.timezone)).date()
    return hashlib.sha256(repr((found.content, source.options, day)).encode()).hexdigest()


def _vanished(source: SalesSource, before: tuple[str, ...], files: tuple[str, ...]) -> list[str]:
    """A note about files that are gone; refused where their periods would be taken for days without sales."""
    gone = [name for name in before if name not in files]
    if not gone or not files:
        return []
    order = [name for name in before if name in files]
    between = [name for name in gone if order and before.index(name) > before.index(order[0])]
    if source.gaps == "zero" and between:
        raise ImportRefused(
            f"{between[0]} has vanished, and with gaps = 'zero' its periods would count as periods without sales",
            value=between[0], remedy="Put it back, set gaps = 'missing', or pull with --again if it is meant",
        )  # fmt: skip
    return [f"{counted(len(gone), 'file')} gone since the last pull ({gone[0]}); what was known stays known."]


def _prepare(home: Path, source: SalesSource, found: Found, now: datetime) -> Prepared:
    prepared = prepare_sales(found.read(), known_categories=known_categories(home), now=now, **source.options)
    return replace(prepared, batch=replace(prepared.batch, connector=f"sales/{source.name}"))


def _store(home: Path, source: SalesSource, prepared: Prepared, timeout: float) -> SalesResult:
    told = SalesResult(source.name, "stored", "", prepared.rows, prepared.mapping, tuple(prepared.notes))
    try:
        return replace(told, counts=submit(home, prepared.batch, timeout=timeout))
    except HandOverPending as pending:
        return replace(told, status="pending", error=str(pending))
    except PublishFailed as failed:
        return replace(told, counts=failed.result, error=str(failed))


def known_categories(home: Path) -> dict[str, str]:
    """The frequency of each category that the store holds; new rows must fit it."""
    try:
        frame = open_mended(home).categories()
    except (StoreEmpty, StoreBusy):  # the first import; or the owner is about to mend a damaged snapshot
        return {}
    return dict(zip(frame["category"], frame["frequency"], strict=True))


def _lock(home: Path, source: SalesSource) -> Path:
    folder = home / "state"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"sales-{source.name}.lock"
