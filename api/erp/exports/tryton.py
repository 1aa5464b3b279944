"""Tryton: one stock.forecast for each span of days, confirmed, with a line for each product."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from api.erp.client import ErpRefused
from api.erp.config import ExportSettings
from api.erp.exports.base import Gone, Row
from api.erp.exports.buckets import Bucket, attribute
from api.erp.tryton import Tryton, as_date, to_date
from signals.connector import ConfigError
from signals.redact import Redactor

MODEL = "stock.forecast"
READ = (
    *("state", "from_date", "to_date", "lines.product", "lines.product.id", "lines.unit.id"),
    *("lines.quantity", "lines.minimal_quantity"),
)


class TrytonSettings(ExportSettings):
    """`[exports.tryton]`."""

    company: int = Field(1, ge=1, description="id of the company")
    warehouse: str = Field("WH", min_length=1, description="code of the warehouse")
    destination: str = Field("CUS", min_length=1, description="code of the location that the goods go to")
    minimal_quantity: float = Field(1.0, ge=0, description="Minimal Qty of a line, at most its quantity")
    key: SecretStr | None = Field(None, description="key of a user application of kind REST")


class TrytonTarget:
    """Products are found by their codes; a quantity is in the product's default unit, rounded as that unit asks."""

    name: ClassVar[str] = "tryton"
    settings_type: ClassVar[type[ExportSettings]] = TrytonSettings

    def __init__(self, settings: TrytonSettings) -> None:
        self._settings = settings

    @property
    def place(self) -> str:
        """The database, the company and where the goods go from and to."""
        said = self._settings
        return f"{said.url} {said.company} {said.warehouse} {said.destination}"

    def rows(self, buckets: Sequence[Bucket]) -> list[Row]:
        """A row for each line of a document, with what the document says of company, places and dates."""
        return [self._row(bucket) for bucket in buckets]

    def _row(self, bucket: Bucket) -> Row:
        item = attribute(bucket, self._settings.item, self.name)
        head = {name: getattr(self._settings, name) for name in ("company", "warehouse", "destination")}
        span = {"from_date": f"{bucket.date}", "to_date": f"{bucket.last}"}
        if bucket.quantity < 0:
            raise ErpRefused(f"{bucket.category}, {bucket.start}: {bucket.quantity}; Tryton takes no negative forecast")
        quantities = {"quantity": bucket.quantity, "minimal_quantity": self._settings.minimal_quantity}
        fields = {**head, **span, "product": item, **quantities}
        return Row(f"{item}|{bucket.start}", bucket.category, bucket.receipt, bucket.start, fields)

    def remote(self, redactor: Redactor) -> TrytonRemote:
        """The database at `url`."""
        if not self._settings.url:
            raise ConfigError("url", "missing", "address and database, such as https://host/main", "[exports.tryton]")
        if self._settings.key is None:
            raise ConfigError("key", "missing", "a variable GROUNDSWELL_TRYTON_KEY or key_file", "[exports.tryton]")
        return TrytonRemote(self._settings, redactor)


