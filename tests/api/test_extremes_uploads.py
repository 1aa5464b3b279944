"""Extremes in uploads: each job tells what is wrong with which column, or what it stored can be read and forecast."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from api.database import engine_of
from api.making import made_for
from api.tables import CSV, NDJSON, PARQUET
from api.tables import JSON as ROWS
from api.uploads import Upload, read_upload
from api.worker import JobFailed, Work
from signals.handing import Handing
from signals.refused import ImportRefused
from tests.api.extremes import DATES, LITERALS, TEXTS, assert_finite, with_literal

DAYS = [f"2026-10-{day:02}" for day in range(1, 29)]


def table(**columns: Any) -> dict[str, list[Any]]:
    """Daily sales of one category, with what is extreme in the place of a column."""
    return {"category": ["Boots"] * len(DAYS), "date": DAYS, "quantity": [float(i) for i in range(len(DAYS))]} | columns


def ndjson(columns: dict[str, list[Any]]) -> str:
    names = list(columns)
    return "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in zip(*columns.values(), strict=True))


def csv(columns: dict[str, list[Any]]) -> str:
    rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    return "\n".join(rows)


def parquet(columns: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def bodies() -> list[tuple[str, str | bytes]]:
    """The media type and the body of each upload."""
    found: list[tuple[str, str | bytes]] = []
    for number, literal in enumerate(LITERALS):
        columns = table(category=[f"literal {number}"] * len(DAYS), quantity=[1.0, "HERE", *range(26)])
        found += [(ROWS, with_literal(columns, literal)), (NDJSON, with_literal_in_lines(columns, literal))]
        found += [(CSV, csv(columns).replace("HERE", literal.strip('"')))]
    for date in DATES:
        columns = table(date=[date, *DAYS[1:]])
        found += [(ROWS, json.dumps(columns)), (NDJSON, ndjson(columns))]
        found += [(CSV, csv(columns).encode("utf-8", "surrogatepass"))]
    for text in TEXTS:
        columns = table(category=[text] * len(DAYS))
        found += [(ROWS, json.dumps(columns)), (NDJSON, ndjson(columns))]
        found += [(CSV, csv(columns).encode("utf-8", "surrogatepass"))]
        named = {text: DAYS, "category": ["Boots"] * len(DAYS), "quantity": [1.0] * len(DAYS)}
        found += [(ROWS, json.dumps(named))]
    for values in ([float("nan")] * 28, [float("inf")] * 28, [1e308] * 28, [5e-324] * 28, [True] * 28, ["1"] * 28):
        found += [(PARQUET, parquet(table(category=[f"parquet {values[0]}"] * len(DAYS), quantity=values)))]
    found += [
        (PARQUET, parquet(table(date=pa.array([day] * 28, pa.date32())))) for day in (-719_162, 2_932_896, -719_163)
    ]
    found += [(PARQUET, parquet({})), (PARQUET, parquet(table(date=[], category=[], quantity=[])))]
    for form in (ROWS, NDJSON):
        found += [(form, "[" * 10_000 + "]" * 10_000), (form, '{"a":' * 10_000), (form, "{}"), (form, "null")]
        found += [(form, '{"date": "2026-01-01", "date": "2026-01-02"}'), (form, '{"date": [], "quantity": []}')]
    found += [(CSV, b"\x00" * 1000), (CSV, '"' * 1001), (CSV, "," * 10_000), (CSV, "date,quantity\n"), (CSV, "\ufeff")]
    return found


def with_literal_in_lines(columns: dict[str, list[Any]], literal: str) -> str:
    return ndjson(columns).replace('"HERE"', literal)


@pytest.mark.heavy
def test_extremes_in_uploads(tmp_path: Path, client_of: Callable[..., TestClient]) -> None:
    client, handed = client_of(tmp_path), 0
    for form, body in bodies():
        response = client.post("/v1/sales", content=body, headers={"Content-Type": form})
        assert response.status_code == 202, (form, body[:80], response.text)
        try:
            Upload().part(work_of(client.app.state, response.json()["job"]), 0)  # type: ignore[attr-defined]
            handed += 1
        except JobFailed as failed:
            problem = json.loads(failed.error)
            assert (problem["status"], problem["type"]) == (422, "urn:problem-type:groundswell:import-refused")
            assert all(row["message"] for row in problem["errors"])
    assert handed
    Handing(tmp_path).store()
    for item in client.get("/v1/categories?limit=1000").json()["items"]:
        response = client.post("/v1/forecasts", json={"category": item["category"], "horizon": 2})
        assert response.status_code in (200, 422), response.text
        assert_finite(response.json())


def work_of(state: Any, number: str) -> Work:
    settings = state.settings
    return Work(
        state.jobs.status(number),
        settings,
        engine_of(settings),
        state.ledger,
        state.jobs,
        partial(made_for, state.forecaster),
    )


@pytest.mark.parametrize(
    ("body", "row", "column"),
    [
        (b'[{"date": "2026-01-04"}, {"date": "\\ud800"}]', 2, "date"),
        (b'{"category": ["a", "b", "x\\udfff"]}', 3, "category"),
        (b'{"\\ud800": [1]}', None, "\\ud800"),
    ],
)
def test_half_of_a_surrogate_pair_is_refused(body: bytes, row: int | None, column: str, tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(body)
    with pytest.raises(ImportRefused, match="half of a surrogate pair") as refusal:
        read_upload(file, ROWS)
    assert (refusal.value.row, refusal.value.column) == (row, column)
