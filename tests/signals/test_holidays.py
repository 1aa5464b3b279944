from dataclasses import replace
from datetime import datetime, timedelta

import holidays as package
import pandas as pd
import pytest
from pydantic import ValidationError

from api.service import signals_frame
from forecast.regressors import read
from signals.connector import ConfigError, ConnectorSettings
from signals.connectors import holidays as module
from signals.connectors.holidays import Holidays, HolidaysEntry
from signals.store import Batch, submit
from tests.signals.one_pull import parsed, stored, task_of

NOW = datetime(2026, 11, 23, 9)
CONNECTOR = Holidays(ConnectorSettings())


def task(now=NOW, **entry):
    return task_of(CONNECTOR, HolidaysEntry(**entry), now)


def off(frame, signal):
    found = frame[(frame["signal"] == signal) & (frame["value"] == 1)]
    return {str(day.date()) for day in found["start"]}


def test_every_day_of_ten_years_back_and_two_ahead_is_told():
    frame = parsed(CONNECTOR, task(countries=["US"])).frame
    days = pd.date_range("2016-01-01", "2028-12-31")
    assert frame["start"].tolist() == days.tolist()
    assert {"2026-11-26", "2026-12-25", "2028-07-04"} <= off(frame, "holidays/US")
    assert set(frame["value"]) == {0.0, 1.0}


def test_a_part_of_a_country_has_its_own():
    frame = parsed(CONNECTOR, task(countries=["DE", "DE-BY"])).frame
    more = off(frame, "holidays/DE-BY") - off(frame, "holidays/DE")
    assert "2026-01-06" in more, "Epiphany is kept in Bavaria"
    assert off(frame, "holidays/DE") <= off(frame, "holidays/DE-BY")


def test_a_holiday_by_its_name_counts_with_the_days_that_stand_for_it():
    frame = parsed(CONNECTOR, task(countries=["US"], names=["independence day"])).frame
    found = off(frame, "holidays/US/independence day")
    assert {"2026-07-03", "2026-07-04", "2027-07-04", "2027-07-05"} <= found, "the observed days too"
    assert "2026-12-25" not in found


def test_another_kind_of_day_is_another_signal():
    frame = parsed(CONNECTOR, task(countries=["DE-BY"], kinds=["catholic"])).frame
    assert set(frame["signal"]) == {"holidays/DE-BY/catholic"}
    assert "2026-08-15" in off(frame, "holidays/DE-BY/catholic")


def test_the_version_of_the_package_is_told():
    attributes = parsed(CONNECTOR, task(countries=["US", "CA"])).attributes
    assert attributes["holidays/CA"] == {"holidays_version": package.__version__}


def test_nothing_is_asked_and_each_country_has_its_pull():
    plan = list(CONNECTOR.plan(task(countries=["US", "CA"])))
    assert [(pull.signals, pull.requests, pull.through) for pull in plan] == [
        (("holidays/US",), (), NOW),
        (("holidays/CA",), (), NOW),
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"countries": ["XX"]}, "countries is 'XX'.*an ISO 3166 code that the holidays package knows"),
        ({"countries": ["DE-ZZ"]}, "countries is 'DE-ZZ'.*DE or its parts DE-BB, DE-BE"),
        ({"countries": ["DE"], "kinds": ["bank"]}, "kinds is 'bank'.*for DE: catholic, public, school"),
        ({"countries": ["US"], "names": ["Thanksgivin"]}, "names is 'Thanksgivin'.*such as 'thanksgiving"),
    ],
)
def test_what_the_package_does_not_know_is_refused(entry, message):
    with pytest.raises(ConfigError, match=message):
        CONNECTOR.signals(HolidaysEntry(**entry))


@pytest.mark.parametrize("entry", [{"countries": []}, {"countries": ["Germany"]}, {"countries": ["US", "US"]}])
def test_what_an_entry_cannot_say(entry):
    with pytest.raises(ValidationError, match="countries"):
        HolidaysEntry(**entry)


def test_the_same_pull_twice_changes_nothing(tmp_path):
    snapshot, first = stored(tmp_path, CONNECTOR, task(countries=["US"]))
    _, again = stored(tmp_path, CONNECTOR, task(now=NOW + timedelta(days=7), countries=["US"]))
    assert first.inserted == 4749
    assert (again.inserted, again.withdrawn) == (0, 0)
    assert snapshot.signals()["future_known"].all()


def test_a_corrected_release_moves_the_day_from_when_it_came(tmp_path, monkeypatch):
    stored(tmp_path, CONNECTOR, task(countries=["US"]))
    real, later = module._named, NOW + timedelta(days=7)

    def mended(*asked):
        days = dict(real(*asked))
        days[datetime(2027, 6, 21).date()] = days.pop(datetime(2027, 6, 18).date())
        return days

    monkeypatch.setattr(module, "_named", mended)
    snapshot, result = stored(tmp_path, CONNECTOR, task(now=later, countries=["US"]))
    assert result.inserted == 2
    for as_of, told in ((later - timedelta(seconds=1), 1), (later, 2)):
        read = snapshot.observations(["holidays/US"], as_of=as_of).set_index("start")["value"]
        assert read["2027-06-18"] + 2 * read["2027-06-21"] == told


def test_the_coming_holidays_are_known_to_a_forecast(tmp_path):
    snapshot, _ = stored(tmp_path, CONNECTOR, task(countries=["US"]))
    submit(tmp_path, Batch("test", categories=pd.DataFrame({"category": ["Ice"], "frequency": ["W-SUN"]})))
    snapshot.refresh()
    rows = read(signals_frame(snapshot, "Ice"))[0]
    seen = rows.as_of(pd.Timestamp(NOW))
    assert (rows.future_known, rows.total) == (True, True)
    assert str(seen.end.max())[:10] == "2029-01-01"
    a_year_before = rows.as_of(pd.Timestamp("2025-06-01"))
    assert str(a_year_before.end.max())[:10] == "2026-06-01", "known a year ahead"


def test_since_is_where_the_year_begins():
    since = replace(task(countries=["US"]), since={"holidays/US": datetime(2024, 5, 1)})
    assert parsed(CONNECTOR, since).frame["start"].min() == pd.Timestamp("2024-01-01")


@pytest.mark.parametrize("example", Holidays.examples)
def test_the_examples_are_true(example):
    assert parsed(CONNECTOR, task(**example.entry)).frame["value"].sum() > 0
