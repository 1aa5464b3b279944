"""What one import or one pull hands over to the store, and the check that every frame of it must pass."""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from signals.names import name_problem


class BatchRefused(ValueError):
    """A batch that the store does not take. Nothing of it was stored; the message says what to change."""


@dataclass(frozen=True)
class Batch:
    """Rows that belong together: they are stored all or not at all.

    Moments are datetime64 without a zone: `start` and `end` local dates of a half-open period, `known_at` UTC or NaT,
    which lets the store decide: a period's first version became known at its end + `lag`, a changed one now.
    A missing quantity or value withdraws what was known. Metadata left missing keeps what the store already knows.
    `events` are decisions of a person on what happened in some periods, made at the batch's `now`.
    `cursors` say through which moment (UTC) the source of a signal has been read.
    `reread`: what a mended parser makes of a payload that was landed at the batch's `now`. An undated row is then dated
    as if nothing else were known of its period, a row dated `now` was observed; either replaces what was recorded for
    its very moment.
    """

    connector: str
    sales: pd.DataFrame | None = None
    categories: pd.DataFrame | None = None
    signals: pd.DataFrame | None = None
    observations: pd.DataFrame | None = None
    candidates: pd.DataFrame | None = None
    events: pd.DataFrame | None = None
    cursors: pd.DataFrame | None = None
    payload_sha: str = ""
    lag: timedelta = timedelta(0)
    reread: bool = False

    def __post_init__(self) -> None:
        # The log of the store keeps these two of every batch, of a refused one too.
        for field in ("connector", "payload_sha"):
            if not getattr(self, field).isprintable():
                raise BatchRefused(f"{field} is {getattr(self, field)!r}: it must be one line of text")


@dataclass(frozen=True)
class AppendResult:
    """What the store made of a batch. The counts are of values: sales and observations, not of metadata.

    `data_version` is the first version that contains the batch; a batch that changed nothing gets the present one.
    """

    batch: str
    data_version: int
    inserted: int
    unchanged: int
    withdrawn: int


@dataclass(frozen=True)
class _Kind:
    arrow: pa.DataType
    convert: Callable[[pd.Series], pd.Series]
    words: str


@dataclass(frozen=True)
class _Column:
    name: str
    kind: _Kind
    needed: bool = False  # the column must be there
    filled: bool = False  # and no value may be missing
    missing: str | None = None  # what a missing value becomes


def _text(values: pd.Series) -> pd.Series:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if pd.api.types.infer_dtype(values, skipna=True) not in ("string", "empty"):
        raise TypeError
    return values.astype("str")


def _moment(values: pd.Series) -> pd.Series:
    if not pd.api.types.is_datetime64_dtype(values) and values.notna().any():
        raise TypeError
    return values.astype("datetime64[us]")


def _number(values: pd.Series) -> pd.Series:
    if pd.api.types.is_bool_dtype(values) or not (pd.api.types.is_numeric_dtype(values) or values.isna().all()):
        raise TypeError
    return values.astype("float64")


def _flag(values: pd.Series) -> pd.Series:
    if not pd.api.types.is_bool_dtype(values.dropna().infer_objects()) and values.notna().any():
        raise TypeError
    return values.astype("boolean")


def _span(values: pd.Series) -> pd.Series:
    if not pd.api.types.is_timedelta64_dtype(values) and values.notna().any():
        raise TypeError
    return values.astype("timedelta64[us]")


TEXT = _Kind(pa.large_string(), _text, "text")
MOMENT = _Kind(pa.timestamp("us"), _moment, "datetime64 without a time zone")
NUMBER = _Kind(pa.float64(), _number, "numbers")
FLAG = _Kind(pa.bool_(), _flag, "true or false")
SPAN = _Kind(pa.duration("us"), _span, "timedelta64")

DECISIONS = ("accepted", "refused")
_NAMES = ("category", "signal")
_PERIOD = (_Column("start", MOMENT, True, True), _Column("end", MOMENT, True, True))
COLUMNS: dict[str, tuple[_Column, ...]] = {
    "categories": (
        _Column("category", TEXT, True, True),
        *(_Column(n, TEXT) for n in ("frequency", "unit", "timezone", "calendar", "parent", "attributes")),
    ),
    "signals": (
        _Column("signal", TEXT, True, True),
        *(_Column(n, TEXT) for n in ("source", "name", "region", "unit", "cadence", "aggregation", "scale")),
        _Column("publication_lag", SPAN),
        _Column("future_known", FLAG),
        _Column("licence", TEXT),
        _Column("attributes", TEXT),
    ),
    "candidates": (_Column("category", TEXT, True, True), _Column("signal", TEXT, True, True)),
    "sales": (
        _Column("category", TEXT, True, True),
        *_PERIOD,
        _Column("quantity", NUMBER, True),
        _Column("known_at", MOMENT),
        _Column("source", TEXT),
    ),
    "observations": (
        _Column("signal", TEXT, True, True),
        *_PERIOD,
        _Column("value", NUMBER, True),
        _Column("known_at", MOMENT),
        _Column("window", TEXT, missing=""),
        _Column("is_partial", FLAG),
    ),
    "events": (
        _Column("category", TEXT, True, True),
        _Column("kind", TEXT, True, True),
        *_PERIOD,
        *(_Column(n, TEXT, True, True) for n in ("decision", "author")),
        _Column("reason", TEXT),
        _Column("evidence", TEXT),
    ),
    "cursors": (_Column("signal", TEXT, True, True), _Column("through", MOMENT, True, True)),
}


