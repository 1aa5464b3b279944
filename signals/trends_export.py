"""Reading what the Trends page exports as multiTimeline.csv, in any language and after some editing.

    Category: All categories
    (blank)
    Week,coffee: (United States),tea: (United States)
    2026-11-01,84,<1

Words differ by language, so the table is found by its shape: the first line that begins with a date is its first row,
and the line above it its header.
"""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from signals.dates import Dates, is_date, parse_dates
from signals.numbers import parse_numbers
from signals.refused import ImportRefused
from signals.tables import Table, read_bytes

LITTLE = "0.5"  # what "<1" is read as: it lies between 0 and 1
WANTED = (
    "Export 'Interest over time' from trends.google.com (the arrow above the line chart): the file is called "
    "multiTimeline.csv"
)
_HEADER = re.compile(
    r"(?P<term>.*?)\s*[:：]\s*[(（](?P<region>[^()（）]*(?:[(（][^()（）]*[)）])?[^()（）]*)[)）]", re.DOTALL
)
_HOUR = r"^(\d{4}-\d\d-\d\d)[T ](\d\d)$"
_MOST = 0.5  # of the rows from the first date on begin with one, in an export that was edited too
_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Column:
    """One term of an export: the column's name, the term, and the region as it is written, if it is."""

    name: str
    term: str
    region: str | None


@dataclass(frozen=True)
class Export:
    """An export as it stands: moments of the rows, and (rows, columns) of values, NaN where blank."""

    table: Table
    date: str
    columns: tuple[Column, ...]
    dates: Dates
    values: npt.NDArray[np.float64]
    low: int  # how many values were written as <1
    notes: tuple[str, ...]


def read_export(path: Path) -> Export:
    """Read one file; ImportRefused where it is none of interest over time, or damaged."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ImportRefused(
            f"cannot read {str(path)!r}: {error.strerror}", value=str(path), remedy="Give the path of a readable file"
        ) from error
    table = _mended(read_bytes(_without_preamble(raw, path.name), path.name))
    date, *others = table.columns
    columns = tuple(_column(name) for name in others)
    dates = parse_dates(table, date)
    low, table = _low(table, others)
    values = [parse_numbers(table, name) for name in others]
    numbers = np.column_stack([one.values for one in values])
    _check(table, others, numbers, dates)
    notes = (*table.notes, *dates.notes, *(note for one in values for note in one.notes))
    return Export(table, date, columns, dates, numbers, low, notes)


def _without_preamble(raw: bytes, name: str) -> bytes:
    """The text with what stands above its header blanked, so that the numbers of the lines stay."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raw = raw.decode("utf-16", errors="replace").encode()
    lines = raw.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True)
    cells = [_cells(line) for line in lines]
    rows = [i for i, dated in enumerate(_dated(cells)) if dated]
    if not rows or len(rows) < _MOST * sum(1 for record in cells[rows[0] :] if record not in ([], [""])):
        raise ImportRefused(f"{name} holds no dates: {_kind(cells)}", remedy=WANTED)
    above = [i for i in range(rows[0]) if len(cells[i]) > 1]
    if not above:
        raise ImportRefused(
            f"{name} has no header above its first row", row=rows[0] + 1, value=", ".join(cells[rows[0]])[:80],
            remedy="Put the line back that names the terms, such as Week,coffee: (United States)",
        )  # fmt: skip
    return b"".join(b"\n" if i < above[-1] else line for i, line in enumerate(lines))


def _dated(cells: list[list[str]]) -> list[bool]:
    """Whether each line begins with a date that has something behind it."""
    firsts = pa.array([re.sub(_HOUR, r"\1", record[0]) if len(record) > 1 else "" for record in cells], pa.string())
    return [bool(one) for one in is_date(firsts)]


def _cells(line: bytes) -> list[str]:
    text = line.decode("utf-8", errors="replace").strip()
    records = [next(csv.reader([text], delimiter=one), []) for one in _DELIMITERS]
    return [cell.strip() for cell in max(records, key=len)]


def _kind(cells: list[list[str]]) -> str:
    """What an export without dates is, by its shape."""
    full = [record for record in cells if record != [""] and record]
    lists = sum(1 for record in full[1:] if len(record) == 1)
    if lists:
        return "it looks like related queries or topics"
    return "it looks like interest by region" if len(full) > 2 else "it is no export of interest over time"


def _column(name: str) -> Column:
    found = _HEADER.fullmatch(name.strip())
    if found is None:
        return Column(name, name.strip(), None)
    return Column(name, " ".join(found["term"].split()), " ".join(found["region"].split()))


def _mended(table: Table) -> Table:
    """Hours such as 2026-11-01T05 with their minutes, as dates are read elsewhere."""
    column = pc.utf8_trim_whitespace(table.data.column(0))
    return _with_column(table, table.columns[0], pc.replace_substring_regex(column, _HOUR, r"\1 \2:00"))


def _low(table: Table, names: list[str]) -> tuple[int, Table]:
    count = 0
    for name in names:
        column = pc.utf8_trim_whitespace(table.data[name])
        low = pc.match_substring_regex(column, r"^[<＜]\s*1$")
        count += int(pc.sum(low).as_py() or 0)
        table = _with_column(table, name, pc.if_else(low, pa.scalar(LITTLE), column))
    return count, table


def _with_column(table: Table, name: str, values: pa.ChunkedArray) -> Table:
    return replace(table, data=table.data.set_column(table.columns.index(name), name, values))


def _check(table: Table, names: list[str], values: npt.NDArray[np.float64], dates: Dates) -> None:
    wrong = np.argwhere((values < 0) | (values > 100))
    if len(wrong):
        row, column = (int(one) for one in wrong[0])
        raise table.refusal(
            f"{values[row, column]:g} is no value of Google Trends, which lie between 0 and 100",
            row=row, column=names[column], value=f"{values[row, column]:g}", more=len(wrong) - 1,
            remedy="Import the file as it was exported, or use groundswell import signals for other data",
        )  # fmt: skip
    blank = np.flatnonzero(np.isnat(dates.stamps))
    if len(blank):
        raise table.refusal(
            "the row has no date", row=int(blank[0]), column=table.columns[0], more=len(blank) - 1,
            remedy="Fill in the date, or take the row out",
        )  # fmt: skip
    order = np.argsort(dates.stamps, kind="stable")
    double = np.flatnonzero(dates.stamps[order][1:] == dates.stamps[order][:-1])
    if len(double):
        row = int(order[double[0] + 1])
        raise table.refusal(
            "the date stands there twice", row=row, column=table.columns[0], value=table.shown(table.columns[0], row),
            more=len(double) - 1, remedy="Import exports one at a time: each has a scale of its own",
        )  # fmt: skip
