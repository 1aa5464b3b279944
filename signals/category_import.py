"""Import of what is known of categories: their parent, country, unit, and what the ERP calls them."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import holidays
import orjson
import pandas as pd

from signals.batch import Batch
from signals.mapping import plain
from signals.periods import WEEKDAYS
from signals.prepared import Prepared, counted, payload_sha
from signals.refused import ImportRefused
from signals.rows import blank_rows, series_names
from signals.tables import Source, Table, read_table, strings

OWN = ("parent", "calendar", "unit")  # fields of a category
FIELDS = ("category", "frequency", *OWN)  # every other column is an attribute
FREQUENCIES = ("D", *(f"W-{day[:3].upper()}" for day in WEEKDAYS), "MS", "QS")


def prepare_categories(data: Source | Table, /, *, known: pd.DataFrame) -> Prepared:
    """Check a table of categories, a row each, and turn it into a batch; all of it or, with ImportRefused, nothing.

    A column `category`, any of `parent`, `calendar` (a country such as US) and `unit`; every further column is an
    attribute by that name, a list where values stand with `|` between them. An empty cell leaves what is there. A row
    with a `frequency` may be of a category that has no sales yet. `known` are the categories of the store, as
    `Snapshot.categories()` gives them.
    """
    table = data if isinstance(data, Table) else read_table(data)
    columns = _columns(table)
    rows = _rows(table, columns)
    held = {row["category"]: row for row in known.to_dict("records")}
    _check_frequencies(table, columns, rows, held)
    _check_names(table, columns["category"], rows, held)
    _check_calendars(table, columns, rows)
    described = pd.DataFrame([_described(one, held.get(one["category"], {})) for one in rows], dtype="str")
    _check_tree({row["category"]: row["parent"] for row in known.to_dict("records")}, rows)
    attributes = [name for name in columns if name not in FIELDS]
    changed = sum(_changes(held.get(one["category"], {}), one) for one in described.to_dict("records"))
    notes = [f"{counted(len(rows), 'category')}, of {changed:,} of which something new is said"]
    if fresh := [row["category"] for row in rows if row["category"] not in held]:
        notes.append(f"new, without sales yet: {', '.join(fresh)}")
    if attributes:
        notes.append(f"attributes: {', '.join(attributes)}")
    batch = Batch("category_import", categories=described, payload_sha=payload_sha(described))
    return Prepared(batch, columns, notes, len(rows))


def _columns(table: Table) -> dict[str, str]:
    """The column of each field; what is neither of ours is an attribute under its own name."""
    found: dict[str, str] = {}
    for column in table.columns:
        name = plain(column) if plain(column) in FIELDS else column.strip()
        if name in found:
            raise table.refusal(f"two columns are called {name!r}", column=column, remedy="Keep one of them")
        found[name] = column
    if "category" not in found:
        columns = ", ".join(table.columns)
        raise table.refusal(
            f"no column is called category; there are: {columns}", remedy="Name the column of the category so"
        )
    if len(found) == 1:
        remedy = f"Add a column {', '.join(OWN)} or one of any other name, which becomes an attribute"
        raise table.refusal("nothing is said of the categories", column=found["category"], remedy=remedy)
    return found


def _rows(table: Table, columns: Mapping[str, str]) -> list[dict[str, str]]:
    """What is said of each category, empty cells left out; `_row` is the number of the row."""
    texts = {}
    for name, column in columns.items():
        encoded = table.encoded(column)
        texts[name] = strings(encoded.values)[encoded.codes]
    names, codes = series_names(table, columns["category"], "category")
    blank = blank_rows(table, list(columns.values()))
    found: dict[str, int] = {}
    rows = []
    for i, code in enumerate(codes.tolist()):
        if blank[i]:
            continue
        if names[code] in found:
            raise table.refusal(
                f"{names[code]!r} stands in line {table.line(found[names[code]])} already",
                row=i, column=columns["category"], value=names[code], remedy="Give each category one row",
            )  # fmt: skip
        found[names[code]] = i
        said = {name: str(values[i]) for name, values in texts.items() if values[i] and name != "category"}
        rows.append(said | {"category": names[code], "_row": str(i)})
    return rows


def _check_frequencies(
    table: Table, columns: Mapping[str, str], rows: list[dict[str, str]], held: Mapping[Any, Mapping[Any, Any]]
) -> None:
    for row in rows:
        said, known = row.get("frequency"), held.get(row["category"], {}).get("frequency")
        allowed = FREQUENCIES if known is None else (known,)
        if said is not None and said not in allowed:
            raise table.refusal(
                f"{row['category']!r} cannot have the frequency {said!r}", row=int(row["_row"]),
                column=columns["frequency"], value=said, remedy=f"Give {' or '.join(allowed)}",
            )  # fmt: skip


def _check_names(table: Table, column: str, rows: list[dict[str, str]], held: Mapping[Any, Mapping[Any, Any]]) -> None:
    for row in rows:
        if row["category"] not in held and "frequency" not in row:
            near = get_close_matches(row["category"], sorted(held), 3)
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            raise table.refusal(
                f"there is no category {row['category']!r}", row=int(row["_row"]), column=column, value=row["category"],
                remedy=f"{hint}Import its sales first, give its frequency, or take the row out",
            )  # fmt: skip


def _check_calendars(table: Table, columns: Mapping[str, str], rows: list[dict[str, str]]) -> None:
    countries = holidays.list_supported_countries()
    for row in rows:
        country = row.get("calendar")
        if country is not None and country not in countries:
            raise table.refusal(
                f"{country!r} is no country whose holidays are known", row=int(row["_row"]), column=columns["calendar"],
                value=country, remedy="Give its code of two letters, such as US or DE",
            )  # fmt: skip


def _described(said: dict[str, str], held: Mapping[Any, Any]) -> dict[str, str | None]:
    """The category with what is said of it; attributes that are not named stay."""
    named = {name: _several(value) for name, value in said.items() if name not in ("_row", *FIELDS)}
    merged = _attributes(held) | named
    return {
        "category": said["category"],
        "frequency": str(held.get("frequency") or said["frequency"]),
        "timezone": None,
        **{name: said.get(name) for name in OWN},
        "attributes": orjson.dumps(merged, option=orjson.OPT_SORT_KEYS).decode() if named else None,
    }


def _attributes(category: Mapping[Any, Any]) -> dict[str, Any]:
    text = category.get("attributes")
    found: dict[str, Any] = orjson.loads(text) if isinstance(text, str) else {}  # a frame has NaN for none
    return found


def _several(value: str) -> str | list[str]:
    parts = [part.strip() for part in value.split("|")]
    return value if len(parts) == 1 else [part for part in parts if part]


def _changes(held: Mapping[Any, Any], said: Mapping[Any, Any]) -> bool:
    attributes = _attributes(said)
    if not held or (attributes and attributes != _attributes(held)):
        return True
    return any(isinstance(said[name], str) and said[name] != held[name] for name in OWN)


def _check_tree(parents: dict[str, object], rows: list[dict[str, str]]) -> None:
    """No category may be above itself, with what the store says of the others."""
    above = {name: parent for name, parent in parents.items() if isinstance(parent, str)}
    above |= {row["category"]: row["parent"] for row in rows if "parent" in row}
    for name in above:
        path = [name]
        while (parent := above.get(path[-1])) is not None:
            if parent in path:
                raise ImportRefused(
                    f"categories stand above themselves: {' > '.join([*path, parent])}",
                    column="parent", value=parent, remedy="Give one of them another parent",
                )  # fmt: skip
            path.append(parent)
