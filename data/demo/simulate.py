"""Simulate the demo retailer: everything in this folder's CSV files is made up by this script.

`python data/demo/simulate.py` rewrites sales.csv, signals.csv and truth.json beside it, `--out DIR` elsewhere.
Only Python's own `random` and `math` are used, one seeded stream a component, so that every machine writes the same
bytes and a change to one component leaves the others alone. docs/demo.md explains the formulas.
"""

import argparse
import csv
import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

SEED = "groundswell demo retailer"
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
FIRST_WEEK, LAST_WEEK = date(2021, 11, 14), date(2026, 11, 8)  # the Sundays that end the first and the last known week
SNAPSHOT = datetime(2026, 11, 23, 6)  # UTC; what becomes known later is not in the files
SIGNALS_FROM = FIRST_WEEK - 4 * WEEK - 6 * DAY  # earlier than sales, for the longest lag is three weeks
PLANNED_TO = LAST_WEEK + 26 * WEEK
PLANNED_AHEAD = 30 * WEEK
EVERY_CATEGORY = "*"

Series = dict[date, float]


@dataclass(frozen=True)
class Effect:
    """A true driver: log(sales) of a week moves by `size` per unit of the signal as felt `lag` weeks before."""

    signal: str
    size: float
    lag: int = 0
    strong: bool = False  # strong enough that a fair test over the last two years must find it


@dataclass(frozen=True)
class Category:
    """What makes the sales of one category; `noise` and `drift` are weekly standard deviations of log(sales)."""

    name: str
    level: float
    growth: float
    season: tuple[float, float, float]  # yearly cosine and sine, half-yearly cosine
    christmas: float
    noise: float
    drift: float
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class Signal:
    """One outside series as it is published: a date (a week's Sunday, or a day) and a value."""

    name: str
    unit: str
    values: Series
    known_after: timedelta  # from the morning of its date
    aggregation: str = "mean"
    weekly: bool = False
    future_known: bool = False
    category: str = EVERY_CATEGORY
    in_logs: bool = False  # sales feel its logarithm, so that the size of an effect is an elasticity


CATEGORIES = (
    Category(
        name="Restaurant meals", level=42_000, growth=0.02, season=(-0.06, -0.03, 0.02), christmas=0.10,
        noise=0.042, drift=0.007,
        effects=(Effect("mobility", 0.008, strong=True), Effect("public_holidays", 0.05)),
    ),
    Category(
        name="Clothing stores", level=18_500, growth=0.01, season=(-0.08, -0.06, -0.05), christmas=0.35,
        noise=0.050, drift=0.007,
        effects=(
            Effect("promotions/clothing_stores", 0.30, strong=True),
            Effect("mobility", 0.0025),
            Effect("public_holidays", -0.03),
        ),
    ),
    Category(
        name="Footwear", level=7_400, growth=0.03, season=(-0.05, -0.08, -0.08), christmas=0.20,
        noise=0.046, drift=0.007,
        effects=(
            Effect("social/sneakers", 0.13, lag=1, strong=True),
            Effect("promotions/footwear", 0.28),
        ),
    ),
    Category(
        name="Outdoor jackets", level=2_900, growth=0.00, season=(0.38, -0.22, 0.05), christmas=0.25,
        noise=0.060, drift=0.008,
        effects=(Effect("search/winter_jackets", 0.18, lag=3, strong=True),),
    ),
    Category(
        name="Toys and games", level=5_200, growth=0.015, season=(-0.05, -0.05, 0.00), christmas=0.95,
        noise=0.050, drift=0.007,
        effects=(Effect("promotions/toys_and_games", 0.32, strong=True), Effect("mobility", -0.003)),
    ),
    Category(
        name="Pet food", level=11_800, growth=0.04, season=(0.03, 0.02, -0.01), christmas=0.06,
        noise=0.032, drift=0.007,
    ),
)  # fmt: skip
PLACEBO = "placebo_index"
PROMOTED = ("Clothing stores", "Footwear", "Toys and games", "Pet food")  # promotions move all of these but pet food


