"""What a connector of an outside source declares and yields; `signals.runner` does everything hard, once for all.

A connector names its signals, plans what to ask for, and turns answers into observations. It does no I/O, keeps no
state and never sees the store. The errors:

    ConfigError       an entry or a setting in groundswell.toml cannot be used
    Drift             an answer has not the shape that the source had: it is quarantined, nothing of it is stored
"""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict

from signals.periods import spans

YEAR = timedelta(days=365)
GROUP = "groundswell.connectors"
COLUMNS = ("signal", "start", "end", "value")
OPTIONAL = ("known_at", "window", "is_partial", "records")


class ConfigError(ValueError):
    """A part of groundswell.toml that cannot be used: names the key, its value, what is allowed and where it stands."""

    def __init__(self, key: str, value: object, allowed: str, where: str = "groundswell.toml") -> None:
        self.key, self.value, self.allowed, self.where = key, value, allowed, where
        super().__init__(f"{key} is {value!r} ({where}); allowed: {allowed}")


class Drift(ValueError):
    """An answer that has not the shape that the source had; `field` is what is missing, new or of another kind."""

    def __init__(self, problem: str, field: str = "", found: object = None) -> None:
        self.problem, self.field, self.found = problem, field, None if found is None else str(found)[:200]
        shown = "" if found is None else f": found {self.found!r}"
        super().__init__(f"{field + ': ' if field else ''}{problem}{shown}")


@dataclass(frozen=True)
class About:
    """What a person must know of a source before it is asked."""

    title: str
    homepage: str
    licence: str  # of the data, with the attribution that it asks for
    terms: str  # what the source allows and forbids, in a sentence or two
    consent: bool = False  # it is off until the operator sets accept_terms = true in its settings


@dataclass(frozen=True)
class Policy:
    """How a source is asked. Limits hold for each host, over all processes and restarts."""

    interval: float = 1.0  # least seconds between two requests
    budget: tuple[int, float] | None = None  # at most so many requests in so many seconds
    every: timedelta = timedelta(days=1)  # how often a scheduled pull asks
    overlap: timedelta = timedelta(days=7)  # how far each pull reads back, to catch revisions
    history: timedelta = 5 * YEAR  # how far the first pull reads back
    answers: frozenset[int] = frozenset({200})  # statuses that `parse` gets; any other is an error
    timeout: float = 60.0  # seconds for one answer, from the first byte asked to the last byte read
    attempts: int = 5  # tries of one request, with growing pauses between them


@dataclass(frozen=True)
class Signal:
    """One outside series as the store describes it."""

    signal: str  # connector/what/where
    name: str  # for people
    cadence: str  # D, W-MON to W-SUN, MS or QS
    region: str = ""
    unit: str = ""
    aggregation: str = "mean"  # how finer values become one a period: mean or sum
    scale: str = "absolute"  # or window: each pull rescales the whole series
    publication_lag: timedelta = timedelta(0)  # from the end of a period until its value is known
    future_known: bool = False


class ConnectorSettings(BaseModel):
    """Settings of a connector, `[connectors.NAME]`; a SecretStr comes from a variable or a file, never from there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accept_terms: bool = False


class Entry(BaseModel):
    """What is wanted of a connector, one `[[signals]]` table without connector, categories, every and start."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Request:
    """One HTTP request. Parameters and headers that hold a secret are redacted before anything is kept or logged."""

    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"


@dataclass(frozen=True)
class Payload:
    """The answer to one request, as it came."""

    request: Request
    body: bytes
    fetched_at: datetime  # UTC without a zone
    status: int = 200
    content_type: str = ""

    def text(self) -> str:
        """The body as UTF-8, without a byte order mark; Drift where it is not text."""
        try:
            return self.body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Drift("the answer is not text in UTF-8", found=self.body[:60]) from error

    def json(self) -> Any:
        """The body as JSON; Drift where it is something else, such as a page that asks for consent."""
        text = self.text()
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:  # ValueError: no JSON, or a number with thousands of digits
            what = "a web page" if text.lstrip()[:1] == "<" else "no JSON"
            raise Drift(f"the answer is {what}", found=text[:200]) from error


@dataclass(frozen=True)
class Pull:
    """Requests whose answers are parsed together and stored in one transaction, with the cursors of their signals."""

    signals: tuple[str, ...]
    requests: tuple[Request, ...]  # none where the values are computed
    through: datetime  # the cursor once the rows are stored: read up to here, UTC without a zone
    context: Mapping[str, str] = field(default_factory=dict)  # what `parse` must know beside the answers
    recall: timedelta = timedelta(0)  # also hand `parse` what earlier pulls of the same signals got within this time


@dataclass(frozen=True)
class Observations:
    """What `parse` found.

    frame: columns signal, start, end (datetime64, local days, half-open), value (NaN withdraws a value). Optional:
        known_at (UTC, where the source says it; NaT lets the store decide), window, is_partial, and `records`, from how
        many records of the source a value was made: should that halve or double, the pull is quarantined.
    attributes: facts to be stored with a signal, by its name, such as {"noise": 0.02}.
    """

    frame: pd.DataFrame
    attributes: Mapping[str, Mapping[str, float | int | str]] = field(default_factory=dict)

    def __add__(self, other: Observations) -> Observations:
        frames = [frame for frame in (self.frame, other.frame) if len(frame)]
        frame = pd.concat(frames, ignore_index=True) if frames else self.frame
        return Observations(frame, {**self.attributes, **other.attributes})


