"""What a report is made of: one forecast of one category, with its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import pandas as pd

from forecast import Forecast


class Category(Protocol):
    """What a report needs to know about a category; `signals.store.CategoryRecord` is one."""

    @property
    def category(self) -> str: ...
    @property
    def unit(self) -> str | None: ...
    @property
    def frequency(self) -> str: ...


@dataclass(frozen=True, eq=False)
class ReportItem:
    """One category of a report.

    Attributes:
        record: The category.
        forecast: Its forecast; `forecast.category`, `.unit` and `.frequency` are those of `record`.
        history: The sales behind it: `ds`, `y`.
        signal_names: Titles of its signals by id, where the ids are not for people.
        moment: The past moment (UTC) that it was asked for; None: the time at which the report is made.
        answer: Its JSON with what is published of it; None: the system's forecast is.
    """

    record: Category
    forecast: Forecast
    history: pd.DataFrame
    signal_names: Mapping[str, str] = field(default_factory=dict)
    moment: datetime | None = None
    answer: Mapping[str, Any] | None = None

    @property
    def overrides(self) -> Sequence[Mapping[str, Any]]:
        """Those in force, as they apply."""
        found: Sequence[Mapping[str, Any]] = (self.answer or {}).get("overrides", ())
        return found

    def published(self, place: int) -> Mapping[str, Any] | None:
        """What a person publishes of a period in place of the forecast."""
        found: Mapping[str, Any] | None = self.answer and self.answer["forecast"][place].get("published")
        return found
