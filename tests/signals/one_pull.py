"""A pull of one entry without the runner: plan, fetch from a fake, parse, store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from signals.connector import Connector, Observations, Payload, Pull, Request, Task
from signals.store import AppendResult, Batch, Snapshot, Store, open_snapshot

CLIENT = httpx.Client(verify=False, limits=httpx.Limits(max_keepalive_connections=0))  # quick on loopback


def task_of(connector: Connector[Any, Any], entry: Any, now: datetime, since: datetime | None = None) -> Task:
    signals, begin = tuple(connector.signals(entry)), now - connector.policy.history
    return Task(entry, signals, {signal.signal: since or begin for signal in signals}, now, begin)


def get(request: Request, at: datetime) -> Payload:
    answer = CLIENT.request(request.method, request.url, params=dict(request.params), headers=dict(request.headers))
    return Payload(request, answer.content, at, answer.status_code, answer.headers.get("Content-Type", ""))


def answers(connector: Connector[Any, Any], pull: Pull) -> list[Payload]:
    """The answers to a pull, fetched at the moment of the pull."""
    payloads = [get(request, pull.through) for request in pull.requests]
    while (request := connector.next_page(pull, payloads)) is not None:
        payloads.append(get(request, pull.through))
    return payloads


def pulls(connector: Connector[Any, Any], task: Task) -> Iterator[tuple[Pull, Observations]]:
    for pull in connector.plan(task):
        yield pull, connector.parse(pull, answers(connector, pull))


def parsed(connector: Connector[Any, Any], task: Task) -> Observations:
    """All pulls of a task as one."""
    found = [observations for _, observations in pulls(connector, task)]
    return sum(found[1:], found[0])


def stored(home: Path, connector: Connector[Any, Any], task: Task) -> tuple[Snapshot, AppendResult]:
    """The snapshot after a task was pulled, and what became of its rows."""
    columns = ["signal", "name", "region", "unit", "cadence", "aggregation", "scale", "publication_lag", "future_known"]
    described = pd.DataFrame([{name: getattr(signal, name) for name in columns} for signal in task.signals])
    frame = parsed(connector, task).frame.drop(columns="records", errors="ignore")
    batch = Batch(
        connector.name,
        signals=described.assign(source=connector.name),
        observations=frame,
        candidates=pd.DataFrame({"category": "*", "signal": described["signal"]}),
    )
    with Store.open(home) as store:
        result = store.append(batch, task.now)
        store.publish()
    return open_snapshot(home), result
