"""What the operations on overrides take and give."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from api.event_models import Line
from api.fields import Count, DayRange, Moment, Number
from api.models import Answer, Request
from api.overrides.answered import Reference

LAYER = "^[a-z][a-z0-9]{0,29}$"
Percent = Annotated[Number, Field(ge=-100, le=100_000)]
Layer = Annotated[str, Field(pattern=LAYER)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+$")]
State = Literal["in_force", "expired", "withdrawn"]
Action = Literal["set", "changed", "withdrawn", "restored"]


class _Number(Request):
    """A number, absolute or in per cent."""

    value: Number | None = Field(None, description="units a period, in place of the system's value")
    percent: Percent | None = Field(None, description="change of the system's value of the day, in per cent")

    @property
    def is_given(self) -> bool:
        """Whether there is one."""
        return self.value is not None or self.percent is not None

    def _check_one(self) -> None:
        if self.value is not None and self.percent is not None:
            raise ValueError("either `value` or `percent`, not both")


class OverrideRequest(_Number):
    """A new override of one period or of a range of them."""

    periods: DayRange = Field(
        description="a day, week, month or year, or two of them: 2026-W49, 2026-W49..2026-W52; widened to whole periods"
    )
    reason: Line = Field(description="why, for those who read it later")
    layer: Layer | None = Field(None, description="default: the first of the layers that the key may write")
    author: Line | None = Field(None, description="who decides; null: the name of the API key")
    expires: Moment | None = Field(None, description="it holds until then; null: until it is withdrawn")
    receipt: str | None = Field(
        None, pattern=r"^fc_[0-9A-HJKMNP-TV-Z]{26}$", description="the forecast that the author saw; null: the last one"
    )

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        self._check_one()
        if not self.is_given:
            raise ValueError("either `value`, in units a period, or `percent`")
        return self


class OverrideChange(_Number):
    """What to change; what is not named stays."""

    reason: Line = Field(description="why")
    author: Line | None = Field(None, description="who decides; null: the name of the API key")
    expires: Moment | None = Field(None, description="it holds until then; null: until it is withdrawn")

    @model_validator(mode="after")
    def _something(self) -> Self:
        self._check_one()
        if not self.is_given and "expires" not in self.model_fields_set:
            raise ValueError("one of `value`, `percent` and `expires`")
        return self


class RestoreRequest(Request):
    """Which state comes back."""

    version: Annotated[Count, Field(ge=1)] | None = Field(
        None, description="this one; null: the one before the last change, so that a withdrawal is undone"
    )
    reason: Line = Field(description="why")
    author: Line | None = Field(None, description="who decides; null: the name of the API key")


class CommentRequest(Request):
    """A comment."""

    text: Text
    author: Line | None = Field(None, description="who says so; null: the name of the API key")


class SeenPeriod(Answer):
    """What the author saw of one period."""

    period: dt.date
    value: float = Field(description="the system's")
    published: float = Field(description="what was published; the same where nobody had overridden it")


class Seen(Answer):
    """The forecast that the author saw."""

    receipt: str
    periods: list[SeenPeriod]


class Override(Answer):
    """One state of an override."""

    id: str
    version: int
    override: Reference = Field(description="id and version: the reference of this state, for good")
    category: str
    first: dt.date = Field(description="first day of its first period")
    last: dt.date = Field(description="last day of its last period")
    frequency: str
    value: float | None = Field(description="units a period; null: a relative one")
    percent: float | None = Field(description="change of the system's value in per cent; null: an absolute one")
    layer: str
    state: State
    action: Action = Field(description="what made this state")
    author: str
    reason: str
    changed: dt.datetime = Field(description="when this state was made")
    expires: dt.datetime | None
    seen: Seen | None = Field(description="what the author saw; null where no forecast of these periods was issued")


class OverrideList(Answer):
    """The overrides of a category."""

    category: str
    as_of: dt.datetime
    layers: list[str] = Field(description="each goes before those that it follows")
    items: list[Override] = Field(description="by their days, then in the order in which they apply")


class OverrideHistory(Answer):
    """All states of an override, the first one first."""

    items: list[Override]


class OverrideComment(Answer):
    """What somebody said of an override."""

    author: str
    text: str
    said: dt.datetime


class OverrideComments(Answer):
    """The first one first."""

    items: list[OverrideComment]
