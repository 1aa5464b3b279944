import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from signals.config import load_config
from signals.connector import CategoryFacts, ConfigError, Drift, Observations, Payload
from signals.connectors.mastodon import Mastodon, MastodonEntry, MastodonSettings
from signals.store import open_snapshot
from tests.fakes import mastodon as fake
from tests.fakes.pulling import pull
from tests.fakes.server import BROKEN, PAGE, Answer, Fake, cut, serving, too_many
from tests.signals.broken import bodies
from tests.signals.one_pull import task_of

NOW = datetime(2026, 11, 23, 9)
SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "samples" / "other" / "mastodon_tag.json"
USES = {day.date(): n % 13 for n, day in enumerate(pd.date_range("2026-11-01", "2026-12-31"))}
CONNECTOR = Mastodon(MastodonSettings())
ITEM = {"day": "1795132800", "uses": "41", "accounts": "29"}  # 2026-11-20


@pytest.fixture
def server():
    with serving(fake.Mastodon({"boots": USES, "стиль": USES}, NOW.date())) as running:
        yield running


def toml(server: Fake, tag: str = "boots", more: str = "") -> str:
    return (
        f'[connectors.mastodon]\nbase_url = "{server.url}"\n'
        f'[[signals]]\nconnector = "mastodon"\ntags = [{json.dumps(tag)}]\n{more}'
    )


def stored(home: Path, server: Fake, what: str = "uses/boots") -> dict[date, float]:
    frame = open_snapshot(home).observations([f"mastodon/{what}/{server.url.removeprefix('http://')}"])
    return dict(zip(frame["start"].dt.date, frame["value"], strict=True))


def uses(first: int, last: int) -> dict[date, float]:
    return {date(2026, 11, day): USES[date(2026, 11, day)] for day in range(first, last + 1)}


def parsed(body: bytes, status: int = 200) -> Observations:
    (pull_,) = CONNECTOR.plan(task_of(CONNECTOR, MastodonEntry(tags=("boots",)), NOW))
    return CONNECTOR.parse(pull_, [Payload(pull_.requests[0], body, NOW, status)])


def answer(*items: object) -> bytes:
    return json.dumps({"name": "boots", "history": list(items)}).encode()


def test_days_that_are_over_are_kept(server, tmp_path):
    (outcome,) = pull(tmp_path, toml(server), NOW)
    assert (outcome.status, outcome.requests) == ("done", 1)
    assert stored(tmp_path, server) == uses(17, 22)


def test_daily_pulls_miss_nothing_and_a_long_pause_leaves_a_hole(server, tmp_path):
    source = fake.Mastodon({"boots": USES}, NOW.date())
    with serving(source) as running:
        for later in (0, 1, 5, 15):
            source.today = NOW.date() + timedelta(days=later)
            pull(tmp_path, toml(running), NOW + timedelta(days=later))
        days = stored(tmp_path, running)
    assert [day.isoformat() for day in pd.date_range("2026-11-17", "2026-12-07").date if day not in days] == [
        f"2026-{day}" for day in ("11-28", "11-29", "11-30", "12-01")
    ]


def test_each_server_is_a_signal_of_its_own(server, tmp_path):
    with serving(fake.Mastodon({"boots": dict.fromkeys(USES, 5)}, NOW.date())) as other:
        more = f'instances = ["{server.url}", "{other.url}"]\nmetrics = ["uses", "accounts"]'
        (outcome,) = pull(tmp_path, toml(server, more=more), NOW)
        assert (outcome.status, outcome.requests) == ("done", 2)
        assert set(stored(tmp_path, other).values()) == {5}
        assert set(stored(tmp_path, other, "accounts/boots").values()) == {3}
    assert stored(tmp_path, server) == uses(17, 22)


def test_tags_of_other_scripts_are_found(server, tmp_path):
    pull(tmp_path, toml(server, "#Стиль"), NOW)
    assert stored(tmp_path, server, "uses/стиль") == uses(17, 22)


def test_unknown_tag_has_no_values_yet(server, tmp_path):
    (outcome,) = pull(tmp_path, toml(server, "nobodyusesthis"), NOW)
    assert (outcome.status, outcome.inserted) == ("done", 0)


@pytest.mark.parametrize("fault", [too_many(0), too_many(0, as_date=True), fake.too_many(0.05), BROKEN, cut])
def test_passing_faults_are_got_over(server, tmp_path, fault):
    server.faults.next = [fault, fault]
    (outcome,) = pull(tmp_path, toml(server), NOW)
    assert (outcome.status, outcome.requests) == ("done", 1)
    assert stored(tmp_path, server) == uses(17, 22)