class TrytonRemote:
    """Documents of one company, warehouse and destination."""

    at_once = 1

    def __init__(self, settings: TrytonSettings, redactor: Redactor) -> None:
        assert settings.key is not None
        self._settings = settings
        self._tryton = Tryton(
            settings.url, settings.key.get_secret_value(), redactor, company=settings.company, timeout=settings.timeout
        )
        self._places: dict[str, int] = {}
        self._products: dict[str, Any] = {}

    def close(self) -> None:
        """Let go of the connections."""
        self._tryton.close()

    def record(self, row: Row) -> str:
        """The span of days: done forecasts of one warehouse and destination must not overlap."""
        return f"{row.fields['from_date']} {row.fields['to_date']}"

    def find(self, rows: Sequence[Row]) -> str | None:
        """The document of that span that is done or a draft; refused where a done one overlaps the span in part."""
        begin, end = _span(rows)
        domain = [
            ["company", "=", self._settings.company],
            ["warehouse", "=", self._place("warehouse")],
            ["destination", "=", self._place("destination")],
            ["from_date", "<=", as_date(end)],
            ["to_date", ">=", as_date(begin)],
            ["state", "!=", "cancelled"],
        ]
        found = list(self._tryton.search(MODEL, domain, READ))
        same = [one for one in found if (to_date(one["from_date"]), to_date(one["to_date"])) == (begin, end)]
        done = [one for one in found if one["state"] == "done"]
        if other := next((one for one in done if one not in same), None):
            span = f"{to_date(other['from_date'])} to {to_date(other['to_date'])}"
            raise ErpRefused(f"{MODEL} {other['id']} ({span}) overlaps {begin} to {end}: cancel it in Tryton first")
        return next((str(one["id"]) for one in (*(one for one in same if one in done), *same)), None)

    def create(self, rows: Sequence[Row]) -> str:
        """Make the document and confirm it."""
        begin, end = _span(rows)
        values = {
            "company": self._settings.company,
            "warehouse": self._place("warehouse"),
            "destination": self._place("destination"),
            "from_date": as_date(begin),
            "to_date": as_date(end),
            "lines": [["create", [self._line(row) for row in rows]]],
        }
        number = int(self._tryton.create(MODEL, values)["id"])
        self._tryton.act(MODEL, number, "confirm")
        return str(number)

    def update(self, remote: str, rows: Sequence[Row]) -> bool:
        """Make the lines of these products hold; the others stay. What is done is drafted again for that."""
        number = int(remote)
        found = list(self._tryton.search(MODEL, [["id", "=", number], ["active", "in", [True, False]]], READ))
        if not found:
            raise Gone(f"{MODEL} {number} is no longer there")
        changes, (begin, end) = self._changes(found[0]["lines"], rows), _span(rows)
        values: dict[str, Any] = {"lines": changes} if changes else {}
        if (to_date(found[0]["from_date"]), to_date(found[0]["to_date"])) != (begin, end):
            values |= {"from_date": as_date(begin), "to_date": as_date(end)}
        if not values and found[0]["state"] == "done":
            return False
        if found[0]["state"] != "draft":
            self._tryton.act(MODEL, number, "draft")
        if values:
            self._tryton.write(MODEL, number, values)
        self._tryton.act(MODEL, number, "confirm")
        return True

    def _changes(self, lines: Sequence[Any], rows: Sequence[Row]) -> list[Any]:
        """What is to be done to the lines of a document, as a One2Many takes it."""
        there = {line["product"]["id"]: line for line in lines}
        changes: list[Any] = []
        for row in rows:
            line = self._line(row)
            old = there.get(line["product"])
            if old is None:
                changes.append(["create", [line]])
            elif (old["quantity"], old["minimal_quantity"]) != (line["quantity"], line["minimal_quantity"]):
                changes.append(["write", [old["id"]], line])
        return changes

    def _line(self, row: Row) -> dict[str, Any]:
        product = self._product(str(row.fields["product"]))
        quantity = round(float(row.fields["quantity"]), product["default_uom"]["digits"])
        least = min(float(row.fields["minimal_quantity"]), quantity)
        unit = product["default_uom"]["id"]
        return {"product": product["id"], "unit": unit, "quantity": quantity, "minimal_quantity": least}

    def _product(self, code: str) -> Any:
        if code not in self._products:
            fields = ("code", "default_uom.digits")
            found = list(self._tryton.search("product.product", [["code", "=", code]], fields))
            if len(found) != 1:
                raise ErpRefused(f"Tryton has {len(found)} active products with the code {code!r}; one is needed")
            self._products[code] = found[0]
        return self._products[code]

    def _place(self, setting: str) -> int:
        code = getattr(self._settings, setting)
        if code not in self._places:
            found = list(self._tryton.search("stock.location", [["code", "=", code]], ("code",)))
            if len(found) != 1:
                raise ConfigError(
                    setting, code, f"the code of one location; Tryton has {len(found)}", "[exports.tryton]"
                )
            self._places[code] = int(found[0]["id"])
        return self._places[code]


def _span(rows: Sequence[Row]) -> tuple[dt.date, dt.date]:
    first = rows[0].fields
    return dt.date.fromisoformat(first["from_date"]), dt.date.fromisoformat(first["to_date"])
