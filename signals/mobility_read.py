"""Reading the values that are wanted out of the CSV files of a mobility archive, block by block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from signals.mobility_archive import APPLE, GOOGLE, Archive
from signals.mobility_files import Header, Part
from signals.mobility_places import Choice, Place
from signals.refused import ImportRefused

MOST = 5_000_000  # values of one import: more need more memory than a small machine has
_BLOCK = 4 << 20  # bytes of CSV that are read at a time
_BLANKS = ["", "NA", "NaN", "nan"]  # of numbers only: NA is also the code of Namibia
_JOINT = "\x1f"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CHANGE = "_percent_change_from_baseline"
_ORIGINAL = "Import the file as it was published"


@dataclass
class Values:
    """The values found so far, each with the numbers of its place and kind and its day; `others` are unwanted places.

    Places that a name alone cannot tell apart are still among them: see `Choice.resolve`.
    """

    choice: Choice
    kinds: Sequence[str]  # wanted
    places: list[Place] = field(default_factory=list)  # those that may be wanted, by their numbers
    others: set[str] = field(default_factory=set)
    place: list[npt.NDArray[np.int32]] = field(default_factory=list)
    kind: list[npt.NDArray[np.int8]] = field(default_factory=list)
    day: list[npt.NDArray[np.datetime64]] = field(default_factory=list)
    value: list[npt.NDArray[np.float64]] = field(default_factory=list)
    count: int = 0
    blanks: int = 0
    _by_name: dict[str, int] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)  # by the text of the columns that tell a place

    def number(self, key: str, archive: Archive) -> int:
        """The number of the place that the columns `key` tell, -1 where it is not wanted."""
        if key not in self._numbers:
            place = archive.place(dict(zip(archive.keys, key.split(_JOINT), strict=True)))
            taken = self.choice.may_take(place)
            if not taken:
                self.others.add(place.name)
            elif place.name not in self._by_name:
                self._by_name[place.name] = len(self.places)
                self.places.append(place)
            self._numbers[key] = self._by_name[place.name] if taken else -1
        return self._numbers[key]

    def add(self, place: npt.NDArray[Any], kind: npt.NDArray[Any], day: npt.NDArray[Any], value: Any) -> None:
        """Keep those values that are there; all arrays have the shape of `value`."""
        there = ~np.isnan(value)
        self.blanks += int(value.size - there.sum())
        self.count += int(there.sum())
        if self.count > MOST:
            raise ImportRefused(
                f"more than {MOST:,} values were asked for",
                remedy="Import in parts: one country (regions US/*) or one kind at a time",
            )
        self.place.append(place[there].astype(np.int32))
        self.kind.append(kind[there].astype(np.int8))
        self.day.append(day[there])
        self.value.append(value[there])


def read_apple(part: Part, header: Header, values: Values) -> None:
    """Add what is wanted of a file with a row a place and kind and a column a day."""
    days = [column for column in header.columns if _DAY.fullmatch(column)]
    if not days:
        raise ImportRefused(f"{part.name} has no column of a day, such as 2020-01-13", remedy=_ORIGINAL)
    dates = _dates(part, days)
    wanted = [list(APPLE.kinds).index(kind) for kind in values.kinds]
    for block in _blocks(part, header, (*APPLE.keys, "transportation_type"), dict.fromkeys(days, pa.float64())):
        kind = _apple_kinds(part, block)
        place = _places(APPLE, block, values)
        rows = np.flatnonzero((place >= 0) & np.isin(kind, wanted))
        if len(rows):
            cells = np.column_stack([_floats(block, day)[rows] for day in days])
            places, kinds = (np.broadcast_to(one[rows, None], cells.shape) for one in (place, kind))
            values.add(places, kinds, np.broadcast_to(dates, cells.shape), cells)


def read_google(part: Part, header: Header, values: Values) -> None:
    """Add what is wanted of a file with a row a place and day and a column a kind."""
    columns = {kind: kind + _CHANGE for kind in values.kinds if kind + _CHANGE in header.columns}
    if not columns:
        column = values.kinds[0] + _CHANGE
        raise ImportRefused(f"{part.name} has no column {column!r}", column=column, remedy=_ORIGINAL)
    numbers = {"date": pa.date32(), **dict.fromkeys(columns.values(), pa.float64())}
    for block in _blocks(part, header, GOOGLE.keys, numbers):
        place = _places(GOOGLE, block, values)
        rows = np.flatnonzero(place >= 0)
        if not len(rows):
            continue
        if block["date"].null_count:
            raise ImportRefused(f"{part.name} has a row without a date", column="date", remedy=_ORIGINAL)
        days = block["date"].to_numpy(zero_copy_only=False)[rows].astype("datetime64[D]")
        for kind, column in columns.items():
            code = np.full(len(rows), list(GOOGLE.kinds).index(kind))
            values.add(place[rows], code, days, _floats(block, column)[rows])


def _dates(part: Part, days: list[str]) -> npt.NDArray[np.datetime64]:
    try:
        return np.array(days, dtype="datetime64[D]")
    except ValueError as error:
        raise ImportRefused(f"{part.name}: a column is named like a day: {error}", remedy=_ORIGINAL) from error


def _blocks(part: Part, header: Header, texts: Sequence[str], numbers: dict[str, pa.DataType]) -> Iterator[Any]:
    """The file as record batches; of the columns of text only those that it has."""
    types = {column: pa.string() for column in texts if column in header.columns} | numbers
    with part.opened() as stream:
        yield from pacsv.open_csv(
            stream,
            pacsv.ReadOptions(block_size=_BLOCK, column_names=list(header.columns), skip_rows=1),
            pacsv.ParseOptions(delimiter=header.delimiter),
            pacsv.ConvertOptions(column_types=types, include_columns=list(types), null_values=_BLANKS),
        )


def _floats(block: Any, column: str) -> npt.NDArray[np.float64]:
    floats: npt.NDArray[np.float64] = block[column].to_numpy(zero_copy_only=False)
    return floats


def _places(archive: Archive, block: Any, values: Values) -> npt.NDArray[np.int64]:
    """The number of each row's place."""
    nothing = pa.repeat(pa.scalar(""), block.num_rows)
    columns = [block[key] if key in block.schema.names else nothing for key in archive.keys]
    keys = pc.dictionary_encode(pc.binary_join_element_wise(*columns, _JOINT))
    numbers = np.array([values.number(key, archive) for key in keys.dictionary.to_pylist()], dtype=np.int64)
    of_rows: npt.NDArray[np.int64] = numbers[keys.indices.to_numpy()]
    return of_rows


def _apple_kinds(part: Part, block: Any) -> npt.NDArray[np.int64]:
    column = block["transportation_type"]
    kinds: npt.NDArray[np.int64] = pc.fill_null(pc.index_in(column, pa.array(list(APPLE.kinds))), -1).to_numpy()
    if (kinds < 0).any():
        raise ImportRefused(
            f"{part.name}: transportation_type is {column[int(np.argmin(kinds))].as_py()!r}",
            column="transportation_type",
            remedy=f"Known are {', '.join(APPLE.kinds)}",
        )
    return kinds
