"""Reading a table of signals, long or wide: its rows, what it says about each signal, and whom each may serve."""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from signals.dates import Precision, parse_dates
from signals.mapping import CATEGORY, CONSTANT, DATE, KNOWN_AT, SIGNAL, VALUE, Field, Mapper, plain
from signals.names import EVERY
from signals.numbers import parse_numbers
from signals.prepared import LONGEST_LAG, date_notes, read_known_at, refuse_missing
from signals.refused import ImportRefused
from signals.rows import Ints, Mask, Rows, blank_rows, refuse_names, series_names
from signals.tables import Table, strings

_ALLOWED = {"aggregation": ("mean", "sum"), "scale": ("absolute", "window")}
_TRUE, _FALSE = ("true", "1", "yes", "y", "t", "ja", "oui"), ("false", "0", "no", "n", "f", "nein", "non", "")
_FIELDS = {"signal": SIGNAL, "date": DATE, "value": VALUE, "category": CATEGORY, "known_at": KNOWN_AT}
_TEXTS = {
    "source": "source,quelle,provider",
    "name": "name,title,description,signal title",
    "region": "region,country,geo,land,location",
    "unit": "unit,units,einheit",
    "aggregation": "aggregation,aggregate",
    "scale": "scale",
    "licence": "licence,license,attribution",
}
_LAG, _AHEAD = "publication lag,publication lag days,lag days,lag", "future known,known in advance"
# What a column that a sales file would call product may mean for signals is not clear: only sure names are taken.
_CATEGORY = Field("category", "--category", CATEGORY.names[:1], required=False)


@dataclass(frozen=True)
class Constants:
    """What the user said of all signals."""

    source: str | None
    region: str | None
    unit: str | None
    aggregation: str | None
    lag_days: int
    future_known: bool | None

    def __post_init__(self) -> None:
        if self.aggregation not in (None, *_ALLOWED["aggregation"]):
            raise ImportRefused(
                f"--aggregation is {self.aggregation!r}", value=self.aggregation, remedy="Allowed: mean, sum"
            )


@dataclass(frozen=True)
class Metadata:
    """What is said about each signal, by its name."""

    texts: dict[str, dict[str, str]]
    lag_days: dict[str, float]  # only those of which something is said
    future_known: dict[str, bool]
    unsaid: frozenset[str]  # signals that the store holds and of whose future nothing is said here

    def frame(self, used: Sequence[tuple[str, str]]) -> pd.DataFrame:
        """The signals frame of a batch, for pairs of signal and cadence."""
        names = [name for name, _ in used]
        text = {field: [self.texts[field].get(name) for name in names] for field in self.texts}
        lags = [timedelta(days=self.lag_days[name]) if name in self.lag_days else None for name in names]
        ahead = [None if name in self.unsaid else self.future_known[name] for name in names]
        return pd.DataFrame(
            {
                "signal": pd.Series(names, dtype="str"),
                **{field: pd.Series(text[field], dtype="str") for field in ("source", "name", "region", "unit")},
                "cadence": pd.Series([cadence for _, cadence in used], dtype="str"),
                **{field: pd.Series(text[field], dtype="str") for field in ("aggregation", "scale")},
                "publication_lag": pd.Series(lags, dtype="timedelta64[us]"),
                "future_known": pd.Series(ahead, dtype="boolean"),
                "licence": pd.Series(text["licence"], dtype="str"),
            }
        )


@dataclass(frozen=True)
class Reading:
    """A table of signals, read."""

    rows: Rows
    precision: Precision
    mapping: dict[str, str]
    metadata: Metadata
    candidates: list[tuple[str, str]]
    notes: list[str]
    used: list[str]


