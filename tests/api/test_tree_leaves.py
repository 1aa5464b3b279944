"""What a tree makes of each category at its bottom: as a forecast of its own does, and totals know of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.keys import create
from api.settings import Settings
from signals.store import Batch, submit
from tests.api.stores import described, last_week, sales
from tests.api.test_trees import asked, values

END = last_week()
WEEK = pd.Timedelta(weeks=1)


def week(after: int) -> str:
    """The ISO week so many after the last known one."""
    return (END + after * WEEK).strftime("%G-W%V")


def below(name: str, parent: str = "All", **attributes: Any) -> dict[str, Any]:
    return described(name) | {"parent": parent, "attributes": json.dumps(attributes) if attributes else None}


def sold(name: str, size: float = 1.0, *, weeks: int = 130, late: int = 0, seed: int = 0) -> pd.DataFrame:
    noise = np.random.default_rng(seed).normal(0, 2, weeks)
    return sales(name, END - late * WEEK, weeks).assign(quantity=lambda f: size * (f["quantity"] + noise))


def client_of(home: Path, frames: list[pd.DataFrame], records: list[dict[str, Any]]) -> TestClient:
    submit(home, Batch("test", sales=pd.concat(frames, ignore_index=True), categories=pd.DataFrame(records)))
    return TestClient(create_app(Settings(home=home)), raise_server_exceptions=False)


def own(client: TestClient, category: str, **fields: Any) -> np.ndarray:
    answer = client.post("/v1/forecasts", json={"category": category, "horizon": 4} | fields)
    assert answer.status_code == 200, answer.text
    return np.array([row["value"] for row in answer.json()["forecast"]])


def before(found: dict[str, Any], category: str) -> np.ndarray:
    return values(found, "before")[category]


def warned(found: dict[str, Any], category: str) -> list[str]:
    (node,) = (node for node in found["nodes"] if node["category"] == category)
    return list(node["warnings"])


def test_what_ends_is_taken_from_its_totals(tmp_path: Path) -> None:
    records = [below("Boots", phase_out=week(2)), below("Hats")]
    client = client_of(tmp_path, [sold("Boots"), sold("Hats", 2.0, seed=1)], records)
    for method in ("bottom_up", "wls", "top_down"):
        found = asked(client, method=method)
        assert values(found)["Boots"][2:].tolist() == [0, 0]
        assert before(found, "All")[2:] == pytest.approx(before(found, "Hats")[2:], rel=0.05)
    np.testing.assert_allclose(before(found, "Boots"), own(client, "Boots"), rtol=1e-9)
    assert any(text.startswith(("sales end from ", "sales end on ")) for text in warned(found, "Boots"))


def test_what_began_long_ago_is_part_of_its_totals(tmp_path: Path) -> None:
    frames = [sold("Boots"), sold("Hats", 2.0, seed=1)]
    found = asked(client_of(tmp_path, frames, [below("Boots", phase_in=week(-80)), below("Hats")]))
    assert found["nodes"][0]["engine"]["reason"] == "asked for by name; reconciled by wls"
    recent = sum(frame["quantity"].to_numpy()[-52:].mean() for frame in frames)
    assert before(found, "All").mean() == pytest.approx(recent, rel=0.25)
    gone = asked(
        client_of(tmp_path / "late", frames, [below("Boots", phase_in=week(-9)), below("Hats", phase_in=week(-9))])
    )
    assert gone["nodes"][0]["engine"]["name"] == "sum"


def test_what_has_ended_has_no_nowcasts_for_all(tmp_path: Path) -> None:
    records = [below("Boots", phase_out=week(-3)), below("Hats")]
    found = asked(client_of(tmp_path, [sold("Boots", late=3), sold("Hats", seed=1)], records))
    assert [row["kind"] for row in found["nodes"][0]["periods"]] == ["forecast"] * 4
    assert values(found)["Boots"] == pytest.approx(np.zeros(4), abs=1e-9)


def test_phases_of_a_total_are_not_applied_and_that_is_said(tmp_path: Path) -> None:
    records = [below("Boots"), below("Hats"), described("All") | {"attributes": json.dumps({"phase_out": week(1)})}]
    found = asked(client_of(tmp_path, [sold("Boots"), sold("Hats", seed=1)], records))
    assert "phase_in and phase_out of All are not applied: it is the sum of those below it" in found["warnings"]
    assert (values(found)["All"] > 150).all()


def test_a_short_leaf_borrows(tmp_path: Path) -> None:
    frames = [sold("Boots"), sold("Hats", 2.0, seed=1), sold("Clogs", 0.3, weeks=3)]
    client = client_of(tmp_path, frames, [below(name) for name in ("Boots", "Hats", "Clogs")])
    found = asked(client)
    np.testing.assert_allclose(before(found, "Clogs"), own(client, "Clogs"), rtol=1e-9)
    level = frames[2]["quantity"].mean()
    assert values(found)["Clogs"] == pytest.approx(np.full(4, level), rel=0.5)
    parts = before(found, "Boots") + before(found, "Hats") + before(found, "Clogs")
    assert before(found, "All") == pytest.approx(parts, rel=0.05)
    assert found["gains"][0]["wape_after"] is not None


def test_who_is_like_others_takes_part_before_its_first_sale(tmp_path: Path) -> None:
    records = [below("Boots"), below("Hats"), below("Mules", like=["Boots"], phase_in=week(2)), below("Empty")]
    client = client_of(tmp_path, [sold("Boots"), sold("Hats", 2.0, seed=1)], records)
    found = asked(client)
    mules = values(found)["Mules"]
    assert mules[0] == pytest.approx(0, abs=3)
    assert mules[2:] == pytest.approx(values(found)["Boots"][2:], rel=0.3)
    np.testing.assert_allclose(before(found, "Mules"), own(client, "Mules"), rtol=1e-9)
    assert "no sales of Empty are known: it is left out" in found["warnings"]
    without = asked(client, engine="seasonal_naive")
    assert "Mules has no sales and is left out: the engine seasonal_naive borrows nothing" in without["warnings"]


def test_what_can_neither_borrow_nor_be_forecast_is_left_out(tmp_path: Path) -> None:
    frames = [sold("Boots", weeks=30), sold("Hats", weeks=1), sold("Flat", weeks=1)]
    records = [below("Boots"), below("Hats"), below("Flat", parent="Part")]
    client = client_of(tmp_path, frames, records)
    assert asked(client)["warnings"] == ["Hats is left out: 1 known period(s)"]
    answer = client.post("/v1/trees", json={"category": "Part", "horizon": 4})
    assert answer.status_code == 422
    assert "Flat is left out: 1 known period(s); wanted sales of one category at least" in answer.json()["detail"]


def test_a_key_borrows_from_whom_it_may_see(tmp_path: Path) -> None:
    frames = [sold("Boots"), sold("Hats", 2.0, seed=1), sold("Secret", 9.0), sold("Clogs", weeks=3)]
    records = [below("Boots"), below("Hats"), below("Secret", parent="Other"), below("Clogs", like=["Secret", "Boots"])]
    client_of(tmp_path, frames, records)
    settings = Settings(home=tmp_path, database_url=f"sqlite:///{tmp_path / 'state.sqlite'}")
    secret = create(settings, "shop", ["forecast:write"], ["All", "Boots", "Hats", "Clogs"])[1]
    with TestClient(create_app(settings), headers={"X-API-Key": secret}) as client:
        found = asked(client)
    assert "Secret" not in json.dumps(found)
    (clogs,) = (node for node in found["nodes"] if node["category"] == "Clogs")
    assert "Boots" in clogs["engine"]["reason"]


def test_newer_sales_stand_as_they_are(tmp_path: Path) -> None:
    boots = sold("Boots")
    records = [below(name) for name in ("Boots", "Hats")]
    client = client_of(tmp_path, [boots, sold("Hats", 2.0, late=2, seed=1)], records)
    for method in ("wls", "mint", "bottom_up", "top_down"):
        found = asked(client, method=method)
        assert [row["kind"] for row in found["nodes"][0]["periods"]] == ["nowcast"] * 2 + ["forecast"] * 4
        np.testing.assert_allclose(values(found)["Boots"][:2], boots["quantity"].to_numpy()[-2:])
        by = values(found)
        np.testing.assert_allclose(by["Boots"] + by["Hats"], by["All"])
    np.testing.assert_allclose(before(found, "Boots")[2:], own(client, "Boots"), rtol=1e-9)
    (node,) = (node for node in found["nodes"] if node["category"] == "Boots")
    assert node["periods"][0]["intervals"]["95"] == [node["periods"][0]["value"]] * 2


def test_accepted_events_are_taken_out_of_leaves_and_totals(tmp_path: Path) -> None:
    boots = sold("Boots")
    boots.loc[122:125, "quantity"] = 2000.0
    plain = client_of(tmp_path / "plain", [sold("Boots"), sold("Hats", seed=1)], [below("Boots"), below("Hats")])
    client = client_of(tmp_path / "event", [boots, sold("Hats", seed=1)], [below("Boots"), below("Hats")])
    first, last = (boots["start"][at] for at in (122, 125))
    raw = asked(client)
    with client:
        event = {"kind": "one_off", "first": f"{first:%Y-%m-%d}", "last": f"{last:%Y-%m-%d}", "decision": "accepted"}
        answer = client.post("/v1/categories/Boots/events", json=event)
        assert answer.status_code < 300, answer.text
        found, expected = asked(client), asked(plain)
        assert any(text.endswith(": taken as missing") for text in warned(found, "Boots"))
        for name in ("Boots", "All"):
            far = np.abs(before(raw, name) - before(expected, name)).mean()
            near = np.abs(before(found, name) - before(expected, name)).mean()
            assert near < 0.2 * far
        np.testing.assert_allclose(before(found, "Boots"), own(client, "Boots"), rtol=1e-9)


def test_one_negative_sale_lets_no_other_go_below_zero(tmp_path: Path) -> None:
    rare = sold("Rare").assign(quantity=lambda f: np.where(np.arange(len(f)) % 29 == 0, 40.0, 0.0))
    returns = sold("Returns", seed=2).assign(quantity=lambda f: f["quantity"] - 100 - 5)
    big = sold("Big", 10.0, seed=3)
    client = client_of(tmp_path, [rare, returns, big], [below(name) for name in ("Rare", "Returns", "Big")])
    for method in ("wls", "mint", "top_down"):
        found = values(asked(client, method=method))
        assert (found["Rare"] >= 0).all()
        assert found["Returns"].min() < 0
        np.testing.assert_allclose(found["Rare"] + found["Returns"] + found["Big"], found["All"])


def test_a_deadline_is_shared_by_the_categories(tmp_path: Path) -> None:
    client = client_of(tmp_path, [sold("Boots"), sold("Hats", seed=1)], [below("Boots"), below("Hats")])
    found = asked(client, engine="auto", deadline_ms=3000)
    reasons = {node["engine"]["reason"] for node in found["nodes"]}
    assert reasons == {"auto: a deadline of 1000 ms is too short for the detailed engine (2000 ms); reconciled by wls"}
    refused = client.post("/v1/trees", json={"category": "All", "deadline_ms": 3000})
    assert refused.status_code == 422
    assert "deadline_ms" in refused.json()["detail"]


def test_a_forecast_of_a_total_points_to_the_tree(tmp_path: Path) -> None:
    records = [below("Boots"), below("Hats"), below("Flat", parent="Part"), described("Part") | {"parent": None}]
    client = client_of(tmp_path, [sold("Boots"), sold("Hats", seed=1), sold("Flat")], records)
    for name in ("All", "Part"):
        answer = client.post("/v1/forecasts", json={"category": name, "horizon": 4})
        assert answer.status_code == 422
        assert "`groundswell reconcile` and POST /v1/trees forecast" in answer.json()["detail"]
    assert client.post("/v1/forecasts", json={"category": "Nobody", "horizon": 4}).status_code == 404
