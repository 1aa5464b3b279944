"""$filter, $orderby and paging against plain Python over the same rows, with made conditions."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.settings import Settings
from tests.api.odata_rows import fold_all, issue, period_of

Row = dict[str, Any]
Term = tuple[str, Callable[[Row], Any]]  # how OData writes it, and what it comes to: None is null

NAMES = ("a", "A", "ab", "a%b", "a_b", "o'b", "", "é", "\\", "b a")
NUMBERS = (-2.5, -1, 0, 0.1, 1, 2, 7, 1e9)
ROWS = 60
STRINGS = ("Category", "QuantityUnitSymbol", "Kind", "EngineName")
FLOATS = ("ForecastedQuantity", "Median", "Lower50", "Upper80")
WHOLE = ("PeriodNumber", "DataVersion")
MOMENTS = ("ForecastStartDate", "AsOf")
DAYS = ("Period", "ForecastEndDay")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = tmp_path_factory.mktemp("oracle")
    fill(home)
    with TestClient(create_app(Settings(home=home))) as client:
        yield client


def fill(home: Path) -> None:
    draw = random.Random(5)
    for number in range(ROWS // 2):
        category = draw.choice([*(name for name in NAMES if name), None])
        levels = draw.choice([{"50": [-1.5, 2.5]}, {"80": [draw.choice(NUMBERS), 7.0]}, {}])
        periods = [
            period_of(f"2026-{month:02d}-28", draw.choice(NUMBERS), kind=draw.choice(NAMES), intervals=levels)
            for month in draw.sample(range(1, 13), 2)
        ]
        members = {"unit": draw.choice([*NAMES, None]), "frequency": "D", "engine": {"name": draw.choice(NAMES)}}
        moments = {"as_of": draw.choice([None, "2026-03-01T00:00:00Z", "2026-03-01T23:59:59.5Z"])}
        issue(home, number, category, periods, **members, **moments, data_version=draw.choice([None, 1, 2, -7]))
    fold_all(home)


class Rows(list[Row]):
    """Hypothesis prints the arguments of what fails."""

    def __repr__(self) -> str:
        return f"{len(self)} rows"


@pytest.fixture(scope="module")
def rows(client: TestClient) -> Rows:
    found = Rows(client.get("/odata/v4/Forecasts").json()["value"])
    assert len(found) == ROWS
    for row in found:
        for name in MOMENTS:
            row[name] = row[name] and dt.datetime.fromisoformat(row[name])
        for name in DAYS:
            row[name] = dt.date.fromisoformat(row[name])
    return found


def field(name: str) -> Term:
    return name, lambda row: row[name]


def constant(text: str, value: Any) -> Term:
    return text, lambda _: value


def text_of(value: str) -> Term:
    return constant("'" + value.replace("'", "''") + "'", value)


def lifted(text: str, function: Callable[..., Any], *terms: Term) -> Term:
    """Null comes of null."""

    def value(row: Row) -> Any:
        values = [term(row) for _, term in terms]
        return None if None in values else function(*values)

    return text.format(*(told for told, _ in terms)), value


texts = st.one_of(st.sampled_from(STRINGS).map(field), st.sampled_from(NAMES).map(text_of))
strings = st.one_of(
    texts,
    texts.map(lambda one: lifted("trim({})", lambda text: text.strip(" "), one)),
    st.tuples(texts, texts).map(lambda two: lifted("concat({},{})", lambda a, b: a + b, *two)),
    st.tuples(texts, st.integers(0, 3)).map(
        lambda two: lifted(f"substring({{}},{two[1]})", lambda text: text[two[1] :], two[0])
    ),
)
whole = st.one_of(
    st.sampled_from(WHOLE).map(field),
    st.integers(-3, 3).map(lambda number: constant(str(number), number)),
    texts.map(lambda one: lifted("length({})", len, one)),
    st.tuples(texts, texts).map(lambda two: lifted("indexof({},{})", lambda a, b: a.find(b), *two)),
    st.sampled_from(DAYS + MOMENTS).flatmap(
        lambda name: st.sampled_from(("year", "month", "day")).map(
            lambda part: lifted(f"{part}({{}})", lambda value: getattr(value, part), field(name))
        )
    ),
)
numbers = st.one_of(
    whole,
    st.sampled_from(FLOATS).map(field),
    st.sampled_from(NUMBERS).map(lambda number: constant(str(number), number)),
    st.tuples(st.sampled_from(FLOATS).map(field), whole).flatmap(
        lambda two: st.sampled_from(
            [
                lifted("({} add {})", lambda a, b: a + b, *two),
                lifted("({} sub {})", lambda a, b: a - b, *two),
                lifted("({} mul {})", lambda a, b: a * b, *two),
                lifted("({} div {})", lambda a, b: a / b if b else None, *two),
            ]
        )
    ),
    st.tuples(whole, whole).map(lambda two: lifted("({} div {})", _divided, *two)),
    st.sampled_from(FLOATS).map(lambda name: lifted("floor({})", lambda value: value // 1, field(name))),
    st.sampled_from(FLOATS).map(lambda name: lifted("ceiling({})", lambda value: -(-value // 1), field(name))),
)
moments = st.one_of(
    st.sampled_from(MOMENTS).map(field),
    st.sampled_from(
        [
            constant("2026-03-01T01:00:00+01:00", dt.datetime(2026, 3, 1, tzinfo=dt.UTC)),
            constant("2026-03-01T23:59:59.5Z", dt.datetime(2026, 3, 1, 23, 59, 59, 500000, tzinfo=dt.UTC)),
            constant("2026-03-28", dt.datetime(2026, 3, 28, tzinfo=dt.UTC)),
        ]
    ),
)
days = st.one_of(
    st.sampled_from(DAYS).map(field),
    st.just(constant("2026-06-28", dt.date(2026, 6, 28))),
    st.sampled_from(MOMENTS).map(lambda name: lifted("date({})", lambda value: value.date(), field(name))),
)
NULL = constant("null", None)
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "gt": lambda a, b: None not in (a, b) and a > b,
    "ge": lambda a, b: None not in (a, b) and a >= b,
    "lt": lambda a, b: None not in (a, b) and a < b,
    "le": lambda a, b: None not in (a, b) and a <= b,
}


def _divided(a: int, b: int) -> int | None:
    return int(a / b) if b else None


def compared(kind: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    def make(parts: tuple[Term, str, Term]) -> Term:
        (left, one), operator, (right, other) = parts
        return f"{left} {operator} {right}", lambda row: COMPARISONS[operator](one(row), other(row))

    return st.tuples(kind, st.sampled_from(sorted(COMPARISONS)), st.one_of(kind, st.just(NULL))).map(make)


def listed(parts: tuple[str, list[str | None]]) -> Term:
    name, values = parts
    told = ",".join("null" if value is None else text_of(value)[0] for value in values)
    return f"{name} in ({told})", lambda row: row[name] in values


lists = st.lists(st.sampled_from((*NAMES, None)), min_size=1, max_size=4)
conditions = st.recursive(
    st.one_of(
        *(compared(kind) for kind in (strings, numbers, moments, days)),
        st.just(field("IsLatest")),
        st.tuples(st.sampled_from(STRINGS), st.lists(st.sampled_from((*NAMES, None)), min_size=1, max_size=4)).map(
            listed
        ),
        st.tuples(texts, texts).map(lambda two: lifted("contains({},{})", lambda a, b: b in a, *two)),
        st.tuples(texts, texts).map(lambda two: lifted("startswith({},{})", lambda a, b: a.startswith(b), *two)),
        st.tuples(texts, texts).map(lambda two: lifted("endswith({},{})", lambda a, b: a.endswith(b), *two)),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: _joined("and", *two)),
        st.tuples(inner, inner).map(lambda two: _joined("or", *two)),
        inner.map(lambda one: lifted("not ({})", lambda value: not value, one)),
        st.tuples(inner, st.booleans()).map(
            lambda two: (f"({two[0][0]}) eq {str(two[1]).lower()}", lambda row: two[0][1](row) == two[1])
        ),
    ),
    max_leaves=6,
)


def _joined(operator: str, one: Term, other: Term) -> Term:
    """Three-valued: false and null is false, true or null is true."""
    decides = operator == "or"

    def value(row: Row) -> bool | None:
        values = [one[1](row), other[1](row)]
        return decides if decides in values else None if None in values else not decides

    return f"({one[0]}) {operator} ({other[0]})", value


orders = st.lists(
    st.tuples(st.sampled_from((*STRINGS, *FLOATS, *WHOLE, *MOMENTS, *DAYS, "IsLatest", "Id")), st.booleans()),
    max_size=3,
    unique_by=lambda term: term[0],
)


def in_order(rows: list[Row], terms: list[tuple[str, bool]]) -> list[Row]:
    """Null is below everything; equals keep their order whichever way it goes."""
    for name, descends in reversed(terms):
        some = sorted((row for row in rows if row[name] is not None), key=lambda row: row[name], reverse=descends)
        none = [row for row in rows if row[name] is None]
        rows = some + none if descends else none + some
    return rows


def read(client: TestClient, query: str, size: int) -> list[str]:
    """Ids over all pages."""
    address, ids = f"/odata/v4/Forecasts?$select=Id{query}", []
    for _ in range(ROWS + 1):
        response = client.get(address, headers={"Prefer": f"odata.maxpagesize={size}"})
        assert response.status_code == 200, (address, response.text)
        page = response.json()
        assert len(page["value"]) <= size
        ids += [row["Id"] for row in page["value"]]
        if "@odata.nextLink" not in page:
            return ids
        address = page["@odata.nextLink"]
    raise AssertionError("pages without end")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(condition=conditions)
def test_filter_keeps_what_python_keeps(client: TestClient, rows: list[Row], condition: Term) -> None:
    text, holds = condition
    expected = [row["Id"] for row in rows if holds(row) is True]
    query = "&$filter=" + quote(text, safe="")
    assert read(client, query, 100) == expected
    counted = client.get("/odata/v4/Forecasts/$count?" + query[1:])
    assert counted.text == str(len(expected))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    terms=orders,
    size=st.integers(1, 70),
    top=st.none() | st.integers(0, 70),
    skip=st.integers(0, 70),
    condition=st.none() | conditions,
)
def test_order_and_pages_are_those_of_python(
    client: TestClient,
    rows: list[Row],
    terms: list[tuple[str, bool]],
    size: int,
    top: int | None,
    skip: int,
    condition: Term | None,
) -> None:
    kept = [row for row in rows if condition is None or condition[1](row) is True]
    expected = in_order(kept, terms)[skip:]
    query = "&$orderby=" + ",".join(f"{name}{' desc' * descends}" for name, descends in terms) if terms else ""
    query += f"&$skip={skip}" + (f"&$top={top}" if top is not None else "")
    query += "&$filter=" + quote(condition[0], safe="") if condition else ""
    assert read(client, query, size) == [row["Id"] for row in expected[:top]]


WORDS = (
    *STRINGS, *FLOATS, *WHOLE, *MOMENTS, *DAYS, "IsLatest", "Id", "Nothing", "eq", "ne", "gt", "in", "and", "or", "not",
    "add", "div", "mod", "(", ")", ",", "-", "/", "null", "true", "'a'", "'", "1", "0", "1.5", "99999999999999999999",
    "2026-03-01", "2026-03-01T00:00:00Z", "9f8c2f0e-3d1b-5a43-8c0e-2f6f0e5f7c11", "contains(", "substring(", "now()",
    "year(", "date(", "round(", "concat(", "any(", "x:", "=", "@p", "$it", "duration'P1D'", "12:00:00",
)  # fmt: skip


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(words=st.lists(st.sampled_from(WORDS), max_size=12), between=st.sampled_from((" ", "", "  ")))
def test_whatever_is_written_gets_an_answer_that_names_the_option(
    client: TestClient, words: list[str], between: str
) -> None:
    response = client.get("/odata/v4/Forecasts?$filter=" + quote(between.join(words), safe=""))
    assert response.status_code in (200, 400, 501), (words, response.text)
    if response.status_code != 200:
        assert response.json()["error"]["target"] == "$filter"
