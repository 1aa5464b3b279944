"""OAuth 2.0 client credentials: access tokens (JWT) of one issuer, such as Entra ID, checked by PyJWT."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from api.errors import Problem
from api.settings import Settings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")  # no secret is shared
LEEWAY_SECONDS = 60
JWKS_SECONDS = 300  # a key that the issuer took back ends within this time
TIMEOUT_SECONDS = 5
PAUSE_SECONDS = 10.0  # after an issuer did not answer
_LAYER = re.compile(r"(?:override:|Groundswell\.Override\.)([A-Za-z][a-z0-9]{0,29})", re.ASCII)


class CredentialsError(ValueError):
    """A key or token is not good; the message says why, without a word of what is in it."""


@dataclass(frozen=True)
class Token:
    """Who a token speaks for: `key_id` as the ledger names them, and their scopes."""

    key_id: str
    scopes: frozenset[str]


class Tokens:
    """Checks tokens; for many threads. The issuer's keys are fetched when they are needed and kept for 5 minutes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = jwt.PyJWKClient(settings.jwt_jwks_url, lifespan=JWKS_SECONDS, timeout=TIMEOUT_SECONDS)
        self._lock = threading.Lock()
        self._pause_until = 0.0

    def check(self, text: str) -> Token:
        """Who a token speaks for. Raises CredentialsError, and the problem 503 where the issuer is down."""
        try:
            header = jwt.get_unverified_header(text)
            if header.get("alg") not in ALGORITHMS:
                raise CredentialsError(f"the token must be signed with one of {', '.join(ALGORITHMS)}")
            claims = jwt.decode(
                text,
                self._signing_key(str(header.get("kid"))),
                algorithms=ALGORITHMS,
                audience=self._settings.jwt_audience,
                issuer=self._settings.jwt_issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.InvalidTokenError, jwt.PyJWKClientError) as error:
            raise CredentialsError(_reason(error)) from error
        if self._settings.jwt_tenant and claims.get("tid") != self._settings.jwt_tenant:
            raise CredentialsError("the token is of another tenant")
        return Token(_key_id(claims), scopes_of(claims))

    def _signing_key(self, kid: str) -> jwt.PyJWK:
        """The issuer's key; one thread at a time asks for it, and an issuer that is down is not asked by each."""
        with self._lock:
            if time.monotonic() >= self._pause_until:
                try:
                    return self._client.get_signing_key(kid)
                except (jwt.PyJWKClientConnectionError, jwt.PyJWKSetError, ValueError) as error:
                    self._pause_until = time.monotonic() + PAUSE_SECONDS
                    raise _no_keys() from error
        raise _no_keys()


def scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes of a token: of its app roles (`roles`), and of `scp` or `scope`.

    A token with both speaks for a user of an application, and may do what both may.
    """
    roles = _known(claims.get("roles"))
    granted = _known(claims.get("scp")) | _known(claims.get("scope"))
    return roles & granted if roles and granted else roles | granted


def role_of(scope: str) -> str:
    """The name of a scope as an app role of Entra ID: forecast:read is Groundswell.Forecast.Read."""
    return "Groundswell." + ".".join(part.capitalize() for part in scope.split(":"))


def _known(values: object) -> frozenset[str]:
    from api.security import SCOPES

    names = {name: scope for scope in SCOPES for name in (scope, role_of(scope))}
    given = values.split() if isinstance(values, str) else values if isinstance(values, list) else []
    told = [value for value in given if isinstance(value, str)]
    layers = {f"override:{found[1].lower()}" for value in told if (found := _LAYER.fullmatch(value))}
    return frozenset(names[value] for value in told if value in names) | layers


def _key_id(claims: Mapping[str, Any]) -> str:
    """The subject, as short as the tables want it; two subjects never share one."""
    subject = str(claims["sub"])
    return f"jwt:{subject if len(subject) <= 36 else hashlib.sha256(subject.encode()).hexdigest()[:36]}"


def _reason(error: jwt.PyJWTError) -> str:
    reasons: dict[type[jwt.PyJWTError], str] = {
        jwt.ExpiredSignatureError: "the token has expired",
        jwt.ImmatureSignatureError: "the token is not valid yet",
        jwt.InvalidAudienceError: "the token is for another audience",
        jwt.InvalidIssuerError: "the token is of another issuer",
        jwt.InvalidSignatureError: "the token's signature is wrong",
        jwt.PyJWKClientError: "the token is signed with a key that the issuer does not list",
    }
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the token lacks the claim {error.claim}"
    return reasons.get(type(error), "the token is malformed")


def _no_keys() -> Problem:
    detail = "the keys of the token's issuer cannot be fetched (setting jwt_jwks_url); try again"
    return Problem(503, "issuer-unavailable", detail, headers={"Retry-After": f"{PAUSE_SECONDS:.0f}"})
