"""Hand-overs through the inbox: whole, in order, once; and what becomes of those that cannot be stored."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from signals import inbox
from signals.home import Home
from signals.store import BatchRefused, Store, hand_over, open_snapshot, receipt
from tests.signals.store_frames import append, batch, categories, observations, periods, sales, signals


def drain(home: Path) -> list[str]:
    with Store.open(home) as store:
        results = store.drain_inbox()
        store.publish()
    return [result.batch for result in results]


def left(home: Path) -> list[str]:
    return sorted(p.name for p in Home(home).inbox.iterdir() if p.name not in ("receipts", "refused"))


def test_hand_overs_are_stored_in_order_of_arrival(tmp_path: Path) -> None:
    tickets = [hand_over(tmp_path, batch(sales([q]))) for q in (1, 2, 3)]
    assert drain(tmp_path) == tickets
    assert [receipt(tmp_path, t).data_version for t in tickets] == [1, 2, 3]  # type: ignore[union-attr]
    assert list(open_snapshot(tmp_path).sales("Shoes", vintages=True)["quantity"]) == [1, 2, 3]
    assert left(tmp_path) == []


def test_every_kind_of_frame_survives_the_way(tmp_path: Path) -> None:
    lag = periods(2)["end"] - periods(2)["start"]
    everything = batch(
        sales([1, None, 3], source="a.csv"),
        categories=categories("Shoes", unit="pairs", calendar="US"),
        signals=signals("a", "b", publication_lag=lag, future_known=[True, False], scale=["window", None]),
        observations=observations([1, 2], "a", window="2026", is_partial=[False, True]),
        candidates=signals("a", "b").assign(category=["*", "Shoes"]),
    )
    hand_over(tmp_path / "inbox", everything)
    drain(tmp_path / "inbox")
    append(tmp_path / "direct", everything)
    through, direct = open_snapshot(tmp_path / "inbox"), open_snapshot(tmp_path / "direct")
    assert_frame_equal(through.categories(), direct.categories())
    assert_frame_equal(through.signals(), direct.signals())
    assert_frame_equal(through.sales("Shoes"), direct.sales("Shoes"))
    assert_frame_equal(through.observations(["a"]), direct.observations(["a"]))
    assert through.candidates("Shoes") == direct.candidates("Shoes") == ["a", "b"]
    assert through.signals()["publication_lag"][0].days == 7


def test_a_bad_frame_is_refused_at_the_door(tmp_path: Path) -> None:
    with pytest.raises(BatchRefused, match="no column 'end'"):
        hand_over(tmp_path, batch(sales([1]).drop(columns="end")))
    assert left(tmp_path) == []


@pytest.mark.parametrize("target", ["signals.inbox.confirm", "signals.inbox.Path.rename"])
def test_a_kill_after_the_append_does_not_append_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    ticket = hand_over(tmp_path, batch(sales([1, 2])))
    monkeypatch.setattr(target, killed)
    with pytest.raises(KeyboardInterrupt):
        drain(tmp_path)
    monkeypatch.undo()
    assert drain(tmp_path) == [ticket]
    answer = receipt(tmp_path, ticket)
    assert answer is not None
    assert (answer.inserted, answer.unchanged, answer.data_version) == (2, 0, 1)
    assert len(open_snapshot(tmp_path).sales("Shoes", vintages=True)) == 2


def test_a_kill_while_the_files_of_a_stored_one_go_leaves_its_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = hand_over(tmp_path, batch(sales([1])))

    def killed(folder: Path) -> None:
        (folder / inbox.MANIFEST).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, Store.open(tmp_path) as store:
        patched.setattr(inbox.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            store.drain_inbox()
    assert drain(tmp_path) == []
    assert receipt(tmp_path, ticket) is not None  # stored, not refused


def test_a_poison_batch_is_moved_aside_with_the_reason(tmp_path: Path) -> None:
    bad = hand_over(tmp_path, batch(observations=observations([1], "nobody")))
    good = hand_over(tmp_path, batch(sales([1])))
    assert drain(tmp_path) == [good]
    with pytest.raises(BatchRefused, match="signal 'nobody' is neither"):
        receipt(tmp_path, bad)
    assert "'nobody'" in (Home(tmp_path).refused / bad / "reason.txt").read_text()
    assert (Home(tmp_path).refused / bad / "observations.parquet").exists()
    assert drain(tmp_path) == left(tmp_path) == []


def test_a_kill_while_refusing_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = hand_over(tmp_path, batch(observations=observations([1], "nobody")))
    monkeypatch.setattr("signals.inbox.write_durably", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        drain(tmp_path)
    monkeypatch.undo()
    assert drain(tmp_path) == []
    with pytest.raises(BatchRefused, match="'nobody'"):
        receipt(tmp_path, bad)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (inbox.MANIFEST, "{"),
        (inbox.MANIFEST, "{}"),
        (inbox.MANIFEST, json.dumps({"format": 99})),
        ("sales.parquet", "PAR1 but torn"),
        ("sales.parquet", None),
    ],
)
def test_an_unreadable_hand_over_is_moved_aside(tmp_path: Path, file: str, content: str | None) -> None:
    ticket = hand_over(tmp_path, batch(sales([1])))
    path = Home(tmp_path).inbox / ticket / file
    path.unlink() if content is None else path.write_text(content)
    assert drain(tmp_path) == []
    with pytest.raises(BatchRefused, match="cannot be read"):
        receipt(tmp_path, ticket)
    assert left(tmp_path) == []


def test_what_dead_writers_left_is_swept_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    Home(tmp_path).create()
    old, new = (Home(tmp_path).inbox / name for name in (".tmp-old", ".tmp-new"))
    stale = Home(tmp_path).receipts / "20200101T000000-aa.json"
    for path in (old, new):
        path.mkdir()
    stale.write_text("{}")
    for path in (old, stale):
        os.utime(path, (0, 0))
    drain(tmp_path)
    assert left(tmp_path) == [".tmp-new"]
    assert not stale.exists()
