"""Reading a column of dates in the formats that people and programs write.

Whether 03/04/2025 is March or April is decided for the column as a whole: one value above 12 settles it, and without
one the column is refused rather than guessed.
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from signals.numbers import is_blank
from signals.refused import ImportRefused
from signals.tables import Encoded, Table, strings

Precision = Literal["day", "week", "month", "quarter"]

_MONTHS = {
    1: "jan january januar janvier janv enero ene gennaio gen januari janeiro styczen leden ledna tammikuu",
    2: "feb february februar fevrier fevr febrero febbraio februari fevereiro fev",
    3: "mar march marz mrz maerz mars marzo maart mrt marco",
    4: "apr april avril avr abril abr aprile",
    5: "may mai mayo maggio mag mei maio maj",
    6: "jun june juni juin junio giugno giu junho",
    7: "jul july juli juillet juil julio luglio lug julho",
    8: "aug august aout agosto ago augustus augusti",
    9: "sep sept september septembre septiembre settembre set setembro",
    10: "oct october okt oktober octobre octubre ottobre ott outubro out",
    11: "nov november novembre noviembre novembro",
    12: "dec december dez dezember decembre diciembre dic dicembre dezembro desember",
}
_MONTH_OF = {word: number for number, words in _MONTHS.items() for word in words.split()}

_TIME = (
    r"(?:[T ]+(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?\s?(?P<ap>[AaPp][Mm])?"
    r"\s?(?P<z>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)
_WORD = r"(?P<mon>\p{L}{3,10})"
_ORDINAL = r"(?:st|nd|rd|th|\.)?"
# Each format is tried on what the ones before it did not match.
_FORMATS: tuple[tuple[Precision, str], ...] = (
    ("day", rf"^(?P<y>\d{{4}})[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}}){_TIME}$"),
    ("day", r"^(?P<y>(?:19|20|21)\d\d)(?P<m>\d\d)(?P<d>\d\d)$"),
    ("day", rf"^(?P<a>\d{{1,2}})(?P<sep>[-/.])(?P<b>\d{{1,2}})[-/.](?P<y>\d{{4}}|\d{{2}}){_TIME}$"),
    ("day", rf"^(?P<d>\d{{1,2}}){_ORDINAL}[ /-]?{_WORD}\.?,?[ /-]?(?P<y>\d{{4}}|\d{{2}}){_TIME}$"),
    ("day", rf"^{_WORD}\.? (?P<d>\d{{1,2}}){_ORDINAL},? (?P<y>\d{{4}}){_TIME}$"),
    ("week", r"^(?P<y>\d{4})[- /]?(?:W|w|KW|S)(?P<w>\d{1,2})$"),
    ("week", r"^(?:W|w|KW|S) ?(?P<w>\d{1,2})[- /.](?P<y>\d{4})$"),
    ("month", r"^(?P<y>\d{4})(?:[-/.]|-?M)(?P<m>\d{1,2})$"),
    ("month", r"^(?P<m>\d{1,2})[-/.](?P<y>\d{4})$"),
    ("month", rf"^{_WORD}\.?[ '/-]?(?P<y>\d{{4}}|\d{{2}})$"),
    ("month", rf"^(?P<y>\d{{4}})[ /-]?{_WORD}$"),
    ("quarter", r"^(?P<y>\d{4})[- /]?[Qq](?P<q>[1-4])$"),
    ("quarter", r"^[Qq](?P<q>[1-4])[- /]?(?P<y>\d{4})$"),
)
_SIX_DIGITS = r"^(?P<y>(?:19|20|21)\d\d)(?P<n>\d\d)$"
_EARLIEST, _LATEST = 1800, 2200
_FORMATS_IN_WORDS = (
    "Write dates as 2025-12-31 (or 31.12.2025, 31/12/2025, 12/31/2025, 31 Dec 2025, 2025-W07, 2025-01, Jan 2025)"
)

Stamps = npt.NDArray[np.datetime64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Dates:
    """A column of moments and how finely it names them."""

    stamps: Stamps  # datetime64[us], wall time as written (of the time zone asked for), NaT where blank
    precision: Precision
    notes: tuple[str, ...] = ()

    @property
    def days(self) -> Stamps:
        """The local days, datetime64[D]."""
        return self.stamps.astype("datetime64[D]")


def parse_dates(table: Table, column: str, dayfirst: bool | None = None, timezone: str | None = None) -> Dates:
    """The column as local moments, one a row.

    Stamps with an offset from UTC keep the wall time that is written, or get that of `timezone`. Raises ImportRefused
    for a value that is no date, for 03/04/2025 where nothing settles the order, and for days mixed with whole months.
    """
    kind = table.data.schema.field(column).type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _typed(table, column, timezone)
    return _Reader(table, column, table.encoded(column), timezone).read(dayfirst)


def _typed(table: Table, column: str, timezone: str | None) -> Dates:
    array = table.data[column].combine_chunks()
    zone = getattr(array.type, "tz", None)
    exact = getattr(array.type, "unit", "") != "ns"  # of nanoseconds a part is lost, a year that is too far is not
    try:
        utc = np.asarray(pc.cast(pc.cast(array, pa.timestamp("us", tz=zone), safe=exact), pa.timestamp("us")))
        local = _wall_time(utc.astype("datetime64[us]"), timezone or zone) if zone else utc.astype("datetime64[us]")
    except (pa.ArrowInvalid, KeyError, ValueError, OSError) as error:
        raise table.refusal(
            f"moments of type {array.type} cannot be read: {error}", row=0, column=column,
            value=str(zone or array.type),
            remedy="Write them in UTC or in a time zone such as Europe/Berlin, within the years "
            f"{_EARLIEST} to {_LATEST}",
        ) from error  # fmt: skip
    wrong = ~np.isnat(local) & _outside(local.astype("datetime64[Y]").astype(np.int64) + 1970)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        value = str(local[row].astype("datetime64[D]"))
        raise table.refusal(
            f"{value} lies outside the years {_EARLIEST} to {_LATEST}",
            row=row, column=column, value=value, more=int(wrong.sum()) - 1, remedy="Correct the date",
        )  # fmt: skip
    return Dates(local, "day")


def is_date(values: pa.StringArray) -> npt.NDArray[np.bool_]:
    """Which of the texts have the form of a date."""
    found = np.asarray(pc.match_substring_regex(values, _SIX_DIGITS))
    for _, pattern in _FORMATS:
        if not found.all():
            found |= np.asarray(pc.match_substring_regex(values, pattern))
    return found


def _wall_time(utc: Stamps, timezone: str) -> Stamps:
    if timezone == "UTC":
        return utc
    return np.asarray(pd.DatetimeIndex(utc).tz_localize("UTC").tz_convert(timezone).tz_localize(None).as_unit("us"))


class _Reader:
    """The distinct values of one text column on their way to moments."""

    def __init__(self, table: Table, column: str, encoded: Encoded, timezone: str | None) -> None:
        self.table, self.column, self.encoded, self.timezone = table, column, encoded, timezone
        size = len(encoded.values)
        self.blank = is_blank(encoded.values)
        self.stamps: Stamps = np.full(size, np.datetime64("NaT"), dtype="datetime64[us]")
        self.zoned = np.zeros(size, dtype=bool)
        self.offsets = np.zeros(size, dtype="timedelta64[us]")
        self.matched, self.outside = self.blank.copy(), np.zeros(size, dtype=bool)
        self.precisions: dict[Precision, npt.NDArray[np.bool_]] = {}
        self.notes: list[str] = []

    def read(self, dayfirst: bool | None) -> Dates:
        for precision, pattern in _FORMATS:
            if not self.matched.all():
                self._take(precision, pattern, dayfirst)
        self._take_six_digits()
        self._refuse_unread()
        precision = self._one_precision()
        if self.timezone is not None and self.zoned.any():
            self._refuse_mixed_zones()
            self.stamps = _wall_time(self.stamps - self.offsets, self.timezone)
        return Dates(self.stamps[self.encoded.codes], precision, tuple(self.notes))

    def _take(self, precision: Precision, pattern: str, dayfirst: bool | None) -> None:
        found = ~self.matched & np.asarray(pc.match_substring_regex(self.encoded.values, pattern))
        if not found.any():
            return
        parts = _parts(self.encoded.values.filter(pa.array(found)), pattern)
        if "sep" in parts:
            first = self._day_first(found, parts, dayfirst)
            parts["d"], parts["m"] = (parts["a"], parts["b"]) if first else (parts["b"], parts["a"])
        self.outside[found] = _outside(_years(parts))
        self._accept(precision, found, _moments(parts))
        if "z" in parts:
            self.zoned[found] = [bool(zone) for zone in parts["z"].to_pylist()]
            self.offsets[found] = _offset(parts["z"])

    def _accept(self, precision: Precision, found: npt.NDArray[np.bool_], stamps: Stamps) -> None:
        self.stamps[found] = stamps
        self.matched |= found
        self.precisions[precision] = self.precisions.get(precision, np.zeros_like(found)) | found

    def _day_first(self, found: npt.NDArray[np.bool_], parts: dict[str, pa.Array], dayfirst: bool | None) -> bool:
        """Whether the day stands before the month in 03/04/2025: what was said, else what the values show."""
        if dayfirst is not None:
            return dayfirst
        where = np.flatnonzero(found)
        day_first, month_first = where[_ints(parts["a"]) > 12], where[_ints(parts["b"]) > 12]
        if len(day_first) and len(month_first):
            rows = [int(self.encoded.rows(_mask(len(found), some))[0]) for some in (day_first, month_first)]
            raise self._refusal(
                rows[1], f"has the month first, but {self.table.unit} {self.table.line(rows[0])} has the day first",
                remedy="Write all dates of the column in one way",
            )  # fmt: skip
        if len(day_first) or len(month_first):
            return len(day_first) > 0
        if all(separator == "." for separator in parts["sep"].to_pylist()):
            self.notes.append(f"Column {self.column!r}: dates with dots were read with the day first.")
            return True
        row = int(self.encoded.rows(found)[0])
        raise self._refusal(
            row, "could have the day or the month first, and no date of the column settles it",
            remedy="Say which with --day-first or --month-first, or write dates as 2025-12-31",
        )  # fmt: skip

    def _take_six_digits(self) -> None:
        """202507: July, or week 7 where the column is called so or goes beyond 12."""
        found = ~self.matched & np.asarray(pc.match_substring_regex(self.encoded.values, _SIX_DIGITS))
        if not found.any():
            return
        parts = _parts(self.encoded.values.filter(pa.array(found)), _SIX_DIGITS)
        weeks = bool((_ints(parts["n"]) > 12).any()) or _named_week(self.column)
        example = self.encoded.values[int(np.flatnonzero(found)[0])].as_py()
        self.notes.append(
            f"Column {self.column!r}: {example} was read as {'ISO week' if weeks else 'month'} {int(example[4:])} "
            f"of {example[:4]}."
        )
        parts["w" if weeks else "m"] = parts["n"]
        self._accept("week" if weeks else "month", found, _moments(parts))

    def _refuse_unread(self) -> None:
        wrong = np.isnat(self.stamps) & ~self.blank
        if not wrong.any():
            return
        rows = self.encoded.rows(wrong)
        value = str(self.encoded.values[int(self.encoded.codes[rows[0]])].as_py())
        if self.outside[self.encoded.codes[rows[0]]]:
            problem = f"lies outside the years {_EARLIEST} to {_LATEST}"
            remedy = "Correct the year, and write it with four digits"
        elif re.fullmatch(r"[2-6]\d{4}(?:\.\d+)?", value):
            day = np.datetime64("1899-12-30", "D") + int(float(value))
            problem = f"looks like a date as Excel counts it ({day})"
            remedy = "Format the column as a date in Excel (yyyy-mm-dd) and save the file again"
        else:
            problem, remedy = "is not a date", _FORMATS_IN_WORDS
        raise self._refusal(int(rows[0]), problem, remedy=remedy, more=len(rows) - 1)

    def _one_precision(self) -> Precision:
        found = list(self.precisions)
        if len(found) > 1:
            firsts = sorted((int(self.encoded.rows(self.precisions[one])[0]), one) for one in found)
            (row, one), (other_row, other) = firsts[1], firsts[0]
            raise self._refusal(
                row, f"names a {one}, but {self.table.unit} {self.table.line(other_row)} names a {other}",
                remedy="Write all dates of the column in one way",
            )  # fmt: skip
        return found[0] if found else "day"

    def _refuse_mixed_zones(self) -> None:
        local = ~self.zoned & ~self.blank
        if local.any():
            raise self._refusal(
                int(self.encoded.rows(local)[0]), "has no offset from UTC, other values of the column have one",
                remedy="Write all moments of the column in one way",
            )  # fmt: skip

    def _refusal(self, row: int, problem: str, *, remedy: str, more: int = 0) -> ImportRefused:
        value = str(self.encoded.values[int(self.encoded.codes[row])].as_py())
        return self.table.refusal(
            f"{value!r} {problem}", row=row, column=self.column, value=value, remedy=remedy, more=more
        )


def _mask(size: int, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(size, dtype=bool)
    mask[chosen] = True
    return mask


def _named_week(column: str) -> bool:
    return re.search(r"(?i)week|woche|\bkw\b|semaine|semana|settimana|vecka|uge|uke|wk", column) is not None


def _parts(values: pa.StringArray, pattern: str) -> dict[str, pa.Array]:
    found = pc.extract_regex(values, pattern)
    return {part.name: found.field(index) for index, part in enumerate(found.type)}


def _ints(part: pa.Array | None, default: int = 0) -> Ints:
    """A part of the dates as integers; 0 where it is absent."""
    text = pc.if_else(pc.equal(pc.fill_null(part, ""), ""), str(default), pc.fill_null(part, ""))
    return np.array(pc.cast(text, pa.int64()).to_numpy(zero_copy_only=False))


def _moments(parts: dict[str, pa.Array]) -> Stamps:
    """The moments as written, without their offset from UTC; NaT where there is no such day or time."""
    years = _years(parts)
    if "w" in parts:
        days = _iso_week(years, _ints(parts["w"]))
    elif "q" in parts:
        days = _day(years, 3 * _ints(parts["q"]) - 2, np.ones_like(years))
    else:
        months = _month_numbers(parts["mon"]) if "mon" in parts else _ints(parts["m"])
        days = _day(years, months, _ints(parts["d"]) if "d" in parts else np.ones_like(years))
    stamps: Stamps = days.astype("datetime64[us]")
    stamps[_outside(years)] = np.datetime64("NaT")
    return stamps + _time_of_day(parts) if "H" in parts else stamps


def _years(parts: dict[str, pa.Array]) -> Ints:
    """The years, those of two digits being of this century; 0026 is no year of two digits."""
    years, short = _ints(parts["y"]), np.asarray(pc.equal(pc.utf8_length(parts["y"]), 2))
    return np.where(short, years + 2000, years)


def _outside(years: Ints) -> npt.NDArray[np.bool_]:
    return np.asarray((years < _EARLIEST) | (years > _LATEST))


def _day(years: Ints, months: Ints, days: Ints) -> Stamps:
    first = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
    day: Stamps = first.astype("datetime64[D]") + (days - 1).astype("timedelta64[D]")
    real = (months >= 1) & (months <= 12) & (days >= 1) & (day.astype("datetime64[M]") == first)
    day[~real] = np.datetime64("NaT")
    return day


def _iso_week(years: Ints, weeks: Ints) -> Stamps:
    """The Monday of an ISO week."""
    fourth = (years - 1970).astype("datetime64[Y]").astype("datetime64[D]") + 3  # 4 January is in week 1
    weekday = (fourth.astype(np.int64) + 3) % 7
    monday: Stamps = fourth + (7 * (weeks - 1) - weekday).astype("timedelta64[D]")
    same_year = (monday + 3).astype("datetime64[Y]").astype(np.int64) + 1970 == years
    monday[(weeks < 1) | ~same_year] = np.datetime64("NaT")
    return monday


def _month_numbers(words: pa.Array) -> Ints:
    plain = (pc.utf8_normalize(pc.utf8_lower(words), form="NFD")).to_pylist()
    return np.array([_MONTH_OF.get("".join(c for c in word if c.isalpha()), 0) for word in plain], dtype=np.int64)


def _time_of_day(parts: dict[str, pa.Array]) -> npt.NDArray[np.timedelta64]:
    hours, minutes, seconds = (_ints(parts[part]) for part in "HMS")
    half = strings(pc.utf8_lower(pc.fill_null(parts["ap"], "")))
    real = np.where(half == "", hours < 24, (hours >= 1) & (hours <= 12)) & (minutes < 60) & (seconds < 60)
    hours = np.where(half == "", hours, hours % 12 + 12 * (half == "pm"))
    micros = _ints(pc.utf8_slice_codeunits(pc.utf8_rpad(pc.fill_null(parts["f"], ""), 6, "0"), 0, 6))
    elapsed = (((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros).astype("timedelta64[us]")
    elapsed[~real] = np.timedelta64("NaT", "us")
    return elapsed


def _offset(zones: pa.Array) -> npt.NDArray[np.timedelta64]:
    """The offset from UTC, 0 where none is given."""
    found = pc.extract_regex(pc.fill_null(zones, ""), r"^(?P<sign>[+-])(?P<h>\d{2}):?(?P<m>\d{2})$")
    sign = np.where(strings(pc.fill_null(found.field(0), "+")) == "-", -1, 1)
    minutes: Ints = sign * (_ints(found.field(1)) * 60 + _ints(found.field(2)))
    return minutes.astype("timedelta64[m]")
