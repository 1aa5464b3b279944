from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pytest

from signals.connector import CategoryFacts, Drift, Payload, Pull
from signals.connectors.tsa import SIGNAL, Tsa, TsaSettings
from tests.fakes import tsa as fakes
from tests.fakes.server import BROKEN, PAGE, Fake, serving
from tests.fakes.tables import get, pulled, task

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "samples" / "other" / "tsa_passenger_volumes.html"
NOW = datetime(2026, 11, 23, 13)
NUMBERS = {day.date(): 2_000_000 + n for n, day in enumerate(pd.date_range("2024-01-01", "2026-12-31"))}


@pytest.fixture(scope="module")
def page() -> Iterator[Fake]:
    with serving(fakes.Tsa(NUMBERS, NOW.date())) as fake:
        yield fake


def connector(fake: Fake) -> Tsa:
    fake.asked.clear()
    return Tsa(TsaSettings(base_url=fake.url + fakes.PATH))


def parsed(body: bytes | str, now: datetime = NOW, status: int = 200, year: str = "") -> pd.DataFrame:
    tsa = Tsa(TsaSettings())
    pull = list(tsa.plan(task(tsa, {}, datetime(now.year - bool(year), 12, 31), now)))[0 if year else -1]
    content = body.encode() if isinstance(body, str) else body
    return tsa.parse(pull, [Payload(pull.requests[0], content, now, status, "text/html")]).frame


def test_pages_of_years_become_days(page: Fake) -> None:
    tsa = connector(page)
    found = pulled(tsa, task(tsa, {}, datetime(2024, 3, 1), NOW)).frame
    assert [asked.path for asked in page.asked] == [fakes.PATH + end for end in ("/2024", "/2025", "")]
    assert dict(zip(found["start"].dt.date, found["value"], strict=True)) == {
        day: number for day, number in NUMBERS.items() if day < NOW.date()
    }


def test_only_this_year_is_asked_for_once_the_others_are_read(page: Fake) -> None:
    tsa = connector(page)
    assert list(tsa.plan(task(tsa, {}, datetime(2026, 11, 16), NOW))) == [
        Pull(
            (SIGNAL,),
            tuple(next(iter(tsa.plan(task(tsa, {}, NOW, NOW)))).requests),
            datetime(2026, 11, 23),
            {"page": ""},
        )
    ]


def test_no_year_before_the_first_is_asked_for(page: Fake) -> None:
    tsa = connector(page)
    pulls = list(tsa.plan(task(tsa, {}, datetime(2012, 1, 1), NOW)))
    assert pulls[0].requests[0].url.endswith("/2019")
    assert [pull.through for pull in pulls][-2:] == [datetime(2026, 1, 1), datetime(2026, 11, 23)]


def test_columns_of_years_give_those_of_their_own_year() -> None:
    rows = [["5/13/2022", "2,440,000", "1,700,000", "234,928"], ["5/12/2022", "2,387,000", "1,640,000", "176,667"]]
    body = fakes.table(["Date", "2022", "2021", "2020"], rows)
    found = parsed(body)
    assert found["start"].tolist() == [pd.Timestamp("2022-05-12"), pd.Timestamp("2022-05-13")]
    assert found["value"].tolist() == [2_387_000, 2_440_000]


def test_dates_without_a_year_are_of_the_newest_column() -> None:
    rows = [["5/13", "2,440,000", "1,700,000"], ["Feb 28", "1,900,000", "1,100,000"], ["12/24", "", "1,500,000"]]
    found = parsed(fakes.table(["Date", "2022 Traveler Throughput", "2021 Traveler Throughput"], rows))
    assert found["start"].tolist() == [pd.Timestamp("2022-02-28"), pd.Timestamp("2022-05-13")]


