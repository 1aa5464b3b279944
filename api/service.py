"""Joins the store and the forecaster: what the REST API, the command line, reports and notebooks call."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import pandas as pd

from api.decisions import in_force
from api.gaps import assumed, gap_of, without
from api.likeness import NOTHING_SAID, Said, has_kin, kin_of, phases_of
from api.moments import CLOCKS_DIFFER, parse, told
from api.unsold import NothingKnownError, nothing_known, record_of
from forecast import (
    Backtest,
    Configuration,
    Event,
    Forecast,
    HistoryError,
    OptionError,
    Phases,
    backtest,
    forecast,
    forecast_like,
)
from forecast.engines import Wanted
from forecast.like import BORROWING, is_short, known_periods
from signals.store import CategoryRecord, Snapshot

AsOf = str | dt.date | dt.datetime | None  # pd.Timestamp is a datetime; without an offset it is UTC
NOT_BORROWED = "like: nothing is borrowed, for the history is as long as a season"
MAX_NOWCAST_DAYS = 92  # one quarter: the longest period that can be missing while sales still arrive on time


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What one forecast of a category needs, read from one snapshot."""

    record: CategoryRecord
    history: pd.DataFrame  # ds, y, known_at: every vintage
    signals: pd.DataFrame | None  # signal, start, end, value, known_at, future_known, aggregation: every vintage
    horizon: int  # with the periods between the last known sale and the origin
    as_of: dt.datetime | None  # UTC, naive; None: all that is known
    warnings: tuple[str, ...]
    events: tuple[Event, ...] = ()  # that a person had accepted by then
    phases: Phases = dataclasses.field(default_factory=Phases)  # where there are any, the history is at full level
    like: Mapping[str, Inputs] = dataclasses.field(default_factory=dict)  # those that a short history borrows from
    because: str = ""  # it is like these


def forecast_category(
    snapshot: Snapshot,
    category: str,
    horizon: int,
    *,
    as_of: AsOf = None,
    data_version: int | None = None,
    engine: str | Configuration = "fast",
    deadline_ms: float | None = None,
    levels: Sequence[int] = (80, 95),
    from_origin: bool = False,
    max_nowcast_days: int = MAX_NOWCAST_DAYS,
    events: bool = True,
    said: Said = NOTHING_SAID,
) -> Forecast:
    """Forecast one category of the store from its sales and its candidate signals.

    One with a short history, or none, borrows from those that it is like; `said` may name them (see `read_related`).

    `horizon` counts from the last complete known period; with `from_origin` it counts from the moment of
    forecasting (`as_of`, else now), and the periods that were over by then come before it as nowcasts. A gap of
    more than `max_nowcast_days` is not filled: a warning says so, and the horizon counts from the last known period.
    Events that a person had accepted by then are taken out of the sales, unless `events` is false.

    Raises:
        UnknownCategory: the store has no such category.
        ForecastError: an argument or the history does not allow a forecast.
    """
    inputs = read_related(
        snapshot,
        category,
        horizon,
        said,
        as_of=as_of,
        data_version=data_version,
        from_origin=from_origin,
        max_nowcast_days=max_nowcast_days,
        events=events,
    )
    return run(inputs, Wanted(engine, deadline_ms), levels=levels)


def backtest_category(
    snapshot: Snapshot,
    category: str,
    horizon: int,
    *,
    origins: int | None = None,
    as_of: AsOf = None,
    data_version: int | None = None,
    engine: str | Configuration = "fast",
    levels: Sequence[int] = (80, 95),
) -> Backtest:
    """Backtest one category of the store over rolling origins, each from what was known there.

    Raises:
        UnknownCategory: the store has no such category.
        ForecastError: an argument or the history does not allow a backtest.
    """
    inputs = read_inputs(snapshot, category, horizon, as_of=as_of, data_version=data_version)
    return backtest(
        inputs.history,
        horizon,
        origins=origins,
        signals=inputs.signals,
        engine=engine,
        levels=tuple(levels),
        frequency=inputs.record.frequency,
        as_of=None if inputs.as_of is None else pd.Timestamp(inputs.as_of),
        calendar=inputs.record.calendar,
        events=inputs.events,
    )


def as_answer(result: Forecast, data_version: int | None) -> dict[str, Any]:
    """The JSON of a forecast with the version of the store that was read (None: an inline history)."""
    rest = result.to_dict()
    head = {name: rest.pop(name) for name in ("category", "unit", "frequency", "as_of")}
    return head | {"data_version": data_version} | rest


