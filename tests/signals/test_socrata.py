import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr, ValidationError

from signals.connector import Drift, Observations, Payload, Pull
from signals.connectors.socrata import PRESETS, Socrata, SocrataEntry, SocrataSettings
from tests.fakes import socrata as fakes
from tests.fakes.server import PAGE, Answer, Fake, serving
from tests.fakes.tables import Dataset, answers, pulled, task

SINCE, NOW = datetime(2026, 9, 1), datetime(2026, 11, 23, 9)
DAYS = pd.date_range("2026-08-01", "2026-11-23")
MTA = {"preset": "new_york_mta", "groups": ["Subway", "Bus"]}


def riders() -> pd.DataFrame:
    """A row a day and mode: Subway 1,000 and up, Bus 500 and up; a mode that nobody asked for; a null."""
    modes = {"Subway": 1000, "Bus": 500, "SIR": 7}
    frames = [
        pd.DataFrame({"date": DAYS, "mode": mode, "count": [base + n for n in range(len(DAYS))]})
        for mode, base in modes.items()
    ]
    empty = pd.DataFrame({"date": [DAYS[40]], "mode": ["Bus"], "count": [None]})
    return pd.concat([*frames, empty], ignore_index=True).astype({"count": "Int64"})


@pytest.fixture(scope="module")
def portal() -> Iterator[Fake]:
    with serving(fakes.Socrata({"sayj-mze2": Dataset(riders())})) as fake:
        yield fake


def connector(fake: Fake, **settings: Any) -> Socrata:
    fake.asked.clear()
    return Socrata(SocrataSettings(base_url=fake.url, **settings))


def series(found: Observations, signal: str) -> pd.DataFrame:
    return found.frame[found.frame["signal"] == signal].set_index("start")


def first_pull(socrata: Socrata) -> tuple[Pull, list[Payload]]:
    pull = next(iter(socrata.plan(task(socrata, MTA, SINCE, NOW))))
    return pull, answers(socrata, pull)


def test_each_group_becomes_a_signal_of_days(portal: Fake) -> None:
    socrata = connector(portal)
    found = pulled(socrata, task(socrata, MTA, SINCE, NOW))
    subway = series(found, "socrata/new_york_mta/Subway/US-NY")
    assert subway["value"].loc[["2026-09-01", "2026-09-02"]].tolist() == [1031, 1032]
    assert set(found.frame["signal"]) == {f"socrata/new_york_mta/{mode}/US-NY" for mode in ("Subway", "Bus")}
    assert found.frame["records"].eq(1).all()


def test_days_within_the_lag_are_not_read(portal: Fake) -> None:
    socrata = connector(portal)
    found = pulled(socrata, task(socrata, MTA, SINCE, NOW))
    assert found.frame["end"].max() == pd.Timestamp("2026-11-21")
    assert {pull.through for pull in socrata.plan(task(socrata, MTA, SINCE, NOW))} == {datetime(2026, 11, 21)}


@pytest.mark.parametrize("size", [7, 80, 164])
def test_pages_lose_and_double_nothing(portal: Fake, size: int) -> None:
    socrata = connector(portal, page_size=size)
    found = pulled(socrata, task(socrata, MTA, SINCE, NOW))
    assert len(found.frame) == 2 * 82  # 31 August to 20 November
    assert not found.frame.duplicated(["signal", "start"]).any()


def test_a_lost_page_is_drift(portal: Fake) -> None:
    socrata = connector(portal, page_size=50)
    pull, payloads = first_pull(socrata)
    with pytest.raises(Drift, match=r"the sums hold 114 records, the dataset 164"):
        socrata.parse(pull, [*payloads[:2], *payloads[3:]])


def test_a_doubled_page_is_drift(portal: Fake) -> None:
    socrata = connector(portal, page_size=50)
    pull, payloads = first_pull(socrata)
    with pytest.raises(Drift, match="pages contradict one another"):
        socrata.parse(pull, [*payloads[:3], *payloads[2:]])


def test_pages_out_of_order_are_the_same(portal: Fake) -> None:
    socrata = connector(portal, page_size=50)
    pull, payloads = first_pull(socrata)
    ordered, shuffled = socrata.parse(pull, payloads), socrata.parse(pull, [payloads[0], *payloads[:0:-1]])
    pd.testing.assert_frame_equal(ordered.frame, shuffled.frame)


