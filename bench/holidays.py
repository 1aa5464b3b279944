"""What following moving holidays is worth: `python -m bench.holidays` simulates sales with holidays, and without.

Sales have a yearly season, a wandering level and noise, days a week as well. United States: Easter week +40 %, the week
of Black Friday +60 %, the weeks before Christmas +30 and +50 %, the week after it -30 %. China: two weeks before the
Lunar New Year +40 %, the week from it on -50 %. Errors are those of `backtest`, absolute and on the log scale, 1 to 8
weeks or 28 days ahead; near a holiday is a week before to six days after.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.arguments import whole_number
from bench.machine import machine
from forecast import backtest
from forecast import frequency as freq
from forecast.season import named_holidays
from forecast.transform import FloatArray

Days = npt.NDArray[np.datetime64]
Effects = tuple[tuple[int, int, float], ...]  # first and last day from the holiday's, and the effect
FIRST_YEAR, LAST_YEAR = 2015, 2027
US: dict[str, Effects] = {
    "Good Friday": ((-4, 2, 0.4),),
    "Thanksgiving Day": ((-3, 3, 0.6),),
    "Christmas Day": ((-14, -8, 0.3), (-7, -1, 0.5), (0, 6, -0.3)),
}
CN: dict[str, Effects] = {"Chinese New Year (Spring Festival)": ((-14, -1, 0.4), (0, 6, -0.5))}
WEEKDAYS = np.array([0.0, 0.0, 0.05, 0.1, 0.3, 0.5, -0.2])


def first_days(country: str, holiday: str) -> list[np.datetime64]:
    """Its first day in each year; Good Friday of the United States, no public holiday there, is that of Germany."""
    place = "DE" if holiday == "Good Friday" else country
    found: dict[int, int] = {}
    for day, name in named_holidays(place, FIRST_YEAR, LAST_YEAR):
        if holiday in name.split("; "):
            found.setdefault(np.datetime64(day, "D").astype("datetime64[Y]").astype(int).item(), day)
    return [np.datetime64(day, "D") for day in found.values()]


def holidays(days: Days, country: str) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """The effect on each day, on the log scale, and whether a holiday is near."""
    effect, near = np.zeros(days.size), np.zeros(days.size, dtype=bool)
    for holiday, effects in {"US": US, "CN": CN}[country].items():
        for first in first_days(country, holiday):
            near |= (days >= first - 7) & (days <= first + 6)
            for start, stop, size in effects:
                effect[(days >= first + start) & (days <= first + stop)] += np.log1p(size)
    return effect, near


def sales(
    rng: np.random.Generator, frequency: str, n: int, country: str, strength: float, noise: float
) -> tuple[Days, FloatArray, npt.NDArray[np.bool_]]:
    """Labels, log sales and nearness of n periods; the holidays' effect is multiplied by `strength`."""
    length = 1 if frequency == "D" else 7
    labels = freq.following(np.datetime64("2019-01-06") + 7 * int(rng.integers(52)), n, frequency)
    days = np.arange(labels[0] - (length - 1), labels[-1] + 1)
    number = days.astype(int)
    angle = 2 * np.pi * number / 365.2425 + rng.uniform(0, 6)
    effect, near = holidays(days, country)
    shape = 0.25 * np.sin(angle) + 0.1 * np.cos(2 * angle) + strength * effect
    if length == 1:
        shape += WEEKDAYS[(number + 3) % 7]
    y = np.exp(shape).reshape(-1, length).sum(axis=1)
    wander = np.cumsum(0.02 * np.sqrt(length / 7) * rng.normal(size=n))
    return labels, np.log(y) + wander + noise * rng.normal(size=n), near.reshape(-1, length).mean(axis=1) > 0.5


def errors(ds: Days, z: FloatArray, near: npt.NDArray[np.bool_], frequency: str, calendar: str | None) -> FloatArray:
    """Sum of absolute log errors of the median, and their number: near holidays, elsewhere, all; (2, 3)."""
    history = pd.DataFrame({"ds": ds, "y": np.exp(z)})
    past = backtest(history, 28 if frequency == "D" else 8, frequency=frequency, calendar=calendar).to_frame()
    past = past.dropna(subset="actual")
    error = np.abs(np.log(past["actual"].to_numpy() / past["median"].to_numpy()))
    at = near[np.searchsorted(ds, past["ds"].to_numpy().astype("datetime64[D]"))]
    return np.array([[error[at].sum(), error[~at].sum(), error.sum()], [at.sum(), (~at).sum(), at.size]])


def line(frequency: str, n: int, country: str, strength: float, noise: float, repeats: int) -> str:
    """One line of the table."""
    found = []
    for seed in range(repeats):
        ds, z, near = sales(np.random.default_rng(seed), frequency, n, country, strength, noise)
        found.append([errors(ds, z, near, frequency, calendar) for calendar in (None, country)])
    total, count = np.sum(found, axis=0).swapaxes(0, 1)
    without, with_calendar = total / count
    gains = " ".join(f"{100 * (b / a - 1):+7.1f} %" for a, b in zip(without, with_calendar, strict=True))
    kind = "holidays" if strength else "none"
    return f"{frequency:6} {n:5} {country} {kind:9} {noise:5.2f} {without[0]:8.3f} {with_calendar[0]:8.3f} {gains}"


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=whole_number, default=40)
    options = parser.parse_args()
    print(f"{machine()}; {options.repeats} repeats")
    print("                                  near    near      change in error")
    print("periods      country      noise without     with      near    elsewhere    all")
    for frequency, n in (("W-SUN", 170), ("W-SUN", 260), ("W-SUN", 312), ("D", 1128)):
        for country in ("US", "CN"):
            for strength in (1.0, 0.0):
                for noise in (0.05, 0.1):
                    print(line(frequency, n, country, strength, noise, options.repeats), flush=True)


if __name__ == "__main__":
    main()
