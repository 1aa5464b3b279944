"""Moving holidays: for every period the one in past years that is the same in the calendar.

A seasonal analogue goes back by whole years, and Easter, Thanksgiving, the Lunar New Year or Eid then fall into another
period; even Christmas falls into another week now and then. Around the holidays of a country *aligned* analogues go
back by the distance between the holiday's dates instead.

Days within three of a great holiday (one of another) go back to the day at the same distance from it. Farther off the
weekday matters more than the day: there the move is rounded to whole weeks. Weeks always move by whole weeks, to the
one with the most days in common: where Christmas is the Monday of one week and was the Sunday of another, trade before
it is not like trade after it. Weeks with other holidays, one day of seven, are not aligned, and neither are months and
quarters: no other month is like a March with Easter in it, and to them the calendar is a signal only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from dateutil.easter import easter

from forecast import frequency as freq
from forecast.frequency import Days
from forecast.season import IntArray, named_holidays

BoolArray = npt.NDArray[np.bool_]

YEARS = 3  # how many past years an aligned analogue averages at most
# Great holidays, with the days before and after on which sales may follow them; Ramadan comes before Eid al-Fitr.
_GREAT = {
    r"easter|good friday|pesach|passover": (14, 7),
    r"fourth thursday of november|^thanksgiving": (7, 7),
    r"^christmas( day)?$": (14, 7),
    r"(lunar|chinese|korean|vietnamese) new year|spring festival|^tet": (21, 14),
    r"eid al-fitr|hari raya puasa": (35, 7),
    r"eid al-adha|hari raya haji": (14, 7),
    r"diwali|deepavali": (21, 7),
    r"chuseok|mid-autumn|rosh hashanah|dussehra": (7, 7),
    r"shrove tuesday": (7, 0),
}
_FEW = (1, 1)  # the days around any other
KINDS = CLOSE, FAR, SMALL = 1, 2, 3  # close to a great holiday, farther off, at another one
_EXACT = 3  # days from a great holiday within which the distance counts, not the weekday
_SUBSTITUTE = re.compile(r"observed|substitut|in lieu|alternative|extended|day off", re.IGNORECASE)
_ONE_HOLIDAY = 15  # days of one name less than this apart are one holiday
_YEAR = 365.2425
_DRIFT = 12  # days a year by which a holiday may move in one direction (Eid comes 10.9 earlier), and
_SPREAD = 20  # days by which it may move to and fro
_NONE = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Alignment:
    """`past` and `usual` (years, periods): the analogous period in the k-th past year by the calendar and by whole
    seasons, -1 before the history. They are the same but near a holiday: `near` (periods,) is one of the `KINDS`, or 0.
    `week` is a week in periods.
    """

    past: IntArray
    usual: IntArray
    near: IntArray
    week: int


@dataclass(frozen=True)
class _Shifts:
    """Days around holidays, those nearest to a holiday last: `day` (m,) since 1970-01-01, the same day in `past` years
    (years, m), `_NONE` where the holiday was not kept, and the `kind` of nearness (m,).
    """

    day: IntArray
    past: IntArray
    kind: IntArray


def alignment(ds: Days, frequency: str, seasons: tuple[float, ...], country: str, horizon: int) -> Alignment | None:
    """The aligned periods of `ds` (n + horizon consecutive labels) for all steps up to `horizon`.

    None where there is no season of a year of days or weeks to align.
    """
    if not seasons or freq.family(frequency) not in ("D", "W") or seasons[-1] != freq.season_lengths(frequency)[-1]:
        return None
    years = YEARS + -(-horizon // int(seasons[-1]))
    return aligned(ds, frequency, seasons[-1], country, years)


def aligned(ds: Days, frequency: str, season: float, country: str, years: int) -> Alignment:
    """The period analogous to each of consecutive daily or weekly labels in each of the past `years`.

    Around a holiday it is the one at the same distance from that holiday's date, else the one round(k season) earlier.
    What needs no labels is cached: a new history costs a tenth of a millisecond.
    """
    first, last = (int(number) for number in freq.numbered(ds[[0, -1]]))
    return _aligned(first, ds.size, frequency, season, country, years, _year(first), _year(last))


@lru_cache(maxsize=256)
def _aligned(
    first: int, size: int, frequency: str, season: float, country: str, years: int, begin: int, end: int
) -> Alignment:
    """The same by first label and number of labels; all categories of one calendar share it."""
    length = 7 if freq.family(frequency) == "W" else 1
    opening = first + 1 - length  # the first day of the first period
    shifts = _shifts(country, begin - years - 1, end + 1, years, length)
    periods = np.arange(size)
    usual = np.maximum(periods - np.rint(np.arange(1, years + 1) * season).astype(np.int64)[:, None], -1)
    past = usual.copy()
    at = (shifts.day - opening) // length
    within = (at >= 0) & (at < size)
    at, before = at[within], shifts.past[:, within]
    near = np.zeros(size, dtype=np.int64)
    near[at] = shifts.kind[within]
    for row, days in zip(past, before, strict=True):
        kept = days != _NONE
        row[at[kept]] = (days[kept] - opening) // length
    past[past < 0] = -1
    past.flags.writeable = usual.flags.writeable = near.flags.writeable = False
    return Alignment(past, usual, near, 7 // length)


def _year(day: int) -> int:
    return int(np.datetime64(day, "D").astype("datetime64[Y]").astype(int)) + 1970


@lru_cache(maxsize=256)
def _shifts(country: str, begin: int, end: int, years: int, length: int) -> _Shifts:
    """All days around the holidays of the years from `begin` to `end`, for periods of `length` days."""
    found = []
    for name, dates in _occurrences(country, begin, end).items():
        great = next((window for words, window in _GREAT.items() if re.search(words, name)), None)
        if not great and length > 1:
            continue  # one day of seven: what the weeks around tell is worth more
        before, after = great or _FEW
        away = np.arange(-(before // length), after // length + 1) * length
        past = np.stack([_earlier(dates, k) for k in range(1, years + 1)])
        kind = np.where(np.abs(away) <= max(_EXACT, length), CLOSE, FAR) if great else np.full(away.size, SMALL)
        rank = np.abs(away) + (0 if great else _EXACT + 0.5)
        exact = (np.abs(away) <= _EXACT) & (length == 1)
        found.append((*_around(dates, past, away, exact), np.tile(kind, dates.size), np.tile(rank, dates.size)))
    if not found:
        return _Shifts(np.empty(0, np.int64), np.empty((years, 0), np.int64), np.empty(0, np.int64))
    day, earlier, kind, rank = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    order = np.argsort(-rank, kind="stable")
    return _Shifts(day[order], earlier[:, order], kind[order])


def _around(dates: IntArray, past: IntArray, away: IntArray, exact: BoolArray) -> tuple[IntArray, IntArray]:
    """Days at the distances `away` from each date, (m,), and the same days in past years, (years, m): at the `exact`
    distance or, where not, moved by the whole weeks nearest to the move of the holiday."""
    move = np.where(past == _NONE, 0, dates - past)[..., None]
    move = np.where(exact, move, 7 * np.rint(move / 7).astype(np.int64))
    day = dates[:, None] + away
    earlier = np.where(past[..., None] == _NONE, _NONE, day - move)
    return day.ravel(), earlier.reshape(len(past), -1)


def _earlier(dates: IntArray, k: int) -> IntArray:
    """The date of a holiday `k` times ago; none where that is not about k years, as it was not kept every year."""
    out = np.full(dates.size, _NONE)
    out[k:] = dates[:-k]
    out[k:][np.abs(dates[k:] - dates[:-k] - k * _YEAR) > k * _DRIFT + _SPREAD] = _NONE
    return out


@lru_cache(maxsize=256)
def _occurrences(country: str, begin: int, end: int) -> dict[str, IntArray]:
    """The first day of each holiday in each year by its name in lower case, as days since 1970-01-01."""
    named: dict[str, set[int]] = {}
    for day, names in named_holidays(country, begin, end):
        for name in names.split("; "):
            if not _SUBSTITUTE.search(name):
                named.setdefault(name.split(" (")[0].lower(), set()).add(day)
    if any(name.startswith("christmas") for name in named):
        named |= _unlisted(named, begin, end)
    return {name: _first_days(np.array(sorted(days))) for name, days in named.items()}


def _first_days(days: IntArray) -> IntArray:
    """Of days on end, or all but, the first."""
    return np.asarray(days[np.append(True, np.diff(days) >= _ONE_HOLIDAY)])


def _unlisted(named: dict[str, set[int]], begin: int, end: int) -> dict[str, set[int]]:
    """Days that trade keeps where Christmas is kept, though they may be no public holidays."""
    november = np.array([f"{year}-11-01" for year in range(begin, end + 1)], "datetime64[D]").astype(int)
    out = {"fourth thursday of november": set((november + (-november) % 7 + 21).tolist())}  # day 0 was a Thursday
    if not any(re.search("easter|good friday", name) for name in named):
        out["good friday"] = {int(np.datetime64(easter(year)).astype(int)) - 2 for year in range(begin, end + 1)}
    elif "good friday" in named:
        out["shrove tuesday"] = {day - 45 for day in named["good friday"]}
    return out
