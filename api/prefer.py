"""What a client prefers (RFC 7240): `Prefer: respond-async`, `wait=N`, `handling=strict`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi import Request

from api.errors import Problem

_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Preference:
    """How long to wait for an answer, in seconds; None: as long as it takes. `asynchronous`: 202 rather than wait.

    `strict`: never 202; a client that cannot ask again is rather refused.
    """

    asynchronous: bool = False
    wait: int | None = None
    strict: bool = False

    @property
    def patience(self) -> int | None:
        """Seconds until 202 is the answer; None: never."""
        return 0 if self.asynchronous and self.wait is None else self.wait

    @property
    def applied(self) -> dict[str, str]:
        """The headers that say what was heeded."""
        told = ["respond-async"] if self.asynchronous else []
        told += [] if self.wait is None else [f"wait={self.wait}"]
        told += ["handling=strict"] if self.strict else []
        return {"Preference-Applied": ", ".join(told)} if told else {}


def preference_of(request: Request) -> Preference:
    """Read all `Prefer` headers; of a doubled preference the first counts, unknown ones are left aside.

    Raises the problem 400 where `wait` is no whole number of seconds, or two preferences exclude each other.
    """
    given: dict[str, str] = {}
    for part in ",".join(request.headers.getlist("prefer")).split(","):
        name, _, value = part.split(";")[0].partition("=")
        given.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = given.get("wait")
    if wait is not None and not _NUMBER.fullmatch(wait):
        detail = f"Prefer: wait is {wait!r}; allowed: a whole number of seconds, as in wait=10"
        raise Problem(400, "bad-request", detail)
    strict, asynchronous = given.get("handling", "").lower() == "strict", "respond-async" in given
    if strict and asynchronous:
        raise Problem(400, "bad-request", "Prefer: respond-async and handling=strict exclude each other; send one")
    return Preference(asynchronous, None if wait is None else int(wait), strict)