def run(inputs: Inputs, wanted: Wanted, *, levels: Sequence[int] = (80, 95)) -> Forecast:
    """Forecast from what was read by the engine wanted; a short history by those that it is like, where that may be."""
    record = inputs.record
    options: dict[str, Any] = {
        "levels": tuple(levels),
        "frequency": record.frequency,
        "as_of": None if inputs.as_of is None else pd.Timestamp(inputs.as_of),
        "calendar": record.calendar,
        "category": record.category,
        "unit": record.unit,
    }
    result, warnings = None, list(inputs.warnings)
    if inputs.like and wanted.name in BORROWING:
        try:
            result = _borrowed(inputs, options)
        except HistoryError as error:
            if error.field != "like" or inputs.history.empty:
                raise
            warnings.append(error.value)  # why not from any of them: it is left to its own history
    elif inputs.history.empty:
        raise OptionError("engine", wanted.name, f"one of {', '.join(BORROWING)} for a category without sales")
    if result is None:
        result = forecast(
            inputs.history,
            inputs.horizon,
            signals=inputs.signals,
            engine=wanted.asked,
            deadline_ms=wanted.deadline_ms,
            members=wanted.members,
            events=inputs.events,
            **options,
        )
    if inputs.phases:
        result = inputs.phases.applied(result)
    return dataclasses.replace(result, warnings=[*warnings, *result.warnings])


def _borrowed(inputs: Inputs, options: dict[str, Any]) -> Forecast:
    result = forecast_like(
        inputs.history,
        inputs.horizon,
        {name: one.history for name, one in inputs.like.items()},
        signals={name: one.signals for name, one in inputs.like.items()},
        **options,
    )
    reason = f"{inputs.because}; {result.engine.reason}"
    return dataclasses.replace(result, engine=dataclasses.replace(result.engine, reason=reason))


def read_related(
    snapshot: Snapshot,
    category: str,
    horizon: int,
    said: Said = NOTHING_SAID,
    *,
    as_of: AsOf = None,
    data_version: int | None = None,
    from_origin: bool = False,
    max_nowcast_days: int = MAX_NOWCAST_DAYS,
    events: bool = True,
    now: dt.datetime | None = None,
) -> Inputs:
    """As `read_inputs`, at full level where the category begins or ends, and with those that a short history is like.

    Without any sale the horizon counts from the newest period that is known of these.
    """
    version = snapshot.data_version if data_version is None else data_version
    record = record_of(snapshot, category, version)
    read = partial(
        read_inputs,
        snapshot,
        horizon=horizon,
        as_of=as_of,
        data_version=version,
        from_origin=from_origin,
        max_nowcast_days=max_nowcast_days,
        events=events,
        now=now,
    )
    phases = phases_of(record, said)
    if said.like:
        kin_of(snapshot, record, said, version)  # who is named must be there, also where nothing is borrowed
    try:
        own = read(category)
    except NothingKnownError:
        kin = kin_of(snapshot, record, said, version)
        like, notes = _known(read, kin.names)
        if not like:
            raise
        own = dataclasses.replace(_unsold(like), record=record, like=like, because=kin.because, warnings=notes)
    if phases:
        own = dataclasses.replace(own, phases=phases, history=phases.at_full_level(own.history, record.frequency))
    if own.like or not has_kin(record, said):
        return own
    moment = None if own.as_of is None else pd.Timestamp(own.as_of)
    known = known_periods(own.history, record.frequency, moment)
    if not is_short(known, record.frequency):
        return dataclasses.replace(own, warnings=(*own.warnings, NOT_BORROWED)) if said.like else own
    kin = kin_of(snapshot, record, said, version)
    like, notes = _known(read, kin.names)
    if like and not known:
        newest = _unsold(like)
        own = dataclasses.replace(own, horizon=newest.horizon, as_of=newest.as_of)
    return dataclasses.replace(own, like=like, because=kin.because, warnings=(*own.warnings, *notes))


def _known(read: Callable[[str], Inputs], names: Sequence[str]) -> tuple[dict[str, Inputs], tuple[str, ...]]:
    """What is known of those that a category is like, and of whom nothing is."""
    found = {}
    for name in names:
        with suppress(NothingKnownError):
            found[name] = read(name)
    return found, tuple(f"nothing is borrowed from {name}: it has no sales" for name in names if name not in found)


def _unsold(like: Mapping[str, Inputs]) -> Inputs:
    """The newest of those that a category is like, without its sales: from there on the category is forecast."""
    newest = min(like.values(), key=lambda one: one.horizon)
    return dataclasses.replace(newest, history=newest.history.iloc[:0], signals=None, warnings=())


