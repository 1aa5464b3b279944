"""How often hashtags are used on Mastodon, as one or several of its servers see it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, field_validator

from signals.connector import (
    About,
    CategoryFacts,
    Connector,
    ConnectorSettings,
    Drift,
    Entry,
    Example,
    Observations,
    Payload,
    Policy,
    Pull,
    Request,
    Signal,
    Task,
    observations,
)

DAY = 86_400  # seconds
_ADDRESS = r"^https?://[^\s/]+$"


def _tag(text: str) -> str:
    """A tag without its #, in small letters, as servers compare tags."""
    tag = text.removeprefix("#").lower()
    if not re.fullmatch(r"\w*[^\W\d_]\w*", tag):
        raise ValueError(f"{text!r} is no hashtag: letters, digits and _, at least one letter, no spaces: runningshoes")
    return tag


class MastodonSettings(ConnectorSettings):
    """Settings of `[connectors.mastodon]`."""

    base_url: str = Field(
        "https://mastodon.social", pattern=_ADDRESS, description="the server that is asked where an entry names none"
    )


class MastodonEntry(Entry):
    """Hashtags, and whom to ask."""

    tags: tuple[Annotated[str, AfterValidator(_tag)], ...] = Field(
        min_length=1, description="hashtags without #, such as runningshoes"
    )
    metrics: tuple[Literal["uses", "accounts"], ...] = Field(
        ("uses",), min_length=1, description="uses: posts with the tag; accounts: how many people wrote them"
    )
    instances: tuple[Annotated[str, Field(pattern=_ADDRESS)], ...] = Field(
        (), description="addresses of servers such as https://fosstodon.org; empty: base_url"
    )

    @field_validator("tags", "metrics", "instances")
    @classmethod
    def _once(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        twice = {value for value in values if values.count(value) > 1}
        if twice:
            raise ValueError(f"{min(twice)!r} is there twice; give each once")
        return values


_EXAMPLE = b"""{"id": "12", "name": "boots", "url": "https://mastodon.social/tags/boots", "history": [
{"day": "1795132800", "uses": "3", "accounts": "3"}, {"day": "1795046400", "uses": "41", "accounts": "29"}]}"""


class Mastodon(Connector[MastodonSettings, MastodonEntry]):
    """`GET /api/v1/tags/:name`: the last seven days, today included. What is not asked for in time is lost."""

    name = "mastodon"
    about = About(
        title="Mastodon: use of hashtags",
        homepage="https://docs.joinmastodon.org/methods/tags/",
        licence="Counts only, no posts; each server has its own terms, see its /about page",
        terms="Public, without an account, up to 300 requests in 5 minutes; a server may close it or ask for less.",
    )
    policy = Policy(
        interval=1.0, budget=(300, 300.0), history=timedelta(days=7), answers=frozenset({200, 404}), timeout=30.0
    )
    settings_type = MastodonSettings
    entry_type = MastodonEntry
    examples = (Example({"tags": ["boots"]}, (_EXAMPLE,)),)

    def signals(self, entry: MastodonEntry) -> list[Signal]:
        """`mastodon/<metric>/<tag>/<server>`: servers see different, overlapping parts, so they are never added up."""
        return [
            Signal(
                signal=_signal(metric, tag, server),
                name=f"#{tag} on {urlsplit(server).netloc} ({metric})",
                cadence="D",
                unit="posts" if metric == "uses" else "accounts",
                # Nobody can add up accounts over days: who writes on two days is one account.
                aggregation="sum" if metric == "uses" else "mean",
                publication_lag=timedelta(hours=1),
            )
            for server in self._servers(entry)
            for tag in entry.tags
            for metric in entry.metrics
        ]

    def plan(self, task: Task) -> Iterable[Pull]:
        """One request a server and tag, for the days before today (UTC)."""
        entry: MastodonEntry = task.entry
        through = datetime(task.now.year, task.now.month, task.now.day)
        for server in self._servers(entry):
            for tag in entry.tags:
                signals = tuple(_signal(metric, tag, server) for metric in entry.metrics)
                request = Request(f"{server}/api/v1/tags/{quote(tag)}")
                yield Pull(signals, (request,), through, {"metrics": " ".join(entry.metrics)})

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """The days that are over; none where the server does not know the tag yet."""
        (payload,) = payloads
        history = _history(payload.json(), payload.status)
        days = [day for day in sorted(history) if day < pull.through.date()]
        found = [
            observations(signal, days, [float(history[day][metric]) for day in days])
            for signal, metric in zip(pull.signals, pull.context["metrics"].split(), strict=True)
        ]
        return sum(found[1:], found[0])

    @classmethod
    def suggest(cls, category: CategoryFacts) -> Iterator[Mapping[str, Any]]:
        """The words of the category as one tag."""
        tag = re.sub(r"\W", "", "".join(category.words))
        if re.search(r"[^\W\d_]", tag):
            yield {"tags": [tag]}

    def _servers(self, entry: MastodonEntry) -> tuple[str, ...]:
        return entry.instances or (self.settings.base_url,)


def _signal(metric: str, tag: str, server: str) -> str:
    return f"mastodon/{metric}/{tag}/{urlsplit(server).netloc}"


def _history(answer: Any, status: int) -> dict[date, dict[str, int]]:
    """Uses and accounts of each day."""
    if not isinstance(answer, dict):
        raise Drift("must be an object", "", answer)
    if status == 404:
        if not isinstance(answer.get("error"), str):
            raise Drift("a 404 that is not Mastodon's: is this a server of Mastodon?", "error", answer)
        return {}
    items = answer.get("history")
    if not isinstance(answer.get("name"), str) or not isinstance(items, list) or not items:
        raise Drift("must be a tag with its days", "history", answer)
    history: dict[date, dict[str, int]] = {}
    for item in items:
        day, counts = _item(item)
        if history.setdefault(day, counts) != counts:
            raise Drift(f"two counts for {day}", "history", item)
    return history


def _item(item: Any) -> tuple[date, dict[str, int]]:
    if not isinstance(item, dict):
        raise Drift("must be an object for each day", "history", item)
    day = _number(item, "day")
    if day % DAY or day > 10**11:
        raise Drift("must be the second at which a day begins (UTC)", "history.day", item["day"])
    return datetime.fromtimestamp(day, UTC).date(), {name: _number(item, name) for name in ("uses", "accounts")}


def _number(item: Mapping[str, Any], name: str) -> int:
    """Servers give numbers as text."""
    text = item.get(name)
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,15}", text, re.ASCII):
        raise Drift("must be a number in a text", f"history.{name}", text)
    return int(text)
