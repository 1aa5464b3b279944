"""What every connector must hold, built in or plug-in: `check_connector(MyConnector)` in its own tests.

The checks use the connector's `examples` and ask nobody. Each is a function of (connector type, example) that raises
AssertionError in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from pydantic import SecretStr

from signals.config import AnyConnector, secret_fields
from signals.connector import CategoryFacts, Drift, Example, Observations, Payload, Pull, Request, Task
from signals.frames import batch_of, check_observations
from signals.names import name_problem
from signals.periods import parse_frequency
from signals.redact import Redactor

NOW = datetime(2026, 11, 25, 9, 30)
SECRET = "s3cret-of-the-check"
CONSENT = b"<!doctype html><html><head><title>Before you continue</title></head><body>Accept?</body></html>"
BROKEN = (b"", b"{", b"[]", b"{}", b"null", b'"text"', b'{"error": "no"}', b"Internal error", CONSENT, b"\xff\xfe\x00")
Kind = type[AnyConnector]
Check = Callable[[Kind, Example], None]


def check_connector(kind: Kind) -> None:
    """Raise AssertionError, in words, at the first thing that a connector does not hold."""
    assert kind.examples, f"{kind.__name__}.examples is empty: give at least one Example"
    for example in kind.examples:
        for check in CHECKS:
            check(kind, example)


def made(kind: Kind, example: Example) -> tuple[AnyConnector, Any]:
    """The connector of an example, with a made-up value for each secret, and the example's entry."""
    secrets = {name: SecretStr(SECRET) for name in secret_fields(kind.settings_type)}
    connector = kind(kind.settings_type.model_validate({**secrets, **example.settings}))
    return connector, kind.entry_type.model_validate(dict(example.entry))


def task_of(connector: AnyConnector, entry: Any, now: datetime = NOW, since: datetime | None = None) -> Task:
    """A first pull of an entry, or one from `since` on."""
    signals = tuple(connector.signals(entry))
    begin = now - connector.policy.history if since is None else since
    return Task(entry, signals, {signal.signal: begin for signal in signals}, now, begin)


def _has_a_name_and_says_what_it_is(kind: Kind, _: Example) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", kind.name), f"name {kind.name!r}: lower case letters, digits and _"
    for field in ("title", "licence", "terms"):
        assert getattr(kind.about, field).strip(), f"about.{field} is empty"
    assert re.match(r"https://|$", kind.about.homepage), "about.homepage begins with https://, or is empty"
    policy = kind.policy
    assert policy.interval >= 0, "policy.interval is not negative"
    assert policy.every > timedelta(0), "policy.every is more than nothing"
    assert policy.overlap >= timedelta(0), "policy.overlap is not negative"


def _describes_its_settings(kind: Kind, _: Example) -> None:
    for model in (kind.settings_type, kind.entry_type):
        assert model.model_config.get("extra") == "forbid", f"{model.__name__} must refuse unknown keys"
        for name, info in model.model_fields.items():
            assert name == "accept_terms" or info.description, f"{model.__name__}.{name} has no description"


def _names_signals_well(kind: Kind, example: Example) -> None:
    connector, entry = made(kind, example)
    signals = connector.signals(entry)
    names = [signal.signal for signal in signals]
    assert names, "signals() gives none"
    assert len(set(names)) == len(names), f"signals() names one twice: {names}"
    assert names == [signal.signal for signal in connector.signals(entry)], "signals() changes from call to call"
    for signal in signals:
        assert signal.signal.startswith(f"{kind.name}/") or "/" in signal.signal, (
            f"{signal.signal}: connector/what/where"
        )
        assert name_problem("signal", signal.signal) is None, (
            f"{signal.signal!r}: {name_problem('signal', signal.signal)}"
        )
        assert parse_frequency(signal.cadence) == signal.cadence != "W", f"cadence {signal.cadence!r}"
        assert signal.aggregation in ("mean", "sum"), f"aggregation {signal.aggregation!r}"
        assert signal.scale in ("absolute", "window"), f"scale {signal.scale!r}"


def _plans_the_same_again_and_no_further_than_now(kind: Kind, example: Example) -> None:
    connector, entry = made(kind, example)
    task = task_of(connector, entry)
    pulls = list(connector.plan(task))
    assert pulls, "plan() of a first pull gives nothing"
    assert pulls == list(connector.plan(task)), "plan() changes from call to call"
    ahead = {signal.signal for signal in task.signals if signal.future_known}
    for pull in pulls:
        assert pull.signals, "a pull names no signal"
        assert set(pull.signals) <= {signal.signal for signal in task.signals}, f"strange signals in {pull.signals}"
        assert pull.through <= NOW or set(pull.signals) <= ahead, f"through {pull.through} lies beyond now, {NOW}"
    throughs = [pull.through for pull in pulls if pull.signals == pulls[0].signals]
    assert throughs == sorted(throughs), "the oldest pull comes first"


