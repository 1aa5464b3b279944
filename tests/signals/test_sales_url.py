"""One file behind an address: retries, limits, what is refused, and that no signature is ever shown."""

from __future__ import annotations

import gzip
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import stamina

from signals.refused import ImportRefused
from signals.sales_config import Address
from signals.sales_url import ATTEMPTS, _Again, _pause, land
from tests.fakes.server import BROKEN, PAGE, Answer, Asked, Fake, cut, serving, too_many

CSV = b"group,week,units\n" + b"".join(b"Boots,2026-09-%02d,%d\n" % (day, day) for day in (6, 13, 20, 27))
SIGNED = "sig=S3CRET"


def blob(asked: Asked) -> Answer:
    """A blob store: it answers what is signed, as the stores of the clouds do."""
    if asked.query.get("sig") != "S3CRET":
        return Answer(b"<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>", 403, "application/xml")
    return Answer(CSV, 200, "text/csv")


@pytest.fixture
def store() -> Iterator[Fake]:
    with serving(blob) as fake, stamina.set_testing(True, attempts=ATTEMPTS):
        yield fake


def fetch(fake: Fake, folder: Path, path: str = "/sales%20week.csv", query: str = SIGNED, **more: object):
    place = Address(f"{fake.url}{path}?{query}", (query,))
    return land(place, folder / "raw", **({"timeout": 20.0, "max_megabytes": 1} | more))


def refused(fake: Fake, folder: Path, **more: object) -> str:
    with pytest.raises(ImportRefused) as error:
        fetch(fake, folder, **more)
    assert "S3CRET" not in str(error.value)
    assert not list((folder / "raw").iterdir())
    return str(error.value)


def test_a_file_is_landed_once_and_read(store: Fake, tmp_path: Path) -> None:
    first, second = fetch(store, tmp_path), fetch(store, tmp_path)
    assert first.content == second.content
    assert [gzip.decompress(path.read_bytes()) for path in (tmp_path / "raw").iterdir()] == [CSV]
    assert first.read().name == "sales week.csv"
    assert first.read().data.num_rows == 4


def test_parquet_is_known_by_its_content(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pd.DataFrame({"units": [1, 2]}).to_parquet(buffer)
    with serving(lambda _: Answer(buffer.getvalue(), 200, "application/octet-stream")) as fake:
        landed = fetch(fake, tmp_path, path="/export")
    assert landed.path.name.endswith(".parquet.gz")
    assert landed.read().data.num_rows == 2


@pytest.mark.parametrize("fault", [too_many(0), too_many(0, as_date=True), too_many(None), BROKEN, cut])
def test_what_may_pass_is_tried_again(fault, store: Fake, tmp_path: Path) -> None:
    store.faults.next += [fault, fault]
    assert fetch(store, tmp_path).read().data.num_rows == 4
    assert len(store.asked) == 3


def test_a_server_that_stays_broken_is_given_up(store: Fake, tmp_path: Path) -> None:
    store.faults.next += [BROKEN] * 9
    assert "the server answered 500" in refused(store, tmp_path)
    assert len(store.asked) == ATTEMPTS


def test_a_file_that_is_always_cut_is_never_taken(store: Fake, tmp_path: Path) -> None:
    store.faults.next += [cut] * 9
    assert "cannot fetch http://127.0.0.1" in refused(store, tmp_path)


def test_a_compressed_file_that_is_cut_is_never_taken(store: Fake, tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(b"A,2026-01-%02d,%d\n" % (day, 10_000 * day) for day in range(1, 29)))
    store.faults.next += [Answer(packed[:-20], 200, "text/csv", {"Content-Encoding": "gzip"})] * 9
    assert "in the middle of its gzip stream" in refused(store, tmp_path)


def test_a_slow_answer_is_given_up(store: Fake, tmp_path: Path) -> None:
    store.faults.next += [Answer(seconds=3)]
    with stamina.set_testing(False):
        assert "timed out" in refused(store, tmp_path, timeout=1.0)


def test_the_pause_is_what_the_server_asks_for() -> None:
    assert (_pause(_Again("429", 7.0)), _pause(_Again("429", 3600.0)), _pause(_Again("cut"))) == (7.0, False, True)
    assert _pause(ValueError()) is False


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (PAGE, "web page"),
        (Answer(b"\xef\xbb\xbf <Error/>", 200, "text/plain"), "a web page or XML"),
        (Answer(b'{"error": "expired"}', 200), "JSON"),
        (Answer(b"", 200, "text/csv"), "nothing"),
        (Answer(b"gone", 404, "text/plain"), "the server answered 404"),
        (Answer(b"", 204, "text/csv"), "the server answered 204"),
        (Answer(b"x" * 1_000_001, 200, "text/csv"), "larger than max_megabytes = 1"),
    ],
)
def test_what_is_no_file_is_refused_at_once(answer: Answer, said: str, store: Fake, tmp_path: Path) -> None:
    store.faults.next += [answer]
    assert said in refused(store, tmp_path)
    assert len(store.asked) == 1


def test_an_expired_signature_is_told(store: Fake, tmp_path: Path) -> None:
    assert "a signed one may have expired" in refused(store, tmp_path, query="sig=S3CRET-old")


def test_a_redirect_is_followed(tmp_path: Path) -> None:
    def moved(asked: Asked) -> Answer:
        return Answer(status=302, headers={"Location": "/new.csv"}) if asked.path == "/old.csv" else Answer(CSV)

    with serving(moved) as fake:
        assert fetch(fake, tmp_path, path="/old.csv").read().data.num_rows == 4


def test_nothing_is_logged_with_the_signature(store: Fake, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store.faults.next += [BROKEN]
    with caplog.at_level(logging.INFO):
        fetch(store, tmp_path)
    assert "S3CRET" not in caplog.text


def test_a_landed_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    with serving(lambda _: Answer(b"group,units\nBoots,1,2\n", 200, "text/csv")) as fake:
        landed = fetch(fake, tmp_path, path="/a.csv")
    with pytest.raises(ImportRefused, match=r"^a\.csv, line 2: the row has 3 values"):
        landed.read()
