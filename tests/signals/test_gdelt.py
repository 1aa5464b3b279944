import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from signals.config import load_config
from signals.connector import CategoryFacts, ConfigError, Drift, Observations, Payload
from signals.connectors import gdelt
from signals.connectors.gdelt import Gdelt, GdeltEntry, GdeltSettings
from signals.store import open_snapshot
from tests.fakes import gdelt as fake
from tests.fakes.pulling import pull
from tests.fakes.server import BROKEN, PAGE, Answer, Fake, Faults, cut, serving, too_many
from tests.signals.broken import bodies
from tests.signals.one_pull import pulls, task_of

NOW = datetime(2026, 11, 23, 9)
SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "other"
CONNECTOR = Gdelt(GdeltSettings())
REFUSAL = Answer(f"{fake.SHORT_WORD}\n".encode(), 200, "text/html; charset=utf-8")
BUCKET = {"date": "20261102T000000Z", "value": 3, "norm": 200000}


def volume(query: str, moment: datetime) -> tuple[int, int]:
    """A little more each day; of 2026-11-05 the source has nothing at all."""
    if moment.date() == date(2026, 11, 5):
        return 0, 0
    return (moment - datetime(2017, 1, 1)).days % 97, 200_000 + len(query.split())


@pytest.fixture
def server():
    with serving(fake.Gdelt(volume)) as running:
        yield running


def toml(server: Fake, query: str = "boots", more: str = "", start: str = "2026-06-01") -> str:
    return (
        f'[connectors.gdelt]\nbase_url = "{server.url}{fake.PATH}"\n'
        f'[[signals]]\nconnector = "gdelt"\nstart = {start}\nqueries = [{json.dumps(query)}]\n{more}'
    )


def stored(home: Path, signal: str = "gdelt/boots/world") -> dict[date, float]:
    frame = open_snapshot(home).observations([signal])
    return dict(zip(frame["start"].dt.date, frame["value"], strict=True))


def share(day: pd.Timestamp, query: str = "boots") -> float:
    value, norm = volume(query, day.to_pydatetime())
    return 1e6 * value / norm


def shares(first: str, last: str = "2026-11-22") -> dict[date, float]:
    days = pd.date_range(first, last).drop("2026-11-05")
    return {day.date(): pytest.approx(share(day)) for day in days}


def parsed(body: bytes | str, start: datetime = datetime(2026, 10, 1)) -> Observations:
    (pull_,) = CONNECTOR.plan(task_of(CONNECTOR, GdeltEntry(queries=("boots",)), NOW, start))
    content = body.encode() if isinstance(body, str) else body
    return CONNECTOR.parse(pull_, [Payload(pull_.requests[0], content, NOW)])


def answer(*data: object, **changed: object) -> str:
    return json.dumps({"timeline": [{"series": "Article Count", "data": list(data), **changed}]})


def test_share_is_per_million_and_a_day_without_any_article_is_unknown(server, tmp_path):
    (outcome,) = pull(tmp_path, toml(server), NOW)
    assert (outcome.status, outcome.requests) == ("done", 1)
    assert stored(tmp_path) == shares("2026-06-01")


def test_long_history_is_asked_for_year_by_year(server, tmp_path):
    (outcome,) = pull(tmp_path, toml(server, start="2012-01-01"), NOW)
    starts = [asked.query["startdatetime"] for asked in server.asked]
    assert starts[:3] == ["20170101000000", "20180101000000", "20190101000000"]
    assert server.asked[-1].query["enddatetime"] == "20261122235959"
    assert (outcome.requests, len(stored(tmp_path))) == (10, (NOW.date() - date(2017, 1, 1)).days - 1)


def test_next_pull_reads_ten_days_again(server, tmp_path):
    pull(tmp_path, toml(server), NOW)
    (outcome,) = pull(tmp_path, toml(server), NOW + timedelta(days=2))
    assert server.asked[-1].query["startdatetime"] == "20261113000000"
    assert outcome.inserted == 2
    assert stored(tmp_path) == shares("2026-06-01", "2026-11-24")


@pytest.mark.parametrize("start", [datetime(2026, 11, 19), datetime(2026, 11, 22)])
def test_hours_and_quarters_of_an_hour_are_added_up(server, start):
    connector = Gdelt(GdeltSettings(base_url=server.url + fake.PATH))
    ((_, found),) = pulls(connector, task_of(connector, GdeltEntry(queries=("boots",)), NOW, start))
    days = pd.date_range(start, "2026-11-22")
    assert found.frame["value"].tolist() == pytest.approx([share(day) for day in days])


