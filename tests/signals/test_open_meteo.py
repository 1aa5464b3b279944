from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from api.service import history_frame, signals_frame
from forecast.core import forecast
from forecast.problem import Sources
from forecast.regressors import lay, read
from forecast.series import versions
from signals.connector import Drift, Payload
from signals.connectors.open_meteo import RUNS, OpenMeteo, OpenMeteoEntry, OpenMeteoSettings
from signals.store import Batch, open_snapshot, submit
from tests.fakes import open_meteo as fake
from tests.fakes.server import PAGE, serving
from tests.signals import broken
from tests.signals.one_pull import parsed, stored, task_of

NOW = datetime(2026, 11, 23, 12)
BERLIN = {"name": "Berlin", "latitude": 52.52, "longitude": 13.41, "timezone": "Europe/Berlin"}
MAX, RAIN = "open_meteo/temperature_2m_max/Berlin", "open_meteo/precipitation_sum/Berlin"


@pytest.fixture
def source():
    source = fake.OpenMeteo()
    with serving(source) as server:
        yield source, server


def connector_of(server, **more):
    return OpenMeteo(OpenMeteoSettings(base_url=server.url, customer_url=server.url, **more))


def entry_of(**more):
    variables = more.pop("variables", ("temperature_2m_max", "precipitation_sum"))
    return OpenMeteoEntry(places=more.pop("places", [BERLIN]), variables=variables, **more)


def lately(connector, entry, days=2):
    return task_of(connector, entry, NOW, NOW - timedelta(days=days))


def test_a_run_tells_the_days_that_it_covers_whole(source):
    connector = connector_of(source[1])
    frame = parsed(connector, lately(connector, entry_of(), days=0)).frame
    warm = frame[frame["signal"] == MAX]
    assert warm["start"].min() == pd.Timestamp("2026-11-24"), "the 23rd began an hour before the run, in Berlin"
    assert len(warm) == 13
    assert set(frame["known_at"]) == {pd.Timestamp("2026-11-23 09:00")}


def test_the_days_are_those_of_the_place(source):
    connector = connector_of(source[1])
    frame = parsed(connector, lately(connector, entry_of(), days=0)).frame
    run, names = datetime(2026, 11, 23), ["temperature_2m", "precipitation"]
    hourly = pd.DataFrame(source[0].body(run, names, 14)["hourly"]).set_index("time").astype(float)
    first = frame[frame["start"] == pd.Timestamp("2026-11-24")].set_index("signal")["value"]
    assert first[MAX] == hourly.loc["2026-11-23T23:00":"2026-11-24T22:00", "temperature_2m"].max()
    rain = hourly.loc["2026-11-24T00:00":"2026-11-24T23:00", "precipitation"]  # each about the hour before
    assert first[RAIN] == pytest.approx(rain.sum(), abs=1e-3)


def test_a_day_of_summer_time_that_has_23_hours_is_whole(source):
    connector = connector_of(source[1])
    now = datetime(2026, 3, 27, 12)
    frame = parsed(connector, task_of(connector, entry_of(variables=["sunshine_duration_sum"]), now, now)).frame
    assert pd.Timestamp("2026-03-29") in set(frame["start"])


def test_a_first_pull_begins_with_the_archive_and_goes_in_parts(source):
    connector = connector_of(source[1])
    plan = list(connector.plan(task_of(connector, entry_of(), NOW)))
    assert plan[0].requests[0].params["run"] == "2024-03-14T00:00"
    assert [len(pull.requests) for pull in plan[:2]] == [RUNS, RUNS]
    assert [pull.through for pull in plan] == sorted(pull.through for pull in plan)
    assert plan[-1].through == datetime(2026, 11, 23, 9)


def test_a_run_is_not_asked_for_before_it_is_published(source):
    connector = connector_of(source[1])
    task = replace(lately(connector, entry_of(), days=1), now=datetime(2026, 11, 23, 8, 59))
    assert [pull.requests[-1].params["run"] for pull in connector.plan(task)] == ["2026-11-22T00:00"]


def test_a_run_that_was_not_kept_is_a_gap(source):
    source[0].missing = {datetime(2026, 11, 22)}
    connector = connector_of(source[1])
    frame = parsed(connector, lately(connector, entry_of())).frame
    assert sorted({f"{moment:%d}" for moment in frame["known_at"]}) == ["21", "23"]


