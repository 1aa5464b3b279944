"""A source made for the tests of the runner: one number a day, by name, as JSON; and its connector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from importlib.metadata import EntryPoint
from typing import Any
from unittest.mock import patch

from pydantic import Field, SecretStr

from signals import config
from signals.connector import (
    GROUP,
    About,
    CategoryFacts,
    Connector,
    ConnectorSettings,
    Drift,
    Entry,
    Observations,
    Payload,
    Policy,
    Pull,
    Request,
    Signal,
    Task,
    observations,
)
from tests.fakes.server import Answer, Asked


class CounterSettings(ConnectorSettings):
    base_url: str = Field("http://127.0.0.1:9", description="where it is")
    api_key: SecretStr | None = Field(None, description="its key")


class CounterEntry(Entry):
    things: list[str] = Field(description="what is counted")


class Counter(Connector[CounterSettings, CounterEntry]):
    name = "counter"
    about = About("Counter", "https://example.org", "public domain", "none")
    policy = Policy(interval=0.0, overlap=timedelta(days=3), history=timedelta(days=30), attempts=4)
    settings_type, entry_type = CounterSettings, CounterEntry

    def signals(self, entry: CounterEntry) -> list[Signal]:
        return [Signal(f"counter/{thing}/US", thing, "D") for thing in entry.things]

    def plan(self, task: Task) -> Iterable[Pull]:
        today = datetime.combine(task.now.date(), datetime.min.time())
        key = self.settings.api_key
        for signal in task.signals:
            params = {"from": f"{task.since[signal.signal]:%Y-%m-%d}", "key": key.get_secret_value() if key else ""}
            yield Pull((signal.signal,), (Request(f"{self.settings.base_url}/{signal.name}", params),), today)

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        answer = payloads[-1].json()
        if not isinstance(answer, dict) or "days" not in answer:
            raise Drift("no such field", "days")
        more = {"records": answer["records"]} if "records" in answer else {}
        return observations(pull.signals[0], list(answer["days"]), list(answer["days"].values()), **more)

    @classmethod
    def suggest(cls, category: CategoryFacts) -> Iterator[dict[str, Any]]:
        if category.words:
            yield {"things": list(category.words)}


class Things:
    """Answers with the numbers of each thing, from the day asked for to yesterday."""

    def __init__(self, now: datetime) -> None:
        self.now, self.numbers, self.more = now, dict[tuple[str, str], float](), dict[str, Any]()

    def value(self, thing: str, day: date) -> float:
        return self.numbers.get((thing, str(day)), float(day.toordinal() % 100))

    def __call__(self, asked: Asked) -> Answer:
        begin, thing = date.fromisoformat(asked.query["from"]), asked.path.strip("/")
        days = [begin + timedelta(days=i) for i in range((self.now.date() - begin).days)]
        return Answer({"days": {str(day): self.value(thing, day) for day in days}, **self.more})


@contextmanager
def installed(**policy: Any) -> Iterator[None]:
    """Let the connector be found as a plug-in is, with another policy."""
    point = EntryPoint("counter", "tests.fakes.counter:Counter", GROUP)
    with patch.object(config, "_points", lambda: {"counter": point}), patch.object(
        Counter, "policy", replace(Counter.policy, **policy)
    ):  # fmt: skip
        yield
