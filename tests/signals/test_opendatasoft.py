from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr, ValidationError

from signals.connector import Drift, Payload, Task
from signals.connectors.opendatasoft import Opendatasoft, OpendatasoftEntry, OpendatasoftSettings
from tests.fakes import opendatasoft as fakes
from tests.fakes.server import PAGE, Fake, serving
from tests.fakes.tables import Dataset, pulled, task

SINCE, NOW = datetime(2026, 11, 2), datetime(2026, 11, 23, 9)
DATASET = "pedestrian-counting-system-monthly-counts-per-hour"
MELBOURNE = {"preset": "melbourne_pedestrians"}
DAYS = pd.date_range("2026-10-01", "2026-11-23")


def counts(sensors: int = 3, **renamed: str) -> pd.DataFrame:
    """Every hour of every day each sensor counts its own number of people; one count is missing."""
    keys = pd.MultiIndex.from_product([DAYS.date, range(24), range(1, sensors + 1)])
    frame = keys.to_frame(index=False, name=["sensing_date", "hourday", "location_id"])
    frame["pedestriancount"] = frame["location_id"].astype("Int64")
    frame["sensor_name"] = "Sensor " + frame["location_id"].astype("str")
    frame.loc[(frame["sensing_date"] == DAYS[40].date()) & (frame["hourday"] == 0), "pedestriancount"] = pd.NA
    return frame.rename(columns=renamed)


@pytest.fixture(scope="module")
def portal() -> Iterator[Fake]:
    with serving(fakes.Opendatasoft({DATASET: Dataset(counts())})) as fake:
        yield fake


def connector(fake: Fake, **settings: Any) -> Opendatasoft:
    fake.asked.clear()
    return Opendatasoft(OpendatasoftSettings(base_url=fake.url, **settings))


def due(portal: Opendatasoft, **more: Any) -> Task:
    return task(portal, {**MELBOURNE, **more}, SINCE, NOW)


def test_days_are_summed_over_sensors(portal: Fake) -> None:
    melbourne = connector(portal)
    found = pulled(melbourne, due(melbourne)).frame
    assert set(found["signal"]) == {"opendatasoft/melbourne_pedestrians/AU-VIC"}
    assert found["value"].iloc[:3].tolist() == [24 * 6] * 3
    assert (found["start"].min(), found["end"].max()) == (pd.Timestamp("2026-11-01"), pd.Timestamp("2026-11-21"))


def test_each_value_tells_its_records(portal: Fake) -> None:
    melbourne = connector(portal)
    found = pulled(melbourne, due(melbourne)).frame.set_index("start")["records"]
    assert found.loc["2026-11-09"] == 72
    assert found.loc[DAYS[40]] == 69


def test_one_export_and_one_record_are_asked_for(portal: Fake) -> None:
    melbourne = connector(portal)
    pulled(melbourne, due(melbourne))
    base = f"/api/explore/v2.1/catalog/datasets/{DATASET}"
    assert [asked.path for asked in portal.asked] == [f"{base}/records", f"{base}/exports/json"]
    assert portal.asked[0].query["limit"] == "1"


def test_groups_become_signals(portal: Fake) -> None:
    melbourne = connector(portal)
    found = pulled(melbourne, due(melbourne, group_column="sensor_name", groups=["Sensor 1", "Sensor 3"])).frame
    third = found[found["signal"] == "opendatasoft/melbourne_pedestrians/Sensor 3/AU-VIC"]
    assert third["value"].iloc[0] == 72
    assert found["signal"].nunique() == 2


def test_months_are_asked_for_as_months(portal: Fake) -> None:
    melbourne = connector(portal)
    found = pulled(melbourne, due(melbourne, cadence="MS", aggregation="mean")).frame
    assert found["start"].tolist() == [pd.Timestamp("2026-10-01")]
    assert found["value"].tolist() == [2]


def test_the_key_stands_in_a_header_alone(portal: Fake) -> None:
    melbourne = connector(portal, api_key=SecretStr("s3cret"))
    pulled(melbourne, due(melbourne))
    assert {asked.headers["authorization"] for asked in portal.asked} == {"Apikey s3cret"}
    assert all("s3cret" not in str(asked.query) for asked in portal.asked)


def test_a_renamed_column_is_drift() -> None:
    with serving(fakes.Opendatasoft({DATASET: Dataset(counts(pedestriancount="total_of_directions"))})) as fake:
        melbourne = connector(fake)
        with pytest.raises(Drift, match=r"refused with status 400.*ODSQL query is malformed"):
            pulled(melbourne, due(melbourne))


def test_a_lost_dataset_is_drift() -> None:
    with serving(fakes.Opendatasoft({})) as fake:
        melbourne = connector(fake)
        with pytest.raises(Drift, match="refused with status 404"):
            pulled(melbourne, due(melbourne))


COUNTED = b'{"total_count": 3, "results": []}'
ROW = b'{"gs_day": "2026-11-03", "gs_value": 5, "gs_records": 3}'
BROKEN = [
    (COUNTED, PAGE.content, "a web page"),
    (COUNTED, b'{"results": [' + ROW + b"]}", "no list of objects"),
    (COUNTED, b"[" + ROW, "no JSON"),
    (COUNTED, b"[]", "the sums hold 0 records, the dataset 3"),
    (COUNTED, b"[" + ROW + b"," + ROW + b"]", "a day stands there twice"),
    (COUNTED, b"[" + ROW.replace(b"gs_value", b"value") + b"]", "gs_value"),
    (COUNTED, b"[" + ROW.replace(b'"2026-11-03"', b"null") + b"]", "gs_day"),
    (b"[]", b"[" + ROW + b"]", "records: it is no object"),
    (b'{"results": []}', b"[" + ROW + b"]", "total_count"),
]


@pytest.mark.parametrize(("counted", "export", "problem"), BROKEN)
def test_an_answer_of_another_shape_is_drift(counted: bytes, export: bytes, problem: str) -> None:
    melbourne = Opendatasoft(OpendatasoftSettings())
    pull = next(iter(melbourne.plan(due(melbourne))))
    payloads = [Payload(request, body, NOW) for request, body in zip(pull.requests, (counted, export), strict=True)]
    with pytest.raises(Drift, match=problem):
        melbourne.parse(pull, payloads)


def test_a_lost_answer_is_drift(portal: Fake) -> None:
    melbourne = connector(portal)
    pull = next(iter(melbourne.plan(due(melbourne))))
    with pytest.raises(Drift, match="2 answers are needed, 1 are there"):
        melbourne.parse(pull, [Payload(pull.requests[0], COUNTED, NOW)])


@pytest.mark.parametrize(
    "given", [{"preset": "sydney"}, {**MELBOURNE, "timezone": "a b"}, {**MELBOURNE, "lag_days": -1}]
)
def test_a_wrong_entry_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpendatasoftEntry.model_validate(given)


def test_values_are_finite(portal: Fake) -> None:
    melbourne = connector(portal)
    assert np.isfinite(pulled(melbourne, due(melbourne)).frame["value"]).all()
