"""The writer is killed again and again while a reader reads: nothing acknowledged is lost and nothing is torn."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from signals.store import Store, hand_over, open_snapshot, receipt
from tests.signals.store_frames import batch, sales

ROOT = Path(__file__).parents[2]
KILLS = 20


def start(role: str, home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.signals.store_process", role, str(home)]
    return subprocess.Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True)


def run_and_kill(home: Path, after: float) -> list[tuple[int, int]]:
    """The batches that one writer acknowledged before it was killed."""
    with start("writer", home) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(after)
        writer.kill()
        lines = [first, *writer.stdout.read().splitlines()]
    return [(int(number), int(version)) for number, version in (line.split() for line in lines if " " in line)]


@pytest.mark.heavy
def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    chance, acknowledged, tickets = random.Random(7), [], []
    reader = start("reader", tmp_path)
    for _ in range(KILLS):
        tickets.append(hand_over(tmp_path, batch(sales([float(len(tickets))], "inbox"))))
        acknowledged += run_and_kill(tmp_path, chance.uniform(0, 0.5))
    said, _ = reader.communicate("")
    assert reader.returncode == 0
    reads, last = map(int, said.split())
    with Store.open(tmp_path) as store:
        store.drain_inbox()
        store.publish()
    snapshot = open_snapshot(tmp_path)
    assert reads > KILLS
    assert acknowledged[0][1] <= last <= snapshot.data_version
    kept = dict(zip(*map(list, zip(*acknowledged, strict=True)), strict=True))
    for number, version in kept.items():
        assert set(snapshot.sales("a", data_version=version)["quantity"]) == {number}
    assert all(receipt(tmp_path, ticket) for ticket in tickets)
    assert list(snapshot.sales("inbox", vintages=True)["quantity"]) == [float(i) for i in range(KILLS)]
