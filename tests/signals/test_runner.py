"""Pulls through the real runner, against a small fake source."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pytest

from signals.batch import Batch
from signals.connector import ConfigError
from signals.pull_state import PullState
from signals.runner import only_one
from signals.store import Store, StoreDamaged, open_snapshot
from tests.fakes.counter import Counter, Things
from tests.fakes.pulling import pull
from tests.fakes.server import BROKEN, PAGE, Answer, Fake, cut, serving, too_many

pytestmark = pytest.mark.usefixtures("counter")
NOW = datetime.now().replace(microsecond=0)
SIGNAL = "counter/boots/US"


@pytest.fixture
def things() -> Things:
    return Things(NOW)


@pytest.fixture
def fake(things: Things) -> Iterator[Fake]:
    with serving(things) as fake:
        yield fake


def toml(fake: Fake, *names: str) -> str:
    wanted = ", ".join(f'"{name}"' for name in names or ("boots",))
    return f'[connectors.counter]\nbase_url = "{fake.url}"\n[[signals]]\nconnector = "counter"\nthings = [{wanted}]\n'


def test_a_first_pull_stores_the_history_and_the_cursor(tmp_path: Path, fake: Fake) -> None:
    (outcome,) = pull(tmp_path, toml(fake), NOW)
    snapshot = open_snapshot(tmp_path)
    assert (outcome.status, outcome.requests, outcome.inserted) == ("done", 1, 30)
    assert len(snapshot.observations([SIGNAL])) == 30
    assert snapshot.cursors()[SIGNAL].date() == NOW.date()


def test_the_next_pull_reads_the_overlap_and_adds_nothing_that_is_known(tmp_path: Path, fake: Fake) -> None:
    pull(tmp_path, toml(fake), NOW)
    (outcome,) = pull(tmp_path, toml(fake), NOW)
    assert (outcome.inserted, outcome.unchanged) == (0, 3)
    assert fake.asked[-1].query["from"] == str((NOW - timedelta(days=3)).date())


def test_a_revision_within_the_overlap_becomes_a_further_version(tmp_path: Path, fake: Fake, things: Things) -> None:
    pull(tmp_path, toml(fake), NOW)
    things.numbers[("boots", str((NOW - timedelta(days=2)).date()))] = 500.0
    (outcome,) = pull(tmp_path, toml(fake), NOW)
    assert (outcome.inserted, outcome.unchanged) == (1, 2)
    assert 500.0 in list(open_snapshot(tmp_path).observations([SIGNAL])["value"])


@pytest.mark.parametrize(
    "fault",
    [BROKEN, too_many(0), too_many(0, as_date=True), too_many(None), cut],
    ids=["500", "429", "date", "bare", "cut"],
)
def test_a_passing_fault_is_tried_again(tmp_path: Path, fake: Fake, fault: object) -> None:
    fake.faults.next += [fault, fault]  # type: ignore[list-item]
    (outcome,) = pull(tmp_path, toml(fake), NOW)
    assert (outcome.status, outcome.inserted, len(fake.asked)) == ("done", 30, 3)


def test_a_refusal_is_not_tried_again(tmp_path: Path, fake: Fake) -> None:
    fake.faults.next.append(Answer(b"no such thing", 404, "text/plain"))
    (outcome,) = pull(tmp_path, toml(fake), NOW)
    assert outcome.status == "failed"
    assert "status 404 Not Found: no such thing" in outcome.message
    assert len(fake.asked) == 1


def test_repeated_429_leaves_the_source_alone_over_a_restart(tmp_path: Path, fake: Fake) -> None:
    fake.faults.next += [too_many(0)] * 4
    (outcome,) = pull(tmp_path, toml(fake), NOW)
    (again,) = pull(tmp_path, toml(fake), NOW)
    assert "it is asked again after" in outcome.message
    assert again.status == "failed"
    assert len(fake.asked) == 4, "the second pull asks nothing"


def test_a_long_pause_that_is_asked_for_is_kept_without_waiting(tmp_path: Path, fake: Fake) -> None:
    fake.faults.next.append(too_many(7200))
    (outcome,) = pull(tmp_path, toml(fake), NOW)
    assert "it asks for a pause" in outcome.message
    assert len(fake.asked) == 1


@pytest.mark.parametrize("odd", [PAGE, Answer({"dates": {}}), Answer(b"")], ids=["page", "renamed", "empty"])
def test_an_answer_of_another_shape_is_quarantined(tmp_path: Path, fake: Fake, odd: Answer) -> None:
    pull(tmp_path, toml(fake), NOW)
    fake.faults.next.append(odd)
    (outcome,) = pull(tmp_path, toml(fake), NOW)
    assert outcome.status == "drifted"
    assert PullState(tmp_path).set_aside("counter")[0] == 1
    assert len(open_snapshot(tmp_path).observations([SIGNAL])) == 30, "the last good values stay"


def test_values_from_half_the_records_are_quarantined_until_accepted(
    tmp_path: Path, fake: Fake, things: Things
) -> None:  # fmt: skip
    things.more = {"records": 100}
    pull(tmp_path, toml(fake), NOW)
    things.more = {"records": 40}
    (outcome,) = pull(tmp_path, toml(fake), NOW)
    assert "values are made from 40 records, 100 before" in outcome.message
    assert pull(tmp_path, toml(fake), NOW, accept=("counter",))[0].status == "done"
    assert pull(tmp_path, toml(fake), NOW)[0].status == "done"


def test_one_thing_that_fails_keeps_what_came_before(tmp_path: Path, fake: Fake) -> None:
    fake.faults.next += [lambda answer: answer, Answer(b"gone", 410, "text/plain")]
    (outcome,) = pull(tmp_path, toml(fake, "boots", "hats"), NOW)
    assert outcome.status == "failed"
    assert list(open_snapshot(tmp_path).cursors()) == [SIGNAL]
    (outcome,) = pull(tmp_path, toml(fake, "boots", "hats"), NOW)
    assert outcome.inserted == 30


def test_payloads_are_landed_as_they_came(tmp_path: Path, fake: Fake) -> None:
    pull(tmp_path, toml(fake), NOW)
    (file,) = (tmp_path / "raw" / "counter").iterdir()
    assert gzip.decompress(file.read_bytes()).startswith(b'{"days"')


def test_a_landed_payload_of_a_killed_pull_is_not_asked_for_again(tmp_path: Path, fake: Fake) -> None:
    pull(tmp_path, toml(fake), NOW)
    state = PullState(tmp_path)
    (landed,) = state.landed("counter")
    state.mark([landed.id], "landed")
    (outcome,) = pull(tmp_path, toml(fake), NOW, again=True)
    assert (outcome.status, outcome.requests, len(fake.asked)) == ("done", 0, 1)


def test_secrets_are_nowhere(tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDSWELL_COUNTER_API_KEY", "hush-hush")
    fake.faults.next.append(Answer(b"the key hush-hush is not valid", 403, "text/plain"))
    (outcome,) = pull(tmp_path, toml(fake), NOW)
    pull(tmp_path, toml(fake), NOW)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert fake.asked[-1].query["key"] == "hush-hush"
    assert "hush-hush" not in outcome.message
    assert not any(b"hush-hush" in content for content in files)


def test_due_leaves_out_what_was_just_pulled(tmp_path: Path, fake: Fake) -> None:
    pull(tmp_path, toml(fake), NOW, due=True)
    (outcome,) = pull(tmp_path, toml(fake), NOW + timedelta(hours=23), due=True)
    (later,) = pull(tmp_path, toml(fake), NOW + timedelta(hours=25), due=True)
    assert (outcome.status, later.status) == ("fresh", "done")


def test_an_unknown_category_is_told_before_anything_is_asked(tmp_path: Path, fake: Fake) -> None:
    (outcome,) = pull(tmp_path, toml(fake) + 'categories = ["Boots"]\n', NOW)
    assert "no category is called 'Boots'" in outcome.message
    assert not fake.asked


def test_a_source_is_pulled_by_one_process_at_a_time(tmp_path: Path, fake: Fake) -> None:
    (tmp_path / "state").mkdir()
    with only_one(tmp_path, "counter"):
        (outcome,) = pull(tmp_path, toml(fake), NOW)
    assert outcome.message == "another process pulls counter at present"


def test_while_another_process_owns_the_store_it_is_handed_over(tmp_path: Path, fake: Fake) -> None:
    with Store.open(tmp_path) as store:
        (outcome,) = pull(tmp_path, toml(fake), NOW, wait=0.0)
        assert outcome.status == "waiting"
        assert [result.inserted for result in store.drain_inbox()] == [30]


@pytest.mark.parametrize(
    "body",
    [
        b'{"days": [1, 2]}',
        b'{"days": null}',
        b'{"days": {"2026-11-20": 1' + b"0" * 5000 + b"}}",
        b'{"days": {"0001-01-01": 1}}',
        b'{"days": {"2026-11-20": 1}, "records": "x"}',
    ],
    ids=["list", "null", "digits", "year 1", "records"],
)
def test_an_answer_that_breaks_the_parser_is_set_aside_and_the_others_go_on(
    tmp_path: Path, fake: Fake, body: bytes
) -> None:
    fake.faults.next.append(Answer(body))
    (outcome,) = pull(tmp_path, toml(fake, "boots", "shoes"), NOW)
    assert (outcome.status, outcome.inserted) == ("drifted", 30)
    assert PullState(tmp_path).set_aside("counter")[0] == 1
    assert pull(tmp_path, toml(fake, "boots", "shoes"), NOW)[0].status == "done"


def test_a_period_that_is_not_over_is_partial(tmp_path: Path, fake: Fake, things: Things) -> None:
    today = str(NOW.date())
    fake.faults.next.append(Answer({"days": {today: 3}}))
    assert pull(tmp_path, toml(fake), NOW)[0].inserted == 1
    assert open_snapshot(tmp_path).observations([SIGNAL]).empty
    things.now = NOW + timedelta(days=1)
    pull(tmp_path, toml(fake), things.now)
    found = open_snapshot(tmp_path).observations([SIGNAL])
    assert found[found["start"] == today]["value"].item() == things.value("boots", NOW.date())


@pytest.mark.parametrize("name", ["plan", "parse", "next_page", "fetch"])
def test_a_plug_in_that_fails_is_told_with_the_place(tmp_path: Path, fake: Fake, name: str) -> None:
    with patch.object(Counter, name, side_effect=ZeroDivisionError("oh")):
        (outcome,) = pull(tmp_path, toml(fake), NOW)
    assert outcome.status in ("failed", "drifted")
    assert "failed: ZeroDivisionError: oh (" in outcome.message


def test_a_clock_that_was_ahead_leaves_no_gap_and_no_pause(tmp_path: Path, fake: Fake) -> None:
    pull(tmp_path, toml(fake), NOW + timedelta(days=400))
    (outcome,) = pull(tmp_path, toml(fake), NOW, due=True)
    assert outcome.status == "done"
    assert fake.asked[-1].query["from"] == str((NOW - timedelta(days=3)).date())


def test_a_start_that_is_moved_to_an_earlier_day_is_read_from_there_once(tmp_path: Path, fake: Fake) -> None:
    for days, asked in ((5, 5), (20, 20), (20, 3)):
        begin = (NOW - timedelta(days=days)).date()
        pull(tmp_path, f"{toml(fake)}start = {begin}\n", NOW)
        assert fake.asked[-1].query["from"] == str((NOW - timedelta(days=asked)).date())
    assert len(open_snapshot(tmp_path).observations([SIGNAL])) == 20


def test_a_further_entry_for_another_category_is_due(tmp_path: Path, fake: Fake) -> None:
    with Store.open(tmp_path) as store:
        store.append(Batch("test", categories=pd.DataFrame({"category": ["A", "B"], "frequency": ["D", "D"]})))
        store.publish()
    one = toml(fake) + 'categories = ["A"]\n'
    pull(tmp_path, one, NOW, due=True)
    other = one[one.index("[[signals]]") :].replace('"A"', '"B"')
    statuses = [outcome.status for outcome in pull(tmp_path, one + other, NOW, due=True)]
    assert statuses == ["fresh", "done"]
    assert open_snapshot(tmp_path).candidates("B") == [SIGNAL]


def test_no_message_holds_a_secret_however_it_is_cut(
    tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDSWELL_COUNTER_API_KEY", "Bearer s3cr3t/TOKEN+value=")
    fake.faults.next += [
        Answer(b"x" * 190 + b"s3cr3t/TOKEN+value=", 403, "text/plain"),
        Answer(b"x" * 190 + b"s3cr3t\\/TOKEN+value=", 200),
    ]
    (outcome,) = pull(tmp_path, toml(fake, "boots", "hats"), NOW)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    held = [gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in files]
    assert "status 403" in outcome.message
    assert "no JSON" in outcome.message
    assert not any(b"s3cr3t" in text for text in (outcome.message.encode(), *held))


def test_a_damaged_state_is_told_with_the_remedy(tmp_path: Path, fake: Fake) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "pull.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreDamaged, match=r"pull\.sqlite cannot be read .*aside and pull again"):
        pull(tmp_path, toml(fake), NOW)


def test_only_names_what_is_set_up(tmp_path: Path, fake: Fake) -> None:
    with pytest.raises(ConfigError, match=r"connector is 'fred'.*allowed: one that groundswell.toml sets up: counter"):
        pull(tmp_path, toml(fake), NOW, only=("fred",))
