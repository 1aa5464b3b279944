"""Forecasts of a tree of categories over REST and the command line: they add up, and a plan is split."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import cli
from api.client import Client
from api.keys import create
from api.security import ANYBODY
from api.settings import Settings
from api.tree_models import TreeRequest
from api.trees import answer_tree
from forecast.coherent import METHODS
from signals.store import Batch, open_snapshot, submit
from tests.api.stores import described, last_week, sales
from tests.api.test_client import through

PARENTS = {"Boots": "Shoes", "Sandals": "Shoes", "Shoes": "All", "Hats": "All"}
SUNDAY = last_week() + pd.Timedelta(days=13)  # the end of the week that is running


def fill(path: Path, **late: int) -> None:
    """Three leaves under two levels; `Hats` ends `late` weeks earlier."""
    ends = {name: last_week() - pd.Timedelta(weeks=late.get(name, 0)) for name in ("Boots", "Sandals", "Hats")}
    frames = []
    for i, (name, end) in enumerate(ends.items()):
        noise = np.random.default_rng(i).normal(0, 5, 130)
        frames.append(sales(name, end).assign(quantity=lambda f, i=i, noise=noise: (1 + i) * f["quantity"] + noise))
    records = [described(name) | {"parent": PARENTS[name]} for name in ends]
    records.append(described("Shoes") | {"parent": "All", "attributes": None})
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
    answer = client.post("/v1/trees", json={"category": "All", "horizon": 4} | fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def values(found: dict[str, Any], field: str = "value") -> dict[str, np.ndarray]:
    return {node["category"]: np.array([row[field] for row in node["periods"]], dtype=float) for node in found["nodes"]}


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--home", str(home), "reconcile", *arguments])


@pytest.mark.parametrize("method", METHODS)
def test_every_level_adds_up(client: TestClient, method: str) -> None:
    found = asked(client, method=method)
    by = values(found)
    np.testing.assert_allclose(by["Boots"] + by["Sandals"], by["Shoes"])
    np.testing.assert_allclose(by["Shoes"] + by["Hats"], by["All"])
    assert [(n["category"], n["parent"], n["level"]) for n in found["nodes"]][:2] == [
        ("All", None, 0),
        ("Shoes", "All", 1),
    ]
    assert all(node["engine"]["reason"].endswith(f"reconciled by {method}") for node in found["nodes"])
    assert (found["method"], found["unit"], found["frequency"]) == (method, "pairs", "W-SUN")
    assert [row["nodes"] for row in found["gains"]] == [1, 2, 2]
    for node in found["nodes"]:
        assert node["total"] == pytest.approx(sum(row["value"] for row in node["periods"]))


def test_leaves_of_bottom_up_are_their_own_forecasts(client: TestClient) -> None:
    found = asked(client, method="bottom_up")
    own = client.post("/v1/forecasts", json={"category": "Boots", "horizon": 4}).json()["forecast"]
    np.testing.assert_allclose(values(found)["Boots"], [row["value"] for row in own], rtol=1e-6)
    np.testing.assert_allclose(values(found, "before")["Boots"], values(found)["Boots"])


def test_a_part_of_the_tree(client: TestClient) -> None:
    found = asked(client, category="Shoes")
    assert [node["category"] for node in found["nodes"]] == ["Shoes", "Boots", "Sandals"]


def test_a_plan_is_split_as_the_forecasts_are(client: TestClient) -> None:
    week = f"{SUNDAY.isocalendar().year}-W{SUNDAY.isocalendar().week:02d}"
    found = asked(client, plan={"periods": [{"period": week, "value": 1000}]})
    at = [row["period"] for row in found["nodes"][0]["periods"]].index(f"{SUNDAY:%Y-%m-%d}")
    planned, forecast = values(found, "planned"), values(found)
    for name, plan in planned.items():
        assert np.flatnonzero(np.isfinite(plan)).tolist() == [at]
        assert plan[at] == pytest.approx(1000 * forecast[name][at] / forecast["All"][at])
    shoes = asked(client, plan={"category": "Shoes", "periods": [{"period": f"{SUNDAY:%Y-%m-%d}", "value": 90}]})
    part = values(shoes, "planned")
    assert part["Boots"][at] + part["Sandals"][at] == pytest.approx(90)
    assert np.isnan(part["Hats"][at])
    assert np.isnan(part["All"][at])


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"category": "Boots"}, 422, "category: got Boots; wanted a category that others name as their parent"),
        ({"category": "Sho"}, 404, "no category is called 'Sho'; did you mean 'Shoes'?"),
        ({"horizon": 1000}, 422, "horizon: 1000 is above the limit of 400"),
        ({"method": "ols"}, 422, "method"),
        ({"engine": "fats"}, 422, "engine"),
        ({"plan": {"periods": []}}, 422, "plan.periods"),
        (
            {"plan": {"periods": [{"period": "2021", "value": 1}]}},
            422,
            "periods.0.period: got '2021'; wanted periods of",
        ),
        ({"plan": {"periods": [{"period": "2026-W49..2026-W48", "value": 1}]}}, 422, "the earlier first"),
        ({"plan": {"periods": [{"period": "2021-01-01", "value": 1}]}}, 422, "periods of the horizon"),
        ({"plan": {"periods": [{"period": "2026-W49", "value": 1}] * 2}}, 422, "each period once"),
        ({"plan": {"category": "Hats", "periods": [{"period": "2026-W49", "value": 1}]}}, 422, "others below it"),
    ],
)
def test_what_is_refused(client: TestClient, fields: dict[str, Any], status: int, told: str) -> None:
    answer = client.post("/v1/trees", json={"category": "All", "horizon": 4} | fields)
    assert answer.status_code == status, answer.text
    assert told in answer.json()["detail"]


def test_a_tree_above_the_limit_of_a_request(home: Path) -> None:
    client = TestClient(create_app(Settings(home=home, max_bulk=4)))
    answer = client.post("/v1/trees", json={"category": "All"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["allowed"] == "<= 4"


def test_a_key_sees_all_of_a_tree_or_nothing(home: Path, tmp_path: Path) -> None:
    settings = Settings(home=home, database_url=f"sqlite:///{tmp_path / 'state.sqlite'}")
    secret = create(settings, "shop", ["forecast:write"], ["All", "Shoes", "Boots", "Sandals"])[1]
    with TestClient(create_app(settings), headers={"X-API-Key": secret}) as client:
        assert asked(client, category="Shoes")["nodes"][1]["category"] == "Boots"
        answer = client.post("/v1/trees", json={"category": "All"})
        assert (answer.status_code, "Hats" in answer.text) == (403, False)
        assert client.post("/v1/trees", json={"category": "Hats"}).status_code == 403


def test_who_ends_earlier_sets_the_end(tmp_path: Path) -> None:
    fill(tmp_path, Hats=2)
    found = asked(TestClient(create_app(Settings(home=tmp_path))))
    assert [row["kind"] for row in found["nodes"][0]["periods"]] == ["nowcast"] * 2 + ["forecast"] * 4
    assert any("are not known of Hats; those of the others stand as they are" in text for text in found["warnings"])


def test_what_is_no_longer_sold_is_zero(tmp_path: Path) -> None:
    fill(tmp_path, Hats=30)
    found = asked(TestClient(create_app(Settings(home=tmp_path))))
    assert [row["kind"] for row in found["nodes"][0]["periods"]] == ["forecast"] * 4
    assert any(text.startswith("Hats was last sold in ") for text in found["warnings"])
    assert (values(found)["Hats"] < 0.2 * values(found)["Boots"]).all()


def test_what_was_never_sold_is_left_out_and_a_total_with_sales_is_the_sum(tmp_path: Path) -> None:
    fill(tmp_path)
    extra = pd.DataFrame([described("Gloves") | {"parent": "Hands"}, described("Hands") | {"parent": "All"}])
    submit(tmp_path, Batch("test", sales=sales("Shoes", last_week()), categories=extra))
    found = asked(TestClient(create_app(Settings(home=tmp_path))))
    assert {node["category"] for node in found["nodes"]} == {"All", *PARENTS}
    assert "no sales of Gloves are known: it is left out" in found["warnings"]
    assert any(text.startswith("Shoes has sales of its own, which are left out") for text in found["warnings"])


def test_a_plan_of_many_periods_is_split_over_them(client: TestClient) -> None:
    first, last = SUNDAY + pd.Timedelta(weeks=1), SUNDAY + pd.Timedelta(weeks=2)
    text = f"{first - pd.Timedelta(days=3):%Y-%m-%d}..{last:%Y-%m-%d}"
    found = asked(client, plan={"periods": [{"period": text, "value": 1000}]})
    planned = values(found, "planned")
    assert np.nansum(planned["All"]) == pytest.approx(1000, rel=1e-14)
    np.testing.assert_allclose(planned["Shoes"] + planned["Hats"], planned["All"])
    ahead, at = values(found)["All"], np.flatnonzero(np.isfinite(planned["All"]))
    assert planned["All"][at[0]] / planned["All"][at[1]] == pytest.approx(4 / 7 * ahead[at[0]] / ahead[at[1]])
    assert f"the plan of {text} has 4 of 7 days of the period {first:%Y-%m-%d}" in found["warnings"]


def test_the_command_shows_the_tree_and_the_plan(home: Path, tmp_path: Path) -> None:
    week = SUNDAY - pd.Timedelta(weeks=1)
    file = tmp_path / "tree.csv"
    arguments = ("--horizon", "2", "--as-of", f"{week - pd.Timedelta(days=1):%Y-%m-%d}", "--level", "80")
    result = run(home, "All", *arguments, "--plan", f"{SUNDAY:%Y-%m-%d}=1000", "--csv", str(file))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[2].split("  ")[0] == "category"
    assert lines[2].split()[-5:] == ["forecast", "80", "%", "interval", "plan"]
    names = [line.split("  ")[0] for line in lines[3:13] if not line.startswith(" ")]
    assert names == ["All", "› Shoes", "› › Boots", "› › Sandals", "› Hats"]
    assert lines[4].endswith("1,000")
    assert re.search(r"^level +categories +before +after +gain$", result.stdout, re.MULTILINE)
    assert re.search(r"^0 +1 +\d+\.\d\d % +\d+\.\d\d % +[+-]\d+\.\d\d %$", result.stdout, re.MULTILINE)
    frame = pd.read_csv(file)
    assert list(frame)[:9] == ["category", "parent", "level", "period", "kind", "value", "median", "lo-80", "hi-80"]
    assert frame["category"].drop_duplicates().tolist() == ["All", "Shoes", "Boots", "Sandals", "Hats"]
    assert frame.groupby("category")["planned"].count().tolist() == [1] * 5


def test_the_command_marks_nowcasts_and_tells_a_remark_once(tmp_path: Path) -> None:
    fill(tmp_path, Hats=2)
    result = run(tmp_path, "All", "--horizon", "1")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("(nowcast)") == 10
    assert len([line for line in result.stderr.splitlines() if "when they became known is assumed" in line]) == 1


def test_the_command_shares_its_budget_and_the_cores(home: Path) -> None:
    result = run(home, "Shoes", "--engine", "detailed", "--budget", "6s", "--horizon", "2", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {node["engine"]["name"] for node in found["nodes"]} == {"detailed"}
    assert all(node["engine"]["members"] for node in found["nodes"])
    refused = run(home, "Shoes", "--budget", "6s")
    assert refused.exit_code == 2
    assert "--budget: the engine fast takes the time that it takes" in refused.output


def test_the_command_for_programs(home: Path, client: TestClient) -> None:
    result = run(home, "Shoes", "--method", "mint", "--level", "80", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["method"] == "mint"
    served = asked(client, category="Shoes", method="mint", horizon=8)
    np.testing.assert_allclose(values(found)["Shoes"], values(served)["Shoes"])


def test_who_watches_is_told_of_each_node(home: Path) -> None:
    told: list[str] = []

    def watch(nodes: int) -> Callable[[], None]:
        told.append(f"of {nodes}")
        return lambda: told.append("one")

    body = TreeRequest(category="All", horizon=2)
    alone = answer_tree(open_snapshot(home), Settings(home=home), body, ANYBODY, watch=watch)
    assert told == ["of 5", *["one"] * 5]
    shared = answer_tree(open_snapshot(home), Settings(home=home), body, ANYBODY, processes=2)
    assert [node.total for node in shared.nodes] == pytest.approx([node.total for node in alone.nodes], rel=1e-9)


def test_the_typed_client(client: TestClient, tmp_path: Path) -> None:
    with Client("http://testserver", cache=tmp_path / "cache", transport=through(client)) as typed:
        found = typed.tree("Shoes", horizon=3, method="top_down")
    assert [(node.category, len(node.periods)) for node in found.nodes] == [("Shoes", 3), ("Boots", 3), ("Sandals", 3)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["Boots"], "error: category: got Boots; wanted a category that others name as their parent"),
        (["All", "--plan", "2026-W49"], "error: --plan: got '2026-W49'; wanted a period and a number"),
        (["All", "--plan", "someday=3"], "error: --plan someday=3: wanted a day, week, month, quarter or year"),
        (["All", "--plan", "2021=3"], "error: --plan 2021=3: got '2021'; wanted periods of the horizon"),
        (
            ["All", "--plan", "2026=3", "--plan-for", "Hats"],
            "error: --plan-for: got Hats; wanted a category with others",
        ),
        (["All", "--plan-for", "Shoes"], "--plan-for goes with --plan"),
    ],
)
def test_what_the_command_refuses(home: Path, arguments: list[str], told: str) -> None:
    result = run(home, *arguments)
    assert result.exit_code == 2
    assert told in result.output
