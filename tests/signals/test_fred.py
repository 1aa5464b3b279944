import json
import random
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from signals.connector import CategoryFacts, Drift, Payload
from signals.connectors import fred_vintages
from signals.connectors.fred import Fred, FredEntry, FredSettings
from tests.fakes import fred as fake
from tests.fakes.server import PAGE, serving
from tests.signals import broken
from tests.signals.one_pull import answers, parsed, stored, task_of

NOW = datetime(2026, 11, 25, 12)
SALES = "fred/RSXFS/US"
MONTHS = [f"{year}-{month:02d}-01" for year in (2025, 2026) for month in range(1, 13)]


def revised(seed=3, every=19):
    """Two years of months, published with changes, blanks and values taken back."""
    chance, series, values = random.Random(seed), fake.Series(), {}
    for number in range(35):
        day = date(2025, 2, 3) + timedelta(days=every * number)
        for month in [month for month in MONTHS if month <= f"{day - timedelta(days=31)}"]:
            if month not in values or chance.random() < 0.2:
                values[month] = chance.choice([None, *range(100, 104)])
        if values and chance.random() < 0.3:
            del values[chance.choice(list(values))]
        series.vintages[day.isoformat()] = dict(values)
    return series


@pytest.fixture
def source():
    source = fake.Fred({"RSXFS": revised()})
    with serving(source) as server:
        yield source, server


def connector_of(server, key=fake.KEY):
    return Fred(FredSettings(base_url=server.url + "/fred", graph_url=server.url + "/graph/fredgraph.csv", api_key=key))


def task(connector, since=None, now=NOW, **entry):
    return task_of(connector, FredEntry(**{"series": ["RSXFS"], **entry}), now, since)


def end_of(day):
    return pd.Timestamp(day, tz="America/Chicago").normalize() + pd.Timedelta(days=1)


def told(snapshot, as_of):
    read = snapshot.observations([SALES], as_of=as_of)
    return dict(zip(read["start"].dt.strftime("%Y-%m-%d"), read["value"], strict=True))


@pytest.mark.parametrize(("span", "most"), [(1500, 100_000), (3, 100_000), (5, 7), (1, 1000)])
def test_as_of_every_vintage_the_store_tells_what_it_said(tmp_path, source, monkeypatch, span, most):
    monkeypatch.setattr(fred_vintages, "SPAN", span)
    source[0].most = most
    connector, series = connector_of(source[1]), source[0].series["RSXFS"]
    snapshot, _ = stored(tmp_path, connector, task(connector))
    for day in series.days:
        truth = {when: value for when, value in series.truth(day).items() if value is not None}
        moment = end_of(day).tz_convert("UTC").tz_localize(None).to_pydatetime()
        assert told(snapshot, moment) == truth, day
    assert told(snapshot, datetime(2025, 2, 4, 5)) == {}, "before the first day had ended in St. Louis"


def test_pulls_week_by_week_tell_the_same(tmp_path, source):
    connector, series = connector_of(source[1]), source[0].series["RSXFS"]
    whole, since = dict(series.vintages), None
    for now in pd.date_range("2025-02-05", "2026-11-25", freq="28D"):
        source[0].today = f"{now:%Y-%m-%d}"
        series.vintages = {day: values for day, values in whole.items() if day < source[0].today}
        snapshot, _ = stored(tmp_path, connector, task(connector, since, now.to_pydatetime()))
        since = now.to_pydatetime() - connector.policy.overlap
    for day in series.days:
        truth = {when: value for when, value in series.truth(day).items() if value is not None}
        assert told(snapshot, end_of(day).tz_convert("UTC").tz_localize(None).to_pydatetime()) == truth, day