def read_signals(
    table: Table, columns: Mapping[str, str | None], constants: Constants, dayfirst: bool | None, decimal: str | None,
    now: datetime, known_signals: Collection[str], known_categories: Collection[str] | None,
) -> Reading:  # fmt: skip
    """Read a long or a wide table of signals; ImportRefused where that cannot be done."""
    reader = _Reader(table, columns, constants)
    values, notes = reader.values(decimal)
    dates = parse_dates(table, reader.mapping["date"], dayfirst, "UTC")
    known = read_known_at(table, reader.mapping.get("known_at"), dayfirst, now)
    blank = blank_rows(table, reader.used)
    refuse_missing(np.isnat(dates.stamps) & ~blank, table, reader.mapping["date"], "date")
    names, codes = reader.names()
    count = len(codes)
    at = np.tile(np.arange(table.data.num_rows), count // table.data.num_rows)
    rows = Rows(names, codes, dates.days[at], values, known[at], at)
    kept = ~blank[at] if reader.long else ~np.isnan(values)
    if not kept.any():
        raise table.refusal("there is no value in the table", remedy="Give a file with at least one value")
    categories = reader.categories(known_categories, ~blank)
    rows = rows.take(kept)
    candidates = _candidates(rows, categories)
    rows = _once(rows.in_order(), categories, table, reader.mapping)
    metadata = reader.metadata(names, codes, at, kept, known_signals)
    notes = [*table.notes, *date_notes(dates, reader.mapping["date"]), *notes]
    return Reading(rows.compact(), dates.precision, reader.mapping, metadata, candidates, notes, reader.used)


class _Reader:
    """Finds the columns of a table of signals and reads them."""

    def __init__(self, table: Table, given: Mapping[str, str | None], constants: Constants) -> None:
        self.table, self.constants = table, constants
        self.mapper = Mapper(table)
        for name, column in given.items():
            if column is not None:
                self.mapper.take(_FIELDS[name], column)
        for field in (KNOWN_AT, DATE):
            if field.name not in self.mapper.chosen:
                self.mapper.guess(field)
        self.meta = self._meta_columns()
        self.long = self._is_long()
        if self.long:
            for field in (SIGNAL, VALUE):
                if field.name not in self.mapper.chosen:
                    self.mapper.guess(field)
            taken = self.mapper.chosen.values()  # a column "name" names the signals where no other column does
            self.meta = {field: column for field, column in self.meta.items() if column not in taken}
        self.wide = [] if self.long else self._wide_columns()
        order = ("signal", "date", "value", "category", "known_at")
        self.mapping = {field: self.mapper.chosen[field] for field in order if field in self.mapper.chosen}
        if self.wide:
            more = f" … ({len(self.wide)} columns)" if len(self.wide) > 6 else ""
            self.mapping["value"] = ", ".join(self.wide[:6]) + more
        self.mapping |= self.meta

    @property
    def used(self) -> list[str]:
        """The columns that were looked at."""
        named = [column for column in self.mapper.chosen.values() if not column.startswith(CONSTANT)]
        return list(dict.fromkeys([*named, *self.wide, *self.meta.values()]))

    def _meta_columns(self) -> dict[str, str]:
        """The columns that describe signals; what the user said takes their place."""
        found: dict[str, str] = {}
        names = {**_TEXTS, "publication_lag": _LAG, "future_known": _AHEAD}
        for field, words in names.items():
            alike = [
                column for column in self.mapper.free if plain(column) in {plain(word) for word in words.split(",")}
            ]
            # A wide table may have a signal called units: what describes signals is text.
            fitting = [column for column in alike if field not in _TEXTS or self.mapper.kind(column) != "number"]
            if fitting:
                found[field] = fitting[0]
        if "category" not in self.mapper.chosen:
            column = self.mapper.by_name(_CATEGORY)
            if column is not None:
                self.mapper.chosen["category"] = column
        said = {field for field in found if getattr(self.constants, field, None) is not None}
        return {field: column for field, column in found.items() if field not in said}

    def _is_long(self) -> bool:
        if "signal" in self.mapper.chosen:
            return True
        named = self.mapper.by_name(SIGNAL)
        if named and (plain(named) in SIGNAL.ranks[0] or self.mapper.kind(named) == "text"):
            return True
        free = [column for column in self.mapper.free if column not in self.meta.values()]
        kinds = [self.mapper.kind(column) for column in free]
        return kinds.count("text") == 1 and (kinds.count("number") == 1 or "value" in self.mapper.chosen)

    def _wide_columns(self) -> list[str]:
        if "value" in self.mapper.chosen:
            return [self.mapper.chosen["value"]]
        free = [column for column in self.mapper.free if column not in self.meta.values()]
        found = [column for column in free if self.mapper.kind(column) == "number"]
        if not found:
            raise self.table.refusal(
                "no column holds numbers", remedy="Give a table with the columns signal, date and value, or a date and "
                f"one column of numbers a signal; the columns are: {', '.join(self.table.columns)}",
            )  # fmt: skip
        if [plain(column) for column in found] in (["value"], ["y"]):
            raise self.table.refusal(
                "the file does not say which signal its values belong to", column=found[0],
                remedy="Name the column with --signal, or give the signal's name: --signal '=Name'",
            )  # fmt: skip
        return found

    def values(self, decimal: str | None) -> tuple["np.typing.NDArray[np.float64]", list[str]]:
        """The values, of a wide table one column below the other, and what was assumed."""
        columns = self.wide or [self.mapper.chosen["value"]]
        numbers = [parse_numbers(self.table, column, decimal) for column in columns]
        return np.concatenate([one.values for one in numbers]), [note for one in numbers for note in one.notes]

    def names(self) -> tuple[list[str], Ints]:
        """The signals' names, sorted, and the code of each value."""
        count = self.table.data.num_rows
        if self.long:
            names, codes = series_names(self.table, self.mapper.chosen["signal"], "signal")
            missing = (codes == 0) & (names[0] == "") & ~blank_rows(self.table, self.used)
            refuse_missing(missing, self.table, self.mapper.chosen["signal"], "signal")
            return names, codes
        names = sorted(column.strip() for column in self.wide)
        refuse_names(self.table, "signal", names)
        return names, np.repeat([names.index(column.strip()) for column in self.wide], count)

    def categories(self, known: Collection[str] | None, filled: Mask) -> list[str] | None:
        """The category of each row of the table, or None where there is no such column."""
        column = self.mapper.chosen.get("category")
        if column is None:
            return None
        names, codes = series_names(self.table, column, "candidate")
        names = [name or EVERY for name in names]
        for code in sorted(set(codes[filled].tolist())) if known is not None else []:
            if names[code] != EVERY and names[code] not in (known or ()):
                near = difflib.get_close_matches(names[code], list(known or ()), 3)
                raise self.table.refusal(
                    f"there is no category {names[code]!r}", row=int(np.flatnonzero(codes == code)[0]), column=column,
                    value=names[code], remedy=f"Did you mean {' or '.join(map(repr, near))}?" if near
                    else f"Import sales of {names[code]!r} first, or leave the category column out",
                )  # fmt: skip
        return [names[code] for code in codes]

    def metadata(self, names: Sequence[str], codes: Ints, at: Ints, kept: Mask, held: Collection[str]) -> Metadata:
        """What is said about each signal: by the user, else by the columns, else the defaults.

        Of a signal that the store holds nothing is said by default: that would overwrite what was said of it before.
        """
        new = [name for name in names if name not in held]
        codes, at = codes[kept], at[kept]
        said = {field: self._said(field, names, codes, at) for field in self.meta}
        texts: dict[str, dict[str, str]] = {}
        defaults = {"source": "file", "aggregation": "mean", "scale": "absolute"}
        for field in _TEXTS:
            constant = getattr(self.constants, field, None)
            texts[field] = dict.fromkeys(names, constant) if constant else {}
            if constant is None and field in defaults:
                texts[field] = dict.fromkeys(new, defaults[field])
            texts[field] |= {name: text for name, (text, _) in said.get(field, {}).items()}
        self._check(said)
        lags = dict.fromkeys(names if self.constants.lag_days else (), float(self.constants.lag_days))
        lags |= {name: self._days(text, row) for name, (text, row) in said.get("publication_lag", {}).items()}
        ahead = dict.fromkeys(names, bool(self.constants.future_known))
        flags = {name: self._flag(text, row) for name, (text, row) in said.get("future_known", {}).items()}
        unsaid = set() if self.constants.future_known is not None else set(names) - set(new) - set(flags)
        return Metadata(texts, lags, ahead | flags, frozenset(unsaid))

    def _said(self, field: str, names: Sequence[str], codes: Ints, at: Ints) -> dict[str, tuple[str, int]]:
        """The one text that a column has for each signal, with a row in which it stands; blanks say nothing."""
        encoded = self.table.encoded(self.meta[field])
        texts = strings(encoded.values)
        pairs, first = np.unique(np.stack([codes, encoded.codes[at]]), axis=1, return_index=True)
        found: dict[str, tuple[str, int]] = {}
        for code, text, row in zip(pairs[0], texts[pairs[1]], at[first], strict=True):
            name = names[code]
            if text and name in found and found[name][0] != text:
                raise self.table.refusal(
                    f"signal {name!r} has {field} {text!r} here and {found[name][0]!r} on {self.table.unit} "
                    f"{self.table.line(found[name][1])}", row=int(row), column=self.meta[field], value=text,
                    remedy=f"Give each signal one {field}",
                )  # fmt: skip
            if text:
                found[name] = (text, int(row))
        return found

    def _check(self, said: Mapping[str, Mapping[str, tuple[str, int]]]) -> None:
        for field, allowed in _ALLOWED.items():
            for text, row in said.get(field, {}).values():
                if text not in allowed:
                    raise self.table.refusal(
                        f"{field} is {text!r}", row=row, column=self.meta[field], value=text,
                        remedy=f"Allowed: {', '.join(allowed)}",
                    )  # fmt: skip

    def _days(self, text: str, row: int) -> float:
        number = text.removesuffix("days").removesuffix("day").strip()
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?", number) and float(number) <= LONGEST_LAG:
            return float(number)
        raise self.table.refusal(
            f"publication lag {text[:80]!r} is not a number of days up to {LONGEST_LAG:,}", row=row,
            column=self.meta["publication_lag"], value=text[:80], remedy=f"Give days, 0 to {LONGEST_LAG}",
        )  # fmt: skip

    def _flag(self, text: str, row: int) -> bool:
        if text.lower() in (*_TRUE, *_FALSE):
            return text.lower() in _TRUE
        raise self.table.refusal(
            f"{text!r} is neither true nor false", row=row, column=self.meta["future_known"], value=text,
            remedy="Allowed: true, false",
        )  # fmt: skip


def _candidates(rows: Rows, categories: Sequence[str] | None) -> list[tuple[str, str]]:
    """Pairs of category and signal: the category of each row, or every category."""
    if categories is None:
        return [(EVERY, rows.names[code]) for code in np.unique(rows.series)]
    named, codes = np.unique(np.asarray(categories, dtype=object), return_inverse=True)
    pairs = np.unique(np.stack([codes[rows.row], rows.series]), axis=1)
    return [(str(named[category]), rows.names[signal]) for category, signal in pairs.T]


def _once(rows: Rows, categories: Sequence[str] | None, table: Table, mapping: Mapping[str, str]) -> Rows:
    """Without the repetitions of one value for several categories; refused where the values differ."""
    if categories is None:
        return rows
    same = ~rows.begins
    same[1:] &= (rows.days[1:] == rows.days[:-1]) & (
        rows.known_at.view(np.int64)[1:] == rows.known_at.view(np.int64)[:-1]
    )
    other = np.asarray(categories, dtype=object)[rows.row]
    same[1:] &= other[1:] != other[:-1]
    equal = np.append(False, (rows.values[1:] == rows.values[:-1]) | np.isnan(rows.values[1:] + rows.values[:-1]))
    differs = np.flatnonzero(same & ~equal)
    if len(differs):
        at = int(differs[0])
        raise table.refusal(
            f"signal {rows.names[rows.series[at]]!r} on {rows.days[at]} is {rows.values[at]:g} for {other[at]!r}, but "
            f"{rows.values[at - 1]:g} for {other[at - 1]!r}", row=int(rows.row[at]), column=mapping["category"],
            value=str(other[at]), remedy="A signal has one value a period: give each category's its own name",
        )  # fmt: skip
    return rows.take(~same)