def stream(component: str) -> random.Random:
    """The random numbers of one component."""
    return random.Random(f"{SEED}/{component}")


def steps(first: date, last: date, step: timedelta) -> list[date]:
    """All dates from `first` to `last`, both included."""
    return [first + i * step for i in range((last - first) // step + 1)]


def sundays(first: date, last: date) -> list[date]:
    return steps(first, last, WEEK)


def autoregression(rng: random.Random, persistence: float, deviation: float) -> Iterator[float]:
    """Endless stationary AR(1) noise with the given standard deviation."""
    value = rng.gauss(0.0, deviation)
    shock = deviation * math.sqrt(1.0 - persistence**2)
    while True:
        yield value
        value = persistence * value + rng.gauss(0.0, shock)


def year_angle(day: date) -> float:
    return 2.0 * math.pi * (day.timetuple().tm_yday - 1) / 365.25


# ---- signals ---------------------------------------------------------------------------------------------------------

# The simulated pandemic: start of a fall in mobility, its depth in points, days of falling, staying low, recovering.
WAVES = (
    (date(2023, 3, 13), -56.0, 14, 45, 120),
    (date(2023, 11, 20), -26.0, 14, 35, 70),
    (date(2024, 9, 9), -18.0, 14, 21, 50),
    (date(2025, 2, 3), -14.0, 10, 21, 45),
    (date(2025, 8, 18), -15.0, 10, 28, 40),
    (date(2026, 4, 20), -17.0, 10, 21, 45),
    (date(2026, 11, 2), -20.0, 18, 60, 60),
)
WEEKDAY_MOBILITY = (1, 1, 1, 0, 2, -2, -3)


def wave_depth(day: date) -> float:
    """Points by which the simulated pandemic lowers mobility on that day."""
    total = 0.0
    for start, depth, falling, low, recovery in WAVES:
        age = (day - start).days
        down = min(max(age / falling, 0.0), 1.0)
        up = min(max((age - falling - low) / recovery, 0.0), 1.0)
        total += depth * (down - up)
    return total


def mobility() -> Signal:
    """Daily visits to shops and restaurants, in percent of a baseline day; known three days later."""
    rng = stream("mobility")
    drift = autoregression(rng, 0.985, 4.0)
    values = {
        day: float(round(max(wave_depth(day) + next(drift) + WEEKDAY_MOBILITY[day.weekday()] + rng.gauss(0, 1.5), -90)))
        for day in steps(SIGNALS_FROM, SNAPSHOT.date(), DAY)
    }
    return Signal("mobility", "percent of baseline", values, 3 * DAY)


# Weeks of unusual demand for winter jackets, as a share of the usual search interest: a cold autumn is on its way.
COLD_SPELLS = {date(2026, 11, 8): 0.25, date(2026, 11, 15): 0.45, date(2026, 11, 22): 0.50}


def search() -> Signal:
    """Weekly search interest, 0 to 100 as of one window's maximum; known the morning after the week."""
    unusual = autoregression(stream("search"), 0.80, 0.30)
    interest = {
        week: math.exp(0.45 * math.cos(year_angle(week) - 5.1) + next(unusual) + COLD_SPELLS.get(week, 0.0))
        for week in sundays(SIGNALS_FROM + 6 * DAY, SNAPSHOT.date())
    }
    top = max(interest.values())
    values = {week: float(round(100.0 * value / top)) for week, value in interest.items()}
    return Signal("search/winter_jackets", "0-100", values, DAY, weekly=True, in_logs=True)


def social() -> Signal:
    """Daily mentions of sneakers, a count: now and then a release or a quarrel that fades; known the next day."""
    rng = stream("social")
    burst, values = 0.0, {}
    for day in steps(SIGNALS_FROM, SNAPSHOT.date(), DAY):
        burst *= 0.93
        if rng.random() < 1 / 30:
            burst += 240.0 * math.exp(rng.gauss(0.3, 0.6))
        usual = 180.0 * (1.15 if day.weekday() >= 5 else 0.94)
        expected = usual + burst
        values[day] = float(max(0, round(expected + 1.5 * math.sqrt(expected) * rng.gauss(0, 1))))
    return Signal("social/sneakers", "mentions", values, DAY, aggregation="sum", in_logs=True)


def easter(year: int) -> date:
    """Easter Sunday (Gregorian, by the anonymous algorithm)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def holidays_of(year: int) -> set[date]:
    """Public holidays of the country that the retailer is imagined in."""
    fixed = {date(year, *month_day) for month_day in ((1, 1), (5, 1), (8, 15), (12, 25), (12, 26))}
    return fixed | {easter(year) + days * DAY for days in (-2, 1, 39, 50)}


def public_holidays() -> Signal:
    """Public holidays in each week, in days; known long before."""
    values = {
        week: float(sum(week - i * DAY in holidays_of((week - i * DAY).year) for i in range(7)))
        for week in sundays(SIGNALS_FROM + 6 * DAY, PLANNED_TO)
    }
    return Signal("public_holidays", "days", values, -PLANNED_AHEAD, aggregation="sum", weekly=True, future_known=True)


def promotions(category: str) -> Signal:
    """Share of the assortment on promotion, planned 30 weeks ahead: campaigns of one to three weeks."""
    name = f"promotions/{category.lower().replace(' ', '_')}"
    rng, left, share, values = stream(name), 0, 0.0, {}
    for week in sundays(SIGNALS_FROM + 6 * DAY, PLANNED_TO):
        if left == 0 and rng.random() < 0.18:
            left, share = rng.choice((1, 2, 2, 3)), rng.choice((0.1, 0.2, 0.3, 0.4))
        values[week] = share if left else 0.0
        left = max(0, left - 1)
    return Signal(name, "share", values, -PLANNED_AHEAD, weekly=True, future_known=True, category=category)


def placebo() -> Signal:
    """An index that moves like a real one and has nothing to do with anything."""
    noise = autoregression(stream(PLACEBO), 0.85, 6.0)
    values = {week: round(100 + next(noise), 1) for week in sundays(SIGNALS_FROM + 6 * DAY, SNAPSHOT.date())}
    return Signal(PLACEBO, "index", values, 2 * DAY, weekly=True)


def all_signals() -> list[Signal]:
    return [mobility(), search(), social(), public_holidays(), placebo(), *map(promotions, PROMOTED)]


def felt(signal: Signal) -> Series:
    """The signal on weeks (by their Sunday) as sales feel it: days averaged, or summed where they are counts."""
    weeks: dict[date, list[float]] = {}
    for day, value in signal.values.items():
        weeks.setdefault(day + (6 - day.weekday()) * DAY, []).append(value)
    share = {week: 1 if signal.aggregation == "sum" else len(days) for week, days in weeks.items()}
    values = {week: sum(days) / share[week] for week, days in weeks.items()}
    return {week: math.log(value) for week, value in values.items()} if signal.in_logs else values


# ---- sales -----------------------------------------------------------------------------------------------------------


def season(category: Category, week: date) -> float:
    """The yearly pattern in log(sales): two harmonics and the weeks before Christmas."""
    angle, (cosine, sine, half) = year_angle(week), category.season
    days_off = min(abs((week - date(year, 12, 17)).days) for year in (week.year - 1, week.year))
    peak = category.christmas * math.exp(-0.5 * (days_off / 13.0) ** 2)
    return cosine * math.cos(angle) + sine * math.sin(angle) + half * math.cos(2.0 * angle) + peak


def true_sales(category: Category, signals: Mapping[str, Series]) -> Series:
    """Units sold in each week: exp(level + growth + season + effects + drift + noise)."""
    rng, level, sales = stream(category.name), math.log(category.level), {}
    for week in sundays(FIRST_WEEK, LAST_WEEK):
        level += category.growth / 52.18 + rng.gauss(0.0, category.drift)
        pushed = sum(effect.size * signals[effect.signal][week - effect.lag * WEEK] for effect in category.effects)
        sales[week] = float(round(math.exp(level + season(category, week) + pushed + rng.gauss(0.0, category.noise))))
    return sales


def vintages(category: str, sales: Series) -> Iterator[tuple[date, int, datetime]]:
    """What was published when: a first figure 1 to 3 percent off, mostly too low, and one or two revisions."""
    rng = stream(f"{category}/revisions")
    for week, units in sales.items():
        wrong = rng.uniform(0.01, 0.03) * (-1 if rng.random() < 0.7 else 1)
        still_wrong = rng.uniform(-0.006, 0.006) if rng.random() < 0.35 else 0.0
        published = None
        for error, delay in ((wrong, 10 * DAY), (still_wrong, 10 * DAY + 4 * WEEK), (0.0, 10 * DAY + 8 * WEEK)):
            figure, known_at = round(units * (1.0 + error)), morning(week + delay)
            if figure != published and known_at <= SNAPSHOT:
                published = figure
                yield week, figure, known_at


# ---- files -----------------------------------------------------------------------------------------------------------


def morning(day: date) -> datetime:
    return datetime.combine(day, time(6))


def utc(moment: datetime) -> str:
    return f"{moment.isoformat()}Z"


def write_csv(path: Path, header: str, rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def sales_rows(signals: Mapping[str, Series]) -> Iterator[tuple[object, ...]]:
    for category in CATEGORIES:
        for week, units, known_at in vintages(category.name, true_sales(category, signals)):
            yield category.name, week, units, utc(known_at)


def signal_rows(signals: Iterable[Signal]) -> Iterator[tuple[object, ...]]:
    for signal in signals:
        fixed = signal.category, str(signal.future_known).lower(), signal.aggregation, signal.unit, "simulated"
        for day, value in signal.values.items():
            known_at = morning(day + signal.known_after)
            if known_at <= SNAPSHOT:
                yield signal.name, day, f"{value:g}", utc(known_at), *fixed


def swing_pct(effect: Effect, signal: Series) -> float:
    """One standard deviation of the effect over the sales weeks, as percent of sales."""
    pushes = [effect.size * signal[week - effect.lag * WEEK] for week in sundays(FIRST_WEEK, LAST_WEEK)]
    mean = sum(pushes) / len(pushes)
    return round(100.0 * math.sqrt(sum((push - mean) ** 2 for push in pushes) / len(pushes)), 1)


def truth_of(category: Category, signal: Signal) -> dict[str, object]:
    """Is the signal a driver of the category, and if so how strong, in what form and how many weeks before?"""
    for effect in category.effects:
        if effect.signal == signal.name:
            return {
                "driver": True,
                "lag_weeks": effect.lag,
                "effect": effect.size,
                "form": "elasticity" if signal.in_logs else "log sales per unit",
                "swing_pct": swing_pct(effect, felt(signal)),
                "strong": effect.strong,
            }
    return {"driver": False}


def truth(signals: Iterable[Signal]) -> dict[str, object]:
    """What a perfect observer would say of every category and every signal offered to it."""
    offered = list(signals)
    return {
        "simulated": True,
        "placebo": PLACEBO,
        "no_help": [category.name for category in CATEGORIES if not category.effects],
        "categories": {
            category.name: {
                signal.name: truth_of(category, signal)
                for signal in offered
                if signal.category in (EVERY_CATEGORY, category.name)
            }
            for category in CATEGORIES
        },
    }


def write(out: Path) -> None:
    """Write sales.csv, signals.csv and truth.json into `out`."""
    offered = all_signals()
    weekly = {signal.name: felt(signal) for signal in offered}
    write_csv(out / "sales.csv", "category,week,units,known_at", sales_rows(weekly))
    header = "signal,date,value,known_at,category,future_known,aggregation,unit,source"
    write_csv(out / "signals.csv", header, signal_rows(offered))
    text = json.dumps(truth(offered), indent=2)
    (out / "truth.json").write_text(f"{text}\n", encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Rewrite the simulated demo retailer.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write into")
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
