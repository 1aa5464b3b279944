"""Daily views of Wikipedia articles, and of those of its sister projects."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from statistics import median
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

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

FIRST_DAY = datetime(2015, 7, 1)  # there are no counts from before
NEVER_UNREAD = 20  # an article with so many views on a usual day does not go a day without any
TOO_LONG_UNREAD = timedelta(days=60)  # a span without one view means that the title is wrong
_NO_DATA = "do not have data"  # the 404 that means it; others are of a wrong address
_CONTACT = re.compile(r"(mailto:)?[^@\s()]+@[^@\s()]+\.[^@\s()]+|https?://[^\s()]+\.[^\s()]+")
_LANGUAGES = {"AT": "de", "BR": "pt", "CH": "de", "CL": "es", "CN": "zh", "CZ": "cs", "DK": "da", "JP": "ja"}
_LANGUAGES |= {
    "KR": "ko",
    "MX": "es",
    "AR": "es",
    "CO": "es",
    "SE": "sv",
    "TW": "zh",
    "UA": "uk",
    "BE": "nl",
    "GR": "el",
}
_SAME = ("DE", "ES", "FI", "FR", "HU", "ID", "IT", "NL", "NO", "PL", "PT", "RO", "RU", "TR")


def _title(text: str) -> str:
    """A title as the counts have it, with underscores for spaces."""
    title = re.sub(r"[ _]+", "_", unicodedata.normalize("NFC", text)).strip("_")
    if not title or len(title.encode()) > 255 or re.search(r"[#<>\[\]{}|\x00-\x1f]", title):
        raise ValueError(
            f"{text!r} is no title of an article: 1 to 255 bytes without # < > [ ] {{ }} |, as in the address of the "
            "page, such as Running shoe"
        )
    return title


class WikimediaSettings(ConnectorSettings):
    """Settings of `[connectors.wikimedia]`."""

    base_url: str = Field(
        "https://wikimedia.org", pattern=r"^https?://\S+[^/\s]$", description="where Wikimedia's REST interface is"
    )
    contact: str = Field(
        "",
        validate_default=True,
        description="your mail address or web page, by which Wikimedia can reach you; it goes into the User-Agent",
    )

    @field_validator("contact")
    @classmethod
    def _reachable(cls, contact: str) -> str:
        if not _CONTACT.fullmatch(contact) or not contact.isascii():  # a header holds ASCII
            raise ValueError(
                "must be a mail address or a web page (https://...) of yours: Wikimedia's policy asks every program to "
                "say how its operator can be reached, and blocks those that do not"
            )
        return contact


class WikimediaEntry(Entry):
    """Articles of one project."""

    project: str = Field(
        "en.wikipedia", pattern=r"^[a-z0-9-]+\.[a-z]+$", description="the project, without .org, such as de.wikipedia"
    )
    articles: tuple[Annotated[str, AfterValidator(_title)], ...] = Field(
        min_length=1, description="titles as in the addresses of the pages, such as Running shoe"
    )
    access: Literal["all-access", "desktop", "mobile-app", "mobile-web"] = Field(
        "all-access", description="how the articles were read"
    )
    agent: Literal["user", "all-agents", "automated", "spider"] = Field("user", description="who read them")

    @field_validator("articles")
    @classmethod
    def _first_letters(cls, articles: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Only the titles of Wiktionary may begin with a small letter."""
        if not str(info.data.get("project", "")).endswith(".wiktionary"):
            articles = tuple(article[0].upper() + article[1:] for article in articles)
        twice = {article for article in articles if articles.count(article) > 1}
        if twice:
            raise ValueError(f"{min(twice)!r} is there twice; name each article once")
        return articles


_EXAMPLE = b"""{"items":[
{"project":"en.wikipedia","article":"Boot","granularity":"daily","timestamp":"2026110100","access":"all-access",
"agent":"user","views":412},
{"project":"en.wikipedia","article":"Boot","granularity":"daily","timestamp":"2026110200","access":"all-access",
"agent":"user","views":498}]}"""