def observations(
    signal: str,
    days: Sequence[date] | Sequence[str] | npt.NDArray[np.datetime64] | pd.Series | pd.DatetimeIndex,
    values: Sequence[float | None] | npt.NDArray[np.float64] | pd.Series,
    cadence: str = "D",
    **more: Any,
) -> Observations:
    """Observations of one signal: any day of each period and its value; `more` are optional columns.

    A moment counts for the day that its text names, whatever its offset. Raises Drift where a day cannot be read as
    ISO 8601 or a value is no number.
    """
    try:
        moments = pd.to_datetime(_local(pd.Series(days, dtype=object if not len(days) else None)), format="ISO8601")
        numbers = pd.to_numeric(pd.Series(values, dtype=object if not len(values) else None)).astype("float64")
    except (ValueError, TypeError, OverflowError) as error:
        raise Drift(str(error).split(". ")[0]) from error
    start, end = spans(moments.to_numpy().astype("datetime64[D]"), cadence)
    rows = {"start": start.astype("datetime64[us]"), "end": end.astype("datetime64[us]")}
    frame = pd.DataFrame({"signal": pd.Series([signal] * len(start), dtype="str"), **rows, "value": numbers.to_numpy()})
    return Observations(frame.assign(**more))


def _local(days: pd.Series) -> pd.Series:
    """Moments without their offsets from UTC."""
    if isinstance(days.dtype, pd.DatetimeTZDtype):
        local: pd.Series = days.dt.tz_localize(None)
        return local
    if pd.api.types.infer_dtype(days) != "string":
        return days
    without: pd.Series = days.str.replace(r"(?<=\d\d:\d\d)(\S*?)\s*(?:Z|[+-]\d\d:?(?:\d\d)?)$", r"\1", regex=True)
    return without


@dataclass(frozen=True)
class Task:
    """One entry of groundswell.toml, due now."""

    entry: Any
    signals: tuple[Signal, ...]
    since: Mapping[str, datetime]  # by signal: read from here, its cursor less the overlap, or where its history begins
    now: datetime  # UTC without a zone
    begin: datetime  # where the entry's history begins, for sources that are read whole each time

    @property
    def earliest(self) -> datetime:
        """Where to read from when one request serves all signals."""
        return min(self.since.values())


@dataclass(frozen=True)
class CategoryFacts:
    """What is known of a category when signals are proposed for it."""

    category: str
    frequency: str
    calendar: str | None = None  # a country such as US
    words: tuple[str, ...] = ()  # the words of its name that mean something, in lower case


@dataclass(frozen=True)
class Example:
    """A true-to-life use, which `check_connector` tries: the bodies answer the first pull's requests."""

    entry: Mapping[str, Any]
    answers: tuple[bytes, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = "application/json"


S = TypeVar("S", bound=ConnectorSettings)
E = TypeVar("E", bound=Entry)
Get = Callable[[Request], Payload]


class Connector(ABC, Generic[S, E]):
    """One source. Subclasses are found under the entry point group `groundswell.connectors`."""

    name: ClassVar[str]
    about: ClassVar[About]
    policy: ClassVar[Policy] = Policy()
    settings_type: ClassVar[type[ConnectorSettings]] = ConnectorSettings
    entry_type: ClassVar[type[Entry]] = Entry
    version: ClassVar[int] = 1  # of the parser; raise it when the same payload gives other observations
    examples: ClassVar[tuple[Example, ...]] = ()

    def __init__(self, settings: S) -> None:
        self.settings = settings

    @abstractmethod
    def signals(self, entry: E) -> list[Signal]:
        """The signals that an entry names, in a fixed order; ConfigError where it names none or wrongly."""

    @abstractmethod
    def plan(self, task: Task) -> Iterable[Pull]:
        """What to ask for; the same task gives the same plan. Split long histories, so that a stop loses little."""

    @abstractmethod
    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """The observations in the answers to a pull, a pure function of them; Drift where they are not as they were.

        `payloads` holds the answers to earlier pulls within `pull.recall` first, in order of time.
        """

    def next_page(self, pull: Pull, payloads: Sequence[Payload]) -> Request | None:  # noqa: ARG002
        """The request for what is missing after these answers of a pull, or None when it is whole."""
        return None

    def busy(self, payload: Payload) -> float | None:  # noqa: ARG002
        """How many seconds to wait where an answer with status 200 says "too many requests"; None where it does not."""
        return None

    def fetch(self, request: Request, get: Get) -> Payload:
        """Get one answer; for sources that must ask for a token first. `get` is the runner's polite transport."""
        return get(request)

    @classmethod
    def suggest(cls, category: CategoryFacts) -> Iterator[Mapping[str, Any]]:  # noqa: ARG003
        """Entries that may serve a category, for `groundswell signals suggest`."""
        return iter(())
