"""Sales from Business Central: the item ledger entries of API v2.0."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from api.erp.client import ErpRefused
from api.erp.exports.business_central import Login, business_central
from api.erp.exports.odata import literal, pages
from api.erp.imports.base import Entry, ImportSettings
from signals.connector import ConfigError
from signals.redact import Redactor

FIELDS = ("entryNumber", "itemNumber", "postingDate", "entryType", "quantity", "lastModifiedDateTime")
_CODED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class BusinessCentralSource(ImportSettings, Login):
    """`[imports.business-central]`."""

    company: str = Field("", description="id of the company, a GUID")
    entry_types: tuple[str, ...] = Field(
        ("Sale",), min_length=1, description="entry types that count, as Business Central shows them"
    )
    page_size: int = Field(20_000, ge=1, le=20_000, description="rows that one answer may hold")


class BusinessCentralSales:
    """Entries leave the stock with a negative quantity: sold is what they say with the sign turned."""

    name: ClassVar[str] = "business-central"
    settings_type: ClassVar[type[ImportSettings]] = BusinessCentralSource

    def __init__(self, settings: BusinessCentralSource, redactor: Redactor) -> None:
        where = "[imports.business-central]"
        for key, allowed in (("url", "the address that ends with /api/v2.0"), ("company", "the id of the company")):
            if not getattr(settings, key):
                raise ConfigError(key, "missing", allowed, where)
        self._settings = settings
        self._client = business_central(settings, redactor, where)

    @property
    def place(self) -> str:
        """The environment, the company and what counts there: entries of other types were not read."""
        return f"{self._settings.url} {self._settings.company} {','.join(self._settings.entry_types)}"

    def changed(self, since: str | None) -> Iterator[tuple[Entry, str]]:
        """Entries that were modified at `since` or later: several may bear the same moment."""
        types = [f"entryType eq {literal(coded(name))}" for name in self._settings.entry_types]
        terms = [f"({' or '.join(types)})" if len(types) > 1 else types[0]]
        if since is not None:
            terms.append(f"lastModifiedDateTime ge {since}")
        params = {"$filter": " and ".join(terms), "$select": ",".join(FIELDS)}
        headers = {"Prefer": f"odata.maxpagesize={self._settings.page_size}", "Data-Access-Intent": "ReadOnly"}
        path = f"/companies({self._settings.company})/itemLedgerEntries"
        for row in pages(self._client, path, params, headers):
            if decoded(str(row.get("entryType"))) in self._settings.entry_types:
                yield _entry(row)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


def _entry(row: dict[str, object]) -> tuple[Entry, str]:
    try:
        day, quantity = dt.date.fromisoformat(str(row["postingDate"])), -float(str(row["quantity"]))
        moment = dt.datetime.fromisoformat(str(row["lastModifiedDateTime"])).astimezone(dt.UTC)
        entry = Entry(str(row["entryNumber"]), str(row["itemNumber"]), day, quantity)
    except (KeyError, ValueError) as error:
        raise ErpRefused(f"an item ledger entry of Business Central cannot be read ({error}): {row}") from error
    return entry, moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def coded(name: str) -> str:
    """The name of an enum's value as OData has it: Positive Adjmt. is Positive_x0020_Adjmt_x002E_."""
    return "".join(char if char.isalnum() or char == "_" else f"_x{ord(char):04X}_" for char in name)


def decoded(name: str) -> str:
    """The name of an enum's value as people see it."""
    return _CODED.sub(lambda found: chr(int(found[1], 16)), name)