def test_a_server_that_ignores_the_offset_ends_in_drift() -> None:
    page = [{"gs_day": "2026-09-01T00:00:00.000", "gs_group": "Bus", "gs_value": "1", "gs_records": "1"}]
    with serving(lambda asked: Answer([{"gs_records": "1"}] if "$limit" not in asked.query else page)) as fake:
        socrata = connector(fake, page_size=1)
        with pytest.raises(Drift, match="pages contradict one another"):
            pulled(socrata, task(socrata, MTA, SINCE, NOW))


def test_weeks_are_summed_and_an_unfinished_last_one_is_left_out() -> None:
    days = pd.date_range("2026-10-01", "2026-11-19")  # the last week, to Sunday 22, lacks three days
    rows = pd.DataFrame({"service_date": days, "total_rides": range(len(days))})
    entry = {"preset": "chicago_cta", "cadence": "W-SUN", "lag_days": 0}
    with serving(fakes.Socrata({"6iiy-9s97": Dataset(rows)})) as fake:
        socrata = connector(fake)
        found = pulled(socrata, task(socrata, entry, datetime(2026, 11, 2), NOW)).frame
    assert found["start"].tolist() == [
        pd.Timestamp("2026-10-26"),
        pd.Timestamp("2026-11-02"),
        pd.Timestamp("2026-11-09"),
    ]
    assert found["value"].tolist() == [sum(range(n, n + 7)) for n in (25, 32, 39)]
    assert found["records"].tolist() == [7, 7, 7]


def test_quarters_are_means_of_all_their_records() -> None:
    months = pd.DataFrame({"date": pd.date_range("2025-10-01", periods=12, freq="MS"), "speed": range(12)})
    entry = {"name": "speed", "domain": "example.org", "dataset": "abcd-1234", "date_column": "date"}
    entry |= {"value_column": "speed", "aggregation": "mean", "cadence": "QS"}
    with serving(fakes.Socrata({"abcd-1234": Dataset(pd.concat([months, months.tail(1)]))})) as fake:
        socrata = connector(fake)
        found = pulled(socrata, task(socrata, entry, datetime(2026, 4, 1), NOW)).frame
    assert found["value"].iloc[-1] == pytest.approx((9 + 10 + 11 + 11) / 4)


def test_records_are_counted_without_a_value_column(portal: Fake) -> None:
    socrata = connector(portal)
    found = pulled(socrata, task(socrata, {**MTA, "value_column": None, "name": "rows"}, SINCE, NOW))
    assert series(found, "socrata/rows/Bus/US-NY")["value"].loc["2026-09-10"] == 2
    assert "records" not in found.frame


def test_a_condition_is_added(portal: Fake) -> None:
    socrata = connector(portal)
    found = pulled(socrata, task(socrata, {**MTA, "where": "count > 1100 OR count < 0"}, SINCE, NOW))
    assert found.frame["value"].min() == 1101


def test_a_long_history_is_read_year_by_year(portal: Fake) -> None:
    socrata = connector(portal)
    pulls = list(socrata.plan(task(socrata, MTA, datetime(2021, 11, 24), NOW)))
    assert len(pulls) == 5
    assert [pull.through for pull in pulls] == sorted(pull.through for pull in pulls)
    assert pulls == list(socrata.plan(task(socrata, MTA, datetime(2021, 11, 24), NOW)))


def test_the_token_stands_in_a_header_alone() -> None:
    with serving(fakes.Socrata({"sayj-mze2": Dataset(riders())}, token="s3cret")) as fake:
        socrata = connector(fake, app_token=SecretStr("s3cret"))
        assert len(pulled(socrata, task(socrata, MTA, SINCE, NOW)).frame)
        assert all("s3cret" not in str(asked.query) for asked in fake.asked)


def test_a_renamed_column_is_drift() -> None:
    with serving(fakes.Socrata({"sayj-mze2": Dataset(riders().rename(columns={"count": "ridership"}))})) as fake:
        socrata = connector(fake)
        with pytest.raises(Drift, match=r"refused with status 400.*no-such-column"):
            pulled(socrata, task(socrata, MTA, SINCE, NOW))


def test_a_lost_dataset_is_drift() -> None:
    with serving(fakes.Socrata({})) as fake:
        socrata = connector(fake)
        with pytest.raises(Drift, match="sayj-mze2 was refused with status 404: found 'Not found'"):
            pulled(socrata, task(socrata, MTA, SINCE, NOW))


