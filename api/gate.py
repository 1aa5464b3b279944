"""Who sent a request: its credentials become a Caller, or a problem."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Collection, Iterator

from fastapi import Request

from api.errors import Problem
from api.keyring import Keyring
from api.keys import FORM
from api.limits import RateLimits
from api.security import ANYBODY, Caller
from api.settings import Settings
from api.tokens import CredentialsError, Tokens

EASY_FACES = ("odata", "business-central")  # whose clients can send nothing but Basic, or a key in the address
CHALLENGES = dict.fromkeys(EASY_FACES, 'Basic realm="groundswell", charset="UTF-8"')
BEARER = 'Bearer realm="groundswell"'


class Gate:
    """For many threads. Without any key and without an issuer it is open, as far as `anonymous_hosts` allow.

    These are the names under which the API may then be called, None: any. A browser that was led to an address of this
    machine under a foreign name (DNS rebinding) names that one.
    """

    def __init__(self, settings: Settings, anonymous_hosts: Collection[str] | None = None) -> None:
        self._keys = Keyring(settings)
        self._tokens = Tokens(settings) if settings.jwt_issuer else None
        self._limits = RateLimits(settings.rate_limit, settings.workers)
        self._anonymous_hosts = anonymous_hosts

    def waits(self, request: Request, face: str) -> bool:
        """Whether `caller` will look into the database or ask the issuer, which takes a thread."""
        if not self._keys.is_fresh(None):
            return True
        if self._is_open():
            return False
        try:
            given = credential_of(request, face)
        except (CredentialsError, Problem):
            return False
        return given is not None and not (FORM.fullmatch(given) and self._keys.is_fresh(given))

    def caller(self, request: Request, face: str) -> Caller:
        """Who sent a request; counts it. Raises the problems 400, 401, 421, 429 and 503."""
        state = request.scope.setdefault("state", {})
        if state.get("face") != face:
            caller = self._authenticated(request, face)
            state["caller"], state["face"] = caller, face
            self._limits.spend(caller.key_id or _address(request), state.setdefault("headers", {}))
        found: Caller = state["caller"]
        return found

    def _authenticated(self, request: Request, face: str) -> Caller:
        if self._is_open():
            self._check_anonymous(request, face)
            return ANYBODY
        try:
            given = credential_of(request, face)
            if given is None:
                raise _refused(face, "credentials are missing: send an API key or a token", missing=True)
            return self._checked(given)
        except CredentialsError as error:
            self._limits.spend_failure(_address(request))
            raise _refused(face, str(error)) from error

    def _is_open(self) -> bool:
        return self._tokens is None and not self._keys.has_keys()

    def _checked(self, given: str) -> Caller:
        if FORM.fullmatch(given) or self._tokens is None:
            key = self._keys.find(given)
            if key is None:
                raise CredentialsError("the API key is wrong, has expired or was revoked")
            return Caller(self._keys.owner(key), key.scopes, key.categories, key.id)
        token = self._tokens.check(given)
        return Caller(token.key_id, token.scopes, None, token.key_id)

    def _check_anonymous(self, request: Request, face: str) -> None:
        hosts = self._anonymous_hosts
        if hosts is None or request.url.hostname in hosts:
            return
        if not hosts:
            raise _refused(face, "there is no key yet: `groundswell keys create` makes one", missing=True)
        detail = (
            f"without keys the API answers only to {', '.join(sorted(hosts))}, not to {request.url.hostname}: make a "
            "key (`groundswell keys create`), or name the address of your proxy in the setting public_url"
        )
        raise Problem(421, "misdirected-request", detail)


def credential_of(request: Request, face: str) -> str | None:
    """The one key or token that a request carries; None for none. Raises CredentialsError and the problem 400."""
    given = list(_credentials(request, face))
    if any(not hmac.compare_digest(given[0].encode(), other.encode()) for other in given[1:]):
        raise Problem(400, "bad-request", "the request carries two different credentials; send one")
    return given[0] if given else None


def _credentials(request: Request, face: str) -> Iterator[str]:
    yield from (value.strip() for value in request.headers.getlist("x-api-key"))
    for value in request.headers.getlist("authorization"):
        scheme, _, rest = value.partition(" ")
        if scheme.lower() == "bearer":
            yield rest.strip()
        elif scheme.lower() == "basic" and face in EASY_FACES:
            yield _password(rest.strip())
        else:
            allowed = "Bearer or Basic" if face in EASY_FACES else "Bearer"
            raise CredentialsError(f"the Authorization header must be {allowed}")
    if face in EASY_FACES:
        yield from request.query_params.getlist("api_key")


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise CredentialsError("the Basic credentials are not user and password in Base64") from None


def _refused(face: str, detail: str, *, missing: bool = False) -> Problem:
    challenge = CHALLENGES.get(face) or BEARER + ("" if missing else ', error="invalid_token"')
    return Problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": challenge})


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
