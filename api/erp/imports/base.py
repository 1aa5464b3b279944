"""What a source of sales in an ERP is: ledger entries that have changed since a moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from pydantic import Field

from api.erp.config import System
from signals.redact import Redactor


class ImportSettings(System):
    """What every source is told of the sales."""

    frequency: Literal["D", "W-MON", "W-TUE", "W-WED", "W-THU", "W-FRI", "W-SAT", "W-SUN", "MS"] = Field(
        "W-SUN", description="periods that entries are added up to: days, weeks that end on a weekday, or months"
    )
    timezone: str = Field("UTC", min_length=1, description="time zone of the periods")
    start: dt.date | None = Field(None, description="leave out what was posted before this day")


@dataclass(frozen=True)
class Entry:
    """One entry of a ledger. quantity: sold; what came back is negative. unit: of the item, None where not known."""

    entry: str
    item: str
    day: dt.date
    quantity: float
    unit: str | None = None


class Source(Protocol):
    """A system that sales are imported from; made from its settings."""

    name: ClassVar[str]
    settings_type: ClassVar[type[ImportSettings]]

    def __init__(self, settings: Any, redactor: Redactor) -> None: ...

    @property
    def place(self) -> str:
        """Which system and company: entries of another are kept apart."""
        ...

    def changed(self, since: str | None) -> Iterator[tuple[Entry, str]]:
        """Each entry that is new or changed since a moment, with its own moment as ISO 8601 in UTC; None: all."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...
