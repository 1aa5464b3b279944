"""The one error that an import raises: what is wrong, where, and what to do about it."""


class ImportRefused(ValueError):  # noqa: N818 - the name says what happened, as its callers read it
    """Data handed in for import that cannot be taken as it is; nothing of it was imported.

    Attributes
    ----------
    row: the 1-based line of the file (of the frame or Parquet file: the 1-based data row), or None.
    column, value: where the problem lies and what stands there, or None.
    remedy: what the user can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        remedy: str,
        row: int | None = None,
        column: str | None = None,
        value: str | None = None,
        more: int = 0,
        unit: str = "line",
    ) -> None:
        place = ", ".join(
            part for part in (f"{unit} {row}" if row else "", f"column {column!r}" if column else "") if part
        )
        others = f" (and {more} more {unit}{'s' if more > 1 else ''})" if more else ""
        super().__init__(f"{place + ': ' if place else ''}{problem}{others}. {remedy}")
        self.row = row
        self.column = column
        self.value = value
        self.remedy = remedy
