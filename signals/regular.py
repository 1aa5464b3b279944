"""Rows of known frequency turned into whole periods: duplicates, finer data, partial periods, the future, gaps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from signals.dates import Stamps
from signals.periods import WEEKDAYS, Days, Places, place, spans, start, weekday
from signals.refused import ImportRefused
from signals.rows import Ints, Mask, Naming, Rows
from signals.whole import Whole, find_whole, traded

DUPLICATES = ("refuse", "sum", "last")
GAPS = ("missing", "zero")
_LONGEST_GAP = np.timedelta64(20 * 366, "D")
_LONGEST_PERIOD = np.timedelta64(92, "D")  # a quarter
_MOST_FILLED = 20_000_000  # more zeros than that come from a mistaken date, not from a shop


@dataclass(frozen=True)
class Rules:
    """What the user chose, and the day it is where the goods are sold."""

    today: date
    duplicates: str = "refuse"
    gaps: str = "missing"
    add_up: bool = True  # finer rows become coarser ones by adding them up; else they are refused
    ahead: Mask | None = None  # series that may run into the future

    def __post_init__(self) -> None:
        for option, value, allowed in (("duplicates", self.duplicates, DUPLICATES), ("gaps", self.gaps, GAPS)):
            if value not in allowed:
                raise ImportRefused(f"--{option} is {value!r}", value=value, remedy=f"Allowed: {', '.join(allowed)}")


@dataclass(frozen=True)
class Regular:
    """Whole periods, one entry a series, period and vintage, in order; `row` is -1 for a period that was filled in."""

    series: Ints
    start: Days
    end: Days
    values: npt.NDArray[np.float64]
    known_at: Stamps
    row: Ints
    notes: tuple[str, ...]


def regularise(rows: Rows, frequencies: Sequence[str], rules: Rules, naming: Naming) -> Regular:
    """Turn rows in order into whole periods; what was done is in the notes. Raises ImportRefused."""
    frequency_of = np.asarray(frequencies, dtype=object)
    steps = []
    for one in sorted(set(frequencies)):
        of_frequency = frequency_of == one
        chosen = rows if of_frequency.all() else rows.take(of_frequency[rows.series])
        steps.append(_Step(chosen, one, rules, naming))
    parts = [step.run() for step in steps]
    if not any(len(part.series) for part in parts):
        raise naming.table.refusal(
            "no whole period is left: what there is has not ended yet, or the file holds only a part of it",
            remedy="Import again when a period is complete; where no row means no sale, --gaps zero makes it so",
        )
    return parts[0] if len(parts) == 1 else _joined(parts)


def refuse_far_future(rows: Rows, rules: Rules, naming: Naming) -> None:
    """Refuse days that lie in no present period, whatever the frequency: a mistyped year looks like a lost rhythm."""
    refuse_future(rows, rows.days > np.datetime64(rules.today, "D") + _LONGEST_PERIOD, rules, naming)


def refuse_future(rows: Rows, future: Mask, rules: Rules, naming: Naming) -> None:
    """Refuse the first of the `future` rows of a series that ends today."""
    wrong = future & _ends_today(rows, rules)
    if not wrong.any():
        return
    at = _first(wrong, rows)
    remedy = "Correct the date, or leave the row out: sales are what was sold"
    if naming.what == "signal":
        remedy = "Correct the date, or give --future-known for a signal whose coming values are known today"
    raise naming.refusal(
        f"{rows.days[at]} lies in the future (today is {rules.today})",
        remedy, int(rows.row[at]), value=str(rows.days[at]), more=int(wrong.sum()) - 1,
    )  # fmt: skip


def _ends_today(rows: Rows, rules: Rules) -> Mask:
    return np.ones(len(rows), dtype=bool) if rules.ahead is None else ~rules.ahead[rows.series]


def _joined(parts: Sequence[Regular]) -> Regular:
    joined = {
        field: np.concatenate([getattr(part, field) for part in parts])
        for field in ("series", "start", "end", "values", "known_at", "row")
    }
    order = np.lexsort((joined["known_at"].view(np.int64), joined["start"], joined["series"]))
    notes = tuple(note for part in parts for note in part.notes)
    return Regular(**{field: values[order] for field, values in joined.items()}, notes=notes)


class _Step:
    """The series of one frequency on their way to whole periods."""

    def __init__(self, rows: Rows, frequency: str, rules: Rules, naming: Naming) -> None:
        self.rows, self.frequency, self.rules, self.naming = rows, frequency, rules, naming
        self.notes: list[str] = []

    def run(self) -> Regular:
        self._one_row_a_day()
        self._refuse_future()
        self._refuse_known_early()
        self._refuse_leap()
        covered = self._covered()
        self._drop_partial()
        whole = None
        if self._finer():
            self._drop_cut_off(covered)
            whole = self._add_up() if len(self.rows) else None
        if self.rules.gaps == "zero" and len(self.rows):
            self._fill()
        else:
            self._count_gaps()
            if whole is not None:
                self._drop_incomplete(whole)
        starts, ends = spans(self.rows.days, self.frequency)
        rows = self.rows
        return Regular(rows.series, starts, ends, rows.values, rows.known_at, rows.row, tuple(self.notes))

    @property
    def _places(self) -> Places:
        return place(self.rows.days, self.frequency)

    def _same(self, *columns: npt.NDArray[np.generic]) -> Mask:
        """Which rows agree with the row before them in series and columns."""
        same = ~self.rows.begins
        for column in columns:
            whole = column.view(np.int64)  # so that two moments that are not known are equal
            same[1:] &= whole[1:] == whole[:-1]
        return same

    def _one_row_a_day(self) -> None:
        rows = self.rows
        again = self._same(rows.days, rows.known_at)
        if not again.any():
            return
        if self.rules.duplicates == "refuse":
            self._refuse_duplicate(again)
        last = self.rules.duplicates == "last"
        self.rows = rows.take(~np.append(again[1:], False)) if last else _summed(rows, ~again)
        how = "the last one was kept" if last else "they were added up"
        self.notes.append(
            f"{_count(int(again.sum()), 'row')} more than one for the same {self.naming.what} and date: {how}."
        )

    def _refuse_duplicate(self, again: Mask) -> None:
        at = int(np.flatnonzero(again)[0])
        rows, table = self.rows, self.naming.table
        known, remedy = (
            "",
            "Keep one of them, or give --duplicates sum to add them up or --duplicates last to keep the last",
        )
        if not np.isnat(rows.known_at[at]):
            known = f" known at {rows.known_at[at]}"
            remedy = (
                "Give --duplicates last to keep the last, or correct the moment of one: they are two versions of one "
                "value, and adding them up (--duplicates sum) would count it twice"
            )
        raise self.naming.refusal(
            f"{self.naming.what} {rows.names[rows.series[at]]!r} has a second row for {rows.days[at]}{known} "
            f"({rows.values[at]:g}); the first is {table.unit} {table.line(int(rows.row[at - 1]))} "
            f"({rows.values[at - 1]:g})",
            remedy, int(rows.row[at]), value=str(rows.days[at]), more=int(again.sum()) - 1,
        )  # fmt: skip

    def _refuse_future(self) -> None:
        starts, _ = spans(self.rows.days, self.frequency)
        refuse_future(self.rows, starts > np.datetime64(self.rules.today, "D"), self.rules, self.naming)

    def _bound(self) -> Mask:
        return _ends_today(self.rows, self.rules)

    def _refuse_known_early(self) -> None:
        starts, ends = spans(self.rows.days, self.frequency)
        said = ~np.isnat(self.rows.known_at) & self._bound()
        wrong = said & (self.rows.known_at < starts)
        if wrong.any():
            at = _first(wrong, self.rows)
            raise self.naming.refusal(
                f"known at {self.rows.known_at[at]}, before the period began ({starts[at]})",
                "Correct the moment, or leave it blank", int(self.rows.row[at]),
                value=str(self.rows.known_at[at]), more=int(wrong.sum()) - 1,
            )  # fmt: skip
        early = said & (self.rows.known_at < ends)
        if early.any():
            line = self.naming.table.line(int(self.rows.row[_first(early, self.rows)]))
            self.notes.append(
                f"{_count(int(early.sum()), 'row')} known before the period had ended "
                f"(first: {self.naming.table.unit} {line}); they count from the moment that the file says."
            )

    def _refuse_leap(self) -> None:
        """A mistyped year would otherwise pass as a series with a very long gap."""
        rows = self.rows
        leap = ~rows.begins & (np.diff(rows.days, prepend=rows.days[:1]) > _LONGEST_GAP)
        if leap.any():
            at = int(np.flatnonzero(leap)[0])
            table = self.naming.table
            raise self.naming.refusal(
                f"{self.naming.what} {rows.names[rows.series[at]]!r} has no row for more than 20 years before "
                f"{rows.days[at]}; the row before it is {table.unit} {table.line(int(rows.row[at - 1]))} "
                f"({rows.days[at - 1]})",
                "Correct the year of one of them, or leave the older rows out", int(rows.row[at]),
                value=str(rows.days[at]), more=int(leap.sum()) - 1,
            )  # fmt: skip

    def _drop_partial(self) -> None:
        _, ends = spans(self.rows.days, self.frequency)
        partial = (ends > np.datetime64(self.rules.today, "D")) & self._bound()
        if not partial.any():
            return
        complete = ends[partial].max()
        self.notes.append(
            f"{_count(int(partial.sum()), 'row')} dropped: the last period is not over; "
            f"it will be complete on {complete}."
        )
        self.rows = self.rows.take(~partial)

    def _finer(self) -> bool:
        """Whether a period has rows on more than one of its days."""
        finer = self._same(self._places) & ~self._same(self.rows.days)
        if finer.any() and not self.rules.add_up:
            at = _first(finer, self.rows)
            name = self.rows.names[self.rows.series[at]]
            raise self.naming.refusal(
                f"signal {name!r} has several values in one period of {self.frequency}",
                "Leave --frequency out: a signal keeps its own cadence", int(self.rows.row[at]),
            )  # fmt: skip
        return bool(finer.any())

    def _covered(self) -> tuple[Any, Any, Mask]:
        """First day, last day and the weekdays of the file."""
        days = self.rows.days
        return days.min(), days.max(), traded(np.bincount(weekday(days), minlength=7))

    def _drop_cut_off(self, covered: tuple[Any, Any, Mask]) -> None:
        """Periods of which the file holds only the end or only the beginning."""
        starts, ends = spans(np.array(covered[:2]), self.frequency)
        places = self._places
        for cut, edge, words in zip(self._cut_off(covered, starts[0], ends[1]), starts, ("first", "last"), strict=True):
            dropped = places == place(np.array([edge]), self.frequency)[0]
            if cut and dropped.any():
                self.notes.append(
                    f"{_count(int(dropped.sum()), 'row')} dropped: the file holds only a part of its {words} period, "
                    f"which begins on {edge}."
                )
                self.rows, places = self.rows.take(~dropped), places[~dropped]

    def _cut_off(self, covered: tuple[Any, Any, Mask], begin: Any, end: Any) -> tuple[bool, bool]:
        """Whether the file begins after the day `begin`, and whether it stops before the day `end`."""
        first, last, open_on = covered
        months = place(self.rows.days, "MS")
        if self.frequency == "QS" and not (self._same(months) & ~self._same(self.rows.days)).any():
            first, last = first.astype("datetime64[M]"), last.astype("datetime64[M]")
            return bool(first > begin), bool(last + 1 < end)
        # Days of the week on which the file (almost) never has a row are days on which nobody sells.
        before, after = np.arange(begin, first), np.arange(last + np.timedelta64(1, "D"), end)
        return bool(open_on[weekday(before)].any()), bool(open_on[weekday(after)].any())

    def _add_up(self) -> Whole:
        rows = self.rows
        several = self._same(rows.days)
        if several.any():
            at = int(np.flatnonzero(several)[0])
            raise self.naming.refusal(
                f"{self.naming.what} {rows.names[rows.series[at]]!r} has several values for {rows.days[at]}, known at "
                "different moments, which cannot be added up to longer periods",
                "Leave --frequency out, or import one vintage", int(rows.row[at]),
            )  # fmt: skip
        whole = find_whole(rows, self.frequency)
        summed = _summed(rows, ~self._same(self._places))
        self.notes.append(f"{len(rows):,} rows were added up to {len(summed):,} periods of {self.frequency}.")
        if whole.closed:
            more = f" and {len(whole.closed) - 3:,} more" if len(whole.closed) > 3 else ""
            self.notes.append(
                f"Days on which a {self.naming.what} has no rows, or hardly any, count as closed, and periods as "
                f"complete without them: {'; '.join(whole.closed[:3])}{more}."
            )
        if self.rules.gaps == "zero" and whole.absent.any():
            self.notes.append(
                f"{int(whole.absent.sum()):,} absent rows inside {int((whole.absent > 0).sum()):,} periods were taken "
                "as zero."
            )
        self.rows = summed
        return whole

    def _drop_incomplete(self, whole: Whole) -> None:
        """A sum of some of its days would pass for what was sold in a period: it stays missing instead."""
        holes = np.flatnonzero(whole.absent > 0)
        if not len(holes):
            return
        at = int(holes[0])
        parts = "months" if whole.monthly[at] else "days"
        period = _PERIOD[self.frequency[0]]
        name, first = self.rows.names[self.rows.series[at]], spans(self.rows.days[[at]], self.frequency)[0][0]
        self.notes.append(
            f"{_count(len(holes), period)} left missing, for rows inside are absent (first: {name!r}, the {period} "
            f"from {first} has rows for {whole.expected[at] - whole.absent[at]} of {whole.expected[at]} {parts}); "
            "if no row means no sale, give --gaps zero."
        )
        self.rows = self.rows.take(whole.absent == 0)

    def _count_gaps(self) -> None:
        steps = np.diff(self._places, prepend=0)[~self.rows.begins] - 1
        absent = int(np.maximum(steps, 0).sum())
        if not absent:
            return
        at = int(np.flatnonzero(~self.rows.begins)[np.flatnonzero(steps > 0)[0]])
        name, day = self.rows.names[self.rows.series[at]], self.rows.days[at - 1]
        affected = len(np.unique(self.rows.series[~self.rows.begins][steps > 0]))
        period = f"{_PERIOD[self.frequency[0]]} has" if absent == 1 else f"{_PERIOD[self.frequency[0]]}s have"
        self.notes.append(
            f"{absent:,} {period} no row, in {affected:,} of the {self.naming.what} series (first: {name!r} after "
            f"{day}){self._closed()}. Missing periods stay missing; if no row means zero, give --gaps zero."
        )

    def _closed(self) -> str:
        """The weekdays on which a daily file never has a row."""
        if self.frequency != "D":
            return ""
        never = np.flatnonzero(np.bincount(weekday(self.rows.days), minlength=7) == 0)
        return f"; there is never one on {', '.join(WEEKDAYS[day] + 's' for day in never)}" if len(never) else ""

    def _fill(self) -> None:
        """A row of zero for each absent period, from a series' first to the last one of the file."""
        rows, places = self.rows, self._places
        begins = np.flatnonzero(rows.begins)
        length = places.max() - places[begins] + 1
        if int(length.sum()) > _MOST_FILLED:
            at = begins[int(length.argmax())]
            raise self.naming.refusal(
                f"--gaps zero would make {int(length.sum()):,} rows; {rows.names[rows.series[at]]!r} begins on "
                f"{rows.days[at]}", "Check that date, or leave --gaps out", int(rows.row[at]),
            )  # fmt: skip
        series = np.repeat(rows.series[begins], length)
        offset = np.arange(len(series)) - np.repeat(np.cumsum(length) - length, length)
        full = np.repeat(places[begins], length) + offset
        width = int(full.max() - full.min() + 1)
        absent = ~np.isin(series * width + (full - full.min()), rows.series * width + (places - full.min()))
        if absent.any():
            self.rows = _with_zeros(rows, series[absent], start(full[absent], self.frequency))
            self.notes.append(f"{int(absent.sum()):,} periods without a row were taken as zero.")


