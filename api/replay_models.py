"""What a replay tells."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from api.models import Answer


class Difference(Answer):
    """One field of the answer that is not what was issued."""

    field: str = Field(description="where it is, such as forecast.0.value")
    issued: Any = Field(description="its value as it was issued; null where there was none")
    now: Any = Field(description="its value now; null where there is none")


class Replay(Answer):
    """A forecast made again from what its receipt has on record, against what was issued."""

    receipt: str
    category: str | None
    outcome: Literal["identical", "different", "impossible"] = Field(
        description="identical: to the byte, but for receipt, timing_ms and data_version; impossible: it cannot be "
        "made again"
    )
    differences: list[Difference]
    why: list[str] = Field(description="what may have made the difference, or why it cannot be made again")
