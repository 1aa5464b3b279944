"""Reading what a user hands over: a CSV or Parquet file or a pandas frame, as one Arrow table.

A CSV file is read as text only: what is a number or a date is decided later, from a column as a whole.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from signals.refused import ImportRefused

Source = Path | str | pd.DataFrame

_DELIMITERS = ",;\t|"
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
_NO_NUL = "Take it out: it is no text, and other programs would cut the value off there"
EXACT = 2.0**53  # beyond it a float no longer tells neighbouring whole numbers apart
_NOT_CSV = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip archive",
}


@dataclass(frozen=True)
class Encoded:
    """A text column as codes into its distinct values, trimmed; nulls are empty strings."""

    codes: npt.NDArray[np.int64]
    values: pa.StringArray

    def rows(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """The row indices whose distinct value is chosen."""
        return np.flatnonzero(chosen[self.codes])


@dataclass(frozen=True)
class Table:
    """A table that was read, and how to find a row of it in the file again."""

    data: pa.Table
    name: str
    unit: str = "line"
    text: bytes | None = field(default=None, repr=False)
    delimiter: str = ","
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        return list(self.data.column_names)

    def part(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Which of the files that make up the table each row is from, the latest file being the highest number."""
        return np.zeros_like(rows)

    def is_text(self, column: str) -> bool:
        kind = self.data.schema.field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))

    def readable(self, column: str) -> bool:
        """Whether the values are text, numbers, dates or flags, and not bytes, lists or structures."""
        kind = self.data.schema.field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        return not (pa.types.is_nested(kind) or pa.types.is_float16(kind) or any(is_a(kind) for is_a in _BYTES))

    def encoded(self, column: str) -> Encoded:
        """The column as text: codes and distinct trimmed values; refused if it holds something else."""
        if not self.readable(column):
            raise self.refusal(
                f"values of type {self.data.schema.field(column).type} cannot be read",
                column=column, value=self.shown(column, 0), row=0, remedy="Turn them into text, numbers or dates",
            )  # fmt: skip
        return encode(self.data[column])

    def shown(self, column: str, row: int) -> str:
        """A value as a message shows it."""
        return str(self.data[column][row].as_py())[:80]

    def line(self, row: int) -> int:
        """The 1-based line of the file on which data row `row` (from 0) begins; of a frame, the 1-based row."""
        if self.text is None:
            return row + 1
        for number, (line, _) in enumerate(_records(self.text, self.delimiter)):
            if number == row + 1:
                return line
        raise IndexError(f"{self.name} has no data row {row}")

    def refusal(
        self, problem: str, *, remedy: str, row: int | None = None, column: str | None = None, value: str | None = None,
        more: int = 0,
    ) -> ImportRefused:  # fmt: skip
        """The error for a problem in this table, with the row index turned into a line of the file."""
        line = None if row is None else self.line(row)
        return ImportRefused(problem, remedy=remedy, row=line, column=column, value=value, more=more, unit=self.unit)


def encode(column: pa.ChunkedArray) -> Encoded:
    """Codes and distinct trimmed text values of any Arrow column."""
    array = column.combine_chunks()
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if not pa.types.is_dictionary(array.type):
        array = pc.dictionary_encode(array, null_encoding="encode")
    codes = pc.fill_null(array.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    values = pc.utf8_trim_whitespace(pc.fill_null(_as_text(array.dictionary), ""))
    if (codes < 0).any():
        codes = np.where(codes < 0, len(values), codes)
        values = pa.concat_arrays([values, pa.array([""], pa.string())])
    return Encoded(codes, values)


def _as_text(values: pa.Array) -> pa.StringArray:
    if pa.types.is_floating(values.type):
        filled = pc.fill_null(values, 0)
        whole = pc.and_(pc.equal(filled, pc.floor(filled)), pc.less(pc.abs(filled), EXACT))
        # Codes such as 1000 become floats where a frame has a blank among them.
        values = pc.cast(values, pa.int64()) if pc.all(whole).as_py() else values
    return pc.cast(values, pa.string())


def read_table(source: Source) -> Table:
    """Read a CSV or Parquet file or a pandas frame.

    CSV: delimiter (comma, semicolon, tab, bar) and encoding (UTF-8, UTF-16, Windows-1252) are found out; every column
    is text. Parquet and frames keep their types. Raises ImportRefused for a file that is missing, empty, without rows,
    ragged or not a table.
    """
    if isinstance(source, pd.DataFrame):
        return _from_frame(source)
    path = Path(source)
    if path.exists() and not path.is_file():  # to read a pipe or a device may never end
        raise ImportRefused(
            f"{str(path)!r} is not a regular file", value=str(path), remedy="Give the path of a CSV or Parquet file"
        )
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ImportRefused(
            f"cannot read {str(path)!r}: {error.strerror}", value=str(path), remedy="Give the path of a readable file"
        ) from error
    return read_bytes(raw, path.name)


def read_bytes(raw: bytes, name: str) -> Table:
    """Read what a CSV or Parquet file called `name` holds; raises ImportRefused as `read_table` does."""
    return _from_parquet(raw, name) if raw[:4] == b"PAR1" else _from_csv(raw, name)


def from_arrow(data: pa.Table, name: str) -> Table:
    """The rows of an Arrow table, such as the result of a query, under the name by which messages call it."""
    _check_header(list(data.column_names), name, None)
    return _with_rows(Table(data, name, unit="row"))


def _from_frame(frame: pd.DataFrame) -> Table:
    if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex | pd.MultiIndex) or frame.index.name is not None:
        frame = frame.reset_index()
    frame = frame.set_axis([str(column) for column in frame.columns], axis="columns")
    _check_header(list(frame.columns), "the frame", None)
    arrays = {name: _frame_column(frame[name], str(name)) for name in frame.columns}
    return _with_rows(Table(pa.table(arrays), "frame", unit="row"))


