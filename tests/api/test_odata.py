"""OData v4.0 as clients speak it: addresses, options, pages, formats, versions, errors, who may see what."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api.database import rows_engine_of, writing
from api.odata.model import SETS
from api.odata.tables import TABLES
from api.routes import odata as route
from api.security import Caller
from api.settings import Settings
from tests.api.odata_rows import fold_all, issue, period_of, signal_of
from tests.api.stores import CATEGORIES, fill, last_week

ROOT = "/odata/v4"
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
NOBODY = "9f8c2f0e-3d1b-4a43-8c0e-2f6f0e5f7c11"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two categories in the store, four forecasts of three weeks each, one of them without a category."""
    home = tmp_path_factory.mktemp("odata")
    fill(home, last_week() - pd.Timedelta(weeks=3))
    weeks = ("2026-11-29", "2026-12-06", "2026-12-13")
    for number, category in enumerate((*CATEGORIES, "Boots", None)):
        periods = [period_of(week, 10 * number + i + 0.25) for i, week in enumerate(weeks)]
        issue(home, number, category, periods, signals=[signal_of("boots"), signal_of("rain", admitted=False)])
    fold_all(home)
    return home


@pytest.fixture
def client(filled: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(filled, public_url="https://shop.example") as client:
        yield client


def ask(client: TestClient, address: str, **headers: str) -> Any:
    response = client.get(
        f"{ROOT}/{address}", headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert response.status_code == 200, response.text
    return response.json()


def refused(client: TestClient, address: str, status: int, target: str | None = None, **headers: str) -> str:
    response = client.get(
        f"{ROOT}/{address}", headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"]
    assert error["details"] == []
    assert error.get("target") == target
    assert response.headers["odata-version"] == "4.0"
    return str(error["message"])


def test_the_service_document_lists_the_sets(client: TestClient) -> None:
    for address in (ROOT, f"{ROOT}/"):
        response = client.get(address)
        assert response.headers["odata-version"] == "4.0"
        assert response.headers["content-type"] == "application/json;odata.metadata=minimal;charset=utf-8"
        body = response.json()
        assert body["@odata.context"] == f"https://shop.example{ROOT}/$metadata"
        assert body["value"] == [{"name": name, "kind": "EntitySet", "url": name} for name in SETS]


def test_the_metadata_describes_exactly_what_is_sent(client: TestClient) -> None:
    response = client.get(f"{ROOT}/$metadata", headers={"Accept": "application/json"})  # as python-odata asks
    assert response.headers["content-type"].startswith("application/xml")
    root = ET.fromstring(response.content)
    assert root.get("Version") == "4.0"
    types = {f"Groundswell.{one.get('Name')}": one for one in root.iter(f"{EDM}EntityType")}
    allowed = {"Boolean", "Date", "DateTimeOffset", "Decimal", "Double", "Guid", "Int32", "Int64", "String"}
    for entity_set in root.iter(f"{EDM}EntitySet"):
        kind = types[str(entity_set.get("EntityType"))]
        declared = {one.get("Name"): one for one in kind.iter(f"{EDM}Property")}
        assert {str(one.get("Type")).removeprefix("Edm.") for one in declared.values()} <= allowed
        assert declared["Id"].get("Type") == "Edm.Guid"
        rows = ask(client, f"{entity_set.get('Name')}")["value"]
        assert rows
        for row in rows:
            assert set(row) - {"@odata.etag"} == set(declared)
            assert {name for name, value in row.items() if value is None} <= {
                name for name, one in declared.items() if one.get("Nullable") != "false"
            }
        ways = {one.get("Name"): one for one in kind.iter(f"{EDM}NavigationProperty")}
        bound = {one.get("Path") for one in entity_set.iter(f"{EDM}NavigationPropertyBinding")}
        assert bound == set(ways) == set(SETS[str(entity_set.get("Name"))].ways)


def test_partners_point_at_one_another() -> None:
    for entities in SETS.values():
        for way in entities.navigations:
            if way.partner:
                back = SETS[way.target].ways[way.partner]
                assert (back.target, back.local, back.remote) == (entities.name, way.remote, way.local)


def test_metadata_as_json_and_not_modified(client: TestClient) -> None:
    document = ask(client, "$metadata?$format=json")
    assert document["$Version"] == "4.0"
    assert document["Groundswell"]["ForecastEntry"]["ForecastedQuantity"]["$Type"] == "Edm.Decimal"
    version = client.get(f"{ROOT}/$metadata").headers["etag"]
    response = client.get(f"{ROOT}/$metadata", headers={"If-None-Match": version})
    assert (response.status_code, response.content) == (304, b"")
    assert client.get(f"{ROOT}/$metadata", headers={"If-None-Match": 'W/"x"'}).status_code == 200


def test_one_entity_by_its_key_and_from_there_on(client: TestClient) -> None:
    first = ask(client, "Forecasts")["value"][0]
    key = first["Id"]
    assert str(uuid.UUID(key)) == key
    for address in (f"Forecasts({key})", f"Forecasts(Id={key})", f"Forecasts({key.upper()})", f"Forecasts('{key}')"):
        entity = ask(client, address)
        assert entity.pop("@odata.context") == f"https://shop.example{ROOT}/$metadata#Forecasts/$entity"
        assert entity == first
    for written in (key, key.upper(), f"'{key.upper()}'"):
        assert ask(client, f"Forecasts?$filter=Id eq {written} or Id in ({written})")["value"] == [first]
    parts = ask(client, f"Forecasts({key})/Contributions")["value"]
    assert [part["Driver"] for part in parts] == ["level", "google_trends/boots/US"]
    assert {part["ForecastId"] for part in parts} == {key}
    assert ask(client, f"Contributions({parts[0]['Id']})/Forecast")["Id"] == key
    assert ask(client, f"Forecasts({key})/Run")["Id"] == first["RunId"]
    assert ask(client, f"Runs({first['RunId']})/Forecasts/$count") == 3
    assert ask(client, f"Forecasts({key})/CategoryDetails")["ItemNumber"] == "1000"
    assert len(ask(client, f"Forecasts({key})/CategoryDetails/Forecasts")["value"]) == 6
    assert ask(client, f"Forecasts({key})/Accuracy")["Receipt"] == first["Receipt"]
    one = ask(client, f"Forecasts({key})/Signals({ask(client, 'Signals')['value'][0]['Id']})")
    assert one["Receipt"] == first["Receipt"]
    assert ask(client, f"Forecasts({key})/Category")["value"] == "Boots"
    response = client.get(f"{ROOT}/Forecasts({key})/Period/$value", headers={"Accept": "application/json"})
    assert (response.text, response.headers["content-type"]) == ("2026-11-29", "text/plain;charset=utf-8")


def test_what_leads_nowhere(client: TestClient) -> None:
    nameless = ask(client, "Forecasts?$filter=Category eq null")["value"][0]["Id"]
    for address in (f"Forecasts({nameless})/CategoryDetails", f"Forecasts({nameless})/Category"):
        assert client.get(f"{ROOT}/{address}").status_code == 204
    assert ask(client, f"Forecasts({nameless})?$expand=CategoryDetails")["CategoryDetails"] is None
    refused(client, f"Forecasts({NOBODY})", 404)
    refused(client, f"Forecasts({NOBODY})/Run", 404)
    refused(client, f"Forecasts({nameless})/Nothing", 404)
    refused(client, "Forecasts/Category", 404)
    refused(client, "Forecasts('Boots')", 400, "key")
    assert "did you mean Forecasts?" in refused(client, "forecasts", 404)
    refused(client, "Fore casts", 404)
    refused(client, "Fore%0Acasts", 404)
    response = client.get("/odata/v5/Forecasts")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NotFound")


def test_counts(client: TestClient) -> None:
    response = client.get(f"{ROOT}/Forecasts/$count", headers={"Accept": "application/json"})
    assert (response.text, response.headers["content-type"]) == ("12", "text/plain;charset=utf-8")
    assert ask(client, "Forecasts/$count?%24filter=%28Category%20eq%20%27Boots%27%29") == 6
    page = ask(client, "Forecasts?$count=true&$top=1&$skip=2&$filter=Category eq 'Boots'")
    assert (page["@odata.count"], len(page["value"])) == (6, 1)
    assert "@odata.count" not in ask(client, "Forecasts?$count=false")
    assert ask(client, "Forecasts?$count=true&$top=0") | {"value": []} == ask(client, "Forecasts?$count=true&$top=0")
    refused(client, "Forecasts/$count?$top=1", 400, "$top")


def test_select(client: TestClient) -> None:
    page = ask(client, "Forecasts?$select=Period, ForecastedQuantity&$top=1")
    assert page["@odata.context"].endswith("#Forecasts(Period,ForecastedQuantity)")
    assert set(page["value"][0]) == {"@odata.etag", "Period", "ForecastedQuantity"}
    assert len(ask(client, "Forecasts?$select=*&$top=1")["value"][0]) == len(SETS["Forecasts"].fields) + 1


def test_expand_one_level(client: TestClient) -> None:
    nested = "$select=Driver;$filter=contains(Driver,'boots');$orderby=Driver desc;$top=5"
    page = ask(client, f"Forecasts?$expand=Run,Contributions({nested}),CategoryDetails($select=Category)")
    assert len(page["value"]) == 12
    for row in page["value"]:
        assert row["Run"]["Id"] == row["RunId"]
        assert [set(part) for part in row["Contributions"]] == [{"@odata.etag", "Driver"}]
        assert row["Contributions"][0]["Driver"] == "google_trends/boots/US"
        assert (row["CategoryDetails"] or {}).get("Category") == row["Category"]
    assert set(ask(client, "Categories?$expand=*")["value"][0]) >= set(SETS["Categories"].ways)
    runs = ask(client, "Runs?$expand=Forecasts($top=2;$skip=1;$orderby=Period desc)")["value"]
    assert [[row["Period"] for row in run["Forecasts"]] for run in runs] == [["2026-12-06", "2026-11-29"]] * 4


def test_a_long_expansion_goes_on_at_an_address_of_its_own(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.odata.reading.MOST_EXPANDED", 2)
    monkeypatch.setattr("api.odata.reading.ENOUGH_EXPANDED", 3)
    monkeypatch.setattr("api.odata.reading.TOGETHER", 1)
    address, runs = "Runs?$expand=Forecasts($select=Id;$orderby=Id)", []
    while address:
        page = ask(client, address)
        runs += page["value"]
        address = page.get("@odata.nextLink", "").removeprefix(f"https://shop.example{ROOT}/")
    assert len(runs) == 4
    for run in runs:
        rest = run["Forecasts@odata.nextLink"].removeprefix(f"https://shop.example{ROOT}/")
        ids = [row["Id"] for row in [*run["Forecasts"], *ask(client, rest)["value"]]]
        assert ids == [row["Id"] for row in ask(client, f"Runs({run['Id']})/Forecasts?$orderby=Id")["value"]]


def pages(client: TestClient, address: str, **headers: str) -> list[list[Any]]:
    found = []
    while address:
        page = ask(client, address, **headers)
        found.append(page["value"])
        link = page.get("@odata.nextLink", "")
        assert link.startswith(f"https://shop.example{ROOT}/Forecasts?") or not link
        address = link.removeprefix(f"https://shop.example{ROOT}/")
        headers = {}
    return found


@pytest.mark.parametrize(
    "orderby", ["", "&$orderby=Category desc,Median", "&$orderby=IsLatest,Period desc", "&$orderby=Mode"]
)
def test_pages_hold_every_row_once_in_order(client: TestClient, orderby: str) -> None:
    orderby = orderby.replace("Mode", "AsOf desc,Lower50,PeriodNumber desc,ModifiedAt")
    whole = ask(client, f"Forecasts?$select=Id{orderby}")["value"]
    for size in (1, 5, 12):
        found = pages(client, f"Forecasts?$select=Id{orderby}", Prefer=f"odata.maxpagesize={size}")
        assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)  # and the size is kept without Prefer
        assert [row for page in found for row in page] == whole


def test_top_and_skip_hold_over_pages(client: TestClient) -> None:
    whole = ask(client, "Forecasts?$select=Id")["value"]
    found = pages(client, "Forecasts?$select=Id&$skip=2&$top=7&cross-company=true", Prefer="odata.maxpagesize=3")
    assert [len(page) for page in found] == [3, 3, 1]
    assert [row for page in found for row in page] == whole[2:9]


def test_a_next_link_keeps_the_count_and_what_is_the_clients_own(client: TestClient) -> None:
    response = client.get(f"{ROOT}/Forecasts?$count=true&api-version=1", headers={"Prefer": "maxpagesize=5"})
    assert response.headers["preference-applied"] == "odata.maxpagesize=5"
    link = response.json()["@odata.nextLink"]
    assert "api-version=1" in link
    assert client.get(link).json()["@odata.count"] == 12
    assert (
        "preference-applied" not in client.get(f"{ROOT}/Forecasts", headers={"Prefer": "odata.maxpagesize=0"}).headers
    )


def test_rows_that_come_in_between_appear_at_the_end(filled: Path, client: TestClient, tmp_path: Path) -> None:
    response = client.get(f"{ROOT}/Forecasts?$select=Id", headers={"Prefer": "odata.maxpagesize=10"})
    token = response.json()["@odata.nextLink"].split("$skiptoken=")[1]
    for wrong in ("x", "e30", token[:-3], base64.urlsafe_b64encode(b'["a",[],1,1,null]').decode()):
        refused(client, f"Forecasts?$skiptoken={wrong}", 400, "$skiptoken")
    refused(client, f"Forecasts?$orderby=Period&$skiptoken={token}", 400, "$skiptoken")
    refused(client, f"Signals?$skiptoken={token}", 400, "$skiptoken")


@pytest.mark.parametrize(
    ("accept", "level"),
    [
        ("*/*", "minimal"),
        ("application/xml", "minimal"),
        ("application/json;odata.metadata=full", "full"),
        ("application/json;odata.metadata=none", "none"),
        ("application/json;odata=nometadata", "none"),
        ("application/json;odata.metadata=full;q=0.2,application/json;odata.metadata=none;q=0.9,*/*", "none"),
        (
            "application/json;odata.metadata=minimal;q=1.0,application/json;odata=minimalmetadata;q=0.9,"
            "application/atomsvc+xml;q=0.8,application/atom+xml;q=0.8,application/xml;q=0.7,text/plain;q=0.7",
            "minimal",
        ),
    ],
)
def test_json_is_never_refused(client: TestClient, accept: str, level: str) -> None:
    response = client.get(f"{ROOT}/Forecasts?$top=1", headers={"Accept": accept})
    assert response.headers["content-type"] == f"application/json;odata.metadata={level};charset=utf-8"
    (row,) = response.json()["value"]
    assert ("@odata.etag" in row, "@odata.id" in row) == (level != "none", level == "full")
    assert ("@odata.context" in response.json()) == (level != "none")
    if level == "full":
        assert row["@odata.type"] == "#Groundswell.ForecastEntry"
        assert row["@odata.id"] == f"https://shop.example{ROOT}/Forecasts({row['Id']})"
        assert row["Run@odata.navigationLink"] == f"{row['@odata.id']}/Run"
        assert row["ForecastedQuantity@odata.type"] == "#Decimal"


def test_format(client: TestClient) -> None:
    assert "@odata.id" in ask(client, "Forecasts?$format=application/json;odata.metadata=full")["value"][0]
    assert "@odata.etag" in ask(client, "Forecasts?$format=json", Accept="application/xml")["value"][0]
    refused(client, "Forecasts?$format=atom", 406, "$format")


def test_large_numbers_as_strings_for_those_who_ask(client: TestClient) -> None:
    headers = {"Accept": "application/json;IEEE754Compatible=true"}
    response = client.get(f"{ROOT}/Forecasts?$top=1&$count=true", headers=headers)
    assert ";IEEE754Compatible=true" in response.headers["content-type"]
    (row,) = response.json()["value"]
    assert (response.json()["@odata.count"], row["DataVersion"], row["ForecastedQuantity"]) == ("12", "7", "0.25")
    assert (row["Lower50"], row["PeriodNumber"]) == (None, 1)
    (row,) = ask(client, "Forecasts?$top=1")["value"]
    assert (row["DataVersion"], row["ForecastedQuantity"]) == (7, 0.25)


def test_entities_that_have_not_changed(client: TestClient) -> None:
    row = ask(client, "Forecasts")["value"][0]
    address = f"{ROOT}/Forecasts({row['Id']})"
    response = client.get(address)
    assert response.headers["etag"] == row["@odata.etag"]
    assert row["@odata.etag"].startswith('W/"')
    response = client.get(address, headers={"If-None-Match": f'"other", {row["@odata.etag"]}'})
    assert (response.status_code, response.content) == (304, b"")
    assert client.get(address, headers={"If-None-Match": 'W/"other"'}).status_code == 200


@pytest.mark.parametrize(("most", "status"), [("4.0", 200), ("4.01", 200), ("3.0", 400), ("x", 400)])
def test_versions(client: TestClient, most: str, status: int) -> None:
    response = client.get(f"{ROOT}/Forecasts", headers={"OData-MaxVersion": most})
    assert (response.status_code, response.headers["odata-version"]) == (status, "4.0")


@pytest.mark.parametrize(
    ("options", "status", "target"),
    [
        ("$filter=", 400, "$filter"),
        ("$filter=Category", 400, "$filter"),
        ("$filter=Category eq", 400, "$filter"),
        ("$filter=Category eq 'Boots", 400, "$filter"),
        ("$filter=Category eq 5", 400, "$filter"),
        ("$filter=Nothing eq 5", 400, "$filter"),
        ("$filter=Id eq 'x'", 400, "$filter"),
        ("$filter=Period eq 2026-02-31", 400, "$filter"),
        ("$filter=ForecastStartDate gt 9999-12-31T23:59:59-23:00", 400, "$filter"),
        ("$filter=IsLatest gt false", 400, "$filter"),
        ("$filter=Category and IsLatest", 400, "$filter"),
        ("$filter=not Category", 400, "$filter"),
        ("$filter=contains(Category,5)", 400, "$filter"),
        ("$filter=contains(Category)", 400, "$filter"),
        ("$filter=Median add Category gt 5", 400, "$filter"),
        ("$filter=Category eq @p1&@p1='Boots'", 400, "$filter"),
        ("$filter=" + "not (" * 200 + "IsLatest" + ")" * 200, 400, "$filter"),
        ("$filter=" + " or ".join(["Median eq 1"] * 600), 400, "$filter"),
        ("$filter=Contributions/any(c:c/Driver eq 'level')", 501, "$filter"),
        ("$filter=Run/State eq 'failed'", 501, "$filter"),
        ("$filter=matchesPattern(Category,'(a+)+$')", 501, "$filter"),
        ("$filter=nothing(Category) eq 1", 400, "$filter"),
        ("$orderby=Nothing", 400, "$orderby"),
        ("$orderby=Median down", 400, "$orderby"),
        ("$orderby=", 400, "$orderby"),
        ("$select=Nothing", 400, "$select"),
        ("$select=", 400, "$select"),
        ("$top=-1", 400, "$top"),
        ("$top=" + "x" * 400, 400, "$top"),
        ("$skip=1.5", 400, "$skip"),
        ("$top=99999999999", 400, "$top"),
        ("$top=1&%24top=2", 400, "$top"),
        ("$count=yes", 400, "$count"),
        ("$expand=Nothing", 400, "$expand"),
        ("$expand=Run/Forecasts", 501, "$expand"),
        ("$expand=Contributions($expand=Forecast)", 501, "$expand"),
        ("$expand=Contributions($select=Driver", 400, "$expand"),
        ("$expand=Contributions($nothing=1)", 400, "$expand"),
        ("$search=boots", 501, "$search"),
        ("$apply=aggregate($count as N)", 501, "$apply"),
        ("$nothing=1", 400, "$nothing"),
        ("$filter=%FF", 400, "query"),
    ],
)
def test_options_that_cannot_be_understood(client: TestClient, options: str, status: int, target: str) -> None:
    message = refused(client, f"Forecasts?{options}", status, target)
    assert len(message) < 300
    refused(client, f"Forecasts?{options}", status, target, Accept="application/xml")


def test_options_where_they_mean_nothing(client: TestClient) -> None:
    key = ask(client, "Forecasts")["value"][0]["Id"]
    refused(client, f"Forecasts({key})?$filter=IsLatest", 400, "$filter")
    refused(client, f"Forecasts({key})?$top=1", 400, "$top")
    refused(client, "?$top=1", 400, "$top")
    refused(client, "$metadata?$filter=x", 400, "$filter")


def test_the_service_is_read_only(client: TestClient) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        response = client.request(method, f"{ROOT}/Forecasts", json={})
        assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
        assert response.json()["error"]["code"] == "MethodNotAllowed"
    assert client.post(f"{ROOT}/$batch", content=b"").status_code == 501


def test_head_is_get_without_the_body(client: TestClient) -> None:
    for address in ("", "/$metadata", "/Forecasts", "/Forecasts/$count", "/Nothing"):
        whole, head = client.get(ROOT + address), client.head(ROOT + address)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        for name in ("content-length", "content-type", "odata-version"):
            assert head.headers[name] == whole.headers[name]


def test_a_forecast_shows_at_once(filled: Path, client_of: Callable[..., TestClient], tmp_path: Path) -> None:
    fill(tmp_path, last_week() - pd.Timedelta(weeks=3))
    with client_of(tmp_path) as client:
        answer = client.post("/v1/forecasts", json={"category": "Boots", "horizon": 2, "levels": [75, 99]}).json()
        rows = client.get(f"{ROOT}/Forecasts?$filter=Receipt eq '{answer['receipt']}'&$expand=Contributions").json()[
            "value"
        ]
        assert [row["Period"] for row in rows] == [period["period"] for period in answer["forecast"]]
        for row, period in zip(rows, answer["forecast"], strict=True):
            assert row["ForecastedQuantity"] == pytest.approx(period["value"], abs=1e-6)
            assert row["LowerBound"] == pytest.approx(period["intervals"]["75"][0], abs=1e-6)
            assert row["Upper99"] == pytest.approx(period["intervals"]["99"][1], abs=1e-6)
            parts = {part["Driver"]: part["ContributedQuantity"] for part in row["Contributions"]}
            assert parts == period["contributions"]
            assert row["AsOf"] == answer["as_of"]


def _as(monkeypatch: pytest.MonkeyPatch, caller: Caller) -> None:
    def caller_of(request: object, face: str) -> Caller:
        assert face == "odata"
        return caller

    monkeypatch.setattr("api.security.caller_of", caller_of)


def test_a_caller_sees_its_categories_alone(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = {name: ask(client, name)["value"] for name in SETS}
    others = {row["RunId"] for row in everything["Forecasts"] if row["Category"] != "Boots"}
    _as(monkeypatch, Caller("k", frozenset({"forecast:read"}), frozenset({"Boots"})))
    for name, rows in everything.items():
        theirs = (
            [row for row in rows if row["Id"] not in others]
            if name == "Runs"
            else [row for row in rows if row["Category"] == "Boots"]
        )
        assert len(theirs) < len(rows)
        page = ask(client, f"{name}?$count=true")
        assert page["value"] == theirs
        assert page["@odata.count"] == ask(client, f"{name}/$count") == len(theirs)
        hidden = next(row["Id"] for row in rows if row not in theirs)
        refused(client, f"{name}({hidden})", 404)
    for row in ask(client, "Signals?$expand=Forecasts")["value"]:
        assert {one["Category"] for one in row["Forecasts"]} == {"Boots"}


@pytest.fixture
def parents(client: TestClient, filled: Path) -> Iterator[None]:
    """Every category below the second one."""
    ask(client, "Categories")
    database, table = rows_engine_of(Settings(home=filled)), TABLES["Categories"]
    with writing(database) as connection:
        connection.execute(table.update().values(Parent=CATEGORIES[1]))
    yield
    with writing(database) as connection:
        connection.execute(table.update().values(Parent=None))


@pytest.mark.usefixtures("parents")
def test_the_name_of_a_parent_that_a_caller_may_not_see_is_not_told(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = f"Parent eq '{CATEGORIES[1].replace('&', '%26')}'"
    assert {row["Parent"] for row in ask(client, "Categories")["value"]} == {CATEGORIES[1]}
    assert ask(client, f"Categories/$count?$filter={wanted}") > 1
    _as(monkeypatch, Caller("k", frozenset({"forecast:read"}), frozenset({CATEGORIES[0]})))
    (row,) = ask(client, "Categories?$orderby=Parent")["value"]
    assert (row["Category"], row["Parent"]) == (CATEGORIES[0], None)
    assert ask(client, f"Categories({row['Id']})")["Parent"] is None
    for option in (wanted, "startswith(Parent,'H')"):
        assert ask(client, f"Categories/$count?$filter={option}") == 0


def test_a_caller_without_the_scope_or_without_a_key(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from api.errors import Problem

    _as(monkeypatch, Caller("k", frozenset({"data:read"})))
    assert "forecast:read" in refused(client, "Forecasts", 403)

    def nobody(request: object, face: str) -> Caller:
        raise Problem(401, "unauthorized", "a key is needed")

    monkeypatch.setattr("api.security.caller_of", nobody)
    for address in ("", "$metadata", "Forecasts", "Nothing"):
        assert refused(client, address, 401) == "a key is needed"


def test_an_unforeseen_error_is_told_in_the_same_shape(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(asked: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(route, "answer", broken)
    message = refused(client, "Forecasts", 500)
    assert "secret" not in message
    assert "ZeroDivisionError" in caplog.text
