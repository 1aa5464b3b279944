"""Payloads as they came, gzipped under their hash in `raw/` of the home, before anything looks into them."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from signals.connector import Connector, Payload, Pull, Request
from signals.home import fsync
from signals.pull_state import Landed, PullState
from signals.redact import Redactor


class PayloadLost(RuntimeError):  # noqa: N818 - named for what happened, as its callers read it
    """A payload that was landed cannot be read any more."""


def pull_key(pull: Pull) -> str:
    """What names a pull of the same signals, whenever it is made."""
    return json.dumps(sorted(pull.signals), ensure_ascii=False)


class Landing:
    """The raw payloads of one connector."""

    def __init__(self, home: Path, state: PullState, connector: Connector, redactor: Redactor) -> None:  # type: ignore[type-arg]
        self._folder = home / "raw" / connector.name
        self._state, self._connector, self._redactor = state, connector, redactor

    def tidy(self) -> None:
        """Drop what a killed pull has left half-written; only for the one who holds the lock of the source."""
        for part in self._folder.glob(".tmp-*"):
            part.unlink()

    def fingerprint(self, request: Request) -> str:
        """A hash of what was asked, the same whatever the secrets."""
        return hashlib.sha256(self._asked(request).encode()).hexdigest()

    def _asked(self, request: Request) -> str:
        plain = Request(
            self._redactor.text(request.url), self._redactor.mapping(request.params),
            self._redactor.mapping(request.headers), request.method,
        )  # fmt: skip
        return json.dumps(asdict(plain), sort_keys=True, ensure_ascii=False)

    def keep(self, run: str, pull: Pull, payload: Payload, headers: dict[str, str]) -> int:
        """Put a payload, whose body holds no secret, on disk; its number. It is safe when this returns."""
        sha = hashlib.sha256(payload.body).hexdigest()
        self._write(sha, payload.body)
        seconds = pull.recall.total_seconds()
        pulled = {"through": str(pull.through), "context": dict(pull.context), "recall": seconds}
        pulled["planned"] = len(pull.requests)  # the others were asked for by next_page
        facts = {
            "request": json.dumps({"asked": json.loads(self._asked(payload.request)), "pull": pulled}),
            "fingerprint": self.fingerprint(payload.request),
            "status": payload.status,
            "content_type": payload.content_type,
            "headers": self._redactor.mapping(headers),
            "fetched_at": str(payload.fetched_at),
            "sha": sha,
            "parser": f"{self._connector.name} {self._connector.version}, groundswell {version('groundswell')}",
        }
        return self._state.land(run, self._connector.name, pull_key(pull), facts)

    def _write(self, sha: str, body: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / f"{sha}.gz"
        part = place.with_name(f".tmp-{os.getpid()}-{place.name}")
        part.write_bytes(gzip.compress(body, 6, mtime=0))
        fsync(part)
        part.replace(place)
        fsync(self._folder)

    def read(self, landed: Landed) -> Payload:
        """A payload as it was landed; raises PayloadLost where its file is gone or damaged."""
        asked, place = json.loads(landed.request)["asked"], self._folder / f"{landed.sha}.gz"
        try:
            body = gzip.decompress(place.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise PayloadLost(f"{place} cannot be read ({error})") from error
        if hashlib.sha256(body).hexdigest() != landed.sha:
            raise PayloadLost(f"{place} is not what was landed")
        return Payload(Request(**asked), body, landed.fetched_at, landed.status, landed.content_type)