def test_no_date_is_stored_that_is_no_vintage(source, monkeypatch):
    monkeypatch.setattr(fred_vintages, "SPAN", 4)
    connector = connector_of(source[1])
    frame = parsed(connector, task(connector, datetime(2025, 10, 1))).frame
    days = source[0].series["RSXFS"].days
    ends = {end_of(day).tz_convert("UTC").tz_localize(None) for day in days}
    assert set(frame["known_at"]) <= ends
    assert frame["known_at"].min() < pd.Timestamp("2025-10-01"), "the vintage before, which tells what was taken back"


def test_the_same_pull_twice_changes_nothing(tmp_path, source):
    connector = connector_of(source[1])
    (_, first), (_, again) = (stored(tmp_path, connector, task(connector)) for _ in range(2))
    assert first.inserted > 50
    assert (again.inserted, again.withdrawn) == (0, 0)


def test_more_than_two_thousand_vintages_are_asked_for_in_parts():
    series = fake.Series(frequency="Daily")
    values = {}
    for number in range(2300):
        day = (date(2019, 1, 1) + timedelta(days=number)).isoformat()
        values = dict(list(values.items())[-5:]) | {day: float(number)}
        series.vintages[(date(2019, 1, 2) + timedelta(days=number)).isoformat()] = values
    with serving(fake.Fred({"DAILY": series})) as server:
        connector = connector_of(server)
        frame = parsed(connector, task(connector, series=["DAILY"], cadence="D")).frame
    assert [asked.path for asked in server.asked].count("/fred/series/observations") == 2
    assert frame["value"].notna().groupby(frame["start"]).any().all()


def test_a_vintage_of_today_is_known_now_and_not_at_the_end_of_the_day(source):
    source[0].series["RSXFS"].vintages["2026-11-25"] = {"2026-10-01": 555.0}
    connector = connector_of(source[1])
    frame = parsed(connector, task(connector)).frame
    assert frame.loc[frame["value"] == 555, "known_at"].tolist() == [pd.Timestamp(NOW)]


@pytest.mark.parametrize(
    ("frequency", "cadence", "dates"),
    [
        ("Daily, 7-Day", "D", ["2026-11-08", "2026-11-09"]),
        ("Weekly, Ending Saturday", "W-SAT", ["2026-11-07", "2026-11-14"]),
        ("Weekly, As of Wednesday", "W-WED", ["2026-11-04", "2026-11-11"]),
        ("Monthly", "MS", ["2026-09-01", "2026-10-01"]),
        ("Quarterly, End of Period", "QS", ["2026-04-01", "2026-07-01"]),
    ],
)
def test_frequencies_that_have_periods(frequency, cadence, dates):
    series = fake.Series(frequency=frequency, vintages={"2026-11-20": dict.fromkeys(dates, 1.0)})
    with serving(fake.Fred({"X": series})) as server:
        connector = connector_of(server)
        frame = parsed(connector, task(connector, series=["x"], cadence=cadence)).frame
    label = frame["end"] - pd.Timedelta(days=1) if cadence[0] == "W" else frame["start"]
    assert label.dt.strftime("%Y-%m-%d").tolist() == dates


@pytest.mark.parametrize(
    ("frequency", "message"),
    [
        ("Weekly, Ending Friday", 'the cadence MS was expected: set cadence = "W-FRI"'),
        ("Annual", "series of days, weeks, months and quarters can be used"),
        ("Biweekly, Ending Wednesday", "series of days, weeks, months and quarters can be used"),
    ],
)
def test_another_frequency_than_said_is_drift_with_the_remedy(source, frequency, message):
    source[0].series["RSXFS"].frequency = frequency
    connector = connector_of(source[1])
    with pytest.raises(Drift, match=message):
        parsed(connector, task(connector))


def test_what_the_source_says_of_a_series_is_kept(source):
    connector = connector_of(source[1])
    attributes = parsed(connector, task(connector)).attributes[SALES]
    assert attributes["units"] == "Millions of Dollars"
    assert attributes["frequency"] == "Monthly"