def test_far_reset_leaves_the_server_alone_until_then(server, tmp_path):
    server.faults.next = [fake.too_many(290)]
    (outcome,) = pull(tmp_path, toml(server), NOW)
    assert (outcome.status, len(server.asked)) == ("failed", 1)
    assert "it is asked again after" in outcome.message


@pytest.mark.parametrize("fault", [PAGE, Answer([]), Answer({"name": "boots"}), Answer(PAGE.body, 404, "text/html")])
def test_answers_of_another_shape_are_set_aside(server, tmp_path, fault):
    pull(tmp_path, toml(server), NOW)
    server.faults.next = [fault]
    (outcome,) = pull(tmp_path, toml(server), NOW + timedelta(days=1))
    assert outcome.status == "drifted"
    assert stored(tmp_path, server) == uses(17, 22)


WRONG = [
    ((), "history: must be a tag with its days"),
    (("x",), "history: must be an object for each day"),
    ((ITEM | {"uses": 41},), "history.uses: must be a number in a text: found '41'"),
    ((ITEM | {"accounts": "-1"},), "history.accounts: must be a number"),
    ((ITEM | {"day": "1795132801"},), "history.day: must be the second at which a day begins"),
    (({"day": ITEM["day"], "accounts": "1"},), "history.uses: must be a number"),
    ((ITEM, ITEM | {"uses": "40"}), "two counts for 2026-11-20"),
]


@pytest.mark.parametrize(("items", "problem"), WRONG)
def test_wrong_items_are_drift(items, problem):
    with pytest.raises(Drift, match=problem):
        parsed(answer(*items))


def test_404_of_another_kind_of_server_is_drift():
    with pytest.raises(Drift, match="is this a server of Mastodon"):
        parsed(b'{"message": "no such route"}', 404)


def test_repeated_days_and_any_order_do_no_harm():
    before = ITEM | {"day": "1795046400", "uses": "7"}
    found = parsed(answer(before, ITEM, before)).frame
    assert found["start"].dt.day.tolist() == [19, 20]
    assert found["value"].tolist() == [7, 41]


def test_broken_answers_are_drift_or_plain_rows():
    good = json.loads(answer(*[ITEM | {"day": str(1795132800 - 86400 * back)} for back in range(5)]))
    drifts = 0
    for body in bodies(good, 500):
        try:
            frame = parsed(body).frame
        except Drift:
            drifts += 1
        else:
            assert frame["value"].ge(0).all()
    assert drifts > 250


CONFIGURATION = [
    ("rain boots", "", r"tags\.0 is 'rain boots'.* is no hashtag"),
    ("2026", "", r"tags\.0 is '2026'.* at least one letter"),
    ("boots", 'metrics = ["likes"]', r"metrics\.0 is 'likes'"),
    ("boots", 'metrics = ["uses", "uses"]', "metrics is .*'uses' is there twice"),
    ("boots", 'instances = ["fosstodon.org"]', r"instances\.0 is 'fosstodon.org'"),
]


@pytest.mark.parametrize(("tag", "more", "problem"), CONFIGURATION)
def test_wrong_configuration_is_named(server, tmp_path, tag, more, problem):
    (tmp_path / "groundswell.toml").write_text(toml(server, tag, more))
    with pytest.raises(ConfigError, match=problem):
        load_config(tmp_path)


def test_words_are_proposed_as_one_tag():
    facts = CategoryFacts("Women's t-shirts", "W-SUN", "US", ("women's", "t-shirts"))
    assert list(Mastodon.suggest(facts)) == [{"tags": ["womenstshirts"]}]


@pytest.mark.shared
@pytest.mark.skipif(not SAMPLE.exists(), reason="no ../shared")
def test_documented_answer_is_read():
    now = datetime.fromtimestamp(1574553600 + 3600, UTC).replace(tzinfo=None)
    (pull_,) = CONNECTOR.plan(task_of(CONNECTOR, MastodonEntry(tags=("nowplaying",)), now))
    found = CONNECTOR.parse(pull_, [Payload(pull_.requests[0], SAMPLE.read_bytes(), now)]).frame
    assert found["value"].tolist() == [345, 272]
    assert found["start"].iloc[-1] == pd.Timestamp("2019-11-23")
