import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from signals.config import load_config
from signals.connector import CategoryFacts, ConfigError, Drift, Observations, Payload, Request
from signals.connectors.wikimedia import Wikimedia, WikimediaEntry, WikimediaSettings
from signals.store import open_snapshot
from tests.fakes import wikimedia as fake
from tests.fakes.pulling import pull
from tests.fakes.server import BROKEN, PAGE, Answer, Fake, cut, serving, too_many
from tests.signals.broken import bodies
from tests.signals.one_pull import task_of

NOW = datetime(2026, 11, 23, 9)
SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "samples" / "other" / "wikimedia_pageviews_per_article.json"
DAYS = [str(day.date()) for day in pd.date_range("2026-10-01", "2026-11-21")]  # the 22nd is not counted yet
BUSY = {day: 400 + n for n, day in enumerate(DAYS)}
TITLES = ["Boot", "AC/DC", "Кроссовки", "What's_that?", "50%_off"]
CONNECTOR = Wikimedia(WikimediaSettings(contact="ops@example.com"))


@pytest.fixture
def server():
    with serving(fake.Wikimedia({("en.wikipedia", title): BUSY for title in TITLES})) as running:
        yield running


def toml(server: Fake, articles: list[str], more: str = "") -> str:
    return (
        f'[connectors.wikimedia]\ncontact = "ops@example.com"\nbase_url = "{server.url}"\n'
        f'[[signals]]\nconnector = "wikimedia"\nstart = 2026-10-01\narticles = {json.dumps(articles)}\n{more}'
    )


def stored(home: Path, signal: str = "wikimedia/en.wikipedia/Boot") -> dict[str, float]:
    frame = open_snapshot(home).observations([signal])
    return dict(zip(frame["start"].dt.strftime("%Y-%m-%d"), frame["value"], strict=True))


def parsed(body: bytes, status: int = 200, since: datetime = datetime(2026, 10, 1)) -> Observations:
    (pull_,) = CONNECTOR.plan(task_of(CONNECTOR, WikimediaEntry(articles=("Boot",)), NOW, since))
    return CONNECTOR.parse(pull_, [Payload(pull_.requests[0], body, NOW, status)])


def items(views: dict[str, int]) -> bytes:
    rows = [
        {"article": "Boot", "timestamp": f"{day.replace('-', '')}00", "views": count} for day, count in views.items()
    ]
    return json.dumps({"items": rows}).encode()


@pytest.mark.parametrize("title", TITLES)
def test_titles_of_every_kind_are_found(server, tmp_path, title):
    (outcome,) = pull(tmp_path, toml(server, [title.replace("_", " ")]), NOW)
    assert (outcome.status, outcome.requests) == ("done", 1)
    assert stored(tmp_path, f"wikimedia/en.wikipedia/{title}") == BUSY


def test_second_pull_reads_a_week_again_and_takes_what_is_new(server, tmp_path):
    pull(tmp_path, toml(server, ["Boot"]), NOW)
    views = BUSY | {"2026-11-20": 999, "2026-11-22": 700, "2026-11-23": 3}
    with serving(fake.Wikimedia({("en.wikipedia", "Boot"): views})) as later:
        (outcome,) = pull(tmp_path, toml(later, ["Boot"]), NOW + timedelta(days=1))
        assert later.asked[0].path.endswith("/daily/2026111600/2026112300")
    assert outcome.inserted == 3
    assert stored(tmp_path) == views


def test_contact_goes_into_the_user_agent(server, tmp_path):
    pull(tmp_path, toml(server, ["Boot"]), NOW)
    assert server.asked[0].headers["user-agent"].endswith("(ops@example.com)")


@pytest.mark.parametrize("fault", [too_many(0), too_many(0, as_date=True), BROKEN, cut])
def test_passing_faults_are_got_over(server, tmp_path, fault):
    server.faults.next = [fault, fault]
    (outcome,) = pull(tmp_path, toml(server, ["Boot"]), NOW)
    assert outcome.status == "done"
    assert stored(tmp_path) == BUSY


@pytest.mark.parametrize("fault", [PAGE, Answer({"items": []}), Answer({"item": [1]}), Answer(b"")])
def test_answers_of_another_shape_are_set_aside(server, tmp_path, fault):
    pull(tmp_path, toml(server, ["Boot"]), NOW)
    server.faults.next = [fault]
    (outcome,) = pull(tmp_path, toml(server, ["Boot"]), NOW + timedelta(days=1))
    assert outcome.status == "drifted"
    assert stored(tmp_path) == BUSY


def test_wrong_title_is_told(server, tmp_path):
    (outcome,) = pull(tmp_path, toml(server, ["Boots and all"]), NOW, again=True)
    assert outcome.status == "done"  # 53 days may go by without a view
    more = toml(server, ["Boots and all"]).replace("2026-10-01", "2026-01-01")
    (outcome,) = pull(tmp_path, more, NOW, again=True)
    assert outcome.status == "drifted"
    assert "not one view in 326 days: check project and title" in outcome.message


def test_404_of_a_wrong_address_is_drift():
    with pytest.raises(Drift, match="404, and not because there is no data"):
        parsed(b'{"detail": "Invalid route"}', 404)


def row(day: str, views: object, article: str = "Boot") -> dict[str, object]:
    return {"article": article, "timestamp": day, "views": views}