def test_without_a_key_the_chart_is_read_with_the_usual_lag(tmp_path, source):
    connector = connector_of(source[1], None)
    snapshot, _ = stored(tmp_path, connector, task(connector))
    truth = source[0].series["RSXFS"].truth("2026-11-25")
    assert told(snapshot, None) == {when: value for when, value in truth.items() if value is not None}
    assert "assumed_lag" in set(snapshot.observations([SALES])["known_basis"])
    newest = max(told(snapshot, datetime(2026, 10, 15)))
    assert newest == "2026-07-01", "the end of July is 45 days ago, that of August is not"


def test_without_a_key_the_chart_is_read_whole_each_time(source):
    connector = connector_of(source[1], None)
    assert len(parsed(connector, task(connector, NOW)).frame) == len(parsed(connector, task(connector)).frame)


def test_a_chart_that_was_revised_is_known_from_now(tmp_path, source):
    connector, series = connector_of(source[1], None), source[0].series["RSXFS"]
    stored(tmp_path, connector, task(connector))
    truth, later = series.truth("2026-11-25"), NOW + timedelta(days=1)
    month = next(month for month, value in truth.items() if value is not None)
    series.vintages["2026-11-25"] = truth | {month: 999.0}
    snapshot, result = stored(tmp_path, connector, task(connector, now=later))
    assert result.inserted == 1
    assert (told(snapshot, NOW)[month], told(snapshot, later)[month]) == (truth[month], 999)


def test_a_period_that_is_not_over_is_left_out():
    body = b"observation_date,ICSA\n2026-11-21,5\n2026-11-28,6\n"
    connector = Fred(FredSettings())
    pull = next(iter(connector.plan(task(connector, series=["ICSA"], cadence="W-SAT"))))
    frame = connector.parse(pull, [Payload(pull.requests[0], body, NOW)]).frame
    assert frame["end"].tolist() == [pd.Timestamp("2026-11-22")]


@pytest.mark.parametrize(
    "body",
    [
        PAGE.body,
        b"",
        b"DATE,OTHER\n2026-01-01,5\n",
        b"observation_date\n2026-01-01\n",
        b"observation_date,RSXFS,more\n2026-01-01,5,6\n",
        b"observation_date,RSXFS\n2026-01-01,5,6\n",
        b"observation_date,RSXFS\n01/02/2026,5\n",
        b"observation_date,RSXFS\n2026-01-01,many\n",
        b"observation_date,RSXFS\n2026-01-01,1\n2026-01-01,2\n",
        b"observation_date,RSXFS\n2026-01-05,1\n",
        b"\xff\xfe",
    ],
)
def test_a_chart_of_another_shape_is_drift(body):
    connector = Fred(FredSettings())
    pull = next(iter(connector.plan(task(connector))))
    with pytest.raises(Drift):
        connector.parse(pull, [Payload(pull.requests[0], body, NOW)])


