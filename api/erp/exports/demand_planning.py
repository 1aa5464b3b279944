"""The Demand planning app of Dynamics 365: the CSV it imports, and the file contract of its custom step."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from api.erp.config import ExportSettings
from api.erp.exports.base import Remote, Row
from api.erp.exports.buckets import Bucket
from signals.connector import ConfigError
from signals.redact import Redactor


class DemandPlanningSettings(ExportSettings):
    """`[exports.demand-planning]`."""

    dimensions: dict[str, str] = Field(
        {"Product": "item"},
        min_length=1,
        description="columns after Time and Value, and the attribute of a category that each holds",
    )


class DemandPlanning:
    """A row for each bucket and category: Time, Value and the dimensions."""

    name: ClassVar[str] = "demand-planning"
    settings_type: ClassVar[type[ExportSettings]] = DemandPlanningSettings

    def __init__(self, settings: DemandPlanningSettings) -> None:
        self._settings = settings

    @property
    def place(self) -> str:
        """It is a file."""
        return ""

    def rows(self, buckets: Sequence[Bucket]) -> list[Row]:
        """Rows Time, Value and a column for each dimension; a category without the attribute stands by its name."""
        return [self._row(bucket) for bucket in buckets]

    def _row(self, bucket: Bucket) -> Row:
        held = {
            column: str(bucket.attributes.get(attribute, bucket.category))
            for column, attribute in self._settings.dimensions.items()
        }
        fields: dict[str, Any] = {"Time": f"{bucket.date}", "Value": bucket.quantity, **held}
        key = "|".join([*held.values(), f"{bucket.start}"])
        return Row(key, bucket.category, bucket.receipt, bucket.start, fields)

    def remote(self, redactor: Redactor) -> Remote:  # noqa: ARG002
        """None: the app imports files."""
        raise ConfigError(
            "--push", "demand-planning", "a target with an API; the app imports the file", "the command line"
        )


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV with a header."""
    columns = list(dict.fromkeys(name for row in rows for name in row.fields))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(dict(row.fields) for row in rows)
    return text.getvalue()
