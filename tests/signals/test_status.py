"""What `signals status` and `signals suggest` tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from signals.status import source_status
from signals.store import open_snapshot
from signals.suggest import as_toml, facts_of, suggest
from tests.fakes.counter import Things
from tests.fakes.pulling import pull
from tests.fakes.server import PAGE, Fake, serving, too_many
from tests.signals.store_frames import append, batch, categories, sales

NOW = datetime.now().replace(microsecond=0)


@pytest.fixture
def fake(counter: None) -> Iterator[Fake]:
    with serving(Things(NOW)) as fake:
        yield fake


def toml(fake: Fake) -> str:
    return f'[connectors.counter]\nbase_url = "{fake.url}"\n[[signals]]\nconnector = "counter"\nthings = ["boots"]\n'


def test_nothing_is_set_up(tmp_path: Path) -> None:
    assert source_status(tmp_path) == []


def test_before_and_after_a_pull(tmp_path: Path, fake: Fake) -> None:
    (tmp_path / "groundswell.toml").write_text(toml(fake), encoding="utf-8")
    assert [one.state for one in source_status(tmp_path)] == ["never"]
    pull(tmp_path, toml(fake), NOW)
    (status,) = source_status(tmp_path, NOW)
    assert (status.state, status.signals, status.last) == ("ok", 1, datetime.combine(NOW.date(), datetime.min.time()))
    assert status.next_due == NOW + timedelta(days=1)


def test_a_further_entry_does_not_hide_how_the_others_fare(tmp_path: Path, fake: Fake) -> None:
    pull(tmp_path, toml(fake), NOW)
    with (tmp_path / "groundswell.toml").open("a") as file:
        file.write('[[signals]]\nconnector = "counter"\nthings = ["hats"]\n')
    (status,) = source_status(tmp_path, NOW)
    assert (status.state, status.message, status.succeeded) == ("ok", "1 of 2 entries not pulled yet", NOW)


def test_values_that_do_not_come_any_more_are_late(tmp_path: Path, fake: Fake) -> None:
    pull(tmp_path, toml(fake), NOW)
    (status,) = source_status(tmp_path, NOW + timedelta(days=9))
    assert status.state == "late"
    assert status.age_days > 9  # type: ignore[operator]


def test_a_quarantine_degrades_a_source(tmp_path: Path, fake: Fake) -> None:
    fake.faults.next.append(PAGE)
    pull(tmp_path, toml(fake), NOW)
    (status,) = source_status(tmp_path, NOW)
    assert (status.state, status.quarantined) == ("degraded", 1)
    assert "a web page" in status.message


def test_a_source_that_is_left_alone_says_until_when(tmp_path: Path, fake: Fake) -> None:
    fake.faults.next += [too_many(0)] * 4
    pull(tmp_path, toml(fake), NOW)
    (status,) = source_status(tmp_path)
    assert status.state == "closed"
    assert status.closed_until is not None


def test_an_unused_source_says_so(tmp_path: Path, fake: Fake) -> None:
    (tmp_path / "groundswell.toml").write_text("[connectors.counter]\n", encoding="utf-8")
    assert [one.state for one in source_status(tmp_path)] == ["unused"]


def test_proposals_leave_out_what_is_wanted(tmp_path: Path, counter: None) -> None:
    append(tmp_path, batch(sales([1.0]), categories=categories("Shoes", calendar="US")))
    record = open_snapshot(tmp_path).category("Shoes")
    first = suggest(tmp_path, record)
    (tmp_path / "groundswell.toml").write_text(as_toml(first), encoding="utf-8")
    assert first == [{"connector": "counter", "categories": ["Shoes"], "things": ["shoes"]}]
    assert suggest(tmp_path, record) == []


def test_words_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    names = "Sporting goods and the hobby stores"
    append(tmp_path, batch(sales([1.0], names), categories=categories(names)))
    assert facts_of(open_snapshot(tmp_path).category(names)).words == ("sporting", "hobby")


def test_tables_are_toml() -> None:
    assert (
        as_toml([{"a": 'é"x', "b": ["c"], "d": {"e": 1.5}}]) == '[[signals]]\na = "é\\"x"\nb = ["c"]\nd = { e = 1.5 }\n'
    )
