"""What a job is told as."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import Field

from api.models import Answer, Page


class JobState(Answer):
    """A job that is under way."""

    job: str
    kind: str
    state: str = Field(description="pending, running, succeeded, failed, dead or cancelled")
    total: int = Field(description="parts in all")
    done: int = Field(description="parts done")
    location: str = Field(description="where to ask for it again; once it is over, what it made")


class ListedJob(JobState):
    """A job in the list."""

    accepted: dt.datetime
    started: dt.datetime | None = Field(description="when its work began")
    finished: dt.datetime | None = Field(description="when it was over")
    error: dict[str, Any] | None = Field(description="problem details, where it has failed or is dead")


class JobPage(Page):
    """Jobs, the newest first."""

    items: list[ListedJob]


class JobTotals(Answer):
    """What became of all jobs that were ever accepted."""

    accepted: int
    answered: int = Field(description="done, refused with a reason, or cancelled; those that retention removed too")
    pending: int = Field(description="waiting or under way")
    dead: int = Field(description="ended by an unforeseen error: they can be tried again")
