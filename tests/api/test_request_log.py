"""What is logged and kept of a request, the headers of every answer, and the limits of a caller."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.audit import newest
from api.headers import DEFAULTS
from api.jobs import Jobs
from api.keys import create, new_key, rotate
from api.limits import FAILURES, RateLimits
from api.request_log import LONGEST, address_of
from api.settings import SettingError, Settings, load_settings
from tests.fakes.issuer import Issuer


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Settings:
    """Settings of a home of the test's own, with sales and without keys."""
    shutil.copytree(home, tmp_path / "own", ignore=shutil.ignore_patterns("state"))
    return Settings(home=tmp_path / "own")


def client_over(settings: Settings, **more: Any) -> TestClient:
    values = {**settings.model_dump(), **more}
    return TestClient(create_app(Settings(**values)), raise_server_exceptions=False)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("request ")]


def test_one_line_a_request(own: Settings, caplog: pytest.LogCaptureFixture) -> None:
    key, text = create(own, "erp", ["data:read"])
    client = client_over(own)
    with caplog.at_level(logging.INFO, "groundswell"):
        answer = client.get("/v1/categories?limit=1", headers={"X-API-Key": text, "X-Request-ID": "r-1"})
        client.get("/v1/categories")
    first, second = lines(caplog)
    size = len(answer.content)
    pattern = rf"request r-1 GET /v1/categories\?limit=1 200 [\d.]+ ms key={key.id} {size} bytes"
    assert re.fullmatch(pattern, first)
    assert re.search(r" GET /v1/categories 401 .* key=- ", second)
    assert text not in caplog.text


