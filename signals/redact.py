"""Secrets never reach a log, a message or a file of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_NAMES = r"api_?key|app[_-]?token|access_?token|token|key|secret|password|signature|sig|authorization|(?:set-)?cookie"
_NAMED = re.compile(rf"(?:x-)?(?:{_NAMES})", re.IGNORECASE)
_IN_ADDRESS = re.compile(rf"((?:^|[?&])(?:{_NAMES})=)[^&\s]+", re.IGNORECASE)
_LOGIN = re.compile(r"(https?://)[^/@\s]+@")


class Redactor:
    """Hides the values that it knows, and whatever stands under a name that secrets have."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""), quote_plus(secret))}
        self._secrets = sorted(known, key=len, reverse=True)

    def text(self, text: str) -> str:
        """A text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _LOGIN.sub(rf"\1{HIDDEN}@", _IN_ADDRESS.sub(rf"\1{HIDDEN}", text))

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        """Parameters or headers without secrets."""
        return {name: HIDDEN if _NAMED.fullmatch(name) else self.text(value) for name, value in values.items()}

    def body(self, body: bytes) -> bytes:
        """A body without the secrets that are known: some services repeat a key in their answer."""
        for secret in self._secrets:
            body = body.replace(secret.encode(), HIDDEN.encode())
        return body
