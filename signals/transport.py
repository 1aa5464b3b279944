"""HTTP as outside sources want it: slowly, patiently, and never again when they say so.

SourceFailed        an answer could not be had; the source may be asked for other things
  SourceClosed      the source is to be left alone until a moment
"""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx
import stamina

from signals.connector import Connector, Payload, Policy, Request
from signals.http_body import ACCEPTED, body_of
from signals.pull_state import PullState, moment_at
from signals.redact import Redactor
from signals.retry_after import asked_wait

# Without a handler Python writes each retry that stamina tells of to stderr; those who set up logging still get them.
logging.getLogger("stamina").addHandler(logging.NullHandler())

AGENT = f"groundswell/{version('groundswell')}"
REDIRECTS = 5
LONGEST_TURN = 900.0  # a source whose next turn is later is left alone until then
LONGEST_WAIT = 60.0  # a source that wants a longer pause is left alone until it is over
LARGEST = 500_000_000  # bytes of one answer
FAILURES = 3  # requests in a row that fail, each after all its tries, before a source is left alone
PAUSE = 3600.0  # the first time; doubled each time that the next trial fails too, up to a day
LONGEST_PAUSE = 86_400.0


class SourceFailed(RuntimeError):
    """One answer could not be had; the message says why, without secrets."""


class SourceClosed(SourceFailed):
    """The source is to be left alone until `until` (UTC without a zone)."""

    def __init__(self, problem: str, until: float) -> None:
        self.until = moment_at(until)
        super().__init__(f"{problem}; it is asked again after {self.until:%Y-%m-%d %H:%M} UTC")


class Stopped(RuntimeError):
    """The pull was asked to end; what was fetched is kept."""


class _Transient(Exception):
    """Worth another try, after `wait` seconds where the source says so."""

    def __init__(self, problem: str, wait: float | None = None, *, too_many: bool = False) -> None:
        self.wait, self.too_many = wait, too_many
        super().__init__(problem)


