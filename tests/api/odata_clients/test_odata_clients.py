"""Clients of OData that others wrote, from PyPI and npm, against `groundswell serve`: they read what is there."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from api.odata.model import SETS
from tests.api.odata_rows import issue, period_of, signal_of
from tests.api.stores import fill, last_week
from tests.api.test_serve import serving, wait_for

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CLIENTS = ROOT / ".venv-odata"
FORECASTS, WEEKS = 60, 200  # 12,000 rows: more than one page


@pytest.fixture(scope="session")
def clients() -> Path:
    """The environment of the clients."""
    subprocess.run(["make", "--silent", "odata-clients"], cwd=ROOT, check=True)
    return CLIENTS


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service whose job worker has folded all forecasts."""
    home = tmp_path_factory.mktemp("served")
    fill(home, last_week() - pd.Timedelta(weeks=3))
    sundays = [(dt.date(2026, 11, 29) + dt.timedelta(weeks=week)).isoformat() for week in range(WEEKS)]
    for number in range(FORECASTS):
        category = ("Boots", "Hats/Caps & more")[number % 2]
        periods = [period_of(sunday, number + week / 4) for week, sunday in enumerate(sundays)]
        issue(home, number, category, periods, signals=[signal_of("boots")])
    with serving(home) as (address, _):
        root = f"{address}/odata/v4"
        wait_for(lambda: httpx.get(f"{root}/Forecasts/$count", timeout=60).text == str(FORECASTS * WEEKS), 120)
        yield root


@pytest.fixture(scope="session")
def expected(service: str) -> dict[str, Any]:
    """What there is to read, by plain HTTP."""
    ids, address = [], f"{service}/Forecasts?$select=Id"
    while address:
        page = httpx.get(address, timeout=60).json()
        ids += [row["Id"] for row in page["value"]]
        address = page.get("@odata.nextLink", "")
    assert len(set(ids)) == FORECASTS * WEEKS
    newest = "$filter=Category eq 'Boots' and IsLatest eq true&$orderby=Period desc&$top=3"
    rows = httpx.get(f"{service}/Forecasts?{newest}", timeout=60).json()["value"]
    latest = [[row["Period"], row["ForecastedQuantity"]] for row in rows]
    assert [value for _, value in latest] == [FORECASTS - 2 + (WEEKS - 1 - back) / 4 for back in range(3)]
    return {"ids": ids, "latest": latest}


def told(command: list[str | Path], **environment: str) -> dict[str, Any]:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.heavy
@pytest.mark.parametrize("client", ["python-odata", "sqlalchemy-odata", "odatapy"])
def test_python_clients(client: str, clients: Path, service: str, expected: dict[str, Any]) -> None:
    read = told([clients / "bin" / "python", HERE / "python_clients.py", client, service])
    assert read["sets"] == sorted(SETS)
    assert read["latest"] == expected["latest"]
    assert read["ids"] == expected["ids"]  # over pages, each once and in order
    if "columns" in read:
        assert sorted(read["columns"]) == sorted(SETS["Forecasts"].by_name)
    if "count" in read:
        assert read["count"] == len(expected["ids"])


@pytest.mark.heavy
def test_odata_client_of_npm(clients: Path, service: str, expected: dict[str, Any]) -> None:
    read = told(["node", HERE / "clients.cjs", "@odata/client", service], NODE_PATH=str(clients / "node_modules"))
    assert read == {"latest": expected["latest"], "count": FORECASTS * WEEKS // 2, "one": True}


@pytest.mark.heavy
def test_sap_cloud_sdk(clients: Path, service: str, expected: dict[str, Any], tmp_path: Path) -> None:
    """The generator makes typed classes of the metadata; with them it filters, sorts, expands, counts, reads by key."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "groundswell.edmx").write_bytes(httpx.get(f"{service}/$metadata").content)
    generator = clients / "node_modules" / ".bin" / "generate-odata-client"
    modules = str(clients / "node_modules")
    command = [generator, "--input", "in", "--outputDir", "out", "--transpile", "--skipValidation"]
    (tmp_path / "node_modules").symlink_to(modules)  # the compiler looks for types beside the sources
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    read = told(["node", HERE / "clients.cjs", "sap", service, tmp_path / "out"], NODE_PATH=modules)
    assert read == {
        "latest": expected["latest"],
        "drivers": [["level", "google_trends/boots/US"]] * 3,
        "run": True,
        "count": FORECASTS * WEEKS // 2,
        "one": True,
    }
