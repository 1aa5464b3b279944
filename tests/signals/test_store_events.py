"""Decisions on events in the store: appended, never overwritten, read as of a moment and a data version."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from signals import schema
from signals.batch import DECISIONS
from signals.home import Home
from signals.store import Batch, BatchRefused, open_snapshot, submit
from tests.signals.store_frames import FIRST_WEEK, NOW, append, batch, sales

LATER = NOW + timedelta(days=1)


def decision(decision: str = "accepted", **more: object) -> Batch:
    row = {
        "category": "Shoes", "kind": "outlier", "start": FIRST_WEEK, "end": FIRST_WEEK + pd.Timedelta(days=7),
        "decision": decision, "author": "Ann", "reason": None, "evidence": '{"score": 6.5}',
    }  # fmt: skip
    return Batch("events", events=pd.DataFrame([row | more]))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    append(tmp_path, batch(sales([1, 2, 3])))
    return tmp_path


def test_a_decision_is_kept_with_author_moment_and_evidence(home: Path) -> None:
    (result,) = append(home, decision(reason="a catalogue"), now=LATER)
    (row,) = open_snapshot(home).events().to_dict("records")
    assert row == {
        "category": "Shoes", "kind": "outlier", "start": FIRST_WEEK, "end": FIRST_WEEK + pd.Timedelta(days=7),
        "decision": "accepted", "author": "Ann", "reason": "a catalogue", "evidence": '{"score": 6.5}',
        "known_at": pd.Timestamp(LATER),
    }  # fmt: skip
    assert result.data_version == 2


def test_a_reversed_decision_leaves_the_first_one_where_it_was(home: Path) -> None:
    append(home, decision(), decision("refused"), decision(), now=LATER)
    snapshot = open_snapshot(home)
    assert snapshot.events()["decision"].tolist() == ["accepted", "refused", "accepted"]
    assert snapshot.events(as_of=LATER + timedelta(seconds=90))["decision"].tolist() == ["accepted", "refused"]
    assert snapshot.events(as_of=NOW).empty
    assert snapshot.events(data_version=2)["decision"].tolist() == ["accepted"]


def test_the_same_decision_again_is_not_stored(home: Path) -> None:
    first, again, other = append(home, decision(), decision(), decision(author="Bob"), now=LATER)
    assert (first.data_version, again.data_version, other.data_version) == (2, 2, 3)
    assert open_snapshot(home).events()["author"].tolist() == ["Ann", "Bob"]


def test_a_clock_that_goes_back_reverses_no_decision(home: Path) -> None:
    append(home, decision(), now=LATER)
    append(home, decision("refused"), now=NOW)
    assert open_snapshot(home).events()["decision"].tolist() == ["accepted", "refused"]


def test_a_decision_waits_in_the_inbox_for_the_owner(home: Path) -> None:
    submit(home, decision())
    assert len(open_snapshot(home).events()) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"decision": "perhaps"}, f"it must be one of {', '.join(DECISIONS)}"),
        ({"category": "Boats"}, "events: category 'Boats' is neither in the store nor in this batch"),
        ({"evidence": "[1]"}, "it must be a JSON object"),
        ({"author": None}, "every row needs one"),
        ({"end": FIRST_WEEK}, "a period ends after it starts"),
    ],
)
def test_what_is_no_decision_is_refused_whole(home: Path, more: dict[str, object], message: str) -> None:
    with pytest.raises(BatchRefused, match="(?s).*" + message.replace("(", r"\(")):
        submit(home, decision(**more))
    assert open_snapshot(home).events().empty


def test_a_store_of_before_learns_of_events(tmp_path: Path) -> None:
    place = Home(tmp_path)
    place.create()
    with duckdb.connect(place.database) as connection:
        schema.upgrade(connection, "ingest", schema.STEPS[:2])
    append(tmp_path, batch(sales([1, 2])), decision(), now=LATER)
    assert len(open_snapshot(tmp_path).events()) == 1
