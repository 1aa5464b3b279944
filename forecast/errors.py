"""What a caller can do wrong.

ForecastError
 ├── HistoryError   the sales history cannot be forecast
 ├── SignalsError   a signal or a scenario cannot be used
 └── OptionError    an option is not one of those allowed
"""

from __future__ import annotations

from typing import Any


class ForecastError(ValueError):
    """Bad input: names the field, its value and what was allowed; `str()` is one sentence for a person."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        digits = isinstance(value, str) and value.replace(".", "", 1).isdigit()
        self.value = repr(value) if digits else str(value)  # the text "8" is not the number 8
        self.allowed = allowed
        super().__init__(f"{field}: got {self.value}; wanted {allowed}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, dict(vars(self)))  # by default: made anew from its message alone


def _again(kind: type[ForecastError], args: tuple[Any, ...], state: dict[str, Any]) -> ForecastError:
    """An error that comes from another process."""
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


class HistoryError(ForecastError):
    """The history has the wrong columns, dates or values, or too few of them."""


class SignalsError(ForecastError):
    """A signal or scenario has the wrong columns, dates or values."""


class OptionError(ForecastError):
    """An option such as `horizon`, `engine` or `levels` is out of range."""