TABLE = "<table><tr><th>Date</th><th>Numbers</th></tr><tr><td>11/20/2026</td><td>2,854,118</td></tr>{}</table>"
WRONG = [
    (PAGE.content, "no table with the columns Date and Numbers"),
    (b"\xff\xfe\x00", "not text in UTF-8"),
    ("", "no table"),
    ("<![broken[", "no HTML|no table"),
    ("<table><tr><th>Date</th><th>Numbers</th></tr></table>", "the table has no rows"),
    ("<table><tr><th>Date</th><th>Passengers by lane</th></tr></table>", "Date and Numbers, or Date and years"),
    ("<table><tr><th>Day</th><th>Numbers</th></tr></table>", "no table with the columns"),
    (TABLE.format("<tr><td>11/19/2026</td></tr>"), "another number of columns"),
    (TABLE.format("<tr><td>19/11/2026</td><td>1,000</td></tr>"), "it must be a day"),
    (TABLE.format("<tr><td>11/19/2026</td><td>1.000</td></tr>"), "it must be a number"),
    (TABLE.format("<tr><td>11/19/2026</td><td></td></tr>"), "it must be a number"),
    (TABLE.format("<tr><td>11/20/2026</td><td>2,854,119</td></tr>"), "a day stands there twice"),
    (TABLE.format("<tr><td>11/23/2026</td><td>2,854,119</td></tr>"), "a day after those asked for"),
    (TABLE.format("")[:-8], "the table breaks off"),
    (TABLE.format("")[:-20], "the table breaks off"),
    ("<table><tr><th>Date</th><th>2022</th></tr><tr><td>5/1/2021</td><td>1</td></tr></table>", "the columns are of"),
]


@pytest.mark.parametrize(("body", "problem"), WRONG)
def test_another_page_is_drift(body: bytes | str, problem: str) -> None:
    with pytest.raises(Drift, match=problem):
        parsed(body)


def test_a_year_that_is_answered_by_this_years_page_is_drift() -> None:
    with pytest.raises(Drift, match="a day after those asked for"):
        parsed(TABLE.format(""), year="2025")


def test_the_year_that_has_just_ended_may_lack_its_page() -> None:
    assert parsed(PAGE.content, datetime(2027, 1, 3), 404, year="2026").empty
    for now, year in ((datetime(2027, 2, 1), "2026"), (datetime(2027, 1, 3), "")):
        with pytest.raises(Drift, match=r"there is no page \(status 404\)"):
            parsed(PAGE.content, now, 404, year=year)


def test_a_new_year_may_have_no_rows_yet() -> None:
    assert parsed("<table><tr><th>Date</th><th>Numbers</th></tr></table>", datetime(2027, 1, 1, 12)).empty


def test_the_same_row_twice_is_one_day() -> None:
    assert len(parsed(TABLE.format("<tr><td>11/20/2026</td><td>2,854,118</td></tr>"))) == 1


def test_other_tables_do_no_harm() -> None:
    other = "<table><tr><td>Hours</td></tr><tr><td>a</td><td>b</td></tr></table>"
    assert len(parsed(other + TABLE.format("") + other)) == 1


def test_errors_of_the_server_are_no_rows() -> None:
    with pytest.raises(Drift, match="status 500"):
        parsed(BROKEN.content, status=500)


def test_the_fake_knows_no_other_page(page: Fake) -> None:
    tsa = connector(page)
    pull = next(iter(tsa.plan(task(tsa, {}, datetime(2023, 1, 1), NOW))))
    with pytest.raises(Drift, match="there is no page"):
        tsa.parse(pull, [get(pull.requests[0])])


def test_it_is_proposed_for_sales_in_the_united_states() -> None:
    tsa = Tsa(TsaSettings())
    assert list(tsa.suggest(CategoryFacts("Luggage", "D", "US"))) == [{}]
    assert list(tsa.suggest(CategoryFacts("Luggage", "D", "DE"))) == []


@pytest.mark.shared
@pytest.mark.skipif(not SAMPLE.exists(), reason="no ../shared")
def test_recorded_page() -> None:
    found = parsed(SAMPLE.read_bytes())
    assert dict(zip(found["start"].dt.date, found["value"], strict=True)) == {
        date(2026, 11, 21): 2_911_003,
        date(2026, 11, 22): 2_854_118,
    }
