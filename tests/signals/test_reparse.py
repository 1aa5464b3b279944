"""Landed payloads read again by a mended parser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pytest

from signals.connector import Observations, Payload, Pull, Request, observations
from signals.pull_state import PullState
from signals.reparse import reparse
from signals.store import open_snapshot
from tests.fakes.counter import Counter, Things
from tests.fakes.pulling import pull
from tests.fakes.server import PAGE, Answer, Fake, serving

pytestmark = pytest.mark.usefixtures("counter")
NOW = datetime.now().replace(microsecond=0)
DAY = str((NOW - timedelta(days=2)).date())
SIGNAL = "counter/boots/US"
_parse = Counter.parse


def doubled(self: Counter, pull: Pull, payloads: Sequence[Payload]) -> Observations:
    found = _parse(self, pull, payloads)
    return replace(found, frame=found.frame.assign(value=found.frame["value"] * 2))


def either(self: Counter, pull: Pull, payloads: Sequence[Payload]) -> Observations:
    answer = payloads[-1].json()
    days = answer.get("days") or answer["dias"]
    return observations(pull.signals[0], list(days), list(days.values()))


@pytest.fixture
def things() -> Things:
    return Things(NOW)


@pytest.fixture
def fake(things: Things) -> Iterator[Fake]:
    with serving(things) as fake:
        yield fake


def toml(fake: Fake) -> str:
    return f'[connectors.counter]\nbase_url = "{fake.url}"\n[[signals]]\nconnector = "counter"\nthings = ["boots"]\n'


def versions(home: Path) -> pd.DataFrame:
    """All versions of the value of DAY."""
    frame = open_snapshot(home).observations([SIGNAL], vintages=True)
    return frame[frame["start"] == DAY].reset_index(drop=True)


def test_what_is_read_as_before_adds_nothing(tmp_path: Path, fake: Fake) -> None:
    pull(tmp_path, toml(fake), NOW)
    found = reparse(tmp_path, "counter")
    assert (found.pulls, found.inserted, found.failed) == (1, 0, 0)


def test_a_mended_value_replaces_the_wrong_one_at_its_own_moment(tmp_path: Path, fake: Fake, things: Things) -> None:
    pull(tmp_path, toml(fake), NOW)
    things.numbers["boots", DAY] = 500.0
    pull(tmp_path, toml(fake), NOW)
    wrong, version = versions(tmp_path), open_snapshot(tmp_path).data_version
    with patch.object(Counter, "parse", doubled):
        assert reparse(tmp_path, "counter").inserted == 31
        assert reparse(tmp_path, "counter").inserted == 0
    right = versions(tmp_path)
    assert list(right["value"]) == [2 * value for value in wrong["value"]]
    pd.testing.assert_frame_equal(right.drop(columns="value"), wrong.drop(columns="value"))
    before = open_snapshot(tmp_path).observations([SIGNAL], data_version=version, vintages=True)
    assert list(before[before["start"] == DAY]["value"]) == list(wrong["value"])


def test_what_was_set_aside_takes_its_place_between_what_came_before_and_after(tmp_path: Path) -> None:
    answers = iter([{"days": {DAY: 5}}, {"dias": {DAY: 6}}, {"days": {DAY: 7}}])
    with serving(lambda _: Answer(next(answers))) as fake:
        assert [pull(tmp_path, toml(fake), NOW)[0].status for _ in range(3)] == ["done", "drifted", "done"]
    with patch.object(Counter, "parse", either):
        assert reparse(tmp_path, "counter").inserted == 1
        assert reparse(tmp_path, "counter").inserted == 0
    found = versions(tmp_path)
    assert list(found["value"]) == [5, 6, 7]
    assert found["known_at"].is_monotonic_increasing
    assert list(found["known_basis"]) == ["assumed_lag", "observed", "observed"]
    assert PullState(tmp_path).set_aside("counter")[0] == 0


def test_a_pull_that_was_broken_off_is_left_to_the_next_one(tmp_path: Path, fake: Fake) -> None:
    def next_page(_: Counter, __: Pull, payloads: Sequence[Payload]) -> Request | None:
        return Request(f"{fake.url}/more") if len(payloads) == 1 else None

    fake.faults.next += [Answer({"days": {DAY: 1}}), Answer(b"", 404)]
    with patch.object(Counter, "next_page", next_page):
        assert pull(tmp_path, toml(fake), NOW)[0].status == "failed"
        assert reparse(tmp_path, "counter").pulls == 0
        state = PullState(tmp_path)
        state.mark([one.id for one in state.landed("counter")], "set aside", "drifted once")
        assert "never fetched" in reparse(tmp_path, "counter").reason


def test_what_cannot_be_read_is_told_and_stays_set_aside(tmp_path: Path, fake: Fake) -> None:
    pull(tmp_path, toml(fake), NOW)
    fake.faults.next.append(PAGE)
    pull(tmp_path, toml(fake), NOW)
    found = reparse(tmp_path, "counter")
    assert (found.pulls, found.failed) == (1, 1)
    assert "a web page" in found.reason
    assert PullState(tmp_path).set_aside("counter")[0] == 1


def test_the_parser_sees_what_was_planned(tmp_path: Path, fake: Fake) -> None:
    def next_page(_: Counter, __: Pull, payloads: Sequence[Payload]) -> Request | None:
        return Request(f"{fake.url}/boots", {"from": "2026-01-01"}) if len(payloads) == 1 else None

    seen = []

    def parse(self: Counter, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        seen.append([request.params["from"] for request in pull.requests])
        return _parse(self, pull, payloads)

    with patch.object(Counter, "next_page", next_page), patch.object(Counter, "parse", parse):
        pull(tmp_path, toml(fake), NOW)
        assert reparse(tmp_path, "counter").pulls == 1
    assert len(seen) == 2
    assert seen[0] == seen[1] != []


def test_what_cannot_be_read_any_more_stays_stored(tmp_path: Path, fake: Fake) -> None:
    pull(tmp_path, toml(fake), NOW)
    with patch.object(Counter, "parse", side_effect=ZeroDivisionError):
        assert reparse(tmp_path, "counter").failed == 1
    assert PullState(tmp_path).set_aside("counter")[0] == 0


def test_where_the_first_payload_is_lost_nothing_is_dated_back(tmp_path: Path, fake: Fake, things: Things) -> None:
    pull(tmp_path, toml(fake), NOW)
    (first,) = (tmp_path / "raw" / "counter").glob("*.gz")
    things.numbers["boots", DAY] = 500.0
    pull(tmp_path, toml(fake), NOW)
    known = versions(tmp_path)
    first.write_bytes(first.read_bytes()[:-9])
    with patch.object(Counter, "parse", doubled):
        found = reparse(tmp_path, "counter")
    assert (found.pulls, found.failed) == (1, 1)
    assert "cannot be read" in found.reason
    assert list(versions(tmp_path)["value"]) == [known["value"][0], 1000]
