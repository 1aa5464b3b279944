from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from signals.connector import CategoryFacts, Drift, Payload, Pull
from signals.connectors.google_trends import (
    DAYS,
    GoogleTrends,
    GoogleTrendsEntry,
    GoogleTrendsSettings,
)
from signals.store import open_snapshot
from tests.fakes import google_trends as fake
from tests.fakes.pulling import pull
from tests.fakes.server import BROKEN, PAGE, Answer, Faults, cut, serving, too_many
from tests.signals import broken
from tests.signals.one_pull import get, task_of

NOW, LATER = datetime(2026, 11, 25, 6), date(2026, 12, 31)
BOOTS = "google_trends/boots/US"


@pytest.fixture
def source():
    with serving(fake.GoogleTrends()) as server:
        yield server


def connector_of(server):
    return GoogleTrends(GoogleTrendsSettings(base_url=server.url, accept_terms=True))


def entry_of(**more):
    return GoogleTrendsEntry(**{"terms": ["boots"], "places": ["US"]} | more)


def planned(connector, entry, now=NOW):
    return list(connector.plan(task_of(connector, entry, now)))


def asked_for(connector, one):
    return [connector.fetch(request, by_hand) for request in one.requests]


def by_hand(request):
    return get(request, NOW)


def parsed(server, **more):
    connector = connector_of(server)
    one = planned(connector, entry_of(**more))[0]
    return connector.parse(one, asked_for(connector, one))


def toml(server, **more):
    lines = "".join(f"{name} = {value!r}\n" for name, value in more.items())
    return f"""
[connectors.google_trends]
base_url = "{server.url}"
accept_terms = true
[[signals]]
connector = "google_trends"
terms = ["boots"]
places = ["US"]
{lines}"""


def truth(days):
    return pd.Series(fake.season("boots", "US", np.asarray(days, dtype="datetime64[D]")), index=pd.Index(days))


def test_weeks_are_one_request_that_runs_from_sunday_to_saturday(source):
    frame = parsed(source).frame
    assert frame["start"].dt.dayofweek.eq(6).all()
    assert ((frame["end"] - frame["start"]) == timedelta(days=7)).all()
    assert frame["end"].max() == pd.Timestamp("2026-11-22"), "the week that runs is left out"
    assert len(frame) in range(257, 261)
    assert [asked.method for asked in source.asked] == ["GET", "POST", "GET"]


def test_weeks_follow_the_truth(source):
    frame = parsed(source).frame.set_index("start")
    weekly = truth(pd.date_range(frame.index[0], periods=7 * len(frame))).to_numpy().reshape(-1, 7).mean(axis=1)
    off = np.log(frame["value"].to_numpy() / weekly)
    assert off.std() < 0.02


def test_days_are_overlapping_windows_made_one(source):
    found = parsed(source, resolution="daily")
    frame = found.frame.set_index("start")
    off = np.log(frame["value"] / truth(frame.index))
    assert off.std() < 0.04
    assert (frame.index[-1], set(frame.index.to_series().diff().dropna())) == (
        pd.Timestamp("2026-11-24"),
        {timedelta(days=1)},
    )
    assert found.attributes[f"{BOOTS}/daily"]["noise"] == pytest.approx(1 / np.sqrt(1000), rel=0.3)


