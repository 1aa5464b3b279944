"""Where things lie in a home folder, and how files get there so that a crash or a power cut tears nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folder that holds one user's data; only names, nothing is created by asking."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "ingest.lock"

    @property
    def database(self) -> Path:
        return self.path / "state" / "ingest.duckdb"

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots"

    @property
    def current(self) -> Path:
        return self.snapshots / "CURRENT"

    @property
    def first(self) -> Path:
        """There from before the first snapshot until CURRENT names it."""
        return self.snapshots / ".first"

    @property
    def inbox(self) -> Path:
        return self.path / "inbox"

    @property
    def receipts(self) -> Path:
        return self.inbox / "receipts"

    @property
    def refused(self) -> Path:
        return self.inbox / "refused"

    @property
    def raw(self) -> Path:
        return self.path / "raw"

    def create(self) -> None:
        """Make the folders that are missing."""
        for folder in (self.database.parent, self.snapshots, self.inbox, self.receipts, self.refused, self.raw):
            folder.mkdir(parents=True, exist_ok=True)


def utc(moment: datetime | None) -> datetime:
    """The moment (None: now) as the store keeps it: UTC without a zone. A naive moment is taken as UTC."""
    moment = datetime.now(UTC) if moment is None else moment
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def fsync(path: Path) -> None:
    """Force a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, text: str) -> None:
    """Write a small file so that readers, and a machine that loses power, see the old text or the new, never a part."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    fsync(temporary)
    temporary.replace(path)
    fsync(path.parent)


@contextmanager
def folder_durably(path: Path) -> Iterator[Path]:
    """A temporary folder to fill; it appears under `path`, whole and on disk, when the block ends without an error."""
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.iterdir():
            fsync(file)
        fsync(temporary)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    fsync(path.parent)
