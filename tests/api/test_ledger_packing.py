"""How the ledger keeps JSON: small, readable for ever, damage seen."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api import ledger_packing
from api.database import engine_of, issued, issued_inline, reading, writing
from api.ledger import Issued, Ledger
from api.ledger_packing import pack, unpack
from api.receipts import new_receipt
from api.settings import Settings
from bench.serving import bodies

ANSWER = b'{"receipt":"fc_01M8RV6VRT44M8Z0H364M4Q2WG","category":"Boots","engine":{"name":"fast"}}'


@given(st.binary(max_size=2000))
def test_what_was_packed_comes_back(content: bytes) -> None:
    assert unpack(pack(content)) == content


@pytest.mark.parametrize("level", [1, 6, 9])
def test_rows_of_earlier_versions_stay_readable(level: int) -> None:
    assert unpack(zlib.compress(ANSWER, level)) == ANSWER


def test_the_first_dictionary_is_what_it_was() -> None:
    """Rows that were written with it can be read with these very bytes alone: never change them."""
    assert 0xF1081EC0 in ledger_packing._DICTIONARIES


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_damage_is_seen(place: int) -> None:
    packed = bytearray(pack(ANSWER))
    packed[place % len(packed)] ^= 0xFF
    with pytest.raises(zlib.error):
        unpack(bytes(packed))


@pytest.mark.parametrize("left", [0, 3, 6, 20])
def test_what_is_cut_off_is_seen(left: int) -> None:
    with pytest.raises(zlib.error):
        unpack(pack(ANSWER)[:left])


def test_a_dictionary_of_a_newer_version_is_named() -> None:
    other = zlib.compressobj(zdict=b"others")
    packed = other.compress(ANSWER) + other.flush()
    with pytest.raises(zlib.error, match="written by a newer version"):
        unpack(packed)


def test_a_row_of_an_earlier_version_resolves(tmp_path: Path) -> None:
    ledger, receipt = Ledger(Settings(home=tmp_path)), new_receipt()
    ledger.append(Issued(receipt, None, b"{}", b"{}"))
    with writing(engine_of(Settings(home=tmp_path))) as connection:
        connection.execute(issued.update().values(answer=zlib.compress(ANSWER, 1)))
    found = ledger.resolve(receipt)
    assert found is not None
    assert found.answer == ANSWER


def test_a_forecast_takes_less_than_two_kilobytes(tmp_path: Path, client_of: Callable[..., TestClient]) -> None:
    """Of 104 weeks that came along, eight periods ahead; what its pages take is in docs/benchmarks.md."""
    with client_of(tmp_path) as client:
        for body in bodies(20, 104, 0):
            assert client.post("/v1/forecasts", json=orjson.loads(body)).status_code == 200
    with reading(engine_of(Settings(home=tmp_path))) as connection:
        sizes = sa.func.avg(sa.func.length(issued.c.answer) + sa.func.length(issued.c.request))
        assert connection.execute(sa.select(sizes)).scalar_one() < 1300
        inline = sa.select(sa.func.count(), sa.func.avg(sa.func.length(issued_inline.c.body)))
        count, size = connection.execute(inline).one()
    assert count == 20
    assert size < 400