SHAPES = [
    ([row("2026110200", 3), row("2026110200", 4)], "two counts for 2026-11-02"),
    ([row("2026023000", 3)], "timestamp: must be a day such as 2026110100"),
    ([row("20261102", 3)], "timestamp: must be a day such as 2026110100"),
    ([row("2026112300", 3)], "timestamp: only days from 2026-10-01 to before 2026-11-23 were asked for"),
    ([row("2026110200", "3")], "views: must be a count: found '3'"),
    ([row("2026110200", 3, "Shoe")], "article: must be 'Boot', which was asked for: found 'Shoe'"),
    ([{"article": "Boot", "timestamp": "2026110200"}], "views: must be a count"),
    ([7], "items: must be an object for each day"),
]


@pytest.mark.parametrize(("rows", "problem"), SHAPES)
def test_wrong_rows_are_drift(rows, problem):
    with pytest.raises(Drift, match=problem):
        parsed(json.dumps({"items": rows}).encode())


def test_days_in_any_order_and_twice_the_same_do_no_harm():
    found = parsed(
        json.dumps({"items": [row("2026110300", 40), row("2026110200", 41), row("2026110300", 40)]}).encode()
    )
    assert found.frame["value"].tolist() == [41, 40]


def test_days_without_views_are_zero_where_views_are_few():
    found = parsed(items({"2026-11-02": 3, "2026-11-05": 1})).frame
    assert found["value"].tolist() == [3, 0, 0, 1]
    assert found["start"].dt.date.tolist() == [date(2026, 11, day) for day in (2, 3, 4, 5)]


def test_days_without_views_are_unknown_where_views_are_many():
    found = parsed(items({"2026-11-02": 300, "2026-11-05": 310})).frame
    assert found["start"].dt.day.tolist() == [2, 5]


def test_today_is_not_asked_for_and_nothing_before_counting_began():
    task = task_of(CONNECTOR, WikimediaEntry(articles=("Boot",)), NOW, datetime(2010, 1, 1))
    (pull_,) = CONNECTOR.plan(task)
    assert pull_.requests == (
        Request(f"https://wikimedia.org{fake.PATH}en.wikipedia/all-access/user/Boot/daily/2015070100/2026112200"),
    )
    assert pull_.through == datetime(2026, 11, 23)


def test_first_letter_is_large_except_in_wiktionary():
    assert WikimediaEntry(articles=("running  shoe",)).articles == ("Running_shoe",)
    assert WikimediaEntry(articles=("boot",), project="en.wiktionary").articles == ("boot",)


def test_signal_names_what_is_not_the_default():
    entry = WikimediaEntry(articles=("Stiefel",), project="de.wikipedia", access="desktop", agent="all-agents")
    (signal,) = CONNECTOR.signals(entry)
    assert signal.signal == "wikimedia/de.wikipedia/Stiefel/desktop/all-agents"
    assert (signal.aggregation, signal.cadence, signal.unit) == ("sum", "D", "views")


WRONG = [
    ('contact = "ops@example.com"', "", r"contact is ''.* must be a mail address or a web page .* blocks those"),
    ("ops@example.com", "me", "contact is 'me'"),
    ("ops@example.com", "jürgen@example.com", "contact is 'jürgen@example.com'"),
    ('["Boot"]', '["Boot", "boot"]', "articles is .* 'Boot' is there twice"),
    ('["Boot"]', '["A|B"]', r"articles\.0 is 'A\|B'.* is no title of an article"),
    ('["Boot"]', "[]", "articles is "),
    ('["Boot"]', '["Boot"]\naccess = "tv"', "access is 'tv'.* 'all-access', 'desktop'"),
    ('["Boot"]', '["Boot"]\nproject = "english"', "project is 'english'"),
]


@pytest.mark.parametrize(("old", "new", "problem"), WRONG)
def test_wrong_configuration_is_named(server, tmp_path, old, new, problem):
    (tmp_path / "groundswell.toml").write_text(toml(server, ["Boot"]).replace(old, new))
    with pytest.raises(ConfigError, match=problem):
        load_config(tmp_path)


def test_broken_answers_are_drift_or_plain_rows():
    good = json.loads(items(dict.fromkeys(DAYS[:5], 40)))
    drifts = 0
    for body in bodies(good, 500):
        try:
            frame = parsed(body).frame
        except Drift:
            drifts += 1
        else:
            assert frame["value"].ge(0).all()
    assert drifts > 200


def test_article_is_proposed_in_the_language_of_the_country():
    facts = CategoryFacts("Running shoes", "W-SUN", "US", ("running", "shoes"))
    assert list(CONNECTOR.suggest(facts)) == [{"articles": ["Running shoe"], "project": "en.wikipedia"}]
    german = CategoryFacts("Stiefel", "W-SUN", "DE", ("stiefel",))
    assert list(CONNECTOR.suggest(german)) == [{"articles": ["Stiefel"], "project": "de.wikipedia"}]


@pytest.mark.shared
@pytest.mark.skipif(not SAMPLE.exists(), reason="no ../shared")
def test_documented_shape_is_read():
    entry = WikimediaEntry(articles=("Python (programming language)",))
    (pull_,) = CONNECTOR.plan(task_of(CONNECTOR, entry, NOW, datetime(2021, 1, 1)))
    found = CONNECTOR.parse(pull_, [Payload(pull_.requests[0], SAMPLE.read_bytes(), NOW)]).frame
    assert found["value"].tolist() == [6000]
