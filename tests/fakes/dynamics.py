"""Dynamics 365 and Business Central as they answer over OData: logins, filters, pages, ETags, refusals."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from odata_query import ast
from odata_query.grammar import ODataLexer, ODataParser

from tests.fakes.server import Answer, Asked

Record = dict[str, Any]
SECRET, TOKEN = "a client's secret", "a-token"
USER, PASSWORD = "FORECAST", "a web service key"

D365_FIELDS = {
    "dataAreaId": "dat", "ForecastEntryNumber": "", "ForecastModelId": "", "ItemNumber": "", "DeliveringSiteId": "",
    "DeliveringWarehouseId": "", "CustomerAccountNumber": "", "ForecastStartDate": "1900-01-01T12:00:00Z",
    "ForecastedQuantity": 0, "QuantityUnitSymbol": "",
}  # fmt: skip
BC_FIELDS = {
    "Production_Forecast_Name": "", "Item_No": "", "Forecast_Date": "0001-01-01", "Forecast_Quantity": 0,
    "Unit_of_Measure_Code": "", "Location_Code": "", "Variant_Code": "", "Entry_No": 0,
}  # fmt: skip


def problem(status: int, code: str, message: str) -> Answer:
    """An error as OData writes it."""
    return Answer({"error": {"code": code, "message": message}}, status)


def holds(node: Any, row: Mapping[str, Any]) -> bool:
    """Whether a row passes a parsed $filter of `and`, `or` and comparisons."""
    if isinstance(node, ast.BoolOp):
        sides = holds(node.left, row), holds(node.right, row)
        return all(sides) if isinstance(node.op, ast.And) else any(sides)
    assert isinstance(node, ast.Compare), node
    assert node.left.name in row, f"no property {node.left.name}"
    there, value = row[node.left.name], node.right.py_val
    if isinstance(value, dt.datetime):
        there = dt.datetime.fromisoformat(there)
    elif isinstance(value, dt.date):
        there = dt.date.fromisoformat(there)
    compared = {ast.Eq: there == value, ast.GtE: there >= value, ast.Gt: there > value}  # type: ignore[operator]
    return compared[type(node.comparator)]


@dataclass
class Rows:
    """The rows of one entity set by key; the key is given by the server."""

    fields: Mapping[str, Any]
    key: str
    next_key: Callable[[int], Any]
    check: Callable[[Record], str | None] = lambda _: None
    rows: dict[str, Record] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def insert(self, body: Record) -> Answer:
        with self.lock:
            if refused := self._refused(body):
                return refused
            self.count += 1
            row = {**self.fields, self.key: self.next_key(self.count), **body}
            if str(row[self.key]) in self.rows:
                return problem(400, "DuplicateKey", "Cannot create a record. The record already exists.")
            self.rows[str(row[self.key])] = row
            return Answer(self.shown(row), 201)

    def change(self, key: str, body: Record, if_match: str | None, *, must_match: bool) -> Answer:
        with self.lock:
            if key not in self.rows:
                return problem(404, "NotFound", f"no row {key}")
            if if_match is None and must_match:
                return problem(400, "PreconditionRequired", "If-Match is required")
            if if_match not in (None, "*", self.etag(key)):
                return problem(412, "PreconditionFailed", "Another user has already changed the record.")
            if refused := self._refused(body):
                return refused
            self.touch(key, **body)
            return Answer(self.shown(self.rows[key]))

    def touch(self, key: str, **body: Any) -> None:
        """Change a row, as somebody in the ERP does."""
        self.rows[key] |= body
        self.versions[key] = self.versions.get(key, 0) + 1

    def _refused(self, body: Record) -> Answer | None:
        if unknown := body.keys() - self.fields.keys():
            return problem(400, "BadRequest", f"The property '{sorted(unknown)[0]}' does not exist on the type")
        message = self.check(body)
        return None if message is None else problem(400, "Validation", message)

    def etag(self, key: str) -> str:
        return f'W/"{self.versions.get(key, 0)}"'

    def shown(self, row: Record) -> Record:
        return {"@odata.etag": self.etag(str(row[self.key])), **row}

    def read(self, asked: Asked, page: int, only: Callable[[Record], bool] = lambda _: True) -> Answer:
        """One page of what the options ask for."""
        rows = [self.shown(row) for row in self.rows.values() if only(row)]
        if text := asked.query.get("$filter"):
            tree = ODataParser().parse(ODataLexer().tokenize(text))
            rows = [row for row in rows if holds(tree, row)]
        begin = int(asked.query.get("$skiptoken", 0))
        answer: Record = {"value": [self._selected(row, asked) for row in rows[begin : begin + page]]}
        if begin + page < len(rows):
            query = urlencode({**asked.query, "$skiptoken": begin + page})
            answer["@odata.nextLink"] = f"http://{asked.headers['host']}{asked.path}?{query}"
        return Answer(answer)

    def _selected(self, row: Record, asked: Asked) -> Record:
        names = asked.query.get("$select", "")
        return {name: value for name, value in row.items() if not names or name in names.split(",") or "@" in name}


class D365:
    """The environment: /token, and /data/DemandForecastEntries with key dataAreaId, ForecastEntryNumber."""

    def __init__(self, page: int = 2) -> None:
        self.page = page
        self.entries = Rows(D365_FIELDS, "ForecastEntryNumber", lambda number: f"FC-{number:06}")
        self.tokens: list[Record] = []

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/token":
            return self._token(asked)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "Unauthorized", "no token")
        everywhere = asked.query.get("cross-company") == "true"
        path = unquote(asked.path)
        if path == "/data/DemandForecastEntries":
            if asked.method == "POST":
                return self.entries.insert(json.loads(asked.body))
            return self.entries.read(asked, self.page, lambda row: everywhere or row["dataAreaId"] == "dat")
        found = re.fullmatch(r"/data/DemandForecastEntries\(dataAreaId='(\w+)',ForecastEntryNumber='([^']+)'\)", path)
        if not found or found[2] not in self.entries.rows or not everywhere:
            return problem(404, "NotFound", path)
        if asked.method == "PATCH":
            body = json.loads(asked.body)
            return self.entries.change(found[2], body, asked.headers.get("if-match"), must_match=False)
        return Answer(self.entries.shown(self.entries.rows[found[2]]))

    def _token(self, asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode()))
        self.tokens.append(form)
        if form.get("grant_type") != "client_credentials" or form.get("client_secret") != SECRET:
            return Answer({"error": "invalid_client"}, 401)
        return Answer({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})


class BusinessCentral:
    """A company: the page 99000922 as web service DemandForecastEntries, and itemLedgerEntries of API v2.0."""

    def __init__(self, items: set[str], forecasts: set[str], page: int = 3) -> None:
        self.page, self.items, self.forecasts = page, items, forecasts
        self.entries = Rows(BC_FIELDS, "Entry_No", lambda number: number, self._check)
        self.ledger = Rows({}, "entryNumber", lambda number: number)

    def _check(self, row: Record) -> str | None:
        for name, known, table in (
            ("Item_No", self.items, "Item"),
            ("Production_Forecast_Name", self.forecasts, "Name"),
        ):
            if name in row and row[name] not in known:
                return f"The field {name} contains a value ({row[name]}) that cannot be found in table {table}"
        return None

    def post(
        self, item: str, day: str, quantity: float, kind: str = "Sale", modified: str = "2026-01-01T00:00:00Z"
    ) -> None:
        """An entry in the ledger, as the company posts one."""
        number = len(self.ledger.rows) + 1
        self.ledger.rows[str(number)] = {
            "entryNumber": number, "itemNumber": item, "postingDate": day, "entryType": kind, "quantity": quantity,
            "lastModifiedDateTime": modified,
        }  # fmt: skip

    def __call__(self, asked: Asked) -> Answer:
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {login}":
            return problem(401, "Unauthorized", "The server has rejected the client credentials.")
        path = unquote(asked.path)
        if path == "/api/v2.0/companies(0d5d-guid)/itemLedgerEntries" and asked.method == "GET":
            asked_for = re.search(r"maxpagesize=(\d+)", asked.headers.get("prefer", ""))
            return self.ledger.read(asked, int(asked_for[1]) if asked_for else 20_000)
        found = re.fullmatch(r"/ODataV4/Company\('CRONUS & Co''s'\)/DemandForecastEntries(?:\((\d+)\))?", path)
        if not found:
            return problem(404, "NotFound", path)
        if found[1] is None:
            if asked.method == "POST":
                return self.entries.insert(json.loads(asked.body))
            return self.entries.read(asked, self.page)
        if asked.method == "PATCH":
            body = json.loads(asked.body)
            return self.entries.change(found[1], body, asked.headers.get("if-match"), must_match=True)
        if found[1] not in self.entries.rows:
            return problem(404, "NotFound", path)
        return Answer(self.entries.shown(self.entries.rows[found[1]]))
