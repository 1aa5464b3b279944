"""The detailed engine over HTTP: answered when it is done, or a job."""

import numpy as np
import pytest
from fastapi.testclient import TestClient

BODY = {
    "history": {
        "start": "2023-01-01",
        "frequency": "MS",
        "values": [round(100 + 20 * float(np.sin(i / 2)), 1) for i in range(40)],
    },
    "horizon": 3,
    "engine": "detailed",
}


@pytest.mark.heavy
def test_it_answers_who_waits(client: TestClient) -> None:
    answer = client.post("/v1/forecasts", json=BODY)
    assert answer.status_code == 200, answer.text
    assert answer.json()["engine"]["name"] == "detailed"
    assert "stacked from" in answer.json()["engine"]["reason"]


@pytest.mark.heavy
def test_it_is_a_job_for_who_does_not(client: TestClient) -> None:
    answer = client.post("/v1/forecasts", json=BODY, headers={"Prefer": "respond-async, wait=0"})
    assert answer.status_code == 202, answer.text


def test_a_forecaster_by_its_import_path(client: TestClient) -> None:
    path = "sktime:sktime.forecasting.naive.NaiveForecaster"
    answer = client.post("/v1/forecasts", json=BODY | {"engine": path})
    assert answer.json()["engine"]["name"] == path
    refused = client.post("/v1/forecasts", json=BODY | {"engine": "sktime:os.system"})
    assert refused.status_code == 422
