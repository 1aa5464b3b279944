"""Sales in a folder of files: all of them are one table, in which a later file corrects an earlier one."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from signals.prepared import counted
from signals.refused import ImportRefused
from signals.tables import Table, read_table

_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")


class NotSettled(Exception):  # noqa: N818 - it says what a source is, and is no error
    """A file may still be written; another try in a moment will find it whole."""


@dataclass(frozen=True)
class Files(Table):
    """Several tables with the same columns, one below the other; messages name the file and its line."""

    tables: tuple[Table, ...] = field(default=(), repr=False)

    @property
    def _ends(self) -> npt.NDArray[np.int64]:
        return np.cumsum([table.data.num_rows for table in self.tables], dtype=np.int64)

    def part(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.searchsorted(self._ends, rows, side="right").astype(np.int64)

    def line(self, row: int) -> int:
        table, row = self._found(row)
        return table.line(row)

    def refusal(
        self, problem: str, *, remedy: str, row: int | None = None, column: str | None = None, value: str | None = None,
        more: int = 0,
    ) -> ImportRefused:  # fmt: skip
        if row is None:
            return super().refusal(problem, remedy=remedy, column=column, value=value, more=more)
        table, row = self._found(row)
        refusal = table.refusal(problem, remedy=remedy, row=row, column=column, value=value, more=more)
        return in_file(table.name, refusal)

    def _found(self, row: int) -> tuple[Table, int]:
        part = int(self.part(np.array([row]))[0])
        return self.tables[part], row - (int(self._ends[part - 1]) if part else 0)


@dataclass(frozen=True)
class Listing:
    """The files of a folder that match, in order of their names, with what tells whether one has changed."""

    folder: Path
    marks: dict[str, tuple[int, int]]  # by name relative to the folder: size in bytes, time of change in ns

    @property
    def content(self) -> str:
        """A hash that changes with every name, size and time of change."""
        return hashlib.sha256(repr(sorted(self.marks.items())).encode()).hexdigest()

    def read(self) -> Table:
        """All files as one table; NotSettled if one changed meanwhile, ImportRefused where one cannot be read."""
        tables = [_read(self.folder / name, name) for name in self.marks]
        changed = [name for name in self.marks if _mark(self.folder / name) != self.marks[name]]
        if changed:
            raise NotSettled(f"{changed[0]} changed while it was read")
        return _joined(tables, self.folder.name)


def list_folder(folder: Path, pattern: str, home: Path, *, settle: timedelta, max_megabytes: int) -> Listing:
    """The files of a folder that match a pattern, without hidden and half-written ones, in the order of their names.

    Raises NotSettled while one of them is younger than `settle`, so that no half of an export is taken for the whole;
    ImportRefused where the folder or a file is missing, lies in the home or is too large.
    """
    if not folder.is_dir():
        raise ImportRefused(f"there is no folder {str(folder)!r}", value=str(folder), remedy="Correct `folder`")
    paths = [path for path in folder.glob(pattern) if not _unfinished(path.relative_to(folder)) and path.is_file()]
    if not paths:
        raise ImportRefused(
            f"no file in {str(folder)!r} matches {pattern!r}", value=pattern, remedy="Correct `folder` or `pattern`"
        )
    refuse_home(paths, home)
    marks = {str(path.relative_to(folder)): _mark(path) for path in sorted(paths, key=_natural)}
    _refuse_large(sum(size for size, _ in marks.values()), max_megabytes, folder)
    _refuse_young(marks, settle)
    return Listing(folder, marks)


def refuse_home(paths: Sequence[Path], home: Path) -> None:
    """Refuse files of the home itself: to open the store's own database in passing would lose its lock."""
    for path in paths:
        if path.resolve().is_relative_to(home.resolve()):
            raise ImportRefused(
                f"{str(path)!r} lies in the home of Groundswell", value=str(path), remedy="Keep sales in another folder"
            )


def in_file(name: str, refusal: ImportRefused) -> ImportRefused:
    """The same refusal, with the name of the file in front."""
    problem = str(refusal).removesuffix(f". {refusal.remedy}")
    named = ImportRefused(f"{name}, {problem}", remedy=refusal.remedy, value=refusal.value)
    named.row, named.column = refusal.row, refusal.column
    return named


def _unfinished(path: PurePath) -> bool:
    """Whether it is hidden, bookkeeping of an exporter, or bears a name that files have while they are written."""
    return path.name.lower().endswith(_UNFINISHED) or any(part[0] in "._~" for part in path.parts)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order of names in which week9 comes before week10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def _mark(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise NotSettled(f"{path.name} vanished while it was read") from error
    return found.st_size, found.st_mtime_ns


def _refuse_large(size: int, max_megabytes: int, folder: Path) -> None:
    if size > max_megabytes * 1_000_000:
        raise ImportRefused(
            f"the files in {str(folder)!r} have {size / 1e6:,.0f} megabytes, more than max_megabytes = {max_megabytes}",
            value=str(folder), remedy="Move old files away, or raise `max_megabytes`",
        )  # fmt: skip


def _refuse_young(marks: dict[str, tuple[int, int]], settle: timedelta) -> None:
    # A clock that goes wrong on another machine may put a file into the future, where it must not wait for ever.
    ages = {name: abs(time.time() - changed / 1e9) for name, (_, changed) in marks.items()}
    young = [name for name, age in ages.items() if age < settle.total_seconds()]
    if young:
        raise NotSettled(
            f"{young[0]} changed less than {settle.total_seconds():g} seconds ago (settle) and may not be whole yet"
        )


def _read(path: Path, name: str) -> Table:
    try:
        return replace(read_table(path), name=name)
    except ImportRefused as refusal:
        raise in_file(name, refusal) from refusal


def _joined(tables: Sequence[Table], name: str) -> Table:
    first = tables[0]
    for table in tables:
        _refuse_other_columns(first, table)
    try:
        data = pa.concat_tables([table.data.select(first.columns) for table in tables], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ImportRefused(
            f"the columns of the files in {name!r} hold values of different types ({error})",
            remedy="Write each column in one type in all files",
        ) from error
    notes = [note for table in tables for note in table.notes]
    return Files(data, name, notes=(f"{counted(len(tables), 'file')} read as one table.", *notes), tables=tuple(tables))


def _refuse_other_columns(first: Table, table: Table) -> None:
    missing, more = set(first.columns) - set(table.columns), set(table.columns) - set(first.columns)
    if missing or more:
        parts = [f"lacks {', '.join(sorted(missing))}"] if missing else []
        parts += [f"has {', '.join(sorted(more))} besides"] if more else []
        raise ImportRefused(
            f"{table.name} has other columns than {first.name}: it {' and '.join(parts)}",
            column=min(missing or more), remedy="Give all files the same columns, or narrow `pattern`",
        )  # fmt: skip