def _frame_column(series: pd.Series, name: str) -> pa.Array:
    if isinstance(series.dtype, pd.PeriodDtype):
        weekly = str(series.dtype).startswith("period[W")
        series = (series.dt.end_time if weekly else series.dt.start_time).dt.normalize()
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # values of several types: each is read as its text
        return pa.array([None if pd.isna(value) else str(value) for value in series], pa.string())
    except pa.ArrowNotImplementedError as error:
        raise ImportRefused(
            f"values of type {series.dtype} cannot be read", column=name, remedy="Turn them into numbers, dates or text"
        ) from error


def _from_parquet(raw: bytes, name: str) -> Table:
    try:
        data = pq.read_table(pa.BufferReader(raw))
        data.validate(full=True)
    except (pa.ArrowException, OSError) as error:  # Arrow tells of damaged pages by OSError
        raise ImportRefused(
            f"{name} begins like a Parquet file but cannot be read: {error}", remedy="Write the file again"
        ) from error
    _check_header(list(data.column_names), name, None)
    return _with_rows(Table(data, name, unit="row"))


def _from_csv(raw: bytes, name: str) -> Table:
    text, notes = _decode(raw, name)
    if (nul := text.find(b"\0")) >= 0:
        line = text.count(b"\n", 0, nul) + 1
        raise ImportRefused(f"the line holds a NUL byte, in {name}", row=line, remedy=_NO_NUL)
    delimiter = _sniff(text)
    records = _records(text, delimiter)
    try:
        line, header = next(records)
        following = next(records, None)
    except StopIteration:
        raise ImportRefused(f"{name} is empty", remedy="Give a file with a header line and at least one row") from None
    header = [column.strip() or f"column {number}" for number, column in enumerate(header, 1)]
    _check_header(header, name, line)
    if following is None:
        raise ImportRefused(f"{name} has a header but no rows", remedy="Give a file with at least one row below it")
    data = _parse_csv(text, delimiter, header, following[0] - 1, name)
    return Table(data, name, text=text, delimiter=delimiter, notes=notes)


def _parse_csv(text: bytes, delimiter: str, header: list[str], skip: int, name: str) -> pa.Table:
    try:
        return pacsv.read_csv(
            pa.BufferReader(text),
            read_options=pacsv.ReadOptions(column_names=header, skip_rows=skip),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in text),
            convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except pa.ArrowInvalid as error:
        _refuse_ragged(text, delimiter, len(header))
        raise ImportRefused(f"{name} cannot be read as CSV: {error}", remedy="Export the file again as CSV") from error


def _refuse_ragged(text: bytes, delimiter: str, width: int) -> None:
    """Find the first row that made the fast reader give up, and say which it is."""
    ragged = [(line, record) for line, record in _records(text, delimiter) if len(record) != width]
    if ragged:
        line, record = ragged[0]
        raise ImportRefused(
            f"the row has {len(record)} values, the header has {width} columns",
            row=line, value=delimiter.join(record)[:80], more=len(ragged) - 1,
            remedy="Mend the row: put values that contain the delimiter in double quotes",
        )  # fmt: skip


