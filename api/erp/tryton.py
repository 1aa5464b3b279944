"""Tryton's REST API (8.2): records of models, found by domains, read by pages, changed by actions."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.erp.client import Client, ErpRefused, bearer
from signals.redact import Redactor

PAGE = 500


class Tryton:
    """One database behind one address, such as https://erp.example.com/main."""

    def __init__(self, url: str, key: str, redactor: Redactor, *, company: int = 1, timeout: float = 60.0) -> None:
        self._client = Client(url, bearer(key), redactor, timeout=timeout)
        self._headers = {"X-Tryton-Context": _coded({"company": company})}

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def search(self, model: str, domain: Sequence[Any], fields: Sequence[str], page: int = PAGE) -> Iterator[Any]:
        """The records of a domain in order of their ids, with these fields, over all pages."""
        params = {"d": _coded(domain), "o": _coded([["id", "ASC"]]), "f": list(fields)}
        begin = 0
        while True:
            headers = {**self._headers, "Range": f"records={begin}-{begin + page}"}
            try:
                answer = self._client.ask("GET", _path(model), params=params, headers=headers)
            except ErpRefused as refused:
                if refused.status == 416 and begin:  # it ended with the page before
                    return
                raise
            found = answer.json()
            yield from found
            begin += len(found)
            if len(found) < page:
                return

    def create(self, model: str, values: Mapping[str, Any]) -> Any:
        """Make a record; what it is. Raises Unsure where it may have been made."""
        return self._client.ask("POST", _path(model), body=values, headers=self._headers).json()

    def write(self, model: str, number: int, values: Mapping[str, Any]) -> None:
        """Change a record."""
        self._client.ask("PUT", f"{_path(model)}/{number}", body=values, headers=self._headers)

    def act(self, model: str, number: int, action: str) -> None:
        """Press a button of a record."""
        self._client.ask("POST", f"{_path(model)}/{number}/{action}", body={}, headers=self._headers)


def as_date(day: dt.date) -> dict[str, Any]:
    """A date as Tryton's JSON writes it."""
    return {"__class__": "date", "year": day.year, "month": day.month, "day": day.day}


def as_moment(moment: dt.datetime) -> dict[str, Any]:
    """A moment as Tryton's JSON writes it (UTC without a zone)."""
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{name: getattr(moment, name) for name in names}}


def to_date(value: Mapping[str, int]) -> dt.date:
    """A date that Tryton's JSON wrote."""
    return dt.date(value["year"], value["month"], value["day"])


def _path(model: str) -> str:
    return f"/rest/model/{model}"


def _coded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
