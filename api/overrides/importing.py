"""Many overrides from one file: each row is one, and all are kept or none."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from api.moments import parse
from api.overrides import kept
from api.overrides.deciding import prepared
from api.overrides.models import OverrideRequest
from api.overrides.versions import Author, Version
from api.overrides.written import NUMBER_ALLOWED, number_of
from api.settings import Settings
from forecast import ForecastError
from signals.store import Snapshot, UnknownCategory
from signals.tables import Table, encode, read_table

NEEDED = ("category", "periods", "value", "reason")
OPTIONAL = ("layer", "author", "expires")
LIST = f"Give a table with the columns {', '.join(NEEDED)}; {', '.join(OPTIONAL)} may be there"


def import_overrides(
    settings: Settings, snapshot: Snapshot, file: Path, layer: str | None, author: Author, moment: dt.datetime
) -> list[Version]:
    """Set the overrides of a file; raises ImportRefused with line and column of the first row that is wrong."""
    table = read_table(file)
    cells = _cells(table)
    made = []
    for row in range(table.data.num_rows):
        given = {name: values[row] for name, values in cells.items() if values[row]}
        made.append(_one(settings, snapshot, table, row, {"layer": layer} | given, author, moment))
    return kept.add(settings, made)


def _cells(table: Table) -> dict[str, list[str]]:
    """The text of each cell, by column."""
    if missing := [name for name in NEEDED if name not in table.columns]:
        raise table.refusal(f"there is no column {missing[0]!r}", remedy=LIST)
    if other := [name for name in table.columns if name not in (*NEEDED, *OPTIONAL)]:
        raise table.refusal(f"the column {other[0]!r} is none of an override", column=other[0], remedy=LIST)
    found = {}
    for name in table.columns:
        encoded = encode(table.data[name])
        values = encoded.values.to_pylist()
        found[name] = [values[code] for code in encoded.codes.tolist()]
    return found


def _one(
    settings: Settings, snapshot: Snapshot, table: Table, row: int, given: dict[str, Any], author: Author,
    moment: dt.datetime,
) -> Version:  # fmt: skip
    for name in NEEDED:
        if name not in given:
            raise table.refusal(f"{name} is empty", row=row, column=name, remedy="Fill the cell")
    value, expires = given.pop("value"), given.pop("expires", None)
    number = number_of(value)
    if number is None:
        raise table.refusal(f"{value!r} is no number", row=row, column="value", value=value,
                            remedy=f"Write {NUMBER_ALLOWED}")  # fmt: skip
    category = given.pop("category")
    try:
        moments = {} if expires is None else {"expires": parse(expires).isoformat()}
        body = OverrideRequest.model_validate(given | number | moments)
        return prepared(settings, snapshot, category, body, author, moment)
    except ValidationError as error:
        first = error.errors()[0]
        column = str(first["loc"][0]) if first["loc"] else "value"
        raise table.refusal(first["msg"].removeprefix("Value error, "), row=row, column=column,
                            remedy="Mend the cell") from error  # fmt: skip
    except UnknownCategory as error:
        raise table.refusal(str(error), row=row, column="category", remedy="Name a category of the store") from error
    except (ForecastError, ValueError) as error:
        raise table.refusal(str(error), row=row, remedy="Mend the row") from error
