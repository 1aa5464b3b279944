"""Rows of an OData v4 entity set, as Dynamics 365 and Business Central have them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from api.erp.client import Client, ErpRefused
from api.erp.exports.base import Gone, Row

TRIES = 3  # at a row that somebody else changes at the same time


class EntitySet:
    """One entity set whose key the ERP gives.

    A row is the same as another where the `identity` fields, of which `day` is the date, are equal; none is an empty
    text there.
    """

    at_once = 5  # as many as Business Central allows

    def __init__(
        self, client: Client, path: str, keys: Sequence[str], identity: Sequence[str], day: str,
        query: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._client, self._path, self._keys, self._query = client, path, keys, query
        self._identity, self._day = identity, day

    def record(self, row: Row) -> str:
        """Each row is a record."""
        return row.key

    def find(self, rows: Sequence[Row]) -> str | None:
        """The key of the one row with the same identity; refused where there are several."""
        (row,) = rows
        terms = [f"{name} eq {literal(row.fields.get(name, ''))}" for name in self._identity]
        terms.append(f"{self._day} eq {row.fields[self._day]}")
        params = {**self._query, "$filter": " and ".join(terms), "$select": ",".join(self._keys)}
        found = list(pages(self._client, self._path, params))
        if len(found) > 1:
            raise ErpRefused(f"{self._path}: {len(found)} rows are about {row.key}; remove all but one there")
        return None if not found else self._key(found[0])

    def create(self, rows: Sequence[Row]) -> str:
        """POST the row."""
        (row,) = rows
        answer = self._client.ask("POST", self._path, params=self._query, body=dict(row.fields))
        return self._key(answer.json())

    def update(self, remote: str, rows: Sequence[Row]) -> bool:
        """PATCH what differs, unless somebody else changed the row meanwhile: then it is read and compared again."""
        (row,) = rows
        for attempt in range(1, TRIES + 1):
            there = self._read(remote)
            changes = {name: value for name, value in row.fields.items() if not same(there.get(name), value)}
            if not changes:
                return False
            headers = {"If-Match": there.get("@odata.etag") or "*"}
            path = f"{self._path}({remote})"
            try:
                self._client.ask("PATCH", path, params=self._query, body=changes, headers=headers)
            except ErpRefused as refused:
                if refused.status != 412 or attempt == TRIES:
                    raise
            else:
                return True
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _read(self, remote: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._client.ask("GET", f"{self._path}({remote})", params=self._query).json()
        except ErpRefused as refused:
            if refused.status == 404:
                raise Gone(str(refused)) from refused
            raise
        return found

    def _key(self, row: Mapping[str, Any]) -> str:
        if missing := [name for name in self._keys if name not in row]:
            raise ErpRefused(f"{self._path}: the answer has no {missing[0]}")
        if len(self._keys) == 1:
            return quote(literal(row[self._keys[0]]), safe="'")
        return ",".join(f"{name}={quote(literal(row[name]), safe=chr(39))}" for name in self._keys)


def literal(value: Any) -> str:
    """A number or a text as OData writes it in a filter or a key."""
    return f"{value}" if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def same(there: Any, value: Any) -> bool:
    """Whether the ERP holds a value already; it may write moments and numbers in another way."""
    if isinstance(value, float) and isinstance(there, (int, float)):
        return abs(there - value) < 1e-9 + 1e-9 * abs(value)
    if isinstance(value, str) and isinstance(there, str):
        moments = _moment(there), _moment(value)
        return there == value if None in moments else moments[0] == moments[1]
    return bool(there == value)


def _moment(text: str) -> dt.datetime | None:
    if len(text) < 10 or text[4] != "-" or text[7] != "-":
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def pages(
    client: Client, path: str, params: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Every row of an answer, over all its pages."""
    following: str | None = path
    first: Mapping[str, str] | None = params
    while following is not None:
        answer = client.ask("GET", following, params=first, headers=headers).json()
        if not isinstance(answer, dict) or not isinstance(answer.get("value"), list):
            raise ErpRefused(f"{path}: the answer is no page of OData, it has no `value`")
        yield from answer["value"]
        following, first = answer.get("@odata.nextLink"), None