def test_filters_are_added_to_the_query(server, tmp_path):
    more = 'countries = ["US", "UK"]\nlanguages = ["english"]\ntheme = "ECON_INFLATION"'
    query = '"running shoes" (boots OR "rain boots")'
    (outcome,) = pull(tmp_path, toml(server, query, more), NOW)
    filters = "(sourcecountry:US OR sourcecountry:UK) sourcelang:english theme:ECON_INFLATION"
    assert outcome.status == "done"
    assert server.asked[0].query["query"] == f"{query} {filters}"
    assert stored(tmp_path, f"gdelt/{query}/US+UK/english/ECON_INFLATION")


@pytest.mark.parametrize("illegal", ["\x01 \t", "\\q", '" "', '": [{]}'])
def test_illegal_characters_in_the_title_do_no_harm(tmp_path, illegal):
    with serving(fake.Gdelt(volume, illegal=illegal)) as server:
        (outcome,) = pull(tmp_path, toml(server), NOW)
    assert (outcome.status, outcome.message) == ("done", "")
    assert stored(tmp_path) == shares("2026-06-01")


def test_no_match_is_unknown_and_no_error(server, tmp_path):
    (outcome,) = pull(tmp_path, toml(server, "xyzzy"), NOW)
    assert (outcome.status, outcome.inserted) == ("done", 0)


@pytest.mark.parametrize("fault", [too_many(0), too_many(0, as_date=True), BROKEN, cut, fake.BUSY])
def test_passing_faults_are_got_over(server, tmp_path, fault, monkeypatch):
    monkeypatch.setattr(gdelt, "BUSY", 0.01)
    server.faults.next = [fault, fault]
    (outcome,) = pull(tmp_path, toml(server), NOW)
    assert outcome.status == "done"
    assert stored(tmp_path) == shares("2026-06-01")


def test_source_that_stays_busy_is_left_alone(server, tmp_path, monkeypatch):
    monkeypatch.setattr(gdelt, "BUSY", 0.01)
    server.faults.next = [fake.BUSY] * 20
    assert [outcome.status for outcome in pull(tmp_path, toml(server), NOW)] == ["failed"]
    pull(tmp_path, toml(server), NOW)
    assert len(server.asked) == CONNECTOR.policy.attempts


@pytest.mark.parametrize(
    ("fault", "problem"),
    [(REFUSAL, f"a refusal, not JSON: found '{fake.SHORT_WORD}'"), (PAGE, "a web page"), (Answer([]), "not JSON")],
)
def test_refusals_with_status_200_are_set_aside(server, tmp_path, fault, problem):
    pull(tmp_path, toml(server), NOW)
    server.faults.next = [fault]
    (outcome,) = pull(tmp_path, toml(server), NOW + timedelta(days=1))
    assert outcome.status == "drifted"
    assert problem in outcome.message
    assert stored(tmp_path) == shares("2026-06-01")


WRONG = [
    ("{", "no JSON"),
    ('{"timeline": [{"series": "Article Count", "data": [}', "no JSON"),
    ('{"lines": []}', "timeline: must be a list of one series"),
    (answer(BUCKET, series="Volume Intensity"), "timeline.series: must be the series Article Count"),
    (answer(data={}), "timeline.data: must be a list of buckets"),
    (answer([1]), "timeline.data: must be an object for each bucket"),
    (answer(BUCKET | {"value": 0.0032}), "timeline.data.value: must be a count: found '0.0032'"),
    (answer({"date": BUCKET["date"], "value": 3}), "timeline.data.norm: must be a count"),
    (answer(BUCKET | {"date": "2026-11-02"}), "timeline.data.date: must be a moment such as"),
    (answer(BUCKET | {"value": 200001}), "more articles match than there are"),
    (answer(BUCKET, BUCKET), "a bucket is there twice"),
]


@pytest.mark.parametrize(("body", "problem"), WRONG)
def test_other_shapes_are_drift(body, problem):
    with pytest.raises(Drift, match=problem):
        parsed(body)


def test_buckets_beyond_what_was_asked_for_are_left_out():
    late = BUCKET | {"date": "20261123T000000Z"}
    assert parsed(answer(late, BUCKET)).frame["start"].tolist() == [pd.Timestamp("2026-11-02")]


