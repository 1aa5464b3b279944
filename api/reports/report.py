"""One self-contained HTML file: every category with its finding, charts, signals, quality and tables.

Nothing is fetched: plotly.js, styles and data are in the file, and a content security policy forbids the rest.
Every finding and table is plain HTML, so the report also reads with scripts blocked.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.reports import charts, view
from api.reports.items import ReportItem
from api.reports.remarks import freshness
from api.reports.sentences import three_sentences
from forecast.plot import DARK, FONT, LIGHT

__all__ = ["ReportItem", "build_report"]

_TEMPLATES = Path(__file__).parent / "templates"
_WRONG = "What goes wrong"
_LABELS = ("How good", "What helped", "Left without help", "How fresh")


def build_report(
    items: Sequence[ReportItem],
    *,
    title: str,
    generated_at: datetime,
    source_note: str,
    data_version: int | str | None = None,
    alerts: Sequence[str] = (),
) -> str:
    """One HTML page about `items`, complete in itself.

    Args:
        items: One or more categories, in the order to show them.
        title: The heading of the report.
        generated_at: When it was made (UTC).
        source_note: Where the data is from, shown as a banner (such as `Simulated data`); none if empty.
        data_version: Version of the stored data, where there is one.
        alerts: A sentence on each thing that goes wrong with the forecasts.

    Raises:
        ValueError: There are no items.
    """
    placed = [(item, f"category-{place}") for place, item in enumerate(items, start=1)]
    old = freshness(items, generated_at)
    plotly, script = _plotly(), Markup(_text("report.js"))
    page = _environment().get_template("report.html.j2")
    return page.render(
        title=title,
        facts=_facts(items, generated_at, data_version),
        source_note=source_note,
        findings=[
            *zip(_LABELS, [*three_sentences(items), *([old] if old else [])], strict=False),
            *((_WRONG, sentence) for sentence in alerts),
        ],
        portfolio=[view.portfolio_row(item, anchor, generated_at) for item, anchor in placed],
        sections=[view.section(item, anchor, generated_at) for item, anchor in placed],
        css=_css(),
        plotly=plotly,
        script=script,
        data=_data(placed),
        policy=_policy(plotly, script),
    )


def _data(placed: Sequence[tuple[ReportItem, str]]) -> Markup:
    drawn = {}
    for item, anchor in placed:
        drawn[f"{anchor}-fan"] = charts.fan(item)
        drawn[f"{anchor}-drivers"] = charts.drivers(item)
    return charts.page_data(drawn)


def _facts(items: Sequence[ReportItem], generated_at: datetime, data_version: int | str | None) -> list[str]:
    facts = [f"Made {generated_at.day} {generated_at:%b %Y %H:%M} UTC", *view.origins_and_dates(items)]
    return facts if data_version is None else [*facts, f"Data version {data_version}"]


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _unbroken(value: object) -> object:
    """Keep the per cent sign on the line of its number."""
    return value.replace(" %", "\N{NO-BREAK SPACE}%") if type(value) is str else value


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


@cache
def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


def _css() -> Markup:
    """The stylesheet, with the colours of the charts as its variables."""
    light, dark = (
        "".join(f"--{token.replace('_', '-')}:{value};" for token, value in p.items()) for p in (LIGHT, DARK)
    )
    variables = f":root{{{light}--font:{FONT}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    return Markup(variables + "\n" + _text("report.css"))


def _policy(*scripts: str) -> str:
    """The content security policy: these inline scripts by their hash, and nothing from elsewhere."""
    hashes = " ".join(map(_hash, scripts))
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {hashes}"


@cache
def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
