"""What an import has made of a file, before anything is stored, and what the two kinds of import share."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from signals.batch import Batch
from signals.cadence import Cadence, Detector
from signals.dates import Dates, Precision, Stamps, parse_dates
from signals.periods import parse_frequency
from signals.refused import ImportRefused
from signals.rows import Ints, Mask, Naming, Rows
from signals.tables import Table

LONGEST_LAG = 3660  # days
Progress = Callable[[int, int, str], None]  # steps done, steps in all, what comes next


@dataclass(frozen=True)
class Prepared:
    """A whole import, checked and ready for the store.

    `mapping` says which column (or "=constant") each field was taken from, `notes` in whole sentences what was assumed,
    dropped or mended, `rows` how many values the batch holds.
    """

    batch: Batch
    mapping: dict[str, str]
    notes: list[str]
    rows: int


class Steps:
    """Tells a progress callback how far the import is."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def next(self, stage: str) -> None:
        """Say that `stage` begins."""
        if self.progress is not None:
            self.progress(self.done, self.total, stage)
        self.done += 1


def check_options(decimal: str | None, lag_days: int) -> None:
    """Refuse a decimal character other than . and , and a lag that is negative or beyond ten years."""
    if decimal not in (None, ".", ","):
        raise ImportRefused(f"--decimal is {decimal!r}", value=decimal, remedy="Allowed: '.' and ','")
    if not 0 <= lag_days <= LONGEST_LAG:
        raise ImportRefused(
            f"--lag-days is {lag_days}",
            value=str(lag_days),
            remedy=f"Give 0 to {LONGEST_LAG}: nothing is known before it is over",
        )


def read_known_at(table: Table, column: str | None, dayfirst: bool | None, now: datetime) -> Stamps:
    """When each row became known, UTC, NaT where the table does not say; refused if it lies in the future."""
    if column is None:
        return np.full(table.data.num_rows, np.datetime64("NaT"), dtype="datetime64[us]")
    stamps = parse_dates(table, column, dayfirst, timezone="UTC").stamps
    wrong = np.flatnonzero(stamps > np.datetime64(now.replace(tzinfo=None), "us"))
    if len(wrong):
        value = str(stamps[wrong[0]])
        raise table.refusal(
            f"known at {value} UTC, which lies in the future",
            row=int(wrong[0]), column=column, value=value, more=len(wrong) - 1,
            remedy="Correct the moment (moments without an offset are UTC), or leave it blank",
        )  # fmt: skip
    return stamps


def refuse_missing(missing: Mask, table: Table, column: str, what: str) -> None:
    """Refuse rows that lack what every row needs."""
    rows = np.flatnonzero(missing)
    if len(rows):
        raise table.refusal(
            f"the row has no {what}", row=int(rows[0]), column=column, more=len(rows) - 1,
            remedy=f"Fill in the {what}, or take the row out",
        )  # fmt: skip


def date_notes(dates: Dates, column: str) -> list[str]:
    """What was assumed about the dates."""
    clock = dates.stamps[~np.isnat(dates.stamps)]
    dropped = (clock != clock.astype("datetime64[D]")).any()
    return [*dates.notes, *([f"Column {column!r}: times of day were dropped."] if dropped else [])]


def order_notes(rows: Rows) -> list[str]:
    """Whether rows in order stood in another order in the file."""
    shuffled = ~rows.begins[1:] & (rows.row[1:] < rows.row[:-1])
    return ["The rows were not in order of time and were sorted."] if shuffled.any() else []


def find_cadence(
    rows: Rows, precision: Precision, frequency: str | None, week: str | None, known: Mapping[str, str], naming: Naming
) -> Cadence:
    """The frequency of each series: the one asked for, or the one that its dates show."""
    detector = Detector(rows, precision, week, naming)
    return detector.detect(known) if frequency is None else detector.follow(parse_frequency(frequency), known)


def unused_note(table: Table, used: Sequence[str]) -> list[str]:
    """The columns that the import did not look at."""
    unused = [column for column in table.columns if column not in used]
    return [f"Columns not used: {', '.join(unused)}."] if unused else []


def texts(names: Sequence[str], codes: Ints) -> pd.Series:
    """Names by code as a column of text, without a Python string a row."""
    categories = pd.Index(list(names), dtype="str")
    return pd.Series(pd.Categorical.from_codes(codes, categories=categories)).astype("str")


def counted(number: int, noun: str) -> str:
    """'1 row', '2,000 rows', '3 categories'."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def payload_sha(*parts: pd.DataFrame | str) -> str:
    """A hash of what is handed to the store, the same for the same content in any order, format or file name."""
    digest = hashlib.sha256()
    for frame in parts:
        if isinstance(frame, str):
            digest.update(frame.encode())
            continue
        for name in frame.columns:
            if name == "source" and "quantity" in frame:  # the name of the file
                continue
            digest.update(f"\0{name}\0".encode())
            _add(digest, frame[name])
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", column: pd.Series) -> None:
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_dtype(column):
        digest.update(np.ascontiguousarray(column.to_numpy()).tobytes())
        return
    codes, values = pd.factorize(column)
    digest.update("\0".join(str(value) for value in values).encode())
    digest.update(codes.astype(np.int64).tobytes())