BROKEN = [
    (PAGE.content, "a web page"),
    (b'{"error":true,"message":"Internal error"}', "Internal error"),
    (b'["2026-09-01"]', "no list of objects"),
    (b'[{"gs_day":"2026-09-01","gs_group":"Bus","gs_value":"1"}]', "gs_records: it must be a number"),
    (b'[{"gs_day":"2026-09-01","gs_group":"Bus","gs_records":"1"}]', "gs_value: it must be a number"),
    (b'[{"gs_day":"2026-09-01","gs_group":"Bus","gs_value":true,"gs_records":"1"}]', "gs_value"),
    (b'[{"gs_day":"2026-09-01","gs_group":"Bus","gs_value":"NaN","gs_records":"1"}]', "gs_value"),
    (b'[{"gs_day":"","gs_group":"Bus","gs_value":"1","gs_records":"1"}]', "gs_day"),
    (b'[{"gs_day":"2026-13-01","gs_group":"Bus","gs_value":"1","gs_records":"1"}]', "2026-13-01"),
    (b'[{"gs_day":"2026-09-01","gs_value":"1","gs_records":"1"}]', "gs_group: it must be text"),
    (b'[{"gs_day":"2026-09-01","gs_group":"Tram","gs_value":"1","gs_records":"1"}]', "not asked for"),
    (b'[{"gs_day":"2026-12-01","gs_group":"Bus","gs_value":"1","gs_records":"1"}]', "a day after those asked for"),
    (b'[{"gs_day":"2026-09-01","gs_group":"Bus","gs_value":"1","gs_rec', "no JSON"),
    (b'[{"gs_day":"2026-09-01","gs_group":"Bus","gs_value":"1' + b"0" * 400 + b'","gs_records":"1"}]', "gs_value"),
]


@pytest.mark.parametrize(("body", "problem"), BROKEN)
def test_an_answer_of_another_shape_is_drift(body: bytes, problem: str) -> None:
    socrata = Socrata(SocrataSettings())
    pull = next(iter(socrata.plan(task(socrata, MTA, SINCE, NOW))))
    bodies = (b'[{"gs_records":"1"}]', body)
    payloads = [Payload(request, body, NOW) for request, body in zip(pull.requests, bodies, strict=True)]
    with pytest.raises(Drift, match=problem):
        socrata.parse(pull, payloads)


def test_nothing_new_is_no_error() -> None:
    socrata = Socrata(SocrataSettings())
    pull = next(iter(socrata.plan(task(socrata, MTA, SINCE, NOW))))
    bodies = (b'[{"gs_records":"0"}]', b"[]")
    payloads = [Payload(request, body, NOW) for request, body in zip(pull.requests, bodies, strict=True)]
    assert len(socrata.parse(pull, payloads).frame) == 0


WRONG = [
    ({"preset": "boston"}, "preset is 'boston'; allowed: new_york_mta, us_bts, chicago_cta"),
    ({"preset": "new_york_mta", "groups": []}, "group_column and groups belong together"),
    ({"preset": "new_york_mta", "dataset": "sayj"}, "dataset"),
    ({"preset": "new_york_mta", "cadence": "W"}, "cadence"),
    ({"preset": "new_york_mta", "groups": ["Bus", "Bus"]}, "a value stands there twice"),
    ({"preset": "new_york_mta", "groups": ['B"s']}, "is no value of a group"),
    ({"preset": "new_york_mta", "date_column": "date; drop"}, "date_column"),
    ({"preset": "new_york_mta", "value_column": None, "aggregation": "mean"}, "needs a value_column"),
    ({"domain": "data.ny.gov"}, "name\n  Field required"),
    ({"preset": "new_york_mta", "colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("given", "problem"), WRONG)
def test_a_wrong_entry_says_what_is_allowed(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        SocrataEntry.model_validate(given)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_whole(preset: str) -> None:
    entry = SocrataEntry.model_validate({"preset": preset})
    assert Socrata(SocrataSettings()).signals(entry)
    assert SocrataEntry.model_validate_json(entry.model_dump_json()) == entry


def test_quotes_in_a_group_are_escaped() -> None:
    socrata = Socrata(SocrataSettings())
    pull = next(iter(socrata.plan(task(socrata, {**MTA, "groups": ["O'Hare"]}, SINCE, NOW))))
    assert "mode IN ('O''Hare')" in pull.requests[0].params["$where"]
    assert json.loads(pull.context["entry"])["groups"] == ["O'Hare"]