def to_arrow(batch: Batch, now: datetime) -> dict[str, pa.Table]:
    """The batch's frames as Arrow tables of fixed columns and types, checked; raises BatchRefused."""
    if not batch.connector:
        raise BatchRefused("the batch names no connector: give the name of the import or source that made it")
    if batch.lag < timedelta(0):
        raise BatchRefused(f"lag is {batch.lag}: nothing is known before its period ends; give 0 or more")
    tables = {}
    for table in COLUMNS:
        frame: pd.DataFrame | None = getattr(batch, table)
        if frame is not None and len(frame):
            tables[table] = _table(table, frame, now)
    return tables


def _table(table: str, frame: pd.DataFrame, now: datetime) -> pa.Table:
    columns = COLUMNS[table]
    _check_names(table, frame, columns)
    checked = pd.DataFrame({c.name: _converted(table, frame, c) for c in columns})
    for column in columns:
        if column.filled:
            empty = checked[column.name].isna()
            if column.kind is TEXT:
                empty |= checked[column.name] == ""
            _refuse_where(empty, table, frame, column.name, "every row needs one")
    _check_texts(table, checked, frame)
    for name in ("quantity", "value"):
        if name in checked:
            _refuse_where(np.isinf(checked[name]), table, frame, name, "it must be a finite number, or missing")
    if "end" in checked:
        remedy = "a period ends after it starts: end is the first day that no longer belongs to it"
        _refuse_where(checked["end"] <= checked["start"], table, frame, "end", remedy)
    if "known_at" in checked:
        remedy = f"it lies in the future (now is {now} UTC): give UTC, or leave it out"
        _refuse_where(checked["known_at"] > pd.Timestamp(now), table, frame, "known_at", remedy)
    _check_kinds_of_text(table, checked, frame)
    schema = pa.schema([(c.name, c.kind.arrow) for c in columns])
    return pa.Table.from_pandas(checked, schema=schema, preserve_index=False)


def _check_kinds_of_text(table: str, checked: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Texts that hold JSON, or one of a few words."""
    for name in ("attributes", "evidence"):
        if name in checked:
            broken = ~checked[name].map(_is_json).astype(bool)
            _refuse_where(broken, table, frame, name, "it must be a JSON object")
    if "decision" in checked:
        unknown = ~checked["decision"].isin(DECISIONS)
        _refuse_where(unknown, table, frame, "decision", f"it must be one of {', '.join(DECISIONS)}")


def _check_texts(table: str, checked: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Names that nothing could use later are refused, and texts that other programs would cut off at a NUL byte."""
    for column in COLUMNS[table]:
        if column.kind is not TEXT or column.name not in frame:
            continue
        distinct = [str(value) for value in checked[column.name].dropna().unique()]
        kind = "candidate" if table == "candidates" and column.name == "category" else column.name
        for text in distinct:
            problem = name_problem(kind, text) if column.name in _NAMES else _text_problem(text)
            if problem is not None:
                _refuse_where(checked[column.name] == text, table, frame, column.name, ": ".join(problem))


def _text_problem(text: str) -> tuple[str, str] | None:
    return ("the text holds a NUL byte", "take it out") if "\0" in text else None


def _check_names(table: str, frame: pd.DataFrame, columns: tuple[_Column, ...]) -> None:
    names = [c.name for c in columns]
    for column in columns:
        if column.needed and column.name not in frame:
            raise BatchRefused(f"{table} has no column {column.name!r}; its columns are: {', '.join(names)}")
    # An unknown column is refused because it is most likely a misspelt one, whose values would be lost silently.
    for name in frame.columns:
        if name not in names or list(frame.columns).count(name) > 1:
            what = "twice" if name in names else "which the store does not know"
            raise BatchRefused(f"{table} has the column {name!r} {what}; its columns are: {', '.join(names)}")


def _converted(table: str, frame: pd.DataFrame, column: _Column) -> pd.Series:
    if column.name not in frame:
        values = pd.Series([column.missing] * len(frame) if column.missing is not None else None, dtype=object)
        values = values.reindex(range(len(frame)))
    else:
        values = frame[column.name].reset_index(drop=True)
        if column.missing is not None:
            values = values.fillna(column.missing)
    try:
        return column.kind.convert(values)
    except (TypeError, ValueError):
        raise BatchRefused(
            f"{table}: column {column.name!r} has type {values.dtype}, for instance {values.dropna().iloc[0]!r}; "
            f"allowed: {column.kind.words}"
        ) from None


def _refuse_where(bad: pd.Series, table: str, frame: pd.DataFrame, column: str, remedy: str) -> None:
    """Raise BatchRefused for the first row where `bad`, naming the row, its key, the value and the remedy."""
    if not bad.any():
        return
    position = int(np.argmax(bad.to_numpy(dtype=bool)))
    row = frame.iloc[position]
    key = ", ".join(f"{name} {str(row[name])[:200]}" for name in ("category", "signal", "start") if name in frame)
    more = f" ({int(bad.sum()):,} rows are like this)" if bad.sum() > 1 else ""
    raise BatchRefused(f"{table} row {position + 1:,} ({key}): {column} is {str(row[column])[:200]}; {remedy}{more}")


def _is_json(text: object) -> bool:
    if not isinstance(text, str):
        return True
    try:
        return isinstance(json.loads(text), dict)
    except (json.JSONDecodeError, RecursionError):
        return False
