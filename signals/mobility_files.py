"""The CSV files of a mobility archive: a file, a folder of files, each plain, gzipped or zipped."""

from __future__ import annotations

import csv
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from signals.refused import ImportRefused

DELIMITERS = (",", ";", "\t")
_LONGEST_HEADER = 1_000_000  # bytes; Apple's last file has one of 10,000
_DAMAGE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)
_AGAIN = "Download the file again: nothing of it was imported"


@dataclass(frozen=True)
class Part:
    """One CSV file: in `path`, or the `member` of a zip archive there."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The name that messages show."""
        return self.path.name if self.member is None else f"{self.path.name}/{self.member}"

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The bytes of the CSV file; what is wrong with them while they are read is raised as ImportRefused."""
        try:
            with self._open() as stream:
                yield stream
        except (pa.ArrowException, *_DAMAGE) as error:
            raise unreadable(self.name, error) from error

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self.member is not None:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
                yield stream
        elif self.path.suffix.lower() == ".gz":
            with gzip.open(self.path) as stream:
                yield stream  # type: ignore[misc]
        else:
            with self.path.open("rb") as stream:
                yield stream


@dataclass(frozen=True)
class Header:
    """The first line of a CSV file."""

    columns: tuple[str, ...]
    delimiter: str


def find_parts(source: Path | str) -> list[Part]:
    """The CSV files of `source`, in order of name; raises ImportRefused where there are none."""
    path = Path(source)
    if not path.is_dir() and not path.is_file():
        raise ImportRefused(
            f"{str(path)!r} is not there", value=str(path), remedy="Give the path of the archive or of its folder"
        )
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if _fits(file))
    found = [part for file in files for part in _members(file)]
    if not found:
        raise ImportRefused(
            f"{str(path)!r} holds no CSV file", value=str(path), remedy="Give a .csv, .csv.gz or .zip, or their folder"
        )
    return found


def read_header(part: Part) -> Header:
    """The columns of a file; raises ImportRefused for a file that is empty or no text in UTF-8."""
    with part.opened() as stream:
        line = stream.readline(_LONGEST_HEADER)
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ImportRefused(f"{part.name} is not text in UTF-8", remedy="Import the original file") from error
    delimiter = max(DELIMITERS, key=text.count)
    columns = next(csv.reader([text], delimiter=delimiter), [])
    return Header(tuple(column.strip() for column in columns), delimiter)


def ends_in_line(part: Part) -> bool:
    """Whether the last line of a plain file ends; a packed one is checked while it is unpacked."""
    if part.member is not None or part.path.suffix.lower() == ".gz":
        return True
    with part.opened() as stream:
        stream.seek(-1, 2)
        return stream.read(1) in b"\r\n"


def unreadable(name: str, error: Exception) -> ImportRefused:
    """The error for a file that breaks off, is damaged, or has something else than numbers and dates in it."""
    return ImportRefused(f"{name} cannot be read: {str(error) or type(error).__name__}", value=name, remedy=_AGAIN)


def _fits(file: Path) -> bool:
    return file.is_file() and file.name.lower().endswith((".csv", ".csv.gz", ".zip"))


def _members(file: Path) -> list[Part]:
    if file.suffix.lower() != ".zip":
        return [Part(file)]
    try:
        with zipfile.ZipFile(file) as archive:
            names = sorted(name for name in archive.namelist() if name.lower().endswith(".csv"))
    except _DAMAGE as error:
        raise unreadable(file.name, error) from error
    return [Part(file, name) for name in names if not Path(name).name.startswith(".") and "__MACOSX" not in name]
