"""docs/erp/odata.md lists exactly the sets and fields that are served."""

from __future__ import annotations

import re
from pathlib import Path

from api.odata.model import SETS, EntitySet

PAGE = Path(__file__).parents[2] / "docs" / "erp" / "odata.md"
ABOUT = {
    "Forecasts": "one period of a forecast",
    "Contributions": "what one driver adds to one period",
    "Signals": "what one outside signal did in one forecast",
    "Accuracy": "the backtest behind one forecast",
    "Categories": "one category of the store",
    "Runs": "one job, or one single request",
}


def sets_table() -> list[str]:
    ways = {name: ", ".join(f"`{way}`" for way in one.ways) for name, one in SETS.items()}
    return [f"| `{name}` | {ABOUT[name]} | {ways[name]} |" for name in SETS]


def fields_table(entities: EntitySet) -> list[str]:
    return [
        f"### `{entities.name}`",
        "",
        "| field | type | may be null | |",
        "|---|---|---|---|",
        *(
            f"| `{one.name}` | {one.type} | {'yes' if one.nullable else ''} | {one.description} |"
            for one in entities.fields
        ),
    ]


def test_the_sets_are_listed() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for row in sets_table():
        assert row in lines, f"docs/erp/odata.md must hold this row:\n{row}"


def test_the_fields_are_listed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for entities in SETS.values():
        expected = "\n".join(fields_table(entities)) + "\n"
        assert expected in page, f"docs/erp/odata.md must hold this:\n{expected}"


def test_no_set_is_listed_that_is_not_there() -> None:
    assert re.findall(r"^### `(\w+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == list(SETS)
