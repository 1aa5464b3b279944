"""Sales in one file behind an address: fetched politely, kept as it came, and refused where it is cut or a web page."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx
import stamina

from signals.http_body import ACCEPTED, body_of
from signals.refused import ImportRefused
from signals.retry_after import asked_wait
from signals.sales_config import Address, shown
from signals.sales_folder import in_file
from signals.tables import Table, read_table

ATTEMPTS = 5
LONGEST_PAUSE = 120.0  # seconds; a server that asks for more is asked again at the next pull
_CHUNK = 1 << 20

# They log whole addresses, signatures included.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)


class _Again(Exception):  # noqa: N818 - it says what to do
    """The fetch failed in a way that may pass; `pause` is how many seconds the server asks to wait."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True)
class Landed:
    """A file that was fetched and lies under `raw/`, gzipped, named by the SHA-256 of its content."""

    path: Path
    name: str  # of the file behind the address
    content: str

    def read(self) -> Table:
        """Its table; ImportRefused where it is none."""
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "file"
            with gzip.open(self.path) as packed, plain.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
            try:
                return replace(read_table(plain), name=self.name)
            except ImportRefused as refusal:
                raise in_file(self.name, refusal) from refusal


def land(address: Address, folder: Path, *, timeout: float, max_megabytes: int) -> Landed:
    """Fetch the file into `folder`, whole or not at all.

    Tries again after 429, 5xx and broken connections, and waits as the server asks. Raises ImportRefused where it
    cannot be fetched, is a web page or other text about an error, or is larger than `max_megabytes`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{os.getpid()}.part"
    deadline = time.monotonic() + timeout
    try:
        for attempt in stamina.retry_context(
            on=_pause, attempts=ATTEMPTS, timeout=timeout, wait_initial=1.0, wait_max=30.0
        ):
            with attempt, _telling(address):
                digest = _fetch(address, part, deadline, max_megabytes * 1_000_000)
        kind = _kind(part, address)
        return Landed(_keep(part, folder / f"{digest}.{kind}.gz"), _name(address, kind), digest)
    except _Again as error:
        raise _refused(address, str(error), "Try again later, or check the address") from None
    finally:
        part.unlink(missing_ok=True)


def _pause(error: Exception) -> bool | float:
    """Whether to try again, and after how many seconds where the server says it."""
    if not isinstance(error, _Again):
        return False
    if error.pause is None:
        return True
    return error.pause if error.pause <= LONGEST_PAUSE else False


@contextmanager
def _telling(address: Address) -> Iterator[None]:
    """Failures of the connection as ones to try again, without the address, which httpx may put into its message."""
    try:
        yield
    except httpx.TransportError as error:
        raise _Again(address.hide(str(error)) or type(error).__name__) from None
    except httpx.InvalidURL as error:
        raise _refused(address, "it is no address", "Correct the address") from error
    except httpx.HTTPError as error:
        raise _refused(address, address.hide(str(error)), "Check the address") from None


def _fetch(address: Address, part: Path, deadline: float, most: int) -> str:
    """Stream the answer into a file; the SHA-256 of its bytes."""
    digest, size = hashlib.sha256(), 0
    seconds = max(deadline - time.monotonic(), 1.0)
    with (
        httpx.stream("GET", address.text, timeout=seconds, follow_redirects=True, headers=ACCEPTED) as answer,
        part.open("wb") as file,
    ):
        _check_status(answer, address)
        for chunk in body_of(answer):
            size += len(chunk)
            if size > most:
                limit = f"it is larger than max_megabytes = {most // 1_000_000}"
                raise _refused(address, limit, "Offer a smaller file, or raise `max_megabytes`")
            if time.monotonic() > deadline:
                raise _refused(address, "it took longer than `timeout`", "Raise `timeout`")
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _check_status(answer: httpx.Response, address: Address) -> None:
    reason = f"the server answered {answer.status_code} {answer.reason_phrase}"
    if answer.status_code == 429 or answer.status_code >= 500:
        raise _Again(reason, asked_wait(answer.headers))
    if answer.status_code != 200:
        remedy = "Check the address; a signed one may have expired" if answer.status_code in (401, 403) else "Check it"
        raise _refused(address, reason, remedy)
    if "html" in answer.headers.get("Content-Type", ""):
        raise _refused(address, "it answered a web page", "Give the address of the file itself")


def _kind(part: Path, address: Address) -> str:
    """parquet or csv; refused where the answer begins like a web page, XML or JSON: an error in place of the file."""
    with part.open("rb") as file:
        begin = file.read(200)
    if begin.startswith(b"PAR1"):
        return "parquet"
    first = begin.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    found = {b"<": "a web page or XML", b"{": "JSON", b"[": "JSON", b"": "nothing"}.get(first)
    if found is not None:
        raise _refused(address, f"it answered {found}", "Give the address of a CSV or Parquet file")
    return "csv"


def _keep(part: Path, place: Path) -> Path:
    """The file gzipped at its place, unless it lies there already."""
    if not place.exists():
        packed = part.with_suffix(".gz")
        try:
            with part.open("rb") as plain, packed.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
                shutil.copyfileobj(plain, file, _CHUNK)
            packed.replace(place)
        finally:
            packed.unlink(missing_ok=True)
    return place


def _name(address: Address, kind: str) -> str:
    return PurePosixPath(unquote(urlsplit(address.text).path)).name or f"sales.{kind}"


def _refused(address: Address, reason: str, remedy: str) -> ImportRefused:
    url = address.hide(shown(address.text))
    return ImportRefused(f"cannot fetch {url}: {reason}", value=url, remedy=remedy)
