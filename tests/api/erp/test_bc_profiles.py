"""Profiles, and who may call."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import security
from api.erp import business_central
from api.errors import Problem
from api.security import Caller
from api.settings import load_settings
from tests.api.erp.exchange import REFERENCE, answer, asked, refusal, request_of, rows_of
from tests.api.stores import CATEGORIES, fill, last_week

PROFILES = """
[business_central.default]
delta_cap_pct = 20

[business_central.0123456789abcdef0123456789abcdef]
values = "string"

[business_central.old]
values = "integer"
timezone = "Pacific/Kiritimati"
"""
BASE = "/services.azureml.net/workspaces"
HISTORY = [10.5, 60, 1, 90, 33, 71, 15, 2]


@pytest.fixture
def client(tmp_path: Path, client_of: Callable[..., TestClient]) -> TestClient:
    (tmp_path / "groundswell.toml").write_text(PROFILES, encoding="utf-8")
    return client_of(tmp_path)


def rows(client: TestClient, address: str, item: str = "A") -> list[list[Any]]:
    response = client.post(address, json=asked(HISTORY, item))
    assert response.status_code == 200, response.text
    found: list[list[Any]] = response.json()["Results"]["Output1"]["value"]["Values"]
    return found


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/score", float),
        (f"{BASE}/unknown/services/unknown/execute", float),
        (f"{BASE}/old", int),
        (f"{BASE}/old/execute", int),
        (f"{BASE}/old/services/unknown/execute", int),
        (f"{BASE}/old/services/0123456789abcdef0123456789abcdef/execute?details=true", str),
        (f"{BASE}/0123456789abcdef0123456789abcdef/services/old/execute", int),
        ("/score?profile=old", int),
        ("/score?profile=0123456789abcdef0123456789abcdef", str),
        (f"{BASE}/old?values=string", str),
        (f"{BASE}/old?values=number", float),
    ],
)
def test_a_profile_is_named_by_the_address_or_the_query(address: str, kind: type, client: TestClient) -> None:
    for _, key, quantity, sigma in rows(client, address):
        assert type(key) is int
        assert type(quantity) is type(sigma) is kind


def test_the_forms_say_the_same_and_text_is_invariant(client: TestClient) -> None:
    numbers, wholes, texts = (
        rows(client, f"/score?profile=old&values={form}") for form in ("number", "integer", "string")
    )
    assert [[float(cell) for cell in row[2:]] for row in texts] == [row[2:] for row in numbers]
    assert [[round(cell) for cell in row[2:]] for row in numbers] == [row[2:] for row in wholes]


def test_sigma_is_capped_where_a_profile_says_so(client: TestClient) -> None:
    free, capped = rows(client, "/score?profile=old&values=number"), rows(client, "/score")
    for wide, narrow in zip(free, capped, strict=True):
        assert wide[2] == narrow[2]
        assert narrow[3] == pytest.approx(0.2 * narrow[2], abs=1e-4)
        assert wide[3] > narrow[3]


def test_today_is_that_of_the_time_zone(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    real = business_central.dt.datetime
    moment = real(2026, 11, 24, 20, 0, tzinfo=business_central.dt.UTC)  # in Kiritimati 10:00 of the next day

    class Frozen(real):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment.astimezone(tz)

    monkeypatch.setattr(business_central.dt, "datetime", Frozen)
    for item, profile, first in [("UTC", "default", "2026-11-25"), ("LINE", "old", "2026-11-26")]:
        rows(client, f"/score?profile={profile}", item)
        issued = client.app.state.ledger.last(item)  # type: ignore[attr-defined]
        assert json.loads(issued.answer)["forecast"][0]["period"] == first


def test_a_change_of_the_file_holds_from_the_next_call(client: TestClient, tmp_path: Path) -> None:
    assert type(rows(client, f"{BASE}/new")[0][2]) is float
    (tmp_path / "groundswell.toml").write_text('[business_central.new]\nvalues = "string"\n', encoding="utf-8")
    assert type(rows(client, f"{BASE}/new")[0][2]) is str


def test_what_no_profile_is_called_or_allows_is_refused(client: TestClient) -> None:
    expected = "Error code: 206. profile is 'nobody'; allowed: 0123456789abcdef0123456789abcdef, default, old"
    assert refusal(client, REFERENCE, "?profile=nobody") == expected
    assert (
        refusal(client, REFERENCE, "?values=text")
        == "Error code: 206. values is 'text'; allowed: number, integer, string"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[business_central.a]\nvalues = "text"\n', "business_central.a.values is 'text'"),
        ("[business_central.a]\nvaluse = 1\n", "no key of this name; the keys are values, timezone, delta_cap_pct"),
        ('[business_central.a]\ntimezone = "Mars"\n', "the name of a time zone, such as Europe/Copenhagen"),
        ('[business_central.a]\ntimezone = "../etc"\n', "the name of a time zone"),
        ("[business_central.a]\ndelta_cap_pct = 0\n", "business_central.a.delta_cap_pct is 0"),
        ("[business_central.a]\ndelta_cap_pct = true\n", "business_central.a.delta_cap_pct is True"),
        ('business_central = "a"\n', "tables that begin with [business_central.NAME]"),
        ('[business_central]\nvalues = "string"\n', "tables that begin with [business_central.NAME]"),
        ("[business_central\n", "a TOML file in UTF-8"),
    ],
)
def test_a_profile_that_cannot_be_used_is_told_in_the_log(
    text: str, told: str, client: TestClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "groundswell.toml").write_text(text, encoding="utf-8")
    response = client.post("/score", json=REFERENCE)
    assert response.status_code == 500
    assert response.json()["error"]["message"].startswith("Error code: 500. the profiles in groundswell.toml cannot")
    assert told in caplog.text


def test_profiles_are_no_settings(tmp_path: Path) -> None:
    (tmp_path / "groundswell.toml").write_text("port = 8123\n" + PROFILES, encoding="utf-8")
    assert load_settings(home=tmp_path)[0].port == 8123


# --- who may call


def as_caller(monkeypatch: pytest.MonkeyPatch, caller: Caller | Problem) -> list[str]:
    """Let every request come from one caller; the faces that were asked for."""
    faces: list[str] = []

    def found(_: object, face: str = "rest") -> Caller:
        faces.append(face)
        if isinstance(caller, Problem):
            raise caller
        return caller

    monkeypatch.setattr(security, "caller_of", found)
    return faces


def test_a_bad_key_is_told_in_the_shape_of_azure(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = as_caller(monkeypatch, Problem(401, "unauthorized", "the key is not known"))
    response = client.post("/score", json=REFERENCE)
    assert (response.status_code, faces) == (401, ["business-central"])
    assert response.json() == {
        "error": {
            "code": "Unauthorized",
            "message": "Error code: 401. the key is not known",
            "details": [{"code": "401", "message": "the key is not known"}],
        }
    }


def test_a_key_needs_the_scope(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    as_caller(monkeypatch, Caller("k", frozenset({"forecast:read"})))
    response = client.post("/score", json=REFERENCE)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "Forbidden"
    assert "lacks the scope forecast:write" in response.json()["error"]["message"]


def test_a_key_sees_its_items_and_the_signals_of_its_categories_only(
    tmp_path: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, last_week())  # the item 1000 is of the category Boots
    client = client_of(tmp_path)

    def versions(item: str) -> int | None:
        answer(client, request_of(rows_of(item, HISTORY), "3,52,9,ARIMA,80"))
        found: int | None = json.loads(client.app.state.ledger.last(item).answer)["data_version"]  # type: ignore[attr-defined]
        return found

    as_caller(monkeypatch, Caller("k", categories=frozenset({CATEGORIES[0]})))
    assert versions("1000") == 1
    assert client.app.state.ledger.last("1000").key_id == "k"  # type: ignore[attr-defined]
    assert client.post("/score", json=asked(HISTORY, "2000")).status_code == 403
    as_caller(monkeypatch, Caller("k", categories=frozenset({"1000"})))
    assert versions("1000") is None
