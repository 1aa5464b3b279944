"""What is published of a period: pure functions over an answer."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from api.overrides.applying import FARTHEST, publish, spans_of
from api.overrides.versions import Version, newest, ordered

MOMENT = dt.datetime(2026, 11, 30, 9)


def version(number: int = 1, **fields: Any) -> Version:
    given: dict[str, Any] = {
        "number": number, "id": f"ov_{number:020x}", "version": 1, "category": "Boots", "first": dt.date(2026, 11, 30),
        "last": dt.date(2026, 12, 13), "frequency": "W-SUN", "layer": "planner", "action": "set", "moment": MOMENT,
        "author": "Ann", "key_id": None, "value": None, "percent": None, "reason": "x", "expires": None,
        "withdrawn": False, "seen": {},
    }  # fmt: skip
    return Version(**given | fields)


def shown(*found: Version, value: float = 100.0, ends: tuple[float, float] = (80.0, 150.0), **more: Any) -> Any:
    """What is published of one week, the first of the override's two."""
    row = {"period": "2026-12-06", "value": value, "median": 0.9 * value, "intervals": {"80": list(ends)}}
    answer: dict[str, Any] = {"forecast": [row], "frequency": "W-SUN", "warnings": []} | more
    publish(answer, found, spans_of(answer), non_negative=value >= 0)
    return answer


@pytest.mark.parametrize(
    ("fields", "value", "ends", "expected"),
    [
        ({"value": 200.0}, 100.0, (80.0, 150.0), (200.0, [160.0, 300.0])),
        ({"value": 0.0}, 100.0, (80.0, 150.0), (0.0, [0.0, 0.0])),
        ({"percent": 10.0}, 100.0, (80.0, 150.0), (110.0, [88.0, 165.0])),
        ({"percent": -100.0}, 100.0, (80.0, 150.0), (0.0, [0.0, 0.0])),
        ({"value": 10.0}, 1e-9, (0.0, 0.5), (10.0, [0.0, 10.0 + FARTHEST * 10.0])),
        ({"value": 10.0}, 0.0, (0.0, 0.0), (10.0, [10.0, 10.0])),
        ({"value": 10.0}, 0.0, (0.0, 5.0), (10.0, [10.0, 10.0 + FARTHEST * 10.0])),
        ({"value": 30.0}, -10.0, (-20.0, 5.0), (30.0, [0.0, 75.0])),
        ({"value": -30.0}, -10.0, (-20.0, -5.0), (-30.0, [-60.0, -15.0])),
        ({"percent": 50.0}, -10.0, (-20.0, -5.0), (-15.0, [-30.0, -7.5])),
    ],
)
def test_the_intervals_move_with_the_value(
    fields: dict[str, float], value: float, ends: tuple[float, float], expected: tuple[float, list[float]]
) -> None:
    found = shown(version(**fields), value=value, ends=ends)["forecast"][0]["published"]
    assert found["value"] == pytest.approx(expected[0])
    assert found["intervals"]["80"] == pytest.approx(expected[1])


def test_the_median_goes_with_the_value_and_an_absolute_one_is_both() -> None:
    (relative, absolute) = (shown(version(**fields)) for fields in ({"percent": 10.0}, {"value": 70.0}))
    assert relative["forecast"][0]["published"]["median"] == pytest.approx(1.1 * 90)
    assert absolute["forecast"][0]["published"]["median"] == 70.0


def test_nothing_is_negative_where_no_sale_is() -> None:
    found = shown(version(value=-5.0))["forecast"][0]["published"]
    assert (found["value"], min(found["intervals"]["80"])) == (0.0, 0.0)


def test_the_last_one_decides_and_no_percentage_multiplies_another() -> None:
    found = ordered(
        [version(3, percent=10.0), version(2, value=500.0, layer="manager"), version(1, percent=20.0)],
        ["planner", "manager"],
    )
    assert [one.number for one in found] == [1, 3, 2]
    row = shown(*found)["forecast"][0]["published"]
    assert (row["value"], row["overrides"]) == (500.0, [one.reference for one in found])
    assert shown(*found[:2])["forecast"][0]["published"]["value"] == pytest.approx(110.0)
    gone = ordered([version(1, layer="gone"), version(2)], ["planner"])
    assert [one.layer for one in gone] == ["gone", "planner"]


def test_a_changed_one_comes_after_those_that_were_set_meanwhile() -> None:
    rows = [version(1, value=1.0), version(2, value=2.0), version(3, id=version(1).id, version=2, value=3.0)]
    assert [one.number for one in newest(rows)] == [2, 3]


def test_periods_of_another_length_take_percentages_only_and_only_whole_ones() -> None:
    month: dict[str, Any] = {"frequency": "MS"}
    row = {"period": "2026-12-01", "value": 100.0, "median": 90.0, "intervals": {}}
    long = {"first": dt.date(2026, 11, 23), "last": dt.date(2027, 1, 3)}
    for fields, covered in (
        (long | {"percent": 10.0}, True),
        (long | {"value": 10.0}, False),
        ({"percent": 10.0}, False),
    ):
        answer = shown(version(**fields), **month | {"forecast": [dict(row)]})
        assert ("published" in answer["forecast"][0]) == ("overrides" in answer) == covered
        assert len(answer["warnings"]) == (not covered)


def test_a_state_says_who_did_what() -> None:
    assert version(percent=-2.5).told() == "Ann set it to −2.5 % at 2026-11-30 09:00:00 UTC (x)"
    assert version(value=1200.0, action="withdrawn").told() == "Ann withdrew it at 2026-11-30 09:00:00 UTC (x)"
