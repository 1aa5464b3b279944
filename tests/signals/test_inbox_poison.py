"""Hand-overs that cannot be read are set aside with the reason, one by one; the disk's own errors blame nobody."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from signals import inbox
from signals.home import Home
from signals.store import BatchRefused, Store, hand_over, open_snapshot, receipt
from tests.signals.store_frames import batch, sales


def drain(home: Path) -> list[str]:
    with Store.open(home) as store:
        results = store.drain_inbox()
        store.publish()
    return [result.batch for result in results]


def folder_of(home: Path, ticket: str) -> Path:
    return Home(home).inbox / ticket


def edit(home: Path, ticket: str, **changes: object) -> None:
    path = folder_of(home, ticket) / inbox.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replace_sales(home: Path, ticket: str, data: bytes) -> None:
    """Other bytes in place of the sales, with the digest that belongs to them."""
    (folder_of(home, ticket) / "sales.parquet").write_bytes(data)
    edit(home, ticket, tables={"sales": hashlib.sha256(data).hexdigest()})


def refused(home: Path, ticket: str, reason: str) -> None:
    """The bad one is set aside, and the good one behind it stored."""
    good = hand_over(home, batch(sales([1])))
    assert drain(home) == [good]
    with pytest.raises(BatchRefused, match=reason) as refusal:
        receipt(home, ticket)
    assert ticket in str(refusal.value)
    assert (Home(home).refused / ticket / "reason.txt").read_text().strip() == str(refusal.value)


def test_every_place_of_damage_in_a_parquet_file_is_noticed(tmp_path: Path) -> None:
    ticket = hand_over(tmp_path, batch(sales([1.0, 2.0, 3.0])))
    path = folder_of(tmp_path, ticket) / "sales.parquet"
    data = path.read_bytes()
    for place in range(0, len(data), 97):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(inbox.HandOverUnreadable, match="is not what was handed over"):
            inbox.read(Home(tmp_path), ticket)
    refused(tmp_path, ticket, "damaged")


def test_a_parquet_file_that_arrow_cannot_read_is_set_aside(tmp_path: Path) -> None:
    ticket = hand_over(tmp_path, batch(sales([1.0] * 50)))
    data = bytearray((folder_of(tmp_path, ticket) / "sales.parquet").read_bytes())
    data[20:120] = b"\xff" * 100
    replace_sales(tmp_path, ticket, bytes(data))
    refused(tmp_path, ticket, "sales.parquet is damaged|cannot be read")


def test_a_hand_over_dated_with_an_offset_is_taken_in_utc(tmp_path: Path) -> None:
    ticket = hand_over(tmp_path, batch(sales([1])))
    edit(tmp_path, ticket, handed_over="2026-03-01T12:00:00+02:00")
    assert inbox.read(Home(tmp_path), ticket)[1].isoformat() == "2026-03-01T10:00:00"
    assert drain(tmp_path) == [ticket]
    assert len(open_snapshot(tmp_path).sales("Shoes")) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"handed_over": "yesterday"},
        {"handed_over": 5},
        {"handed_over": "0001-01-01T00:00:00+14:00"},
        {"lag_seconds": "1"},
        {"lag_seconds": 1e300},
        {"lag_seconds": float("nan")},
        {"connector": None},
        {"payload_sha": ["x"]},
        {"tables": ["sales"]},
        {"tables": {"sales": 1}},
        {"tables": {"../sales": "1"}},
        {"format": {}},
    ],
)
def test_wrong_types_in_the_manifest_are_set_aside(tmp_path: Path, changes: dict[str, object]) -> None:
    ticket = hand_over(tmp_path, batch(sales([1])))
    edit(tmp_path, ticket, **changes)
    refused(tmp_path, ticket, f"hand-over {ticket} cannot be read")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"format": ' * 200_000, "[]", "null", "\ufeff{}"])
def test_a_manifest_that_is_no_object_is_set_aside(tmp_path: Path, text: str) -> None:
    ticket = hand_over(tmp_path, batch(sales([1])))
    (folder_of(tmp_path, ticket) / inbox.MANIFEST).write_text(text)
    refused(tmp_path, ticket, "cannot be read")


def test_a_pipe_in_place_of_a_file_does_not_keep_the_owner_waiting(tmp_path: Path) -> None:
    ticket = hand_over(tmp_path, batch(sales([1])))
    path = folder_of(tmp_path, ticket) / "sales.parquet"
    path.unlink()
    os.mkfifo(path)
    refused(tmp_path, ticket, "sales.parquet is missing")


def test_a_connector_that_is_no_text_is_set_aside(tmp_path: Path) -> None:
    ticket = hand_over(tmp_path, batch(sales([1])))
    edit(tmp_path, ticket, connector="\ud800")
    refused(tmp_path, ticket, "it must be one line of text")


def test_deeply_nested_attributes_are_refused_at_the_door(tmp_path: Path) -> None:
    nested = pd.DataFrame({"category": ["Shoes"], "frequency": ["W-SUN"], "attributes": ["[" * 200_000]})
    with pytest.raises(BatchRefused, match="it must be a JSON object"):
        hand_over(tmp_path, batch(categories=nested))


def test_an_error_of_the_disk_while_reading_blames_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = hand_over(tmp_path, batch(sales([1])))

    def fail(_: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("signals.inbox.Path.read_bytes", fail)
    with pytest.raises(OSError, match="Input/output error"):
        drain(tmp_path)
    monkeypatch.undo()
    assert drain(tmp_path) == [ticket]
