"""Readers: a published snapshot as of a moment and a data version. Nothing here writes, waits or locks out anybody."""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import numpy as np
import pandas as pd

from signals import schema
from signals.home import Home, utc
from signals.merge import latest
from signals.publish import current_name, published_version, version_of
from signals.sql import literal, run
from signals.trouble import StoreDamaged, damaged_snapshot, is_damage

_EVER = datetime(9999, 1, 1)
_VALUE_COLUMNS = '"start", "end", {value}, known_at, known_basis'


class StoreEmpty(LookupError):
    """Nothing was published in this home yet."""


class UnknownCategory(LookupError):
    """No such category; `near` holds names that look like it."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        self.name, self.near = name, list(near)
        super().__init__(_unknown("category", name, self.near))


class UnknownSignal(LookupError):
    """No such signal; `near` holds names that look like it."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        self.name, self.near = name, list(near)
        super().__init__(_unknown("signal", name, self.near))


class VersionNotPublished(LookupError):
    """A data version was asked for that this snapshot does not reach."""


@dataclass(frozen=True)
class CategoryRecord:
    """One category and the extent of its sales; `start` and `end` are None while it has none."""

    category: str
    frequency: str
    unit: str | None
    timezone: str
    calendar: str | None
    parent: str | None
    attributes: str | None
    periods: int
    start: pd.Timestamp | None
    end: pd.Timestamp | None