def read_inputs(
    snapshot: Snapshot,
    category: str,
    horizon: int,
    *,
    as_of: AsOf = None,
    data_version: int | None = None,
    from_origin: bool = False,
    max_nowcast_days: int = MAX_NOWCAST_DAYS,
    events: bool = True,
    now: dt.datetime | None = None,
) -> Inputs:
    """Read what a forecast of one category needs (see `forecast_category`).

    `now`, UTC without a zone, is the moment of forecasting where no `as_of` was asked for; default: the clock.
    """
    version = snapshot.data_version if data_version is None else data_version  # one state for all reads
    record = record_of(snapshot, category, version)
    moment = moment_of(as_of) or now or _now()
    sales = snapshot.sales(category, moment, version, vintages=True)
    if sales.empty:
        raise nothing_known(snapshot, category, moment, version)
    observations = _observations(snapshot, category, moment, version)
    accepted = in_force(snapshot, category, moment, version) if events else ()
    gap = gap_of(without(sales, accepted), record, moment)
    stale = gap.days > max_nowcast_days
    return Inputs(
        record=record,
        history=_labelled(sales, record.frequency),
        signals=_declared(snapshot, observations, version),
        horizon=horizon + (gap.periods if from_origin and not stale else 0),
        # Sales that ended long ago are forecast from where they end: counted from today, every period would be over.
        as_of=None if stale and as_of is None else moment,
        warnings=(*([gap.warning(max_nowcast_days)] if stale else []), *assumed(sales, observations)),
        events=accepted,
    )


def history_frame(
    snapshot: Snapshot, category: str, *, as_of: AsOf = None, data_version: int | None = None
) -> pd.DataFrame:
    """Sales of one category as `forecast()` takes them: `ds, y, known_at`, one row a vintage."""
    sales = snapshot.sales(category, moment_of(as_of), data_version, vintages=True)
    return _labelled(sales, snapshot.category(category, data_version).frequency)


def signals_frame(
    snapshot: Snapshot, category: str, *, as_of: AsOf = None, data_version: int | None = None
) -> pd.DataFrame | None:
    """The candidate signals of one category as `forecast()` takes them, or None when there is none.

    One row a vintage: `signal, start, end, value, known_at, future_known, aggregation`; periods are half-open.
    """
    return _declared(snapshot, _observations(snapshot, category, moment_of(as_of), data_version), data_version)


def _observations(
    snapshot: Snapshot, category: str, as_of: dt.datetime | None, data_version: int | None
) -> pd.DataFrame | None:
    names = snapshot.candidates(category, data_version)
    return snapshot.observations(names, as_of, data_version, vintages=True) if names else None


def _declared(snapshot: Snapshot, observations: pd.DataFrame | None, data_version: int | None) -> pd.DataFrame | None:
    """Observations with what their signals declare."""
    if observations is None:
        return None
    version = snapshot.data_version if data_version is None else data_version
    names, (future_known, aggregation) = observations["signal"], _declarations(snapshot, version)
    frame = observations[["signal", "start", "end", "value", "known_at"]]
    return frame.assign(future_known=names.map(future_known).astype(bool), aggregation=names.map(aggregation))


@lru_cache(maxsize=4)
def _declarations(snapshot: Snapshot, data_version: int) -> tuple[dict[str, bool], dict[str, str]]:
    """By signal: known ahead, and how it is aggregated. Cached, for what a data version holds never changes."""
    frame = snapshot.signals(data_version)
    return (
        dict(zip(frame["signal"], frame["future_known"], strict=True)),
        dict(zip(frame["signal"], frame["aggregation"], strict=True)),
    )


def _labelled(sales: pd.DataFrame, frequency: str) -> pd.DataFrame:
    """The label `ds` of each span: a week's last day, else the first day."""
    weekly = frequency.startswith("W-")
    ds = sales["end"] - pd.Timedelta(days=1) if weekly else sales["start"]
    return pd.DataFrame({"ds": ds, "y": sales["quantity"], "known_at": sales["known_at"]})


def moment_of(as_of: AsOf) -> dt.datetime | None:
    """The moment that a caller named, as the store speaks: UTC without a zone; None where none was named.

    Raises:
        OptionError: it is no moment, or has not come yet.
    """
    if as_of is None:
        return None
    moment = _naive_utc(as_of)
    if moment is None:
        raise OptionError("as_of", as_of, "a moment such as 2026-03-01 or 2026-03-01T06:00:00Z")
    if moment > _now() + CLOCKS_DIFFER:
        raise OptionError("as_of", told(moment), f"a moment that has come, at the latest now, {told(_now())}")
    return moment


def _naive_utc(as_of: object) -> dt.datetime | None:
    try:
        if isinstance(as_of, str):
            return parse(as_of).replace(tzinfo=None)
        if not isinstance(as_of, dt.date):  # a datetime is a date, a number is none
            return None
        moment = pd.Timestamp(as_of)
        moment = moment if moment.tzinfo is None else moment.tz_convert(None)
        return None if pd.isna(moment) else moment.floor("us").to_pydatetime()
    except (ValueError, OverflowError):
        return None


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
