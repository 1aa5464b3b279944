"""Group commit: what waits together is written together, and each is told of its own group."""

from __future__ import annotations

import threading

import pytest

from api.grouped import Grouped


def test_what_comes_during_a_pause_shares_the_next_transaction() -> None:
    groups: list[list[int]] = []
    grouped = Grouped("test", groups.append, pause=0.5)
    grouped.add(0).result(10)
    for kept in [grouped.add(number) for number in range(1, 6)]:
        kept.result(10)
    assert groups == [[0], [1, 2, 3, 4, 5]]


def test_a_group_has_a_most() -> None:
    groups: list[list[int]] = []
    go = threading.Event()

    def commit(group: list[int]) -> None:
        assert go.wait(10)
        groups.append(group)

    grouped = Grouped("test", commit, most=2)
    kept = [grouped.add(number) for number in range(5)]
    go.set()
    for one in kept:
        one.result(10)
    assert [number for group in groups for number in group] == list(range(5))
    assert max(map(len, groups)) == 2


def test_an_error_is_told_to_its_group_alone() -> None:
    def commit(group: list[int]) -> None:
        if 0 in group:
            raise OSError("disk full")

    grouped = Grouped("test", commit, pause=0.1)
    with pytest.raises(OSError, match="disk full"):
        grouped.add(0).result(10)
    grouped.add(1).result(10)


def test_who_gives_up_does_not_stop_the_writer() -> None:
    groups: list[list[int]] = []
    go = threading.Event()

    def commit(group: list[int]) -> None:
        assert go.wait(10)
        groups.append(group)

    grouped = Grouped("test", commit)
    given_up = grouped.add(0)
    assert not given_up.cancel()
    go.set()
    grouped.add(1).result(10)
    assert [number for group in groups for number in group] == [0, 1]