def with_change(body, path, value):
    """The answer with one thing changed: `value` put at `path`, or taken out."""
    changed = json.loads(json.dumps(body))
    place = changed
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("which", "path", "value"),
    [
        (0, ["seriess"], None),
        (0, ["seriess"], []),
        (0, ["seriess", 0, "frequency"], None),
        (0, ["seriess", 0, "units"], 5),
        (0, ["seriess", 0, "id"], "OTHER"),
        (1, ["vintage_dates"], None),
        (1, ["vintage_dates"], [5]),
        (1, ["vintage_dates", 0], "soon"),
        (1, ["vintage_dates", 0], "2026-12-24"),
        (1, ["count"], "36"),
        (2, ["observations"], None),
        (2, ["observations"], {}),
        (2, ["observations", 0, "value"], None),
        (2, ["observations", 0, "value"], 5.0),
        (2, ["observations", 0, "value"], "many"),
        (2, ["observations", 0, "date"], "2025-01"),
        (2, ["observations", 0, "date"], "2025-01-02"),
        (2, ["observations", 0, "realtime_start"], "2025-02-04"),
        (2, ["observations", 0], "row"),
        (2, ["count"], 1_000_000),
        (2, ["count"], True),
    ],
)
def test_an_answer_of_another_shape_is_drift(source, which, path, value):
    connector = connector_of(source[1])
    pull = next(iter(connector.plan(task(connector))))
    payloads = answers(connector, pull)
    body = with_change(payloads[which].json(), path, value)
    payloads[which] = replace(payloads[which], body=json.dumps(body).encode())
    with pytest.raises(Drift):
        connector.parse(pull, payloads)


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("body", [PAGE.body, b"[]", b"null", b"{}", b"\xff"])
def test_a_page_in_place_of_an_answer_is_drift(source, which, body):
    connector = connector_of(source[1])
    pull = next(iter(connector.plan(task(connector))))
    payloads = answers(connector, pull)
    payloads[which] = replace(payloads[which], body=body)
    with pytest.raises(Drift):
        connector.parse(pull, payloads)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_whatever_is_wrong_with_an_answer_it_is_drift_or_read(source, which):
    connector = connector_of(source[1])
    pull = next(iter(connector.plan(task(connector))))
    payloads = answers(connector, pull)
    for body in broken.bodies(payloads[which].json(), 150):
        changed = [*payloads[:which], replace(payloads[which], body=body), *payloads[which + 1 :]]
        with suppress(Drift):
            assert not np.isinf(connector.parse(pull, changed).frame["value"]).any()


def test_a_list_that_promises_more_than_it_holds_is_not_asked_for_ever(source):
    connector = connector_of(source[1])
    pull = next(iter(connector.plan(task(connector))))
    first, listed = answers(connector, pull)[:2]
    body = json.dumps(listed.json() | {"vintage_dates": []}).encode()
    with pytest.raises(Drift, match="vintage_dates"):
        connector.next_page(pull, [first, replace(listed, body=body)])


def test_a_series_that_was_never_published_has_no_rows(source):
    source[0].series["RSXFS"].vintages = {}
    connector = connector_of(source[1])
    assert parsed(connector, task(connector)).frame.empty


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"series": []}, "at least 1 item"),
        ({"series": ["A B"]}, "pattern"),
        ({"series": ["ICSA", "icsa"]}, "named twice"),
        ({"cadence": "A"}, "pattern"),
        ({"lag_days": -1}, "greater than or equal to 0"),
    ],
)
def test_what_an_entry_cannot_say(entry, message):
    with pytest.raises(ValidationError, match=message):
        FredEntry(**{"series": ["ICSA"], **entry})


def test_the_lag_depends_on_the_cadence():
    connector = Fred(FredSettings())
    lags = [
        connector.signals(FredEntry(series=["X"], cadence=cadence))[0].publication_lag.days
        for cadence in ("D", "W-SAT", "MS", "QS")
    ]
    assert lags == [2, 6, 45, 60]
    assert connector.signals(FredEntry(series=["X"], lag_days=0))[0].publication_lag.days == 0


def test_what_is_proposed_for_shoes_in_the_united_states():
    connector = Fred(FredSettings())
    shoes = CategoryFacts("Running shoes", "W-SUN", "US", ("running", "shoes"))
    proposed = [FredEntry(**entry) for entry in connector.suggest(shoes)]
    assert [entry.series for entry in proposed] == [("RSCCAS", "RSXFS", "UMCSENT"), ("ICSA",)]
    assert not list(connector.suggest(replace(shoes, calendar="DE")))


@pytest.mark.parametrize("example", Fred.examples)
def test_the_examples_are_true(example):
    connector = Fred(FredSettings(**example.settings))
    pull = next(iter(connector.plan(task(connector, **example.entry))))
    payloads = [Payload(pull.requests[min(i, 1)], body, NOW) for i, body in enumerate(example.answers[:2])]
    for body in example.answers[2:]:
        request = connector.next_page(pull, payloads)
        payloads.append(Payload(request, body, NOW))
    assert connector.next_page(pull, payloads) is None
    assert np.isfinite(connector.parse(pull, payloads).frame["value"]).any()