def _plans_less_after_a_cursor(kind: Kind, example: Example) -> None:
    connector, entry = made(kind, example)
    first = list(connector.plan(task_of(connector, entry)))
    later = list(connector.plan(task_of(connector, entry, since=NOW - timedelta(days=40))))
    assert len(later) <= len(first), "a pull from a cursor asks for more than the first one"


def _asks_its_own_address_and_keeps_secrets(kind: Kind, example: Example) -> None:
    connector, entry = made(kind, example)
    redactor = Redactor([SECRET])
    for pull in connector.plan(task_of(connector, entry)):
        for request in pull.requests:
            assert re.match(r"https?://[^/]+", request.url), f"{request.url!r} is no absolute address"
            shown = redactor.text(request.url), redactor.mapping(request.params), redactor.mapping(request.headers)
            assert SECRET not in str(shown), "a secret stays visible after redaction"
            texts = [*request.params.values(), *request.headers.values()]
            assert all(isinstance(text, str) for text in texts), "params and headers hold texts only"


def _reads_its_example(kind: Kind, example: Example) -> None:
    connector, entry = made(kind, example)
    pull, found = parsed(connector, entry, example)
    signals = {signal.signal: signal for signal in connector.signals(entry)}
    check_observations(found, pull, signals, NOW)
    assert len(found.frame), "parse() of the example gives no row"
    _, again = parsed(connector, entry, example)
    pd.testing.assert_frame_equal(found.frame, again.frame)
    batch = batch_of(connector, list(signals.values()), pull, found, ["*"], "", NOW)
    assert batch.connector == kind.name


def parsed(connector: AnyConnector, entry: Any, example: Example) -> tuple[Pull, Observations]:
    """The first pull of an example, and what parse() makes of the example's answers."""
    pull = next(iter(connector.plan(task_of(connector, entry))))
    return pull, connector.parse(pull, answered(connector, pull, example.answers, example.content_type))


def answered(connector: AnyConnector, pull: Pull, answers: Sequence[bytes], content_type: str) -> list[Payload]:
    """Answers as payloads: to the planned requests, then to those that next_page() asks for."""
    payloads: list[Payload] = []
    requests = list(pull.requests)
    for body in answers:
        request = requests.pop(0) if requests else connector.next_page(pull, payloads)
        if request is None:
            break
        payloads.append(Payload(request, body, NOW, 200, content_type))
    return payloads


def _calls_broken_answers_drift(kind: Kind, example: Example) -> None:
    connector, entry = made(kind, example)
    pull = next(iter(connector.plan(task_of(connector, entry))))
    if not pull.requests:
        return
    for broken in (*BROKEN, *(body[: len(body) // 2] for body in example.answers)):
        try:
            payloads = answered(connector, pull, [broken] * len(example.answers), example.content_type)
            connector.next_page(pull, payloads)
            found = connector.parse(pull, payloads)
        except Drift:
            continue
        assert not len(found.frame), f"parse() makes rows of {broken[:60]!r}"


def _proposes_entries_that_it_takes(kind: Kind, _: Example) -> None:
    facts = CategoryFacts("Winter boots", "W-SUN", "US", ("winter", "boots"))
    for proposal in kind.suggest(facts):
        kind.entry_type.model_validate(dict(proposal))


def _follows_no_page_of_a_whole_answer(kind: Kind, example: Example) -> None:
    connector, entry = made(kind, example)
    pull = next(iter(connector.plan(task_of(connector, entry))))
    payloads = answered(connector, pull, example.answers, example.content_type)
    more: Request | None = connector.next_page(pull, payloads) if payloads else None
    assert more is None, f"after its whole example the connector asks for more: {more and more.url}"


CHECKS: tuple[Check, ...] = (
    _has_a_name_and_says_what_it_is,
    _describes_its_settings,
    _names_signals_well,
    _plans_the_same_again_and_no_further_than_now,
    _plans_less_after_a_cursor,
    _asks_its_own_address_and_keeps_secrets,
    _reads_its_example,
    _calls_broken_answers_drift,
    _proposes_entries_that_it_takes,
    _follows_no_page_of_a_whole_answer,
)


def checks(kind: Kind) -> Iterator[tuple[str, Check, Example]]:
    """Every check of a connector with its name, for a parametrised test."""
    for check in CHECKS:
        for example in kind.examples:
            yield f"{kind.name}:{check.__name__.strip('_')}", check, example
