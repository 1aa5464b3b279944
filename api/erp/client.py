"""Requests to an ERP: at its pace, again where it says so, and never twice where that could double something."""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import httpx
import stamina

from signals.redact import Redactor
from signals.retry_after import asked_wait

ATTEMPTS = 6
LONGEST_WAIT = 300.0  # seconds; a system that asks for more is left alone
Auth = Callable[[], str]  # the value of the header Authorization

# They log whole addresses.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)


class ErpRefused(ValueError):
    """The ERP did not take or give something: what was asked, and what it said. `status` is None without an answer."""

    def __init__(self, problem: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(problem)


class Unsure(ErpRefused):
    """The connection broke, or the server was busy or failed, while something was being made: it may be there or not.

    `wait` is how many seconds the server asks to wait, None where it does not say.
    """

    def __init__(self, problem: str, status: int | None = None, wait: float | None = None) -> None:
        super().__init__(problem, status)
        self.wait = wait


class Again(Exception):
    """The request may be sent again; `wait` is how many seconds the server asks to wait."""

    def __init__(self, problem: str, status: int | None, wait: float | None) -> None:
        self.status, self.wait = status, wait
        super().__init__(problem)


class Pace:
    """Lets at most `most` requests begin in any `seconds`, over all threads."""

    def __init__(self, most: int, seconds: float = 60.0) -> None:
        self._gap, self._next, self._lock = seconds / most, 0.0, threading.Lock()

    def wait(self) -> None:
        """Wait for the turn."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._gap
        time.sleep(at - now)


class Client:
    """An ERP's API behind one address; for many threads."""

    def __init__(
        self, url: str, auth: Auth, redactor: Redactor, *, timeout: float = 60.0, pace: Pace | None = None,
        first_pause: float = 0.5,
    ) -> None:  # fmt: skip
        self.url, self._auth, self._redactor, self._pace, self._first = url, auth, redactor, pace, first_pause
        self._client = httpx.Client(timeout=timeout, headers={"Accept": "application/json"})

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def ask(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        """The answer, with a status of 2xx; `path` may be a whole address, as next links are, of the same server.

        After 429, failures of the server and of the connection it is sent again, when the server asks for that; but a
        POST raises Unsure then. Raises ErpRefused for every other answer.
        """
        url = path if path.startswith(("http://", "https://")) else self.url + path
        if httpx.URL(url).netloc != httpx.URL(self.url).netloc:  # it would be told our secrets
            raise ErpRefused(f"{self._redactor.text(url)}: it is not on {self.url}")
        attempts = stamina.retry_context(
            on=_again, attempts=ATTEMPTS, timeout=None, wait_initial=self._first, wait_max=30, wait_jitter=self._first
        )
        try:
            for attempt in attempts:
                with attempt:
                    return self._once(method, url, params, body, headers or {})
        except Again as error:
            raise ErpRefused(str(error), error.status) from error.__cause__
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self, method: str, url: str, params: Mapping[str, Any] | None, body: Any, headers: Mapping[str, str]
    ) -> httpx.Response:
        if self._pace is not None:
            self._pace.wait()
        asked = f"{method} {self._redactor.text(url)}"
        authorized = {"Authorization": self._auth(), **headers}
        try:
            answer = self._client.request(method, url, params=params, json=body, headers=authorized)
        except httpx.ConnectError as error:
            raise Again(f"{asked}: {self._redactor.text(str(error))}", None, None) from error
        except httpx.TransportError as error:
            told = f"{asked}: {self._redactor.text(str(error)) or type(error).__name__}"
            raise (Unsure(told) if method == "POST" else Again(told, None, None)) from error
        if answer.is_success:
            return answer
        told = f"{asked}: status {answer.status_code} {answer.reason_phrase}: {self._said(answer)}"
        if answer.status_code == 429 or answer.status_code >= 500:
            raise (Unsure if method == "POST" else Again)(told, answer.status_code, asked_wait(answer.headers))
        raise ErpRefused(told, answer.status_code)

    def _said(self, answer: httpx.Response) -> str:
        return " ".join(self._redactor.text(answer.text[:2_000]).split())[:300]


def _again(error: Exception) -> bool | timedelta:
    return another(error) if isinstance(error, Again) else False


def another(error: Exception) -> bool | timedelta:
    """Whether to try again what ended so, and when where the server says it."""
    if not isinstance(error, (Again, Unsure)):
        return False
    if error.wait is None:
        return True
    return timedelta(seconds=error.wait) if error.wait <= LONGEST_WAIT else False


def bearer(token: str) -> Auth:
    """A token that is given."""
    return lambda: f"Bearer {token}"


def basic(user: str, password: str) -> Auth:
    """A user and a password."""
    code = base64.b64encode(f"{user}:{password}".encode()).decode()
    return lambda: f"Basic {code}"


class ClientCredentials:
    """OAuth 2.0 client credentials (RFC 6749, 4.4): a token that is fetched when it is needed and before it expires."""

    def __init__(self, token_url: str, client_id: str, secret: str, scope: str, redactor: Redactor) -> None:
        self._url, self._redactor = token_url, redactor
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        self._form |= {"scope": scope}
        self._token, self._until, self._lock = "", 0.0, threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                self._fetch()
            return f"Bearer {self._token}"

    @stamina.retry(on=httpx.TransportError, attempts=4, timeout=60)
    def _fetch(self) -> None:
        answer = httpx.post(self._url, data=self._form, timeout=30)
        if not answer.is_success:
            said = self._redactor.text(answer.text)[:300]
            raise ErpRefused(f"POST {self._url}: status {answer.status_code}: {said}", answer.status_code)
        given = answer.json()
        self._token = given["access_token"]
        self._until = time.monotonic() + float(given.get("expires_in", 3600)) * 0.9
