"""Which cell of a file is to blame, once DuckDB has refused the file: its line, column and value, for a person.

Asked only then, for it reads files whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from signals.dates import is_date
from signals.numbers import is_number
from signals.refused import ImportRefused
from signals.tables import Table, read_table, strings

# By the type that a cell must turn into: what it is not, and how to write one.
_SPOKEN = {
    "DOUBLE": ("number", "Write numbers as 1234.5, and leave the cell empty where none is known"),
    "TIMESTAMP": ("date", "Write dates as 2026-11-29, moments as 2026-11-29T06:00:00"),
    "BOOLEAN": ("yes or no", "Write true or false"),
}
Wanted = Callable[[Sequence[str]], Mapping[str, str]]


def find_wrong(files: Sequence[Path], wanted: Wanted) -> str | None:
    """What is wrong with the first file that cannot be read, None where nothing is found.

    `wanted` tells, for the columns of a file, which must hold what type (DOUBLE, TIMESTAMP or BOOLEAN); it raises
    ValueError where one is missing.
    """
    for file in files:
        try:
            table = _lines(file) if file.suffix in (".ndjson", ".jsonl") else read_table(file)
            for column, kind in wanted(table.columns).items():
                _check(table, column, kind)
        except ValueError as error:
            return str(error) if file.name in str(error) else f"{file.name}: {error}"
    return None


def _check(table: Table, column: str, kind: str) -> None:
    """Raise ImportRefused for the first value of a text column that is none of its kind."""
    if not table.is_text(column):
        return
    values = pc.cast(table.data[column], pa.string()).combine_chunks()
    if table.text is not None:  # to CSV an empty cell is none
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
    wrong = _not_castable(values, kind)
    if not wrong.any():
        return
    # Where all numbers of a column have a comma and one is a word, the word is what to tell of.
    worse = wrong & ~_formed(values, kind)
    row = int((worse if worse.any() else wrong).argmax())
    what, remedy = _SPOKEN[kind]
    value = str(strings(values[row : row + 1])[0])[:80]
    raise table.refusal(
        f"{value!r} is no {what}", row=row, column=column, value=value, more=int(wrong.sum()) - 1, remedy=remedy
    )


def _not_castable(values: pa.StringArray, kind: str) -> npt.NDArray[np.bool_]:
    import duckdb

    with closing(duckdb.connect()) as connection:
        connection.register("cells", pa.table({"value": values}))
        query = f"SELECT value IS NOT NULL AND TRY_CAST(value AS {kind}) IS NULL AS wrong FROM cells"
        return np.asarray(connection.execute(query).fetchnumpy()["wrong"], dtype=bool)


def _formed(values: pa.StringArray, kind: str) -> npt.NDArray[np.bool_]:
    """Which texts look like one of the kind, though written in another way than is taken."""
    filled = pc.fill_null(values, "")
    forms = {"DOUBLE": is_number, "TIMESTAMP": is_date}
    return forms[kind](filled) if kind in forms else np.zeros(len(values), dtype=bool)


def _lines(file: Path) -> Table:
    """NDJSON as text, a row for each line, blank ones too: so a row is found by its number."""
    with file.open("rb") as raw:
        rows = [_object(line, number) for number, line in enumerate(raw, 1)]
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(pa.table({name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names}),
                 file.name)  # fmt: skip


def _object(line: bytes, number: int) -> dict[str, Any]:
    remedy = 'Write one object a line, such as {"category": "Boots", "ds": "2026-11-29", "y": 12}'
    try:
        row = orjson.loads(line) if line.strip() else {}
    except orjson.JSONDecodeError as error:
        raise ImportRefused(f"the line is no JSON ({error})", row=number, remedy=remedy) from error
    if not isinstance(row, dict):
        raise ImportRefused("the line is no JSON object", row=number, remedy=remedy)
    return row


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