def _records(text: bytes, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each non-empty record with the line on which it begins. Slow: for the header, and to tell where a problem is."""
    stream = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    begins = 1
    try:
        for record in reader:
            if record:
                yield begins, record
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ImportRefused(
            f"the row that begins here is not valid CSV ({error})",
            row=begins, remedy='Close the double quotes, and write a quote inside a value twice ("")',
        ) from error  # fmt: skip


def _decode(raw: bytes, name: str) -> tuple[bytes, tuple[str, ...]]:
    """The text as UTF-8 without byte order mark, with a note where the encoding had to be assumed."""
    for start, what in _NOT_CSV.items():
        if raw.startswith(start):
            raise ImportRefused(f"{name} is {what}, not text", remedy="Save the sheet as CSV UTF-8 or as Parquet")
    for bom, encoding in _BOMS:
        if raw.startswith(bom):
            return _transcode(raw[len(bom) :], encoding, name), ()
    if (unmarked := _utf_16(raw[:1000])) is not None:
        return _transcode(raw, unmarked, name), ()
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        # Every byte means something in latin-1, so this never fails; cp1252 has the quotes and the euro sign.
        text = raw.decode("cp1252", errors="ignore") if _is_cp1252(raw) else raw.decode("latin-1")
        return text.encode(), (f"{name} is not UTF-8 and was read as Windows-1252 (Western European).",)
    return raw, ()


def _utf_16(sample: bytes) -> str | None:
    """The byte order of UTF-16 without a mark: the digits and delimiters of a table leave every other byte zero."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if 4 * (even + odd) < len(sample) or 10 * min(even, odd) > max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _is_cp1252(raw: bytes) -> bool:
    return not any(byte in raw for byte in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"))


def _transcode(raw: bytes, encoding: str, name: str) -> bytes:
    try:
        return raw.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise ImportRefused(
            f"{name} is not valid {encoding.upper()} at byte {error.start}", remedy="Save the file as CSV UTF-8"
        ) from error


def _sniff(text: bytes) -> str:
    """The delimiter under which the first lines have most columns, the same number in each."""
    sample = text[:65536]
    # A cut in the middle of a line would look ragged.
    sample = sample if len(sample) == len(text) else sample[: sample.rfind(b"\n") + 1]
    lines = sample.decode("utf-8", errors="ignore").splitlines()[:50]
    return max(_DELIMITERS, key=lambda delimiter: _fit(lines, delimiter))


def _fit(lines: list[str], delimiter: str) -> tuple[bool, int]:
    widths = [len(record) for record in csv.reader(lines, delimiter=delimiter) if record]
    return (len(set(widths)) == 1 and widths[0] > 1, widths[0] if widths else 0)


def _check_header(header: list[str], name: str, line: int | None) -> None:
    seen: set[str] = set()
    for column in header:
        if column in seen:
            raise ImportRefused(
                f"{name} has two columns named {column!r}", row=line, column=column, remedy="Rename one of them"
            )
        seen.add(column)
    if line is not None and len(header) > 1 and all(_looks_like_value(column) for column in header):
        raise ImportRefused(
            f"the first line of {name} holds values, not the names of the columns",
            row=line, value=", ".join(header)[:80], remedy="Put a header line with the names of the columns above it",
        )  # fmt: skip


def _looks_like_value(text: str) -> bool:
    return text[:1].isdigit() or text[:2].lstrip("-+").isdigit()


def _with_rows(table: Table) -> Table:
    if table.data.num_rows == 0:
        raise ImportRefused(f"{table.name} has no rows", remedy="Give at least one row")
    table = replace(table, data=_bytes_as_text(table.data))
    for column in table.columns:
        if table.is_text(column):
            nul = np.asarray(pc.fill_null(pc.match_substring(pc.cast(table.data[column], pa.string()), "\0"), False))
            if nul.any():
                row = int(nul.argmax())
                value = table.shown(column, row)
                raise table.refusal(f"{value!r} holds a NUL byte", row=row, column=column, value=value, remedy=_NO_NUL)
    return table


def _bytes_as_text(data: pa.Table) -> pa.Table:
    """Columns of bytes that are UTF-8, as some writers leave text, as text."""
    for index, field_ in enumerate(data.schema):
        if any(is_a(field_.type) for is_a in _BYTES):
            try:
                data = data.set_column(index, field_.name, pc.cast(data[field_.name], pa.string()))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                continue  # refused when something is to be read from it
    return data


def strings(values: pa.Array | Any) -> npt.NDArray[np.object_]:
    """Text values as a numpy array of str."""
    return np.asarray(values.to_pylist(), dtype=object)