class Wikimedia(Connector[WikimediaSettings, WikimediaEntry]):
    """`GET /api/rest_v1/metrics/pageviews/per-article/...`, one request for an article whatever the span."""

    name = "wikimedia"
    about = About(
        title="Wikimedia pageviews",
        homepage="https://doc.wikimedia.org/generated-data-platform/aqs/analytics-api/",
        licence="CC0 1.0: no attribution is asked for",
        terms="Free, also for commercial use; a User-Agent that names a contact is required, and few requests at once.",
    )
    policy = Policy(interval=1.0, answers=frozenset({200, 404}))
    settings_type = WikimediaSettings
    entry_type = WikimediaEntry
    examples = (Example({"articles": ["Boot"]}, (_EXAMPLE,), {"contact": "ops@example.com"}),)

    def signals(self, entry: WikimediaEntry) -> list[Signal]:
        """One signal for each article: `wikimedia/<project>/<article>`, with the access and agent where not default."""
        return [
            Signal(
                signal=_signal(entry, article),
                name=f"Views of {article.replace('_', ' ')} ({entry.project})",
                cadence="D",
                unit="views",
                aggregation="sum",
                publication_lag=timedelta(days=1),
            )
            for article in entry.articles
        ]

    def plan(self, task: Task) -> Iterable[Pull]:
        """One pull for each article, for all days before today (UTC)."""
        entry: WikimediaEntry = task.entry
        through = _midnight(task.now)
        for article in entry.articles:
            signal = _signal(entry, article)
            start = max(_midnight(task.since[signal]), FIRST_DAY)
            if start < through:
                request = self._request(entry, article, start, through)
                yield Pull((signal,), (request,), through, {"article": article, "start": f"{start:%Y-%m-%d}"})

    def _request(self, entry: WikimediaEntry, article: str, start: datetime, through: datetime) -> Request:
        span = f"{start:%Y%m%d}00/{through - timedelta(days=1):%Y%m%d}00"
        path = f"{entry.project}/{entry.access}/{entry.agent}/{quote(article, safe='')}/daily/{span}"
        # The transport puts `contact` into the User-Agent.
        return Request(f"{self.settings.base_url}/api/rest_v1/metrics/pageviews/per-article/{path}")

    def parse(self, pull: Pull, payloads: Sequence[Payload]) -> Observations:
        """The views of each day that is counted; a day without views between two others is 0, for it is left out."""
        (signal,), (payload,) = pull.signals, payloads
        first, end = date.fromisoformat(pull.context["start"]), pull.through.date()
        if payload.status == 404:
            _check_no_data(payload.json(), pull.context["article"], end - first)
            return observations(signal, [], [])
        views = _views(payload.json(), pull.context["article"])
        days = sorted(views)
        if days[0] < first or days[-1] >= end:
            raise Drift(f"only days from {first} to before {end} were asked for", "timestamp", days)
        if median(views.values()) < NEVER_UNREAD:
            days = [days[0] + timedelta(days=i) for i in range((days[-1] - days[0]).days + 1)]
        return observations(signal, days, [float(views.get(day, 0)) for day in days])

    @classmethod
    def suggest(cls, category: CategoryFacts) -> Iterator[Mapping[str, Any]]:
        """The article that is called like the category, in the language of its country; singular where it ends in s."""
        name = " ".join(category.words).capitalize()
        country = (category.calendar or "")[:2].upper()
        language = country.lower() if country in _SAME else _LANGUAGES.get(country, "en")
        if name:
            article = name[:-1] if language == "en" and name.endswith("s") and not name.endswith("ss") else name
            yield {"articles": [article], "project": f"{language}.wikipedia"}


def _midnight(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, moment.day)


def _signal(entry: WikimediaEntry, article: str) -> str:
    special = [value for value in (entry.access, entry.agent) if value not in ("all-access", "user")]
    return "/".join(("wikimedia", entry.project, article, *special))


def _check_no_data(answer: Any, article: str, span: timedelta) -> None:
    """Drift unless a 404 is the one that means no data, and of a span so short that it may be true."""
    detail = answer.get("detail") if isinstance(answer, dict) else None
    if not isinstance(detail, str) or _NO_DATA not in detail:
        raise Drift("Wikimedia answers 404, and not because there is no data", "detail", detail)
    if span > TOO_LONG_UNREAD:
        raise Drift(
            f"not one view in {span.days} days: check project and title, which is case-sensitive and that of the "
            "article itself, not of a redirect to it",
            "articles",
            article,
        )


def _views(answer: Any, article: str) -> dict[date, int]:
    """The views of each day that the answer names."""
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list) or not items:
        raise Drift("must be a list of days", "items", items)
    views: dict[date, int] = {}
    for item in items:
        day, count = _item(item, article)
        if views.setdefault(day, count) != count:
            raise Drift(f"two counts for {day}", "items", item)
    return views


def _item(item: Any, article: str) -> tuple[date, int]:
    if not isinstance(item, dict):
        raise Drift("must be an object for each day", "items", item)
    stamp, count = item.get("timestamp"), item.get("views")
    if not isinstance(stamp, str) or not re.fullmatch(r"[12]\d{7}00", stamp, re.ASCII):
        raise Drift("must be a day such as 2026110100", "timestamp", stamp)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 10**12:
        raise Drift("must be a count", "views", count)
    if item.get("article") != article:
        raise Drift(f"must be {article!r}, which was asked for", "article", item.get("article"))
    try:
        return datetime.strptime(stamp, "%Y%m%d00").date(), count
    except ValueError as error:
        raise Drift("must be a day such as 2026110100", "timestamp", stamp) from error