def test_a_variable_that_the_model_lacks_is_drift(source):
    source[0].nulls = {"precipitation"}
    connector = connector_of(source[1])
    with pytest.raises(Drift, match=r"hourly\.precipitation: no run holds a value"):
        parsed(connector, lately(connector, entry_of()))


def test_a_refusal_is_drift_that_says_why(source):
    connector = connector_of(source[1])
    task = lately(connector, entry_of(variables=["dew_point_2m_mean"]))
    with pytest.raises(
        Drift, match=r"reason: .*Cannot initialize ForecastVariable from invalid String value dew_point"
    ):
        parsed(connector, task)


def test_a_key_goes_to_the_customers_host_and_nowhere_else():
    with serving(fake.OpenMeteo(key="k1")) as paid:
        connector = OpenMeteo(OpenMeteoSettings(base_url="http://127.0.0.1:9", customer_url=paid.url, api_key="k1"))
        frame = parsed(connector, lately(connector, entry_of())).frame
    assert len(frame)
    assert {asked.query["apikey"] for asked in paid.asked} == {"k1"}


BODY = fake.OpenMeteo().body(datetime(2026, 11, 23), ["temperature_2m", "precipitation"], 14)
HOURLY = BODY["hourly"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"hourly": [], "hourly_units": {}},
        {**BODY, "hourly_units": None},
        {**BODY, "hourly_units": {"temperature_2m": "°F", "precipitation": "mm"}},
        {**BODY, "hourly": {**HOURLY, "time": None}},
        {**BODY, "hourly": {**HOURLY, "time": HOURLY["time"][:5]}},
        {**BODY, "hourly": {**HOURLY, "time": HOURLY["time"][::-1]}},
        {**BODY, "hourly": {**HOURLY, "time": ["soon"] * len(HOURLY["time"])}},
        {**BODY, "hourly": {**HOURLY, "time": [1] * len(HOURLY["time"])}},
        {**BODY, "hourly": {**HOURLY, "temperature_2m": ["9"] * len(HOURLY["time"])}},
        {**BODY, "hourly": {"time": HOURLY["time"], "precipitation": HOURLY["precipitation"]}},
        {"error": True, "reason": "Something else"},
        PAGE.body,
    ],
)
def test_an_answer_of_another_shape_is_drift(source, body):
    connector = connector_of(source[1])
    pull = list(connector.plan(lately(connector, entry_of(), days=0)))[-1]
    content = fake.Answer(body).content
    payload = Payload(pull.requests[-1], content, NOW)
    with pytest.raises(Drift):
        connector.parse(pull, [payload])


def test_whatever_is_wrong_with_an_answer_it_is_drift_or_read(source):
    connector = connector_of(source[1])
    pull = list(connector.plan(lately(connector, entry_of(), days=0)))[-1]
    for body in broken.bodies(BODY, 200):
        with suppress(Drift):
            assert np.isfinite(connector.parse(pull, [Payload(pull.requests[-1], body, NOW)]).frame["value"]).all()


def test_more_fields_than_before_are_no_drift(source):
    connector = connector_of(source[1])
    pull = list(connector.plan(lately(connector, entry_of(), days=0)))[-1]
    payload = Payload(pull.requests[-1], fake.Answer({**BODY, "daily": 1}).content, NOW)
    assert len(connector.parse(pull, [payload]).frame)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"variables": ["temperature"]}, "'temperature' is not known; allowed: temperature_2m_mean"),
        ({"variables": []}, "at least 1 item"),
        ({"places": []}, "at least 1 item"),
        ({"places": [BERLIN, BERLIN]}, "'Berlin' is named twice"),
        ({"places": [BERLIN | {"latitude": 91}]}, "less than or equal to 90"),
        ({"places": [BERLIN | {"timezone": "Berlin"}]}, "allowed: the name of a time zone"),
        ({"places": [BERLIN | {"name": "a/b"}]}, "pattern"),
        ({"days": 17}, "less than or equal to 16"),
        ({"place": "Berlin"}, "Extra inputs"),
    ],
)
def test_what_an_entry_cannot_say(wrong, message):
    with pytest.raises(ValidationError, match=message):
        entry_of(**wrong)


