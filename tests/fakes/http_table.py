"""A web server that gives out tables, some of them to those only who know the token."""

from __future__ import annotations

from tests.fakes.server import Answer, Asked


class HttpTable:
    """A source: `tables` by path; with `token` each request must carry it in the header `header`."""

    def __init__(self, tables: dict[str, Answer], token: str | None = None, header: str = "Authorization") -> None:
        self.tables, self.token, self.header = tables, token, header.lower()

    def __call__(self, asked: Asked) -> Answer:
        if self.token is not None and asked.headers.get(self.header) != self.token:
            return Answer({"message": "Unauthorized"}, 401)
        return self.tables.get(asked.path, Answer(b"Not Found", 404, "text/plain"))


def csv(*lines: str, encoding: str = "utf-8") -> Answer:
    return Answer("\n".join([*lines, ""]).encode(encoding), 200, "text/csv")