def test_a_request_that_failed_is_logged_as_one(
    own: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.snapshots.Snapshots.current", lambda _: 1 / 0)
    with caplog.at_level(logging.INFO, "groundswell"):
        answer = client_over(own).get("/v1/categories")
    assert answer.status_code == 500
    assert DEFAULTS.items() <= {name.title(): value for name, value in answer.headers.items()}.items()
    assert " 500 " in lines(caplog)[0]


TEXT = new_key()[1]
TOKEN = Issuer().token()


@pytest.mark.parametrize(
    ("path", "query", "shown"),
    [
        ("/v1/x", "", "/v1/x"),
        ("/v1/x", "limit=1&$filter=a eq 'b'", "/v1/x?limit=1&$filter=a+eq+'b'"),
        ("/v1/x", f"api_key={TEXT}&limit=1", "/v1/x?api_key=***&limit=1"),
        ("/v1/x", "API_KEY=hunter2", "/v1/x?API_KEY=***"),
        ("/v1/x", "api%5Fkey=hunter2", "/v1/x?api_key=***"),
        (
            "/v1/x",
            "code=hunter2&x-api-key=hunter2&Subscription-Key=hunter2",
            "/v1/x?code=***&x-api-key=***&Subscription-Key=***",
        ),
        ("/v1/x", "key=hunter2&sig=hunter2&token=hunter2&access_token=hunter2", None),
        ("/v1/x", f"q={TEXT}&r=a{TEXT}b", None),
        ("/v1/x", f"q=gs%5Flive_{TEXT[8:]}", None),
        ("/v1/x", TEXT, None),
        ("/v1/x", f"q={TOKEN}", "/v1/x?q=***"),
        ("/v1/x", "link=https%3A%2F%2Fme%3Ahunter2%40shop.example%2F", None),
        (f"/v1/categories/{TEXT}", "", "/v1/categories/***"),
        ("/v1/x\nrequest forged GET / 200", "a=b%0Ac", "/v1/x%0Arequest%20forged%20GET%20/%20200?a=b%0Ac"),
    ],
    ids=map(str, range(13)),  # the key and the token are others in each process
)
def test_an_address_in_the_log_holds_neither_secrets_nor_line_breaks(path: str, query: str, shown: str | None) -> None:
    found = address_of({"type": "http", "path": path, "query_string": query.encode()})
    assert shown is None or found == shown
    for secret in ("hunter2", TEXT[19:], TOKEN[40:]):
        assert secret not in found
    assert "\n" not in found


def test_a_long_address_is_cut() -> None:
    found = address_of({"type": "http", "path": "/", "query_string": b"a=" + b"b" * 10_000})
    assert len(found) == LONGEST


def test_a_change_is_kept_in_the_audit_and_a_forecast_is_not(own: Settings) -> None:
    first, _ = create(own, "erp", ["forecast:write", "jobs:read", "jobs:write"])
    key, text = rotate(own, "erp")
    jobs = Jobs(own)
    mine, client = jobs.accept("forecast", b"{}", key_id=first.id), client_over(own)
    client.headers |= {"X-API-Key": text, "X-Request-ID": "r-9"}
    assert client.post("/v1/forecasts", json={"category": "Boots", "horizon": 1}).status_code == 200
    assert client.get(f"/v1/jobs/{mine}").status_code == 202
    assert client.delete("/v1/jobs/none").status_code == 404
    assert client.delete(f"/v1/jobs/{mine}").status_code == 204
    assert client.delete(f"/v1/jobs/{mine}").status_code == 409
    rows = newest(own, 10)
    assert [row["action"] for row in rows] == ["DELETE /v1/jobs/{job}", "key rotated", "key created"]
    kept = {name: rows[0][name] for name in ("key_id", "request_id", "subject", "details")}
    assert kept == {
        "key_id": key.id,
        "request_id": "r-9",
        "subject": f"/v1/jobs/{mine}",
        "details": {"status": 204},
    }


def test_what_is_answered_again_changed_nothing(own: Settings) -> None:
    client = client_over(own)
    for _ in range(2):
        answer = client.post("/v1/runs", json={"horizon": 1}, headers={"Idempotency-Key": "night"})
        assert answer.status_code == 202
    assert answer.headers["idempotency-replayed"] == "true"
    assert newest(own, 10) == []


def test_every_answer_has_its_headers(own: Settings) -> None:
    client = client_over(own)
    for address in ("/v1/sources", "/nothing", "/openapi.json", "/health/live"):
        answer = client.get(address)
        for name, value in DEFAULTS.items():
            assert answer.headers[name] == value, (address, name)
    # One that tells by its ETag whether it is new may be kept by who asked, and is asked for again each time.
    assert client.get("/v1/categories").headers["cache-control"] == "private, no-cache"
    policy = client.get("/docs").headers["content-security-policy"]
    assert "script-src 'self' 'sha256-" in policy
    assert "http" not in policy


def test_origins_are_closed_but_for_those_that_are_named(own: Settings) -> None:
    ask = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    ask["Access-Control-Request-Headers"] = "x-api-key, content-type"
    closed = client_over(own)
    assert closed.options("/v1/forecasts", headers=ask).status_code == 405
    assert "access-control-allow-origin" not in closed.get("/v1/categories", headers=ask).headers
    create(own, "erp", ["data:read"])
    opened = client_over(own, cors_origins="https://shop.example, https://b.example")
    answer = opened.options("/v1/forecasts", headers=ask)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://shop.example")
    refused = opened.get("/v1/categories", headers=ask)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://shop.example")
    assert "access-control-allow-credentials" not in refused.headers
    other = opened.options("/v1/forecasts", headers={**ask, "Origin": "https://evil.example"})
    assert (other.status_code, other.headers.get("access-control-allow-origin")) == (400, None)


def test_a_key_has_its_share_of_the_rate(own: Settings) -> None:
    _, one = create(own, "one", ["data:read"])
    _, two = create(own, "two", ["data:read"])
    client = client_over(own, rate_limit="5/minute", workers=2)
    for left in (2, 1, 0):
        answer = client.get("/v1/categories", headers={"X-API-Key": one})
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"key";q=3;w=60'
        assert re.fullmatch(rf'"key";r={left};t=(60|5\d)', answer.headers["ratelimit"])
    answer = client.get("/v1/categories", headers={"X-API-Key": one})
    assert (answer.status_code, answer.headers["content-type"]) == (429, "application/problem+json")
    assert answer.json()["violated-policies"] == ["key"]
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit"].startswith('"key";r=0;t=')
    assert client.get("/v1/categories", headers={"X-API-Key": two}).status_code == 200
    assert client.get("/health/live").status_code == 200


def test_the_window_moves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [1000.0]
    monkeypatch.setattr("time.time", lambda: moment[0])
    limits, headers = RateLimits("2/minute", 1), {}  # type: ignore[var-annotated]
    limits.spend("a", headers)
    moment[0] += 40
    limits.spend("a", headers)
    assert headers["RateLimit"] == '"key";r=0;t=20'
    with pytest.raises(Exception, match="more than 2 requests"):
        limits.spend("a", headers)
    moment[0] += 21
    limits.spend("a", headers)
    assert headers["RateLimit"] == '"key";r=0;t=39'


def test_without_a_limit_nothing_is_said_of_one(own: Settings) -> None:
    assert "ratelimit" not in client_over(own).get("/v1/categories").headers


def test_wrong_credentials_are_counted_by_address_and_good_ones_pass(own: Settings) -> None:
    _, text = create(own, "erp", ["data:read"])
    client = client_over(own)
    for _ in range(FAILURES.amount):
        assert client.get("/v1/categories", headers={"X-API-Key": "gs_live_wrong"}).status_code == 401
    answer = client.get("/v1/categories", headers={"X-API-Key": "gs_live_wrong"})
    assert (answer.status_code, answer.json()["type"].rsplit(":", 1)[1]) == (429, "too-many-failures")
    assert int(answer.headers["retry-after"]) >= 1
    assert client.get("/v1/categories", headers={"X-API-Key": text}).status_code == 200
    elsewhere = TestClient(client.app, client=("192.0.2.1", 1))
    assert elsewhere.get("/v1/categories", headers={"X-API-Key": "gs_live_wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate_limit", "600"),
        ("rate_limit", "0/minute"),
        ("rate_limit", "10/fortnight"),
        ("cors_origins", "*"),
        ("cors_origins", "shop.example"),
        ("cors_origins", "https://shop.example/page"),
        ("trusted_proxies", "*"),
        ("trusted_proxies", "proxy"),
        ("trusted_proxies", "10.0.0.1/8"),
    ],
)
def test_settings_that_cannot_be_meant(name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"GROUNDSWELL_{name.upper()}", value)
    with pytest.raises(SettingError, match=rf"setting {name} is .* allowed: empty, or"):
        load_settings(home=tmp_path)
