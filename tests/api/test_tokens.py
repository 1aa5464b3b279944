"""Access tokens of an issuer: which are taken, which are not, and what they allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi.testclient import TestClient
from pydantic import ValidationError

from api.security import SCOPES
from api.settings import SettingError, Settings, load_settings
from api.tokens import role_of, scopes_of
from tests.fakes.issuer import AUDIENCE, ISSUER, TENANT, Issuer, issuing


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


def settings_of(issuer: Issuer) -> dict[str, str]:
    return {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": issuer.url, "jwt_tenant": TENANT}


@pytest.fixture
def client(home: Path, client_of: Callable[..., TestClient], issuer: Issuer) -> TestClient:
    return client_of(home, **settings_of(issuer))


def ask(client: TestClient, token: str) -> tuple[int, str]:
    response = client.get("/v1/categories", headers={"Authorization": f"Bearer {token}"})
    return response.status_code, response.json().get("detail", "")


def test_a_token_of_the_issuer_is_taken(client: TestClient, issuer: Issuer) -> None:
    assert ask(client, issuer.token()) == (200, "")
    assert ask(client, issuer.token(key=issuer.ec, kid="ec-1", algorithm="ES256")) == (200, "")
    assert ask(client, issuer.token(aud=[AUDIENCE, "other"])) == (200, "")


def test_with_an_issuer_nobody_is_anonymous(client: TestClient) -> None:
    response = client.get("/v1/categories")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="groundswell"'


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1_000_000_000}, "has expired"),
        ({"nbf": 4_000_000_000}, "not valid yet"),
        ({"aud": "api://other"}, "another audience"),
        ({"iss": "https://login.example/tenant-2/v2.0"}, "another issuer"),
        ({"tid": "tenant-2"}, "another tenant"),
        ({"tid": None}, "another tenant"),
        ({"exp": None}, "lacks the claim exp"),
        ({"aud": None}, "lacks the claim aud"),
        ({"sub": None}, "lacks the claim sub"),
        ({"kid": "unknown"}, "the issuer does not list"),
        ({"kid": ""}, "the issuer does not list"),
    ],
)
def test_other_tokens_are_refused(claims: dict[str, str], reason: str, client: TestClient, issuer: Issuer) -> None:
    status, detail = ask(client, issuer.token(**claims))  # type: ignore[arg-type]
    assert status == 401
    assert reason in detail


def test_forged_tokens_are_refused(client: TestClient, issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    unsigned = jwt.encode(claims, None, "none", headers={"kid": "rsa-1"})
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        shared = jwt.encode(claims, "rsa-1", "HS256", headers={"kid": "rsa-1"})
    head, body, signature = issuer.token().split(".")
    for token in (
        unsigned,
        shared,
        issuer.token(key=other),
        issuer.token(key=issuer.ec, kid="rsa-1", algorithm="ES256"),
        f"{head}.{issuer.token(roles=['Groundswell.Admin']).split('.')[1]}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        "e30.e30.e30",
        "x",
    ):
        status, _ = ask(client, token)
        assert status == 401, token


def test_scopes_come_from_roles_and_from_scope(client: TestClient, issuer: Issuer) -> None:
    assert ask(client, issuer.token(roles=["Groundswell.Forecast.Read"]))[0] == 403
    assert ask(client, issuer.token(roles=None))[0] == 403
    assert ask(client, issuer.token(roles=None, scope="openid data:read"))[0] == 200
    assert ask(client, issuer.token(roles=["Groundswell.Admin"]))[0] == 200


def test_the_names_of_roles() -> None:
    assert [role_of(scope) for scope in SCOPES] == [
        "Groundswell.Forecast.Read",
        "Groundswell.Forecast.Write",
        "Groundswell.Data.Read",
        "Groundswell.Data.Write",
        "Groundswell.Jobs.Read",
        "Groundswell.Jobs.Write",
        "Groundswell.Model.Write",
        "Groundswell.Metrics.Read",
        "Groundswell.Admin",
    ]
    assert scopes_of({"roles": ["Groundswell.Admin", 1], "scp": "Groundswell.Data.Read x"}) == frozenset()
    assert scopes_of({"roles": ["Groundswell.Admin"], "scp": "access_as_user"}) == {"admin"}
    assert scopes_of({"scp": "Groundswell.Data.Read"}) == {"data:read"}


def test_the_keys_are_fetched_once_and_again_for_a_new_one(
    home: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    with issuing() as issuer:
        client = client_of(home, **settings_of(issuer))
        for _ in range(5):
            assert ask(client, issuer.token())[0] == 200
        for _ in range(5):
            assert ask(client, issuer.token(kid="new"))[0] == 401
        assert issuer.asked == 1  # strange kids do not make us ask again and again
        issuer.keys["new"] = issuer.keys["rsa-1"]
        gate = client.app.state.gate  # type: ignore[attr-defined]
        monkeypatch.setattr(gate._tokens._client, "cooldown_duration", 0)
        assert ask(client, issuer.token(kid="new"))[0] == 200
        assert issuer.asked == 2


def test_an_issuer_that_is_down_is_told_and_not_asked_by_each(home: Path, client_of: Callable[..., TestClient]) -> None:
    with issuing() as issuer:
        issuer.is_down = True
        client = client_of(home, **settings_of(issuer))
        for _ in range(3):
            response = client.get("/v1/categories", headers={"Authorization": f"Bearer {issuer.token()}"})
            assert (response.status_code, response.headers["retry-after"]) == (503, "10")
            assert issuer.url not in response.text
        assert issuer.asked == 1


def test_keys_and_tokens_work_side_by_side(
    tmp_path: Path, client_of: Callable[..., TestClient], issuer: Issuer
) -> None:
    from api.keys import create
    from tests.api.stores import fill, last_week

    fill(tmp_path, last_week())
    settings = Settings(home=tmp_path, **settings_of(issuer))  # type: ignore[arg-type]
    client = client_of(tmp_path, **settings_of(issuer))
    assert ask(client, create(settings, "erp", ["data:read"])[1])[0] == 200
    assert ask(client, issuer.token())[0] == 200


@pytest.mark.parametrize(
    "values",
    [
        {"jwt_issuer": ISSUER},
        {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE},
        {"jwt_jwks_url": "https://login.example/keys"},
        {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": "http://login.example/keys"},
        {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": "file:///etc/passwd"},
        {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": "https:///keys"},
    ],
)
def test_half_an_issuer_is_refused(values: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        Settings(**values)  # type: ignore[arg-type]
    for name, value in values.items():
        monkeypatch.setenv(f"GROUNDSWELL_{name.upper()}", value)
    with pytest.raises(SettingError, match=r"jwt_jwks_url.*allowed: an https://"):
        load_settings(home=tmp_path)