def test_units_and_aggregation_are_declared():
    rain = OpenMeteo(OpenMeteoSettings()).signals(entry_of())[1]
    assert (rain.signal, rain.unit, rain.aggregation, rain.cadence) == (RAIN, "mm", "sum", "D")


def test_the_same_pull_twice_changes_nothing(tmp_path, source):
    connector = connector_of(source[1])
    task = lately(connector, entry_of(), days=5)
    first, again = (stored(tmp_path, connector, task)[1] for _ in range(2))
    assert first.inserted > 100
    assert (again.inserted, again.withdrawn) == (0, 0)


def test_as_of_a_morning_the_forecast_of_that_morning_is_read(tmp_path, source):
    connector = connector_of(source[1])
    snapshot, _ = stored(tmp_path, connector, lately(connector, entry_of(), days=30))
    day, morning = pd.Timestamp("2026-11-12"), datetime(2026, 11, 10, 9)
    read = snapshot.observations([MAX], as_of=morning).set_index("start")["value"]
    hours = source[0].body(datetime(2026, 11, 10), ["temperature_2m"], 14)["hourly"]
    then = pd.Series(hours["temperature_2m"], hours["time"])["2026-11-11T23:00":"2026-11-12T22:00"].max()
    assert read[day] == pytest.approx(then)
    assert read.index.max() == pd.Timestamp("2026-11-23"), "13 days ahead"


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    """Sales of 44 weeks that follow the warmth of the week, and the forecasts of those weeks."""
    home = tmp_path_factory.mktemp("driven")
    with serving(fake.OpenMeteo()) as server:
        connector = connector_of(server)
        stored(home, connector, lately(connector, entry_of(variables=["temperature_2m_max"]), days=310))
    starts = pd.date_range("2026-01-19", "2026-11-16", freq="7D", unit="us")
    warmth = [np.mean([fake.truth("temperature_2m", day) for day in pd.date_range(at, periods=7)]) for at in starts]
    sales = pd.DataFrame({"category": "Ice", "start": starts, "end": starts + timedelta(days=7)})
    categories = pd.DataFrame({"category": ["Ice"], "frequency": "W-SUN"})
    submit(home, Batch("test", sales=sales.assign(quantity=100 + 5 * np.array(warmth)), categories=categories))
    return open_snapshot(home)


def test_a_past_origin_gets_what_was_forecast_then(driven):
    then = pd.Timestamp("2026-09-14 09:00")
    frame = signals_frame(driven, "Ice")
    sources = Sources(versions(history_frame(driven, "Ice"), "W-SUN", None), tuple(read(frame)), 4)
    sales = sources.series(then)
    laid = lay(sources.signals[0], sales, 4, then)
    run = frame[frame["known_at"] == then].set_index("start")["value"]
    assert sources.revised, "so past origins are forecast anew from what was known then"
    assert laid.edge == len(sales) + 1, "the next two weeks are covered whole"
    assert laid.x[laid.edge] == pytest.approx(run["2026-09-21":"2026-09-27"].mean())


def test_later_runs_change_no_forecast_of_then(driven):
    then = datetime(2026, 9, 14, 9)
    frame = signals_frame(driven, "Ice")
    late = frame["known_at"] > then
    changed = frame.assign(value=frame["value"].mask(late, 99.0))
    history = history_frame(driven, "Ice")
    told = [
        forecast(history, 4, signals=rows, frequency="W-SUN", as_of=then) for rows in (frame, frame[~late], changed)
    ]
    whole, cut, marred = ({**one.to_dict(), "timing_ms": None} for one in told)
    assert whole == cut == marred


def test_the_example_is_true():
    example = OpenMeteo.examples[0]
    connector = OpenMeteo(OpenMeteoSettings(**example.settings))
    task = task_of(connector, OpenMeteoEntry(**example.entry), NOW)
    pull = next(iter(connector.plan(task)))
    payloads = [Payload(*pair, NOW) for pair in zip(pull.requests, example.answers, strict=True)]
    assert set(connector.parse(pull, payloads).frame["signal"]) == set(pull.signals)