class _View:
    """One attached snapshot file. It closes by itself when the last read that uses it has ended."""

    def __init__(self, home: Home, name: str) -> None:
        self.home, self.version, self.damaged = home, version_of(name), False
        config: dict[str, str | bool | int | float | list[str]] = {"threads": 2, "memory_limit": "1GB"}
        self.connection = duckdb.connect(":memory:", config=config)
        with self._telling():
            run(self.connection, f"ATTACH {literal(home.snapshots / name)} AS snap (READ_ONLY)")
            found = schema.version_of(self.connection, "snap")
        if found == 0:
            raise damaged_snapshot(home, f"{name} is empty")
        schema.check(found)
        if found < len(schema.STEPS):
            raise schema.SchemaMismatch(
                f"the published snapshot has schema version {found} and this program reads {len(schema.STEPS)}: "
                "open the store once with this program (any import, or serve) to publish it anew"
            )

    def frame(self, sql: str, parameters: Sequence[object] = ()) -> pd.DataFrame:
        with self._telling(), self.connection.cursor() as cursor:
            frame = cursor.execute(sql, parameters).df()
        # A column without a single text comes as object: one dtype for text, whatever the data.
        textless = [name for name, dtype in frame.dtypes.items() if isinstance(dtype, np.dtype) and dtype.kind == "O"]
        return frame.astype(dict.fromkeys(textless, "str")) if textless else frame

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._telling(), self.connection.cursor() as cursor:
            return run(cursor, sql, parameters)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Damage shows only when a block is read, and by many errors: all of them become StoreDamaged."""
        try:
            yield
        except duckdb.Error as error:
            if not is_damage(error):
                raise
            self.damaged = True
            raise damaged_snapshot(self.home, str(error)) from error


def _open_current(home: Home) -> _View:
    while True:
        # In this order: a first publication at the same time must not look like damage.
        named, any_left = home.current.exists(), any(home.snapshots.glob("snap-*.duckdb"))
        any_left = any_left and not home.first.exists()
        name = current_name(home)
        if name is None:
            _refuse_nameless(home, named=named, any_left=any_left)
        try:
            return _View(home, name)
        except StoreDamaged:
            # Since the name was read, three newer ones may have been published and this one deleted.
            if current_name(home) == name:
                raise


def _refuse_nameless(home: Home, *, named: bool, any_left: bool) -> NoReturn:
    if named:
        raise damaged_snapshot(home, f"{home.current.name} names no snapshot")
    if home.database.exists() and any_left:
        raise damaged_snapshot(home, f"{home.current.name} is missing")
    raise StoreEmpty(
        f"nothing is stored in {home.path} yet: import sales first (groundswell import sales FILE), "
        "or name the right folder with --home"
    )


class Snapshot:
    """The newest published state of a home at the time of opening or of the last `refresh`; safe for many threads.

    Reads take `as_of` (what was known by then; naive means UTC; default: everything) and `data_version` (what was
    stored by then; default: all of this snapshot). To answer one request from one state while another thread
    refreshes, take `data_version` once and pass it to every read.
    """

    def __init__(self, home: Path) -> None:
        self._home = Home(Path(home))
        self._refreshing = threading.Lock()
        self._view = _open_current(self._home)

    @property
    def data_version(self) -> int:
        """The data version of this snapshot."""
        return self._view.version

    def refresh(self) -> bool:
        """Move to the newest published snapshot; True if it was a newer one. Reads under way finish on the old one.

        One that turned out damaged is opened anew, for it may have been published afresh under the same name. A CURRENT
        that names nothing is no reason to leave a sound snapshot: whoever publishes next mends it.
        """
        if not self._view.damaged and published_version(self._home) <= self._view.version:
            return False
        with self._refreshing:
            view = _open_current(self._home)
            moved = view.version > self._view.version
            if moved or self._view.damaged:
                self._view = view
            return moved

    def categories(self, data_version: int | None = None) -> pd.DataFrame:
        """All categories by name, their metadata as of a data version, one row each.

        Columns: category, frequency, unit, timezone, calendar, parent, attributes (JSON), periods, start, end.
        """
        view = self._view
        return view.frame(f"{_categories('TRUE')} ORDER BY category", [_bounded(view, data_version)])

    def names(self) -> list[str]:
        """The categories that can be forecast, by name: all but totals of others that have no sales of their own."""
        frame = self.categories()
        bare = (frame["periods"] == 0) & frame["category"].isin(frame["parent"].dropna())
        return [str(name) for name in frame["category"][~bare]]

    def category(self, name: str, data_version: int | None = None) -> CategoryRecord:
        """One category, its metadata as of a data version; raises UnknownCategory."""
        view = self._view
        rows = view.rows(_categories("category = ?"), [name, _bounded(view, data_version)])
        if not rows:
            raise _unknown_category(view, name)
        values: list[Any] = [pd.Timestamp(v) if isinstance(v, datetime) else v for v in rows[0]]
        return CategoryRecord(*values)

    def sales(
        self,
        category: str,
        as_of: datetime | None = None,
        data_version: int | None = None,
        vintages: bool = False,
    ) -> pd.DataFrame:
        """Sales of one category in order of periods: start, end, quantity, known_at, known_basis.

        Without `vintages` the latest version of each period, withdrawn periods left out; with it every version,
        a withdrawal as a missing quantity; of those known at the same moment the one that was recorded last.
        Raises UnknownCategory, VersionNotPublished.
        """
        view = self._view
        seen = "SELECT * FROM snap.sales WHERE category = ? AND known_at <= ? AND recorded <= ?"
        columns = _VALUE_COLUMNS.format(value="quantity")
        if vintages:
            sql = f"SELECT {columns} FROM ({_newest(seen, 'start, known_at')}) ORDER BY start, known_at"
        else:
            sql = f"SELECT {columns} FROM ({_newest(seen, 'start')}) WHERE quantity IS NOT NULL ORDER BY start"
        frame = view.frame(sql, [category, _moment(as_of), _bounded(view, data_version)])
        if frame.empty and not view.rows("SELECT 1 FROM snap.category WHERE category = ? LIMIT 1", [category]):
            raise _unknown_category(view, category)
        return frame

    def sold_since(
        self, data_version: int, as_of: datetime, until: datetime | None = None, until_version: int | None = None
    ) -> list[str]:
        """The categories, by name, whose sales as of `until` and `until_version` may differ from those before.

        That is from those that were stored by `data_version` and known, of periods that were over, by `as_of`.
        """
        view = self._view
        rows = view.rows(
            """SELECT DISTINCT category FROM snap.sales WHERE known_at <= ? AND recorded <= ?
               AND (recorded > ? OR known_at > ? OR "end" > ?) ORDER BY category""",
            [_moment(until), _bounded(view, until_version), data_version, as_of, as_of],
        )
        return [str(name) for (name,) in rows]

    def signals(self, data_version: int | None = None) -> pd.DataFrame:
        """All signals by name with their metadata as of a data version, and the extent of their data.

        Columns: signal, source, name, region, unit, cadence, aggregation, scale, publication_lag (timedelta),
        future_known, licence, attributes (JSON), first, last (starts of periods), observations, last_known_at.
        """
        view = self._view
        seen = latest("snap.signal WHERE recorded <= ?", "signal")
        return view.frame(
            f"""SELECT m.* EXCLUDE (recorded, batch), first, last, coalesce(observations, 0) AS observations,
                       last_known_at
                FROM {seen} m LEFT JOIN snap.signal_summary USING (signal) ORDER BY signal""",
            [_bounded(view, data_version)],
        )

    def cursors(self, data_version: int | None = None) -> dict[str, pd.Timestamp]:
        """Through which moment (UTC) each pulled signal's source had been read, by signal, as of a data version."""
        view = self._view
        seen = latest("snap.cursor WHERE recorded <= ?", "signal")
        rows = view.rows(f"SELECT signal, through FROM {seen}", [_bounded(view, data_version)])
        return {str(signal): pd.Timestamp(through) for signal, through in rows}

    def candidates(self, category: str, data_version: int | None = None) -> list[str]:
        """The signals that may serve a category, by name: its own and those for every category."""
        view = self._view
        rows = view.rows(
            "SELECT DISTINCT signal FROM snap.candidate WHERE category IN (?, '*') AND recorded <= ? ORDER BY signal",
            [category, _bounded(view, data_version)],
        )
        if not rows:
            self.category(category)
        return [str(name) for (name,) in rows]

    def events(self, as_of: datetime | None = None, data_version: int | None = None) -> pd.DataFrame:
        """All decisions on events in the order in which they were taken, those that were reversed too.

        Columns: category, kind, start, end, decision, author, reason, evidence (JSON), known_at.
        Raises VersionNotPublished.
        """
        view = self._view
        return view.frame(
            "SELECT * EXCLUDE (recorded, batch) FROM snap.event WHERE known_at <= ? AND recorded <= ?"
            " ORDER BY known_at, recorded",
            [_moment(as_of), _bounded(view, data_version)],
        )

    def served_by(self, signals: Sequence[str]) -> list[tuple[str, str]]:
        """Each of these signals with each category that it may serve; `*` is every category."""
        rows = self._view.rows(
            "SELECT DISTINCT signal, category FROM snap.candidate WHERE signal IN (SELECT unnest(?)) ORDER BY ALL",
            [list(signals)],
        )
        return [(str(signal), str(category)) for signal, category in rows]

    def observations(
        self,
        signals: Sequence[str],
        as_of: datetime | None = None,
        data_version: int | None = None,
        vintages: bool = False,
    ) -> pd.DataFrame:
        """Values of signals, by signal and period: signal, start, end, value, known_at, known_basis.

        As `sales`, without periods that were still running. A signal whose scale is 'window' is rescaled as a whole
        with each pull: one window is read, the newest that was pulled by `as_of`, else the oldest, as a backfill is.
        Raises UnknownSignal, VersionNotPublished.
        """
        view = self._view
        version = _bounded(view, data_version)
        marks = ", ".join("?" for _ in signals) or "NULL"
        seen = f"SELECT * FROM snap.observation WHERE signal IN ({marks}) AND known_at <= ? AND recorded <= ?"
        pulled = """coalesce(max("window") FILTER ("window" <= ?), min("window"))"""
        windows = f"""SELECT signal, {pulled} AS chosen FROM ({seen})
                      SEMI JOIN (SELECT signal FROM {latest("snap.signal WHERE recorded <= ?", "signal")}
                                 WHERE scale = 'window') USING (signal) GROUP BY signal"""
        whole = f"""SELECT o.* FROM ({seen}) o LEFT JOIN ({windows}) USING (signal)
                    WHERE chosen IS NULL OR "window" = chosen"""
        columns = "signal, " + _VALUE_COLUMNS.format(value="value")
        if vintages:
            rows = f"({_newest(whole, 'signal, start, known_at')}) WHERE is_partial IS NOT TRUE"
            sql = f"SELECT {columns} FROM {rows} ORDER BY signal, start, known_at"
        else:
            newest = f"({_newest(whole, 'signal, start')}) WHERE value IS NOT NULL AND is_partial IS NOT TRUE"
            sql = f"SELECT {columns} FROM {newest} ORDER BY signal, start"
        moment = _moment(as_of)
        bounds = [*signals, moment, version]
        frame = view.frame(sql, [*bounds, window_label(moment), *bounds, version])
        if len(found := set(frame["signal"].unique())) < len(set(signals)):
            _refuse_unknown(view, [name for name in signals if name not in found])
        return frame


