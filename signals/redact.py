"""Secrets never reach a log, a message or a file of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_NAMES = (
    r"api[_-]?key|app[_-]?token|access_?token|token|key|secret|password|signature|sig|authorization|(?:set-)?cookie"
)
_NAMED = re.compile(rf"(?:x-)?(?:{_NAMES})", re.IGNORECASE)
_IN_ADDRESS = re.compile(rf"((?:^|[?&])(?:{_NAMES})=)[^&\s]+", re.IGNORECASE)
_LOGIN = re.compile(r"(https?://)[^/@\s]+@")
_CREDENTIALS = re.compile(r"(?:Bearer|Basic|Token|ApiKey) +(\S{6,})", re.IGNORECASE)
_ESCAPE = re.compile("%[0-9A-F]{2}")


class Redactor:
    """Hides the values that it knows, and whatever stands under a name that secrets have."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({plain for secret in secrets for plain in _plain(secret)}, key=len, reverse=True)
        self._forms = sorted({form for secret in known for form in _forms(secret)}, key=len, reverse=True)
        self._written = re.compile("|".join(map(_however, known)) or r"(?!)", re.IGNORECASE)

    def text(self, text: str) -> str:
        """A text without secrets."""
        text = self._written.sub(HIDDEN, text)
        return _LOGIN.sub(rf"\1{HIDDEN}@", _IN_ADDRESS.sub(rf"\1{HIDDEN}", text))

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        """Parameters or headers without secrets."""
        return {name: HIDDEN if _NAMED.fullmatch(name) else self.text(value) for name, value in values.items()}

    def body(self, body: bytes) -> bytes:
        """A body without the secrets that are known: some services repeat a key in their answer."""
        for form in self._forms:
            body = body.replace(form.encode(), HIDDEN.encode())
        return body


def holds_secret(address: str) -> bool:
    """Whether an address holds a login, or a parameter that is called as secrets are."""
    web = address.startswith(("http://", "https://"))
    return web and bool(_LOGIN.search(address) or _IN_ADDRESS.search(address))


def _plain(secret: str) -> Iterator[str]:
    """A secret, and without the word before it where it is a whole header such as `Bearer abc`."""
    if secret:
        yield secret
    if found := _CREDENTIALS.fullmatch(secret):
        yield found[1]


def _forms(secret: str) -> Iterator[str]:
    """How a service writes a secret that it was given: in an address, in JSON, on a page."""
    quoted = json.dumps(secret)[1:-1]
    yield from (secret, quoted, quoted.replace("/", "\\/"), json.dumps(secret, ensure_ascii=False)[1:-1])
    yield escape(secret)
    for form in (quote(secret, safe=""), quote_plus(secret), quote(secret)):
        yield form
        yield _ESCAPE.sub(lambda found: found[0].lower(), form)


def _however(secret: str) -> str:
    """A regular expression for a secret any of whose characters may be escaped in any of these ways."""
    ways = (("".join(f"%{byte:02x}" for byte in one.encode()), escape(one), one) for one in secret)
    return "".join(rf"\\*(?:{'|'.join(map(re.escape, dict.fromkeys(way)))})" for way in ways)