def test_daily_windows_stay_within_what_is_answered_by_the_day(source):
    requests = planned(connector_of(source), entry_of(resolution="daily"))[0].requests
    spans = [[date.fromisoformat(day) for day in one.params["time"].split(" ")] for one in requests[1:]]
    assert {(last - first).days + 1 for first, last in spans} == {DAYS}
    assert spans[-1][1] == date(2026, 11, 24)
    assert {(b[0] - a[0]).days for a, b in pairwise(spans)} == {DAYS // 2}


def test_draws_of_earlier_pulls_are_averaged_in():
    with serving(fake.GoogleTrends(today=LATER)) as server:
        connector, payloads = connector_of(server), []
        for day in range(0, 14, 2):
            one = planned(connector, entry_of(), NOW + timedelta(days=day))[0]
            payloads += asked_for(connector, one)
    found = connector.parse(one, payloads)
    assert found.attributes[BOOTS]["pulls"] == 7
    assert found.attributes[BOOTS]["noise"] == pytest.approx(1 / np.sqrt(7000), rel=0.4)


def test_a_draw_that_is_repeated_counts_once(source):
    connector = connector_of(source)
    one = planned(connector, entry_of())[0]
    payloads = asked_for(connector, one)
    twice, once = connector.parse(one, payloads * 2), connector.parse(one, payloads)
    assert once.attributes == twice.attributes == {BOOTS: {"pulls": 1}}
    assert twice.frame.equals(once.frame)


def test_a_week_that_is_not_over_is_left_out():
    with serving(fake.GoogleTrends(today=date(2026, 11, 21))) as server:
        frame = parsed(server).frame
    assert frame["end"].max() == pd.Timestamp("2026-11-15")


def test_names_tell_what_is_measured(source):
    entry = entry_of(places=["world", "US-NY"], resolution="daily", property="news", category=71)
    signals = connector_of(source).signals(entry)
    assert [one.signal for one in signals] == [
        "google_trends/boots/world/daily/news/category-71",
        "google_trends/boots/US-NY/daily/news/category-71",
    ]
    assert {(one.scale, one.cadence) for one in signals} == {("window", "D")}


@pytest.mark.parametrize(
    "wrong",
    [
        {"places": []},
        {"places": ["usa"]},
        {"places": ["US", "US"]},
        {"terms": [" boots"]},
        {"terms": ["a" * 101]},
        {"terms": ["a\nb"]},
        {"resolution": "hourly"},
        {"property": "maps"},
        {"category": -1},
    ],
)
def test_what_cannot_be_asked_for_is_refused(wrong):
    with pytest.raises(ValidationError):
        entry_of(**wrong)


def test_the_country_is_asked_for_and_the_world_is_no_country(source):
    connector = connector_of(source)
    one, other = planned(connector, entry_of(places=["world", "DE"]))
    assert (one.requests[0].params["geo"], other.requests[0].params["geo"]) == ("", "DE")


def test_a_pull_ends_up_in_the_store(tmp_path, source):
    outcome = pull(tmp_path, toml(source), NOW)[0]
    assert (outcome.status, outcome.message) == ("done", "")
    frame = open_snapshot(tmp_path).observations([BOOTS], as_of=NOW)
    assert len(frame) == outcome.inserted > 250
    assert set(frame["known_basis"]) == {"assumed_lag"}


def test_a_later_pull_is_a_window_of_its_own_with_more_draws(tmp_path):
    with serving(fake.GoogleTrends(today=LATER)) as server:
        for day in (0, 2):
            assert pull(tmp_path, toml(server), NOW + timedelta(days=day))[0].status == "done"
    snapshot = open_snapshot(tmp_path)
    before, after = (snapshot.observations([BOOTS], as_of=NOW + timedelta(days=day))["value"] for day in (1, 3))
    assert before.mod(1).eq(0).mean() > 0.9 > after.mod(1).eq(0).mean(), "one draw has whole numbers, two have not"


def test_without_consent_nothing_is_asked(tmp_path, source):
    outcome = pull(tmp_path, toml(source).replace("accept_terms = true", ""), NOW)[0]
    assert (outcome.status, source.asked) == ("off", [])


@pytest.mark.parametrize("fault", [too_many(0), too_many(0, as_date=True), BROKEN, cut])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_passing_fault_is_outlived(tmp_path, source, fault, place):
    source.faults.next = [*[lambda answer: answer] * place, fault]
    assert pull(tmp_path, toml(source), NOW)[0].status == "done"


def test_many_faults_in_days_are_outlived(tmp_path):
    with serving(fake.GoogleTrends(), Faults(0.1)) as server:
        outcome = pull(tmp_path, toml(server, resolution="daily"), NOW)[0]
    assert (outcome.status, server.faults.count > 0) == ("done", True)


def test_429_for_good_closes_the_source(tmp_path, source):
    source.faults.next = [fake.TOO_MANY] * 9
    outcome = pull(tmp_path, toml(source), NOW)[0]
    assert (outcome.status, len(source.asked)) == ("failed", 5)
    assert "429" in outcome.message


@pytest.mark.parametrize("place", [1, 2])
def test_a_page_in_place_of_data_is_drift(tmp_path, source, place):
    source.faults.next = [*[lambda answer: answer] * place, PAGE]
    outcome = pull(tmp_path, toml(source), NOW)[0]
    assert (outcome.status, "web page" in outcome.message) == ("drifted", True)


def test_no_widget_for_a_timeline_is_drift(tmp_path, source):
    source.faults.next = [lambda answer: answer, Answer(b')]}\'\n{"widgets": [{"id": "GEO_MAP"}]}')]
    outcome = pull(tmp_path, toml(source), NOW)[0]
    assert (outcome.status, "TIMESERIES" in outcome.message) == ("drifted", True)


def test_a_term_that_is_hardly_searched_says_so():
    with (
        serving(fake.GoogleTrends(volume=0.0)) as server,
        pytest.raises(Drift, match="too few searches"),
    ):
        parsed(server)


def test_a_draw_without_a_search_is_refused_whatever_was_drawn_before(source):
    connector = connector_of(source)
    one = planned(connector, entry_of())[0]
    before = asked_for(connector, one)
    with serving(fake.GoogleTrends(volume=0.0)) as server:
        now = asked_for(connector_of(server), one)
    with pytest.raises(Drift, match="too few searches"):
        connector.parse(one, [*before, *now])


def test_little_searched_days_still_become_a_series():
    with serving(fake.GoogleTrends(volume=3.0)) as server:
        frame = parsed(server, resolution="daily").frame
    assert len(frame) > 1800
    months = np.log(frame.set_index("start")["value"].rolling(28).mean() / truth(frame["start"]).rolling(28).mean())
    assert months.std() < 0.12


def test_answers_that_are_a_little_wrong_are_drift_or_right(source):
    connector = connector_of(source)
    one = planned(connector, entry_of())[0]
    payload = asked_for(connector, one)[0]
    whole = connector.parse(one, [payload]).frame
    for body in broken.bodies(Payload(payload.request, payload.body[6:], NOW).json(), 300):
        assert parsed_or_drift(connector, one, Payload(payload.request, b")]}',\n" + body, NOW), len(whole))


def parsed_or_drift(connector: GoogleTrends, one: Pull, payload: Payload, size: int) -> bool:
    try:
        frame = connector.parse(one, [payload]).frame
    except Drift:
        return True
    return bool(frame["value"].between(0, 100).all() and len(frame) >= 0.9 * size)


def test_a_category_suggests_its_own_name(source):
    facts = CategoryFacts("Rain boots", "W-SUN", "US", ("rain", "boots"))
    assert list(connector_of(source).suggest(facts)) == [{"terms": ["rain boots"], "places": ["US"]}]


def test_the_example_parses():
    example = GoogleTrends.examples[0]
    connector = GoogleTrends(GoogleTrendsSettings(**example.settings))
    one = planned(connector, GoogleTrendsEntry(**example.entry))[0]
    assert len(connector.parse(one, [Payload(one.requests[0], example.answers[0], NOW)]).frame) == 260
