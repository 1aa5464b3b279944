"""The ledger of issued forecasts: kept before it returns, many at once, the same bytes again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.database import engine_of, issued, reading
from api.ledger import Issued, Ledger
from api.receipts import new_receipt
from api.settings import Settings


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Settings(home=tmp_path))


def entry(number: int = 0, **more: object) -> Issued:
    return Issued(new_receipt(), "Boots", b'{"answer": %d}' % number, b"{}", **more)  # type: ignore[arg-type]


def test_a_receipt_gives_the_same_bytes(ledger: Ledger) -> None:
    given = entry(7, face="job", key_id="k", run="r")
    ledger.append(given)
    found = ledger.resolve(given.receipt)
    assert found is not None
    assert (found.answer, found.request, found.category) == (given.answer, given.request, "Boots")
    assert (found.face, found.key_id, found.run) == ("job", "k", "r")
    assert found.issued is not None
    assert ledger.resolve("fc_none") is None


def test_many_threads_share_transactions_and_lose_nothing(ledger: Ledger, tmp_path: Path) -> None:
    entries = [[entry(i) for i in range(50)] for _ in range(8)]
    threads = [
        threading.Thread(target=lambda mine: [ledger.append(one) for one in mine], args=(mine,)) for mine in entries
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine_of(Settings(home=tmp_path))) as connection:
        kept = set(connection.execute(sa.select(issued.c.receipt)).scalars())
    assert kept == {one.receipt for mine in entries for one in mine}


def test_the_first_answer_of_a_receipt_stays(ledger: Ledger) -> None:
    first = entry(1)
    ledger.append(first)
    ledger.append(Issued(first.receipt, "Boots", b'{"answer": 2}', b"{}"))
    found = ledger.resolve(first.receipt)
    assert found is not None
    assert found.answer == first.answer


def test_the_last_of_a_category_and_those_of_a_run(ledger: Ledger) -> None:
    entries = [entry(i, run="night") for i in range(3)]
    ledger.append(*entries)
    last = ledger.last("Boots")
    assert last is not None
    assert last.receipt == max(one.receipt for one in entries)
    assert ledger.last("Hats") is None
    assert {one.receipt for one in ledger.of_run("night")} == {one.receipt for one in entries}


def test_what_the_database_refuses_is_told_to_who_waits(ledger: Ledger) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        ledger.append(Issued(None, "Boots", b"", b""))  # type: ignore[arg-type]
    ledger.append(entry())  # the writer goes on
