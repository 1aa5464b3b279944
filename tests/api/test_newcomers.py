"""Categories with few sales or none over REST and the command line: whom they borrow from, and how that is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import cli
from api.keys import create
from api.service import NOT_BORROWED
from api.settings import Settings
from signals.store import Batch, submit
from tests.api.stores import described, last_week, sales

OLD = {"Boots": 1.0, "Sandals": 2.0, "Slippers": 0.5}
INLINE = {"start": "2026-09-06", "frequency": "W-SUN", "values": [12, 15, 11, 13, 14, 16]}
NEXT = last_week() + pd.Timedelta(weeks=1)  # the week that is running


def described_below(name: str, **fields: Any) -> dict[str, Any]:
    return described(name) | {"parent": "Shoes", "attributes": None} | fields


def fill(path: Path) -> None:
    """Three old categories below one parent; with them one of three weeks, and one without sales."""
    end = last_week()
    frames = [sales(name, end).assign(quantity=lambda f, k=k: k * f["quantity"]) for name, k in OLD.items()]
    frames += [sales("Clogs", end, 3), sales("Hats", end), sales("Caps", end, 3)]
    records = [described_below(name) for name in (*OLD, "Clogs", "Mules")]
    records += [described("Hats"), described("Caps") | {"attributes": json.dumps({"like": ["Hats", "Boots"]})}]
    submit(path, Batch("test", sales=pd.concat(frames, ignore_index=True), categories=pd.DataFrame(records)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    fill(path)
    return path


@pytest.fixture
def client(home: Path) -> TestClient:
    return TestClient(create_app(Settings(home=home)), raise_server_exceptions=False)


def asked(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/forecasts", json={"category": "Clogs", "horizon": 4} | fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--home", str(home), *arguments])


def test_a_short_history_borrows_from_the_others_of_its_parent(client: TestClient) -> None:
    found = asked(client)
    assert found["engine"]["name"] == "like"
    assert found["engine"]["reason"].startswith(
        "like the others below Shoes; the level is that of its 3 known periods; "
    )
    assert found["engine"]["reason"].endswith("of the mean moves of Boots, Sandals and Slippers are borrowed")
    assert found["history"]["periods"] == 3
    for row in found["forecast"]:
        assert sum(row["contributions"].values()) == pytest.approx(row["value"], rel=1e-9)
        assert set(row["contributions"]) == {"level", "like/Boots", "like/Sandals", "like/Slippers"}


def test_it_has_a_receipt_as_any_other(client: TestClient) -> None:
    found = asked(client)
    again = client.get(f"/v1/forecasts/{found['receipt']}").json()
    assert again == found


def test_without_any_sale_the_horizon_counts_from_now(client: TestClient) -> None:
    found = asked(client, category="Mules")
    assert found["history"]["periods"] == 0
    first = pd.Timestamp(found["forecast"][0]["period"])
    assert first == NEXT + pd.Timedelta(days=6)
    size = np.exp(np.log(list(OLD.values())).mean()) * 100
    assert found["forecast"][0]["median"] == pytest.approx(size, rel=0.5)


def test_the_request_names_whom_it_is_like(client: TestClient) -> None:
    found = asked(client, like=["Hats"])
    assert found["engine"]["reason"].startswith("like the categories named; ")
    assert set(found["forecast"][0]["contributions"]) == {"level", "like/Hats"}


def test_who_has_no_sales_either_is_told(client: TestClient) -> None:
    found = asked(client, like=["Mules", "Hats"])
    assert set(found["forecast"][0]["contributions"]) == {"level", "like/Hats"}
    assert "nothing is borrowed from Mules: it has no sales" in found["warnings"]
    alone = asked(client, like=["Mules"])
    assert alone["engine"]["name"] == "fast"
    assert "nothing is borrowed from Mules: it has no sales" in alone["warnings"]


def test_those_that_are_as_young_leave_it_to_its_own_history(client: TestClient) -> None:
    found = asked(client, like=["Caps"])
    assert found["engine"]["name"] == "fast"
    assert "nothing is borrowed from Caps: 3 periods of it are known, and more than 52 are needed" in found["warnings"]
    answer = client.post("/v1/forecasts", json={"category": "Mules", "horizon": 4, "like": ["Caps"]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["allowed"] == "one category at least that can be borrowed from"


def test_or_that_it_is_like_nobody(client: TestClient) -> None:
    assert asked(client, like=[])["engine"]["name"] == "fast"
    answer = client.post("/v1/forecasts", json={"category": "Mules", "horizon": 4, "like": []})
    assert answer.status_code == 422
    assert "nothing was known of Mules" in answer.json()["detail"]


def test_the_store_may_say_whom(client: TestClient) -> None:
    found = asked(client, category="Caps")
    assert found["engine"]["reason"].startswith("like the categories named; ")
    assert set(found["forecast"][0]["contributions"]) == {"level", "like/Hats", "like/Boots"}


def test_a_long_history_borrows_nothing(client: TestClient) -> None:
    found = asked(client, category="Boots", like=["Sandals"])
    assert found["engine"]["name"] == "fast"
    assert NOT_BORROWED in found["warnings"]
    assert NOT_BORROWED not in asked(client, category="Boots")["warnings"]
    for wrong, status in (("Boot", 404), ("Boots", 422)):
        body = {"category": "Boots", "horizon": 4, "like": [wrong]}
        assert client.post("/v1/forecasts", json=body).status_code == status


def test_an_engine_by_name_is_that_engine(client: TestClient) -> None:
    assert asked(client, engine="seasonal_naive")["engine"]["name"] == "seasonal_naive"
    assert asked(client, engine="auto")["engine"]["name"] == "like"
    answer = client.post("/v1/forecasts", json={"category": "Mules", "horizon": 4, "engine": "theta"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["allowed"] == "one of fast, detailed, auto for a category without sales"


def test_it_begins_and_ends(client: TestClient) -> None:
    whole = asked(client, category="Boots")["forecast"]
    begins, ends = whole[1]["period"], whole[2]["period"]
    found = asked(client, category="Boots", phase_in=begins, phase_out=ends)
    values = [row["value"] for row in found["forecast"]]
    assert values[0] == 0
    assert values[1] == pytest.approx(whole[1]["value"] / 7)
    assert values[2] == pytest.approx(whole[2]["value"])
    assert values[3] == 0
    assert f"sales begin on {begins}: the level is that of after it" in found["warnings"]


def test_so_does_a_history_given_inline(client: TestClient) -> None:
    answer = client.post("/v1/forecasts", json={"history": INLINE, "horizon": 3, "phase_out": "2026-10-25"})
    assert answer.status_code == 200, answer.text
    values = [row["value"] for row in answer.json()["forecast"]]
    assert values[0] > 0
    assert values[1] > 0
    assert values[2] == 0


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"like": ["Boot"]}, 404, "no category is called 'Boot'; did you mean 'Boots'?"),
        ({"like": ["Clogs"]}, 422, "like: got Clogs; wanted categories other than itself"),
        ({"phase_in": "soon"}, 422, "phase_in"),
        ({"phase_in": "2027-02..2027-01"}, 422, "the earlier first"),
        ({"history": INLINE, "like": ["Boots"]}, 422, "`like` only without `history`"),
    ],
)
def test_what_is_refused(client: TestClient, fields: dict[str, Any], status: int, told: str) -> None:
    answer = client.post("/v1/forecasts", json={"category": "Clogs", "horizon": 4} | fields)
    assert answer.status_code == status
    assert told in answer.json()["detail"]


def test_a_key_of_some_categories_is_told_of_no_others(home: Path, tmp_path: Path) -> None:
    settings = Settings(home=home, database_url=f"sqlite:///{tmp_path / 'state.sqlite'}")
    secret = create(settings, "shop", ["forecast:read", "forecast:write"], ["Clogs", "Boots"])[1]
    with TestClient(create_app(settings), headers={"X-API-Key": secret}) as client:
        assert asked(client)["engine"]["name"] == "fast"
        assert set(asked(client, like=["Boots"])["forecast"][0]["contributions"]) == {"level", "like/Boots"}
        answer = client.post("/v1/forecasts", json={"category": "Clogs", "horizon": 4, "like": ["Sandals"]})
        assert (answer.status_code, answer.json()["detail"]) == (403, "the key may not see the category 'Sandals'")
        bulk = client.post("/v1/forecasts/bulk", json=[{"category": "Clogs", "horizon": 4, "like": ["Sandals"]}])
        assert bulk.json()["items"][0]["status"] == 403


def test_the_command_tells_what_is_borrowed(home: Path) -> None:
    result = run(home, "forecast", "Clogs", "--horizon", "4")
    assert result.exit_code == 0, result.output
    assert "Engine: like, like the others below Shoes; the level is that of its 3 known periods" in result.output
    assert "No signal is a candidate" not in result.output
    assert "note: each of the others, as short and forecast like this" in result.output


def test_the_command_names_whom_and_when(home: Path) -> None:
    begins = f"{NEXT + pd.Timedelta(weeks=1):%Y-%m-%d}"
    result = run(home, "forecast", "Mules", "--horizon", "4", "--like", "Boots", "--phase-in", begins, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found["forecast"][2]["contributions"]) == {"level", "like/Boots", "phase in"}
    assert [row["value"] == 0 for row in found["forecast"]] == [True, False, False, False]
    text = run(home, "forecast", "Mules").output
    assert "no sales known; as of" in text


def test_a_report_of_all_has_the_new_ones_too(home: Path, tmp_path: Path) -> None:
    result = run(home, "report", "--out", str(tmp_path / "report.html"), "--horizon", "4")
    assert result.exit_code == 0, result.output
    assert "Mules" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_categories_are_imported_before_their_first_sale(tmp_path: Path) -> None:
    own, file = tmp_path / "own", tmp_path / "categories.csv"
    fill(own)
    file.write_text("category,frequency,parent,phase_in\nLoafers,W-SUN,Shoes,2099-01-01\n", encoding="utf-8")
    assert "new, without sales yet: Loafers" in run(own, "import", "categories", str(file)).output
    found = json.loads(run(own, "forecast", "Loafers", "--horizon", "2", "--json").stdout)
    assert [row["value"] for row in found["forecast"]] == [0, 0]
    assert found["history"]["periods"] == 0
