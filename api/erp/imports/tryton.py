"""Sales from Tryton: done stock moves to customers, and back from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from api.erp.client import ErpRefused
from api.erp.imports.base import Entry, ImportSettings
from api.erp.tryton import Tryton, as_moment, to_date
from signals.connector import ConfigError
from signals.redact import Redactor

OVERLAP = dt.timedelta(hours=1)  # a transaction that began before the last import may have ended after it
FIELDS = (
    *("effective_date", "internal_quantity", "product.code", "product.default_uom.name", "create_date", "write_date"),
    *("from_location.type", "to_location.type"),
)


class TrytonSource(ImportSettings):
    """`[imports.tryton]`."""

    company: int = Field(1, ge=1, description="id of the company")
    page_size: int = Field(500, ge=1, le=10_000, description="records that one answer may hold")
    key: SecretStr | None = Field(None, description="key of a user application of kind REST")


class TrytonSales:
    """Quantities are in the product's default unit; a product without a code is left out."""

    name: ClassVar[str] = "tryton"
    settings_type: ClassVar[type[ImportSettings]] = TrytonSource

    def __init__(self, settings: TrytonSource, redactor: Redactor) -> None:
        where = "[imports.tryton]"
        if not settings.url:
            raise ConfigError("url", "missing", "address and database, such as https://host/main", where)
        if settings.key is None:
            raise ConfigError("key", "missing", "a variable GROUNDSWELL_TRYTON_KEY or key_file", where)
        self._settings = settings
        self._tryton = Tryton(
            settings.url, settings.key.get_secret_value(), redactor, company=settings.company, timeout=settings.timeout
        )

    @property
    def place(self) -> str:
        """The database and the company."""
        return f"{self._settings.url} {self._settings.company}"

    def changed(self, since: str | None) -> Iterator[tuple[Entry, str]]:
        """Moves that were made or written from an hour before `since` on."""
        domain: list[Any] = [
            ["company", "=", self._settings.company],
            ["state", "=", "done"],
            ["OR", ["to_location.type", "=", "customer"], ["from_location.type", "=", "customer"]],
        ]
        if since is not None:
            moment = as_moment(dt.datetime.fromisoformat(since) - OVERLAP)
            domain.append(["OR", ["write_date", ">=", moment], ["create_date", ">=", moment]])
        for move in self._tryton.search("stock.move", domain, FIELDS, self._settings.page_size):
            ends = (move["from_location"]["type"], move["to_location"]["type"])
            if ends[0] != ends[1] and move["product"].get("code"):
                yield _entry(move)

    def close(self) -> None:
        """Let go of the connections."""
        self._tryton.close()


def _entry(move: Mapping[str, Any]) -> tuple[Entry, str]:
    sign = 1.0 if move["to_location"]["type"] == "customer" else -1.0
    product, written = move["product"], move["write_date"] or move["create_date"]
    try:
        moment = _moment(written)
        day = to_date(move["effective_date"])
        quantity = sign * float(move["internal_quantity"])
    except (KeyError, TypeError, ValueError) as error:
        raise ErpRefused(f"stock.move {move.get('id')} of Tryton cannot be read ({error!r})") from error
    entry = Entry(str(move["id"]), product["code"], day, quantity, product["default_uom"]["name"])
    return entry, moment.isoformat(timespec="microseconds")


def _moment(value: Mapping[str, int]) -> dt.datetime:
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return dt.datetime(*(value.get(name, 0) for name in names))  # type: ignore[arg-type]