def window_label(moment: datetime) -> str:
    """The name of a window that was pulled at a moment (UTC); names sort by time."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def open_snapshot(home: Path) -> Snapshot:
    """The newest published snapshot of a home; raises StoreEmpty before the first import, and StoreDamaged."""
    return Snapshot(home)


def _categories(where: str) -> str:
    seen = latest(f"snap.category WHERE {where} AND recorded <= ?", "category")
    return f"""SELECT m.category, frequency, unit, timezone, calendar, parent, attributes,
                      coalesce(periods, 0) AS periods, "start", "end"
               FROM {seen} m LEFT JOIN snap.category_summary USING (category)"""


def _newest(seen: str, key: str) -> str:
    """SQL: of the rows `seen`, the latest version of each period, as a whole row.

    The row is packed into a struct, which is never NULL: so a version that withdraws the value wins like any other,
    where arg_max of the value itself would skip it and bring the withdrawn value back.
    """
    return f"""SELECT unnest(version) FROM (
                   SELECT arg_max(seen, (known_at, recorded)) AS version FROM ({seen}) seen GROUP BY {key})"""


def _moment(as_of: datetime | None) -> datetime:
    return _EVER if as_of is None else utc(as_of)


def _bounded(view: _View, data_version: int | None) -> int:
    if data_version is None:
        return view.version
    if not 0 <= data_version <= view.version:
        raise VersionNotPublished(
            f"data_version {data_version} was asked for; this snapshot holds versions 0 to {view.version}: "
            "refresh() the snapshot, or ask for an earlier version"
        )
    return data_version


def _unknown_category(view: _View, name: str) -> UnknownCategory:
    return UnknownCategory(name, _near(view, "category", name))


def _refuse_unknown(view: _View, names: Sequence[str]) -> None:
    for name in names:
        if not view.rows("SELECT 1 FROM snap.signal WHERE signal = ? LIMIT 1", [name]):
            raise UnknownSignal(name, _near(view, "signal", name))


def _near(view: _View, kind: str, name: str) -> list[str]:
    names = [str(row[0]) for row in view.rows(f"SELECT DISTINCT {kind} FROM snap.{kind} ORDER BY 1")]
    folded, wanted = {known.casefold(): known for known in names}, name.casefold().strip()
    holding = sorted((known for known in folded if wanted in known), key=len) if len(wanted) > 2 else []
    alike = difflib.get_close_matches(wanted, folded, n=3)
    return [folded[match] for match in dict.fromkeys([*holding, *alike])][:3]


def _unknown(kind: str, name: str, near: Sequence[str]) -> str:
    hint = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else f"groundswell {_PLURAL[kind]} lists them"
    return f"no {kind} is called {name!r}; {hint}"


_PLURAL = {"category": "categories", "signal": "signals"}
