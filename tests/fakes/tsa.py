"""The TSA's web pages of passenger volumes: this year's, and below it one for each year before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from tests.fakes.server import Answer, Asked

PATH = "/travel/passenger-volumes"
_HTML = "text/html; charset=UTF-8"


class Tsa:
    """Serves `numbers` by day, as they stand on `today`."""

    def __init__(self, numbers: Mapping[date, int], today: date) -> None:
        self.numbers, self.today = dict(numbers), today

    def __call__(self, asked: Asked) -> Answer:
        path = re.fullmatch(rf"{PATH}(?:/(\d{{4}}))?", asked.path)
        year = int(path[1] or self.today.year) if path else 0
        days = sorted((day for day in self.numbers if day.year == year and day < self.today), reverse=True)
        if not days:
            return Answer(page("<h1>Page not found</h1>"), 404, _HTML)
        return Answer(
            page(table(["Date", "Numbers"], [[slashed(day), f"{self.numbers[day]:,}"] for day in days])), 200, _HTML
        )


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table as the page has it."""
    head = "".join(f'<th scope="col">{name}</th>' for name in header)
    body = "".join("<tr>" + "".join(f"<td>{cell} </td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<table class="table"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>'


def page(content: str) -> bytes:
    """A whole page round its content."""
    return (
        "<!DOCTYPE html><html lang='en'><head><title>TSA checkpoint travel numbers</title>"
        "<script>if (1 < 2) { var rows = '<table>'; }</script></head><body><nav>Travel &amp; Tips</nav>"
        f"<p>Updated by 9 a.m. Monday to Friday.</p>{content}<footer>&copy; TSA</footer></body></html>"
    ).encode()


def slashed(day: date) -> str:
    """11/22/2026, without zeros in front."""
    return f"{day.month}/{day.day}/{day.year}"
