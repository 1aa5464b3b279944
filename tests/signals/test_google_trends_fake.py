"""The fake of Google Trends speaks as the recorded answers do, and serves pytrends as it was published."""

import json
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from pytrends import exceptions, request

from tests.fakes import google_trends as fake
from tests.fakes.server import serving

SHARED = Path(__file__).resolve().parents[3] / "shared" / "samples" / "google_trends_http"
GOOGLE = "https://trends.google.com/trends"


@pytest.fixture
def source():
    with serving(fake.GoogleTrends(today=date(2023, 3, 26))) as server:
        yield server


@pytest.fixture
def pytrends(source, monkeypatch):
    """The client as published, pointed at the fake."""
    monkeypatch.setattr(request, "BASE_TRENDS_URL", f"{source.url}/trends")
    for name, value in vars(request.TrendReq).items():
        if isinstance(value, str) and value.startswith(GOOGLE):
            monkeypatch.setattr(request.TrendReq, name, value.replace(GOOGLE, f"{source.url}/trends"))
    return request.TrendReq()


def explored(source, terms, time="today 5-y", **more):
    items = [{"keyword": term, "time": time, "geo": more.get("geo", "")} for term in terms]
    wanted = {"comparisonItem": items, "category": 0, "property": more.get("property", "")}
    params = {"hl": "en-US", "tz": "360", "req": json.dumps(wanted)}
    return httpx.post(f"{source.url}/trends/api/explore", params=params)


def timeline(source, widget, token=None):
    params = {"req": json.dumps(widget["request"]), "token": token or widget["token"], "tz": "360"}
    return httpx.get(f"{source.url}/trends/api/widgetdata/multiline", params=params)


def shape(value):
    """What stands where: names of fields and kinds of values, lists by their first and last."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in (value[0], value[-1])] if value else []
    return type(value).__name__


def test_the_page_is_missing_and_sets_a_cookie(source):
    answer = httpx.get(f"{source.url}/trends/explore/", params={"geo": "US"})
    assert (answer.status_code, list(answer.cookies)) == (404, ["NID"])


@pytest.mark.parametrize(
    "asked",
    [
        {"terms": list("abcdef")},
        {"terms": []},
        {"terms": ["a"], "time": "yesterday"},
        {"terms": ["a"], "time": "2023-03-01 2023-02-01"},
        {"terms": ["a"], "time": "2003-01-01 2004-02-01"},
        {"terms": ["a"], "property": "maps"},
    ],
)
def test_what_google_refuses_is_refused(source, asked):
    assert explored(source, **asked).status_code == 400


def test_a_token_serves_its_own_request_only(source):
    first, second = (json.loads(explored(source, [term]).text[4:])["widgets"][0] for term in "ab")
    assert timeline(source, first).status_code == 200
    assert timeline(source, first, second["token"]).status_code == 401


@pytest.mark.parametrize(
    ("time", "resolution"),
    [
        ("2022-06-27 2023-03-22", "DAY"),
        ("2022-06-25 2023-03-22", "WEEK"),
        ("today 5-y", "WEEK"),
        ("2004-01-01 2023-03-22", "MONTH"),
    ],
)
def test_the_span_decides_the_step(source, time, resolution):
    widget = json.loads(explored(source, ["a"], time).text[4:])["widgets"][0]
    assert widget["request"]["resolution"] == resolution


def test_pytrends_reads_the_fake(pytrends):
    pytrends.build_payload(["pizza", "bagel"], timeframe="today 5-y", geo="US")
    frame = pytrends.interest_over_time()
    assert frame.columns.tolist() == ["pizza", "bagel", "isPartial"]
    assert frame[["pizza", "bagel"]].max().max() == 100
    assert (frame.index.dayofweek == 6).all()
    assert frame["isPartial"].tolist() == [False] * (len(frame) - 1) + [True]


def test_each_request_is_another_draw(pytrends):
    drawn = []
    for _ in range(2):
        pytrends.build_payload(["pizza"], timeframe="2022-06-27 2023-03-22")
        drawn.append(pytrends.interest_over_time()["pizza"].to_numpy())
    assert 0 < np.abs(drawn[0] - drawn[1]).max() < 30


def test_pytrends_is_told_of_too_many_requests(source, pytrends):
    source.faults.next = [fake.TOO_MANY]
    with pytest.raises(exceptions.TooManyRequestsError):
        pytrends.build_payload(["pizza"])


def answered(wanted):
    """What the fake says to a recorded request for a timeline."""
    source = fake.GoogleTrends(today=date.fromisoformat(wanted["time"].split(" ")[1]))
    source.tokens["t"] = json.dumps(wanted, sort_keys=True)
    with serving(source) as server:
        return timeline(server, {"request": wanted, "token": "t"}).text


def recorded(name):
    meta = json.loads((SHARED / f"{name}.meta.json").read_text())
    return meta, (SHARED / f"{name}.body.txt").read_text(encoding="utf-8")


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
@pytest.mark.parametrize("name", ["ok", "images", "news", "youtube", "froogle", "partial", "multiple_regions"])
def test_the_timeline_is_shaped_as_a_recorded_one(name):
    meta, body = recorded(f"interest_over_time_{name}.2")
    text = answered(json.loads(meta["params"]["req"]))
    theirs, ours = json.loads(body[5:])["default"], json.loads(text[5:])["default"]
    assert (text[:5], len(ours["averages"])) == (body[:5], len(theirs["averages"]))
    line, right = (pd.DataFrame(one["timelineData"]).iloc[:260] for one in (ours, theirs))
    assert len(line) == len(right)
    assert line["time"].tolist() == right["time"].tolist()
    assert line["formattedTime"].tolist() == right["formattedTime"].tolist()
    assert shape(ours["timelineData"][0]) == shape(theirs["timelineData"][0])


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
def test_the_widgets_are_shaped_as_recorded_ones(source):
    meta, body = recorded("build_payload.1")
    wanted = json.loads(meta["params"]["req"])
    answer = explored(source, [item["keyword"] for item in wanted["comparisonItem"]])
    theirs, ours = json.loads(body[4:]), json.loads(answer.text[4:])
    assert answer.text[:5] == body[:5]
    assert list(ours) == list(theirs)
    one, other = (next(w for w in both["widgets"] if w["id"] == "TIMESERIES")["request"] for both in (ours, theirs))
    assert one == other
