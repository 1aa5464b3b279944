"""Quantities so large beside the others of their category that a slip is likely, such as a lost decimal character."""

import numpy as np
import numpy.typing as npt

from signals.rows import Rows
from signals.tables import Table

TIMES = 20
_ENOUGH = 12  # values that are not zero from which on a category has a usual size


def implausible_note(rows: Rows, column: str, table: Table) -> list[str]:
    """One sentence with the number of such values and the first of them; they are stored as they are."""
    usual = _usual(rows)
    odd = np.flatnonzero(np.abs(rows.values) > TIMES * usual[rows.series])
    if not len(odd):
        return []
    at = int(odd[rows.row[odd].argmin()])
    name, size = rows.names[rows.series[at]], usual[rows.series[at]]
    many = "1 value is" if len(odd) == 1 else f"{len(odd):,} values are"
    return [
        f"Column {column!r}: {many} more than {TIMES} times the usual size of the category (first: {table.unit} "
        f"{table.line(int(rows.row[at]))}, {rows.values[at]:.12g} of {name!r}, whose median is {size:.6g}); they are "
        "kept: check the decimal separator."
    ]


def _usual(rows: Rows) -> npt.NDArray[np.float64]:
    """The median size of what each series has that is not zero; infinite where that is too little to tell."""
    size = np.abs(rows.values)
    counts = size > 0  # so is nothing that is missing
    series, size = rows.series[counts], size[counts]
    order = np.lexsort((size, series))
    size, count = size[order], np.bincount(series, minlength=len(rows.names))
    first = np.cumsum(count) - count
    usual = np.full(len(rows.names), np.inf)
    enough = count >= _ENOUGH
    low, high = (first + (count - 1) // 2)[enough], (first + count // 2)[enough]
    usual[enough] = (size[low] + size[high]) / 2
    return usual