class Transport:
    """Asks one source, within its policy; answers come whole or not at all."""

    def __init__(
        self,
        connector: Connector,  # type: ignore[type-arg]
        state: PullState,
        redactor: Redactor,
        wait: Callable[[float], bool],
        first_pause: float = 1.0,
    ) -> None:
        """`wait` pauses for so many seconds, and says whether the pull is to stop; Event.wait does."""
        self._connector, self._state, self._redactor = connector, state, redactor
        self._wait, self._first_pause = wait, first_pause
        self._client = httpx.Client(headers={"User-Agent": self._agent(), **ACCEPTED})
        self.headers: dict[str, str] = {}  # of the last answer

    def _agent(self) -> str:
        contact = getattr(self._connector.settings, "contact", "")
        return f"{AGENT} ({contact})" if contact else AGENT

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def get(self, request: Request) -> Payload:
        """The answer to a request.

        Tries again after 429, 5xx and errors of the connection, as long as the source says or with growing pauses.
        Raises SourceFailed, and SourceClosed where the source is to be left alone.
        """
        self._refuse_closed(request)
        try:
            payload = self._tried(request)
        except _Transient as error:
            raise self._failed(request, error) from error.__cause__
        self._state.set_breaker(self._connector.name, 0, 0.0, 0)
        return payload

    def _refuse_closed(self, request: Request) -> None:
        _, closed_until, _ = self._state.breaker(self._connector.name)
        until = max(closed_until, self._state.blocked_until(_host(request)))
        if until > time.time():
            raise SourceClosed(f"{self._connector.name} is left alone after failures or at its own wish", until)

    def _tried(self, request: Request) -> Payload:
        policy = self._connector.policy
        attempts = stamina.retry_context(
            on=_another_try, attempts=policy.attempts, timeout=None,
            wait_initial=self._first_pause, wait_max=LONGEST_WAIT, wait_jitter=self._first_pause,
        )  # fmt: skip
        for attempt in attempts:
            with attempt:
                self._wait_for_turn(request, policy)
                return self._ask(request, policy)
        raise AssertionError("the last attempt returns or raises")

    def _wait_for_turn(self, request: Request, policy: Policy) -> None:
        now = time.time()
        at = self._state.reserve(_host(request), now, policy.interval, policy.budget, LONGEST_TURN)
        if at - now > LONGEST_TURN:
            raise SourceClosed(f"the budget of {self._connector.name} is used up", at)
        if at > now and self._wait(at - now):
            raise Stopped

    def _ask(self, request: Request, policy: Policy) -> Payload:
        try:
            answer, body = self._read(request, policy.timeout)
        except httpx.TransportError as error:
            raise _Transient(self._redactor.text(str(error) or type(error).__name__)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceFailed(self._told(request, self._redactor.text(str(error)))) from error
        status = answer.status_code
        if status == 429 or status >= 500:
            raise _Transient(
                f"status {status} {answer.reason_phrase}", asked_wait(answer.headers), too_many=status == 429
            )
        if status not in policy.answers:
            said = self._redactor.text(body[:10_000].decode("utf-8", "replace")).strip()[:200]
            raise SourceFailed(self._told(request, f"status {status} {answer.reason_phrase}: {said}"))
        fetched = datetime.now(UTC).replace(tzinfo=None)
        payload = Payload(request, body, fetched, status, answer.headers.get("Content-Type", ""))
        wait = self._connector.busy(payload)
        if wait is not None:
            raise _Transient("it says that it was asked too often", wait, too_many=True)
        self.headers = dict(answer.headers)
        return payload

    def _read(self, request: Request, timeout: float) -> tuple[httpx.Response, bytes]:
        """The answer and its body, read within `timeout` seconds in all: a server that trickles cannot hold us."""
        deadline, parts, size = time.monotonic() + timeout, [], 0
        with self._opened(request, timeout) as answer:
            for part in body_of(answer):
                parts.append(part)
                size += len(part)
                if size > LARGEST:
                    raise SourceFailed(self._told(request, f"the answer has more than {LARGEST:,} bytes"))
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout(f"no whole answer within {timeout:g} s")
        return answer, b"".join(parts)

    @contextmanager
    def _opened(self, request: Request, timeout: float) -> Iterator[httpx.Response]:
        """The answer at the end of its redirects; what identifies us is not told to another host."""
        asked = self._client.build_request(
            request.method, request.url, params=request.params or None, headers=dict(request.headers), timeout=timeout
        )
        for _ in range(REDIRECTS + 1):
            with closing(self._client.send(asked, stream=True)) as answer:
                if answer.next_request is None:
                    yield answer
                    return
                following = answer.next_request
            if _elsewhere(asked.url, following.url):
                for name in request.headers:
                    if name.lower() != "accept" and name in following.headers:
                        del following.headers[name]
            asked = following
        raise httpx.TooManyRedirects(f"more than {REDIRECTS} redirects")

    def _failed(self, request: Request, error: _Transient) -> SourceFailed:
        """What a request comes to that failed for good: the breaker counts it, and may leave the source alone."""
        name, now = self._connector.name, time.time()
        told = self._told(request, str(error))
        if error.wait is not None and error.wait > LONGEST_WAIT:
            self._state.block(_host(request), now + error.wait)
            return SourceClosed(f"{told}; it asks for a pause", now + error.wait)
        failures, _, trips = self._state.breaker(name)
        failures += 1
        if error.too_many or failures >= FAILURES or trips:
            until = now + min(PAUSE * 2**trips, LONGEST_PAUSE)
            self._state.set_breaker(name, failures, until, trips + 1)
            return SourceClosed(told, until)
        self._state.set_breaker(name, failures, 0.0, trips)
        return SourceFailed(told)

    def _told(self, request: Request, problem: str) -> str:
        return f"{self._redactor.text(request.url)}: {problem}"


def _elsewhere(asked: httpx.URL, following: httpx.URL) -> bool:
    """Whether a redirect leads to another server, or from https to http."""
    upgraded = (asked.scheme, following.scheme) == ("http", "https") and asked.port is following.port is None
    same = (asked.scheme, asked.port) == (following.scheme, following.port) or upgraded
    return asked.host != following.host or not same


def _another_try(error: Exception) -> bool | timedelta:
    if not isinstance(error, _Transient):
        return False
    if error.wait is None:
        return True
    return timedelta(seconds=error.wait) if error.wait <= LONGEST_WAIT else False


def _host(request: Request) -> str:
    return urlsplit(request.url).netloc.rpartition("@")[2]