def test_broken_answers_are_drift_or_plain_rows():
    good = json.loads(answer(*[BUCKET | {"date": f"202611{day:02}T000000Z"} for day in range(1, 6)]))
    drifts = 0
    for body in bodies(good, 500):
        try:
            frame = parsed(body).frame
        except Drift:
            drifts += 1
        else:
            assert frame["value"].between(0, 1e6).all()
    assert drifts > 300


QUERIES = [
    ("", "asks for nothing"),
    ("AI boots", "the word 'AI' is too short: GDELT refuses fewer than 3 characters"),
    ('"BMW"', "the phrase 'BMW' is too short: GDELT refuses fewer than 5 characters"),
    ("t-shirts", "'t-shirts' has a character that GDELT refuses in a word"),
    ('"rain boots', "has a quotation mark too few"),
    ("boots OR sneakers", "a choice, and nothing else, stands in parentheses"),
    ("(boots sneakers)", "a choice, and nothing else, stands in parentheses"),
    ("(boots OR sneakers", "a choice, and nothing else, stands in parentheses"),
    ("boots sourcecountry:US", "is an operator; use countries, languages and theme"),
]


@pytest.mark.parametrize(("query", "problem"), QUERIES)
def test_queries_that_would_be_refused_are_wrong_configuration(server, tmp_path, query, problem):
    (tmp_path / "groundswell.toml").write_text(toml(server, query))
    with pytest.raises(ConfigError, match=problem):
        load_config(tmp_path)


@pytest.mark.parametrize("query", ['"t-shirt" -rain', "résumé AND क्रिकेट", '("f-16" OR "rain boots") snow'])
def test_queries_that_are_taken_are_taken(server, tmp_path, query):
    (outcome,) = pull(tmp_path, toml(server, query), NOW)
    assert (outcome.status, server.asked[0].query["query"]) == ("done", query)


def test_faults_on_the_way_change_nothing_that_is_stored(tmp_path):
    faults = Faults(rate=0.15, kinds=("429", "500", "cut"))
    with serving(fake.Gdelt(volume), faults) as server:
        (outcome,) = pull(tmp_path, toml(server, start="2017-01-01"), NOW)
    assert (outcome.status, faults.count > 2) == ("done", True)
    assert stored(tmp_path) == shares("2017-01-01")


@pytest.mark.parametrize("more", ['countries = ["usa1"]', 'languages = ["DE"]', 'theme = "x"', 'country = "US"'])
def test_wrong_filters_are_named(server, tmp_path, more):
    (tmp_path / "groundswell.toml").write_text(toml(server, more=more))
    with pytest.raises(ConfigError, match=more.split(" ")[0]):
        load_config(tmp_path)


def test_query_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="a query is there twice"):
        GdeltEntry(queries=("rain  boots", "rain boots"))


def test_query_is_proposed_with_the_code_that_gdelt_uses():
    facts = CategoryFacts("Running shoes", "W-SUN", "DE", ("running", "shoes"))
    assert list(Gdelt.suggest(facts)) == [{"queries": ['"running shoes"'], "countries": ["GM"]}]
    hyphen = CategoryFacts("T-shirts", "W-SUN", "US", ("t-shirts",))
    assert list(Gdelt.suggest(hyphen)) == [{"queries": ['"t-shirts"'], "countries": ["US"]}]
    assert list(Gdelt.suggest(CategoryFacts("TV", "W-SUN", None, ("tv",)))) == []


@pytest.mark.shared
@pytest.mark.skipif(not SAMPLES.exists(), reason="no ../shared")
def test_documented_answers_are_read():
    entry = GdeltEntry(queries=("Tigray",), countries=("EI",))
    (pull_,) = CONNECTOR.plan(task_of(CONNECTOR, entry, datetime(2020, 11, 20), datetime(2020, 11, 3)))
    body, limit = ((SAMPLES / f"gdelt_{name}").read_bytes() for name in ("timelinevolraw.json", "429.txt"))
    found = CONNECTOR.parse(pull_, [Payload(pull_.requests[0], body, NOW)]).frame
    assert found["value"].tolist() == pytest.approx([0, 1e6 * 3 / 205079, 0])
    assert CONNECTOR.busy(Payload(pull_.requests[0], limit, NOW)) == 20.0