_PERIOD = {"D": "day", "W": "week", "M": "month", "Q": "quarter"}


def _summed(rows: Rows, leads: Mask) -> Rows:
    """Each run of rows that a leading row begins, as one row: values added, the latest moment of knowledge."""
    at = np.flatnonzero(leads)
    known = np.maximum.reduceat(rows.known_at, at)  # one that is not known makes all unknown
    return replace(rows.take(at), values=np.add.reduceat(rows.values, at), known_at=known)


def _with_zeros(rows: Rows, series: Ints, days: Days) -> Rows:
    size = len(series)
    return Rows(
        names=rows.names,
        series=np.concatenate([rows.series, series]),
        days=np.concatenate([rows.days, days]),
        values=np.concatenate([rows.values, np.zeros(size)]),
        known_at=np.concatenate([rows.known_at, np.full(size, np.datetime64("NaT"), dtype="datetime64[us]")]),
        row=np.concatenate([rows.row, np.full(size, -1, dtype=np.int64)]),
    ).in_order()


def _first(chosen: Mask, rows: Rows) -> int:
    """Of the chosen rows, the one that stands first in the file."""
    at = np.flatnonzero(chosen)
    return int(at[rows.row[at].argmin()])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun} was" if number == 1 else f"{number:,} {noun}s were"
