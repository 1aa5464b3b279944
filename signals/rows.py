"""The rows of an import on their way to the store: which series, which day, what value, known when."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from signals.dates import Stamps
from signals.mapping import CONSTANT
from signals.names import name_problem
from signals.periods import Days
from signals.refused import ImportRefused
from signals.tables import EXACT, Table, strings

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Parallel arrays, one entry a row; `names` are the series that the codes in `series` point to, sorted."""

    names: Sequence[str]
    series: Ints
    days: Days
    values: npt.NDArray[np.float64]
    known_at: Stamps  # datetime64[us], NaT: not said
    row: Ints  # index of the row in the table that was read

    def __len__(self) -> int:
        return len(self.series)

    def take(self, chosen: Ints | Mask) -> "Rows":
        """These rows, in this order."""
        fields = ("series", "days", "values", "known_at", "row")
        return replace(self, **{field: getattr(self, field)[chosen] for field in fields})

    def in_order(self) -> "Rows":
        """Sorted by series, day, moment of knowledge and place in the file, so that shuffled rows end up the same."""
        return self.take(np.lexsort((self.row, self.known_at.view(np.int64), self.days, self.series)))

    def compact(self) -> "Rows":
        """Without the names that no row bears."""
        used, series = np.unique(self.series, return_inverse=True)
        return replace(self, names=[self.names[code] for code in used], series=series.astype(np.int64))

    @property
    def begins(self) -> Mask:
        """Where a series begins, for rows in order."""
        return np.concatenate([[True], self.series[1:] != self.series[:-1]]) if len(self) else np.zeros(0, dtype=bool)


@dataclass(frozen=True)
class Naming:
    """How messages speak of the table: what a series is, and the name of the date column."""

    table: Table
    what: str  # category, signal
    date: str

    def refusal(
        self, problem: str, remedy: str, row: int, *, column: str | None = None, value: str = "", more: int = 0
    ) -> ImportRefused:
        """The error for a row, in the date column unless another is named."""
        return self.table.refusal(
            problem, remedy=remedy, row=row, column=column or self.date, value=value or None, more=more
        )


def series_names(table: Table, column: str, kind: str) -> tuple[list[str], Ints]:
    """Sorted distinct names in a column (or the one of "=Name") and each row's code; blank is the name ''."""
    if column.startswith(CONSTANT):
        names = [column[1:].strip()]
        refuse_names(table, kind, names)
        return names, np.zeros(table.data.num_rows, dtype=np.int64)
    _refuse_inexact(table, column)
    encoded = table.encoded(column)
    texts = strings(pc.utf8_normalize(encoded.values, form="NFC"))
    names = sorted(set(texts.tolist()))
    place = {name: code for code, name in enumerate(names)}
    lookup = np.array([place[text] for text in texts], dtype=np.int64)
    codes = lookup[encoded.codes]
    refuse_names(table, kind, names, codes, column)
    return names, codes


def refuse_names(
    table: Table, kind: str, names: Sequence[str], codes: Ints | None = None, column: str | None = None
) -> None:
    """Refuse the first name that no category or signal (`kind`) may bear, with its row where there are codes."""
    for code, name in enumerate(names):
        problem = name_problem(kind, name)
        if problem is not None:
            rows = np.flatnonzero(codes == code) if codes is not None else np.zeros(0, dtype=np.int64)
            raise table.refusal(
                problem[0], remedy=problem[1], column=column or name[:80], value=name[:80],
                row=int(rows[0]) if len(rows) else None, more=max(len(rows) - 1, 0),
            )  # fmt: skip


def _refuse_inexact(table: Table, column: str) -> None:
    """Codes that are floats name something only as long as they are whole and small enough to be exact."""
    if not pa.types.is_floating(table.data.schema.field(column).type) or not table.readable(column):
        return
    values = np.asarray(table.data[column].cast(pa.float64()).to_numpy())
    wrong = np.flatnonzero(np.isinf(values) | (np.abs(values) >= EXACT))
    if len(wrong):
        raise table.refusal(
            f"{values[wrong[0]]:g} is no name", row=int(wrong[0]), column=column, value=f"{values[wrong[0]]:g}",
            more=len(wrong) - 1, remedy="Write names and codes as text",
        )  # fmt: skip


def blank_rows(table: Table, columns: Sequence[str]) -> Mask:
    """The rows in which all of the columns are blank, as spreadsheets leave below the data."""
    blank = np.ones(table.data.num_rows, dtype=bool)
    for column in columns:
        encoded = table.encoded(column)
        blank &= (strings(encoded.values) == "")[encoded.codes]
    return blank


def utc_now(now: datetime | None) -> datetime:
    """The moment of the import, in UTC with a zone; a naive one is taken as UTC."""
    if now is None:
        return datetime.now(UTC)
    return now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)


def zone(timezone: str | None) -> ZoneInfo:
    """The time zone of that name, UTC by default."""
    try:
        return ZoneInfo(timezone or "UTC")
    except (KeyError, ValueError, OSError) as error:
        raise ImportRefused(
            f"time zone {timezone!r} is not known", value=timezone, remedy="Give a name such as Europe/Berlin or UTC"
        ) from error
