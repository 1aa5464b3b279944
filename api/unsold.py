"""Categories of which no sale is known: what to tell who wants a forecast of one."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from api.moments import told
from forecast import ForecastError
from signals.store import CategoryRecord, Snapshot, UnknownCategory


class NothingKnownError(ForecastError):
    """At the moment that was asked for, nothing of the category's sales was known."""

    def __init__(self, category: str, moment: dt.datetime, first: pd.Timestamp | None) -> None:
        since = f"its first sales became known on {told(first)}" if first is not None else "it has no sales"
        remedy = f"from {told(first)} on" if first is not None else "after its sales were imported"
        super().__init__("as_of", told(moment), f"a moment {remedy}")
        self.args = (f"nothing was known of {category} by {told(moment)}; {since}",)


class OnlyTotalError(NothingKnownError):
    """The category has no sales of its own, but others below it have."""

    def __init__(self, category: str) -> None:
        allowed = "a category with sales of its own, or a forecast of the tree"
        ForecastError.__init__(self, "category", category, allowed)
        self.args = (
            f"{category} has no sales of its own: it is the sum of those below it, which `groundswell reconcile` and "
            "POST /v1/trees forecast",
        )


def record_of(snapshot: Snapshot, category: str, data_version: int) -> CategoryRecord:
    """The category; raises UnknownCategory, and OnlyTotalError where it is but the parent of others."""
    try:
        return snapshot.category(category, data_version)
    except UnknownCategory as error:
        if _has_parts(snapshot, category, data_version):
            raise OnlyTotalError(category) from error
        raise


def nothing_known(snapshot: Snapshot, category: str, moment: dt.datetime, data_version: int) -> NothingKnownError:
    """The error that nothing of a category's sales was known at a moment (UTC without a zone)."""
    known_at = snapshot.sales(category, None, data_version, vintages=True)["known_at"]
    if known_at.empty and _has_parts(snapshot, category, data_version):
        return OnlyTotalError(category)
    return NothingKnownError(category, moment, None if known_at.empty else known_at.min())


def _has_parts(snapshot: Snapshot, category: str, data_version: int) -> bool:
    return bool((snapshot.categories(data_version)["parent"] == category).any())
