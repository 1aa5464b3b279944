"""What a report is made of: one forecast of one category, with its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

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
    """

    record: Category
    forecast: Forecast
    history: pd.DataFrame
    signal_names: Mapping[str, str] = field(default_factory=dict)
    moment: datetime | None = None
