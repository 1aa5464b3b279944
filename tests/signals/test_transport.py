"""Limits, breakers and redaction, measured by what the transport would wait."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from signals.connector import Policy, Request
from signals.pull_state import PullState
from signals.redact import Redactor
from signals.transport import SourceClosed, SourceFailed, Stopped, Transport
from tests.fakes.counter import Counter, CounterSettings
from tests.fakes.server import BROKEN, Answer, Fake, serving


@pytest.fixture
def fake() -> Iterator[Fake]:
    with serving(lambda _: Answer({"days": {}})) as fake:
        yield fake


class Made(Transport):
    """A transport that notes its pauses and takes none."""

    def __init__(self, home: Path, policy: Policy, busy: float | None = None) -> None:
        self.pauses: list[float] = []
        self.stops = False
        connector = Counter(CounterSettings())
        connector.policy = policy  # type: ignore[misc]
        connector.busy = lambda _: busy  # type: ignore[method-assign]
        super().__init__(connector, PullState(home), Redactor(["hush"]), self._note, first_pause=0.001)

    def _note(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return self.stops


def test_the_pace_holds_over_a_restart(tmp_path: Path, fake: Fake) -> None:
    for _ in range(3):
        transport = Made(tmp_path, Policy(interval=10.0))
        transport.get(Request(fake.url))
        transport.close()
    assert transport.pauses[0] == pytest.approx(20, abs=2)


def test_a_budget_holds(tmp_path: Path) -> None:
    state, now = PullState(tmp_path), time.time()
    slots = [state.reserve("host", now, 0.0, (2, 60.0)) - now for _ in range(5)]
    assert slots == pytest.approx([0, 0, 60, 60, 120])


def test_a_clock_that_went_back_does_not_stop_a_source(tmp_path: Path) -> None:
    state, now = PullState(tmp_path), time.time()
    state.reserve("host", now + 86_400, 1.0, None)
    assert state.reserve("host", now, 1.0, None) == now


def test_a_turn_that_is_far_off_is_not_taken(tmp_path: Path) -> None:
    state, now = PullState(tmp_path), time.time()
    state.reserve("host", now, 0.0, (1, 7200.0))
    for _ in range(2):
        assert state.reserve("host", now, 0.0, (1, 7200.0), within=900.0) - now == 7200


def test_a_source_on_the_same_host_does_not_widen_the_budget_of_another(tmp_path: Path) -> None:
    state, now = PullState(tmp_path), time.time()
    state.reserve("host", now, 0.0, (1, 7200.0))
    state.reserve("host", now + 300, 1.0, None)
    assert state.reserve("host", now + 301, 0.0, (2, 7200.0)) - now == 7200


def test_a_stop_ends_the_wait_for_a_turn(tmp_path: Path, fake: Fake) -> None:
    for _ in range(2):
        transport = Made(tmp_path, Policy(interval=100.0))
        transport.stops = True
        with suppress(Stopped):
            transport.get(Request(fake.url))
        transport.close()
    assert (len(fake.asked), len(transport.pauses)) == (1, 1)


def test_another_host_is_told_no_key(tmp_path: Path, fake: Fake) -> None:
    elsewhere = fake.url.replace("127.0.0.1", "localhost")
    fake.faults.next += [Answer(b"", 302, headers={"Location": f"{host}/there"}) for host in ("", elsewhere)]
    transport = Made(tmp_path, Policy(interval=0.0))
    transport.get(Request(fake.url, headers={"X-Api-Key": "hush", "Accept": "text/csv"}))
    transport.close()
    assert [asked.headers.get("x-api-key") for asked in fake.asked] == ["hush", "hush", None]
    assert [asked.headers["accept"] for asked in fake.asked] == ["text/csv"] * 3


def test_redirects_without_end_are_given_up(tmp_path: Path, fake: Fake) -> None:
    fake.faults.next += [Answer(b"", 302, headers={"Location": "/on"})] * 9
    transport = Made(tmp_path, Policy(interval=0.0))
    with pytest.raises(SourceFailed, match="more than 5 redirects"):
        transport.get(Request(fake.url))
    transport.close()


def test_a_compressed_answer_is_whole_or_an_error(tmp_path: Path, fake: Fake) -> None:
    packed = gzip.compress(b'{"days": {}}') + gzip.compress(b" ")
    zipped = [Answer(body, headers={"Content-Encoding": "gzip"}) for body in (packed, packed[:25], b"none")]
    fake.faults.next += [*zipped, Answer(b"x", headers={"Content-Encoding": "br"})]
    transport = Made(tmp_path, Policy(interval=0.0, attempts=1))
    assert transport.get(Request(fake.url)).body == b'{"days": {}} '
    for message in ("in the middle of its gzip", "is no gzip", "encoded as 'br'"):
        with pytest.raises(SourceFailed, match=message):
            transport.get(Request(fake.url))
    transport.close()


def test_three_failures_in_a_row_leave_the_source_alone(tmp_path: Path, fake: Fake) -> None:
    transport = Made(tmp_path, Policy(interval=0.0, attempts=1))
    fake.faults.next += [BROKEN] * 3
    for kind in (SourceFailed, SourceFailed, SourceClosed, SourceClosed):
        with pytest.raises(kind):
            transport.get(Request(fake.url))
    transport.close()
    assert len(fake.asked) == 3


def test_each_trial_that_fails_doubles_the_pause(tmp_path: Path, fake: Fake) -> None:
    transport, state = Made(tmp_path, Policy(interval=0.0, attempts=1)), PullState(tmp_path)
    state.set_breaker("counter", 3, time.time() - 1, 2)
    fake.faults.next.append(BROKEN)
    with pytest.raises(SourceClosed):
        transport.get(Request(fake.url))
    transport.close()
    assert state.breaker("counter")[1] - time.time() == pytest.approx(4 * 3600, abs=60)


def test_a_success_closes_the_breaker(tmp_path: Path, fake: Fake) -> None:
    transport, state = Made(tmp_path, Policy(interval=0.0)), PullState(tmp_path)
    state.set_breaker("counter", 2, 0.0, 0)
    transport.get(Request(fake.url))
    transport.close()
    assert state.breaker("counter") == (0, 0.0, 0)


def test_a_200_that_says_too_often_is_waited_out(tmp_path: Path, fake: Fake) -> None:
    transport = Made(tmp_path, Policy(interval=0.0, attempts=2), busy=0.0)
    with pytest.raises(SourceClosed, match="it says that it was asked too often"):
        transport.get(Request(fake.url))
    transport.close()
    assert len(fake.asked) == 2


def test_a_slow_answer_is_given_up(tmp_path: Path, fake: Fake) -> None:
    transport = Made(tmp_path, Policy(interval=0.0, timeout=0.2, attempts=1))
    fake.faults.next.append(Answer({}, seconds=1.0))
    with pytest.raises(SourceFailed, match="timed out"):
        transport.get(Request(fake.url))
    transport.close()


def test_nobody_at_the_address_is_told_without_the_secret(tmp_path: Path) -> None:
    transport = Made(tmp_path, Policy(interval=0.0, attempts=1))
    with pytest.raises(SourceFailed, match="onnection refused") as failure:
        transport.get(Request("http://127.0.0.1:9/hush?token=abc"))
    transport.close()
    assert "hush" not in str(failure.value)
    assert "abc" not in str(failure.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://x.org/a?api_key=1&b=2", "https://x.org/a?api_key=***&b=2"),
        ("https://me:pw@x.org/", "https://***@x.org/"),
        ("hush%20x hush", "***%20x ***"),
        ("a%2fb+c a/b+c a%2Fb%2bc a\\/b+c", "*** *** *** ***"),
        ("to me/you&", "to ***"),
    ],
)
def test_redaction(text: str, shown: str) -> None:
    assert Redactor(["hush", "a/b+c", "Bearer me/you&"]).text(text) == shown


def test_headers_and_parameters_with_the_names_of_secrets_are_hidden() -> None:
    given = {"X-App-Token": "a", "Authorization": "b", "Cookie": "c", "key": "d", "Accept": "e"}
    assert Redactor().mapping(given) == {**dict.fromkeys(list(given)[:4], "***"), "Accept": "e"}
