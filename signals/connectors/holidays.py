"""Holidays of countries and of their parts, days ahead: computed by the `holidays` package, asked of nobody."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from importlib.metadata import version
from typing import Annotated

import holidays
import numpy as np
from pydantic import Field, field_validator

from signals.connector import (
    YEAR,
    About,
    ConfigError,
    Connector,
    ConnectorSettings,
    Entry,
    Example,
    Observations,
    Payload,
    Policy,
    Pull,
    Signal,
    Task,
    observations,
)

PUBLIC = "public"
_SEPARATOR = "|"  # of kinds in the context of a pull
_NAMING = (2000, 2035)  # the years whose holidays can be asked for by name


class HolidaysEntry(Entry):
    """One `[[signals]]` of holidays."""

    countries: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")], ...] = Field(
        min_length=1, description="ISO 3166 codes of countries or of their parts, such as DE or DE-BY"
    )
    names: tuple[str, ...] = Field(
        (), description="holidays, each a signal of its own, as the package names them; without names all are one"
    )
    kinds: tuple[str, ...] = Field(
        (PUBLIC,), min_length=1, description="kinds that the package knows for the country: public, bank, school, …"
    )
    years_ahead: int = Field(2, ge=1, le=10, description="how many years after the present one are told")

    @field_validator("countries", "names", "kinds")
    @classmethod
    def _once(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) < len(values):
            raise ValueError("a value is given twice; allowed: each once")
        return values


class Holidays(Connector[ConnectorSettings, HolidaysEntry]):
    """Days off, 1 on a holiday and 0 on every other day, known ahead."""

    name = "holidays"
    about = About(
        title="Holidays of countries and regions",
        homepage="https://github.com/vacanza/holidays",
        licence="computed by the Python package holidays (MIT licence)",
        terms="None: nothing is asked of anybody.",
    )
    # Each pull tells the whole span again: a release may correct a year that is long over.
    policy = Policy(every=timedelta(days=7), overlap=10 * YEAR, history=10 * YEAR)
    entry_type = HolidaysEntry

    def signals(self, entry: HolidaysEntry) -> list[Signal]:
        """One a country, or one a country and name."""
        return [
            _signal(place, name, entry.kinds)
            for place in entry.countries
            for name in _known(place, entry.kinds, entry.names)
        ]

    def plan(self, task: Task) -> Iterator[Pull]:
        """One pull a country, without a request."""
        entry: HolidaysEntry = task.entry
        for place in entry.countries:
            names = tuple(_signal(place, name, entry.kinds).signal for name in entry.names or ("",))
            first = min(task.since[name] for name in names).year
            context = {"place": place, "kinds": _SEPARATOR.join(entry.kinds)}
            context |= {"first": f"{first}-01-01", "end": f"{task.now.year + entry.years_ahead + 1}-01-01"}
            yield Pull(names, (), task.now, context | dict(zip(names, entry.names, strict=False)))

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:  # noqa: ARG002
        """Every day of the span, so that a day that a later release no longer names turns to 0."""
        first, end = date.fromisoformat(pull.context["first"]), date.fromisoformat(pull.context["end"])
        days = np.arange(np.datetime64(first, "D"), np.datetime64(end, "D"))
        kinds = tuple(pull.context["kinds"].split(_SEPARATOR))
        named = _named(pull.context["place"], kinds, first.year, end.year - 1)
        told = {"holidays_version": version("holidays")}
        parts = []
        for signal in pull.signals:
            wanted = pull.context.get(signal, "").casefold()
            off = [day for day, names in named.items() if not wanted or wanted in names]
            value = np.isin(days, np.array(off, dtype="datetime64[D]")).astype("float64")
            part = observations(signal, days, value)
            parts.append(Observations(part.frame, {signal: told}))
        return sum(parts[1:], parts[0])


def _signal(place: str, name: str, kinds: Sequence[str]) -> Signal:
    kind = "" if tuple(kinds) == (PUBLIC,) else f" ({', '.join(kinds)})"
    parts = ["holidays", place, *(kinds if kind else ()), *([name.replace("/", " ")] if name else ())]
    return Signal(
        signal="/".join(parts),
        name=f"{name or 'Holidays'} in {place}{kind}",
        cadence="D",
        region=place,
        unit="days off",
        aggregation="sum",
        publication_lag=-YEAR,  # known a year ahead
        future_known=True,
    )


def _known(place: str, kinds: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """The names asked for, or one empty name where none is; ConfigError where the package knows no such thing."""
    known = {name for names in _named(place, kinds, *_NAMING).values() for name in names}
    for name in names:
        if name.casefold() not in known:
            near = difflib.get_close_matches(name.casefold(), known, n=3) or sorted(known)[:12]
            raise ConfigError("names", name, f"a holiday of {place}, such as {', '.join(map(repr, near))}")
    return names or ("",)


@lru_cache(maxsize=256)
def _named(place: str, kinds: tuple[str, ...], first: int, last: int) -> Mapping[date, tuple[str, ...]]:
    """The names, in lower case and English where there is any, of each holiday from year `first` to `last`."""
    country, _, part = place.partition("-")
    try:
        languages = getattr(holidays.country_holidays(country), "supported_languages", ())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of years for which no dates are known: they have none
            found = holidays.country_holidays(
                country,
                subdiv=part or None,
                years=range(first, last + 1),
                language="en_US" if "en_US" in languages else None,
                categories=kinds,
            )
    except NotImplementedError as error:
        raise ConfigError("countries", place, _places(country)) from error
    except ValueError as error:
        allowed = holidays.country_holidays(country).supported_categories
        raise ConfigError("kinds", ", ".join(kinds), f"for {country}: {', '.join(allowed)}") from error
    return {day: tuple(_plain(name) for name in names.split("; ")) for day, names in sorted(found.items())}


def _plain(name: str) -> str:
    """A name without "(observed)", "(estimated)" and the like: such a day is off as well."""
    return name.split(" (")[0].casefold()


def _places(country: str) -> str:
    known = holidays.list_supported_countries()
    if country not in known:
        return "an ISO 3166 code that the holidays package knows, such as US, DE or DE-BY"
    parts = ", ".join(f"{country}-{part}" for part in known[country])
    return f"{country}{' or its parts ' + parts if parts else ', which has no parts'}"


Holidays.examples = (
    Example(entry={"countries": ["US", "DE-BY"]}),
    Example(entry={"countries": ["IN"], "names": ["Diwali"]}),
)
