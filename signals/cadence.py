"""What frequency each series of an import has, found from the spacing of its dates."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from signals.dates import Precision
from signals.periods import WEEKDAYS, Days, last_weekday, place, weekday
from signals.rows import Ints, Mask, Naming, Rows
from signals.weeks import read_weeks

_ENOUGH = 6  # rows from which on a series speaks for itself; with fewer it follows the rest of the file
_MOSTLY = 0.6
_FINEST: dict[Precision, str] = {"day": "D", "week": "W", "month": "MS", "quarter": "QS"}
_ORDER = ["D", "W", "MS", "QS"]
_SPOKEN = {"D": "daily", "W": "weekly", "MS": "monthly", "QS": "quarterly"}
_SPLIT = "Import the differing rows on their own, or say what is meant with --frequency D, W, MS or QS"


def spoken(frequency: str) -> str:
    """A frequency in words."""
    return _SPOKEN[frequency.partition("-")[0]]


@dataclass(frozen=True)
class Shape:
    """What the distinct days of each series look like: arrays with one entry a series."""

    count: Ints
    step: Ints  # least number of days between two rows; a large number where there is one row
    month_step: Ints  # the same in months
    label: Ints  # weekday of the first row
    one_weekday: Mask
    month_like: Mask  # all first, all last or all the same day of the month
    quarter_like: Mask  # and first days of calendar quarters, or last ones
    mostly: npt.NDArray[np.str_]  # W or MS where most steps are of that length, else ''


def shape_of(series: Ints, days: Days, size: int) -> Shape:
    """The shape of each of `size` series; rows sorted by series and day, each series with at least one."""
    fresh = np.concatenate([[True], (series[1:] != series[:-1]) | (days[1:] != days[:-1])])
    series, days = series[fresh], days[fresh]
    begins = np.flatnonzero(np.concatenate([[True], series[1:] != series[:-1]]))
    count = np.bincount(series, minlength=size)
    months = days.astype("datetime64[M]")
    steps, month_steps = _steps(days.astype(np.int64), begins), _steps(months.astype(np.int64), begins)
    weekdays, of_month = weekday(days), (days - months.astype("datetime64[D]")).astype(np.int64)
    last = (days + np.timedelta64(1, "D")).astype("datetime64[M]") > months
    third = months.astype(np.int64) % 3

    def every(condition: Mask) -> Mask:
        return np.asarray(np.logical_and.reduceat(condition, begins))

    def same(values: Ints) -> Mask:
        return every(values == np.repeat(values[begins], count))

    steps_a_series = np.maximum(count - 1, 1)
    weeks = np.add.reduceat(steps == 7, begins) / steps_a_series >= _MOSTLY
    in_months = np.add.reduceat((steps >= 28) & (steps <= 31), begins) / steps_a_series >= _MOSTLY
    return Shape(
        count=count,
        step=np.minimum.reduceat(steps, begins),
        month_step=np.minimum.reduceat(month_steps, begins),
        label=weekdays[begins],
        one_weekday=same(weekdays),
        month_like=same(of_month) | every(last),
        quarter_like=every((third == 0) & (of_month == 0)) | every((third == 2) & last),
        mostly=np.where(weeks, "W", np.where(in_months, "MS", "")),
    )


def _steps(values: Ints, begins: Ints) -> Ints:
    steps = np.diff(values, prepend=values[:1])
    steps[begins] = np.iinfo(np.int64).max
    return steps


def _own(shape: Shape) -> npt.NDArray[np.str_]:
    """The frequency that each series shows by itself, '' where it shows none."""
    return np.select(
        [
            shape.count < 2,
            shape.month_like & (shape.month_step == 3) & shape.quarter_like,
            shape.month_like & (shape.month_step < 3),
            shape.one_weekday & (shape.step == 7),
            (shape.step == 1) & (shape.mostly == ""),
        ],
        ["", "QS", "MS", "W", "D"],
        "",
    )


def _fits(shape: Shape, frequency: str, label: int | None) -> Mask:
    """Which series could have the frequency, if they had gaps."""
    if frequency == "D":
        return np.ones_like(shape.one_weekday)
    if frequency == "W":
        return np.asarray(shape.one_weekday & (shape.label == label))
    return shape.month_like if frequency == "MS" else shape.quarter_like


@dataclass(frozen=True)
class Cadence:
    """The frequency of each series, in the order of their names, and what to say about it."""

    frequencies: list[str]
    notes: tuple[str, ...] = ()


class Detector:
    """Finds the frequency of every series of an import, or refuses with the row that does not fit."""

    def __init__(self, rows: Rows, precision: Precision, week: str | None, naming: Naming) -> None:
        self.rows, self.precision, self.week, self.naming = rows, precision, week, naming
        self.shape = shape_of(rows.series, rows.days, len(rows.names))
        self.own = _own(self.shape)

    def detect(self, known: Mapping[str, str]) -> Cadence:
        """Each series by its own dates; with few of them by what is known of it, else by the rest of the file."""
        held = np.array([known.get(name, "") for name in self.rows.names])
        # What sells now and then shows nothing by itself; what is weekly but for one row must not pass as daily.
        unsure = (self.shape.count < _ENOUGH) | ((self.own == "") & (self.shape.mostly == ""))
        chosen = np.where(unsure & (held == ""), self._by_majority(), self.own)
        chosen = np.where((self.shape.count < _ENOUGH) & (held != ""), "", chosen)
        undecided = np.flatnonzero((chosen == "") & (held == ""))
        if len(undecided):
            self._refuse_irregular(int(undecided[0]))
        self._refuse_too_fine(chosen)
        self._refuse_switch(chosen)
        weeks, notes = self._weeks(chosen == "W", None)
        frequencies = np.where(chosen == "W", weeks, chosen)
        self._refuse_conflict(frequencies, held)
        frequencies = np.where(held != "", held, frequencies)
        return Cadence(frequencies.tolist(), (*notes, *self._mixture(frequencies)))

    def follow(self, wanted: str, known: Mapping[str, str]) -> Cadence:
        """Every series at the frequency that the user asked for; refused where the dates or the store disagree."""
        cadence = self._follow(wanted)
        held = np.array([known.get(name, "") for name in self.rows.names])
        self._refuse_conflict(np.array(cadence.frequencies), held)
        return cadence

    def _follow(self, wanted: str) -> Cadence:
        if self._coarser(_FINEST[self.precision], wanted):
            raise self.naming.refusal(
                f"the dates name whole {self.precision}s, which cannot be divided into {wanted}",
                "Give a coarser --frequency, or leave it out", 0,
            )  # fmt: skip
        for index in np.flatnonzero(self.shape.count >= _ENOUGH):
            if wanted != "D" and self._coarser(str(self.own[index]), wanted):
                self._refuse_coarser(int(index), wanted)
        fiscal = self.shape.month_like & (self.shape.month_step == 3) & ~self.shape.quarter_like
        if wanted == "QS" and fiscal.any():
            which = int(np.flatnonzero(fiscal)[0])
            at = int(np.flatnonzero(self.rows.series == which)[0])
            self._refuse_step(which, at, "has quarters that are not those of the calendar")
        if not wanted.startswith("W"):
            return Cadence([wanted] * len(self.rows.names))
        labelled = self.shape.one_weekday & (self.shape.label == self.shape.label[0])
        if labelled.all():
            frequency, notes = self._weeks(labelled, wanted)
            return Cadence([frequency] * len(self.rows.names), notes)
        return Cadence(["W-SUN" if wanted == "W" else wanted] * len(self.rows.names))

    def _by_majority(self) -> npt.NDArray[np.str_]:
        """What series with few rows are taken for: the frequency that most rows of the file have, if they fit it."""
        sure = self.own != ""
        sure &= (self.shape.count >= _ENOUGH) if (sure & (self.shape.count >= _ENOUGH)).any() else sure
        if not sure.any():
            return self.own
        frequencies = sorted(set(self.own[sure].tolist()))
        weights = [int(self.shape.count[sure & (self.own == one)].sum()) for one in frequencies]
        majority = frequencies[int(np.argmax(weights))]
        labels = self.shape.label[sure & (self.own == majority)]
        fits = _fits(self.shape, majority, int(labels[0]))
        return np.where(fits, majority, self.own)

    def _weeks(self, weekly_ones: Mask, wanted: str | None) -> tuple[str, tuple[str, ...]]:
        """The frequency of the weeks that these series have, and how their labels were read."""
        if not weekly_ones.any():
            return "", ()
        labels = self.shape.label[weekly_ones]
        if (labels != labels[0]).any():
            names = np.asarray(self.rows.names, dtype=object)[weekly_ones]
            other = int(np.flatnonzero(labels != labels[0])[0])
            raise self.naming.refusal(
                f"weeks of {self.naming.what} {names[0]!r} are labelled on {WEEKDAYS[labels[0]]}s, those of "
                f"{names[other]!r} on {WEEKDAYS[labels[other]]}s",
                "Import them separately, each with --week begins or ends",
                self._first_row(int(np.flatnonzero(weekly_ones)[other])),
            )
        return read_weeks(int(labels[0]), self.week, wanted, self.naming, self.precision == "week")

    def _mixture(self, frequencies: npt.NDArray[np.str_]) -> tuple[str, ...]:
        found = sorted(set(frequencies.tolist()), key=frequencies.tolist().index)
        if len(found) < 2:
            return ()
        parts = []
        for one in found:
            names = [name for name, has in zip(self.rows.names, frequencies, strict=True) if has == one]
            parts.append(f"{len(names)} {spoken(one)} ({one}; {names[0]!r}{' …' if len(names) > 1 else ''})")
        return (f"The file holds {self.naming.what} series of several frequencies: {', '.join(parts)}.",)

    def _coarser(self, own: str, wanted: str) -> bool:
        """Whether rows of one frequency do not fit into periods of another: weeks straddle months."""
        if own == "":
            return False
        have, want = _ORDER.index(own), _ORDER.index(wanted.partition("-")[0])
        return have > want or (own == "W" and want > have)

    def _refuse_too_fine(self, chosen: npt.NDArray[np.str_]) -> None:
        finest = _ORDER.index(_FINEST[self.precision])
        wrong = [index for index, one in enumerate(chosen) if one and _ORDER.index(one) < finest]
        if wrong:
            self._refuse_irregular(wrong[0])

    def _refuse_coarser(self, index: int, wanted: str) -> None:
        own = spoken(str(self.own[index]))
        straddle = ": weeks straddle months" if own == "weekly" and not wanted.startswith("W") else ""
        raise self.naming.refusal(
            f"{self.naming.what} {self.rows.names[index]!r} is {own} and cannot be turned into {wanted}{straddle}",
            "Leave --frequency out, or import this one separately", self._first_row(index),
        )  # fmt: skip

    def _refuse_conflict(self, frequencies: npt.NDArray[np.str_], held: npt.NDArray[np.str_]) -> None:
        """A series that the store knows at one frequency cannot get rows of another."""
        for index in np.flatnonzero(held != ""):
            found, known = str(frequencies[index]), str(held[index])
            if found not in ("", known) or (found == "" and not self._could_be(int(index), known)):
                seen = spoken(found) + f" ({found})" if found else "different"
                name = self.rows.names[int(index)]
                raise self.naming.refusal(
                    f"{self.naming.what} {name!r} is {spoken(known)} ({known}) in the store, these rows are {seen}",
                    f"Give --frequency {known} where the dates allow it, or import under another name",
                    self._first_row(int(index)),
                )

    def _could_be(self, index: int, known: str) -> bool:
        if not known.startswith("W"):
            own = self.rows.days[self.rows.series == index]
            return known == "D" or len(np.unique(place(own, known))) == len(np.unique(own))
        label, last = int(self.shape.label[index]), last_weekday(known)
        expected = {"begins": (last + 1) % 7, "ends": last}
        sides = [self.week] if self.week else list(expected)
        return bool(self.shape.one_weekday[index]) and label in [expected[side] for side in sides]

    def _refuse_switch(self, chosen: npt.NDArray[np.str_]) -> None:
        """A series that is daily at first and weekly or monthly later would look like a shop that hardly opens."""
        suspects = (chosen == "D") & (self.own == "D")
        if not suspects.any():
            return
        steps = np.diff(self.rows.days.astype(np.int64), prepend=0)
        long = (steps == 7) | ((steps >= 28) & (steps <= 31))
        inside = ~self.rows.begins & suspects[self.rows.series]
        run = _runs(long & inside)
        found = np.flatnonzero(run >= 8)
        if len(found):
            at = int(found[0]) - 7
            length = "weekly" if steps[at] == 7 else "monthly"
            self._refuse_step(int(self.rows.series[at]), at, f"is daily before and {length} from here on")

    def _refuse_irregular(self, index: int) -> None:
        """The message for a series whose dates show no frequency, with the row that departs from most others."""
        at = np.flatnonzero(self.rows.series == index)
        days = np.unique(self.rows.days[at])
        usual = str(self.shape.mostly[index])
        if len(days) == 1:
            self._refuse_step(index, int(at[0]), "has a single date, which shows no frequency")
        if len(days) < 3 or not usual:
            self._refuse_step(index, int(at[0]), "has dates that show neither days, weeks, months nor quarters")
        marks = weekday(self.rows.days[at])
        if usual == "MS":
            marks = (self.rows.days[at] - self.rows.days[at].astype("datetime64[M]").astype("datetime64[D]")).astype(
                np.int64
            )
        common = int(np.bincount(marks).argmax())
        odd = int(at[np.flatnonzero(marks != common)[0]]) if (marks != common).any() else int(at[0])
        as_usual = f"on {WEEKDAYS[common]}s" if usual == "W" else f"on day {common + 1} of the month"
        self._refuse_step(index, odd, f"is {spoken(usual)} {as_usual}, but not here")

    def _refuse_step(self, index: int, at: int, problem: str) -> None:
        day, name = str(self.rows.days[at]), self.rows.names[index]
        raise self.naming.refusal(
            f"{self.naming.what} {name!r} {problem} ({day}, a {WEEKDAYS[weekday(self.rows.days)[at]]})",
            _SPLIT, int(self.rows.row[at]), value=day,
        )  # fmt: skip

    def _first_row(self, index: int) -> int:
        return int(self.rows.row[self.rows.series == index].min())


def _runs(marked: Mask) -> Ints:
    """At each place, how many marked ones in a row end there."""
    count = np.cumsum(marked)
    return np.asarray(count - np.maximum.accumulate(np.where(marked, 0, count)))
