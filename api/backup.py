"""Backups of a home: one tar file, made while `groundswell serve` runs, with the SHA-256 of all that is in it.

What others may move meanwhile is copied in the order in which it moves (uploads and runs, ledger and jobs, inbox,
snapshot): so a thing may be in the copy twice, and is then stored once, but never not at all.
"""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Any

from api.database import now
from api.run_input import folder as runs_folder
from api.run_input import sources
from api.settings import FILE as SETTINGS_FILE
from api.settings import Settings
from signals import inbox
from signals.home import Home, fsync, write_durably
from signals.publish import current_name, published_version, version_of
from signals.store import Store, StoreBusy

MANIFEST = "manifest.json"
FORMAT = 1
DATABASES = ("operations.sqlite", "pull.sqlite", "sales.sqlite")  # OData's rows and scores are made anew from the first
PUBLISH_SECONDS = 60.0
MEANWHILE = ".restoring"
CHUNK = 1 << 20


class BackupRefused(RuntimeError):
    """A backup cannot be made or restored; the message says why."""


@dataclass(frozen=True)
class Backup:
    """What a backup holds. `database`: sqlite, or external where database_url names a server, which is not in it."""

    made: str
    groundswell: str
    data_version: int
    database: str
    files: int
    bytes: int


def back_up(settings: Settings, target: Path) -> tuple[Path, Backup]:
    """Write a backup to a file, or under a name of its own into a folder; it is there whole or not at all.

    Only its owner may read it: secrets are in it.

    Raises:
        BackupRefused: there is no such home, or the target exists.
    """
    home = Home(settings.home)
    if not home.path.is_dir():
        raise BackupRefused(f"{home.path} is no directory: name the home with --home")
    if target.is_dir():
        target = target / f"groundswell-{now():%Y%m%dT%H%M%SZ}.tar"
    if target.exists():
        raise BackupRefused(f"{target} exists: choose another name")
    part = target.with_name(f".tmp-{target.name}")
    try:
        with (
            tempfile.TemporaryDirectory(dir=target.parent, prefix=".tmp-") as scratch,
            os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
            tarfile.open(fileobj=file, mode="w") as tar,
        ):
            told = _Writer(tar, settings, Path(scratch)).write()
        fsync(part)
        part.rename(target)
        fsync(target.parent)
    finally:
        part.unlink(missing_ok=True)
    return target, told


@dataclass
class _Writer:
    tar: tarfile.TarFile
    settings: Settings
    scratch: Path

    def __post_init__(self) -> None:
        self.home = Home(self.settings.home)
        self.files: dict[str, dict[str, Any]] = {}

    def write(self) -> Backup:
        """All of the home, then the manifest."""
        external = bool(self.settings.database_url)
        if not external:
            self._parts()
        self._sources_of_jobs()
        for name in DATABASES:
            self._database(self.home.path / "state" / name)
        self._sources_of_jobs()  # those of jobs that came in between
        for ticket in inbox.waiting(self.home) if self.home.inbox.is_dir() else ():
            self._hand_over(self.home.inbox / ticket)
        self._folder(self.home.refused)
        self._folder(self.home.receipts)
        published = self._snapshot()
        self._folder(self.home.raw)
        self._file(self.home.path / SETTINGS_FILE)
        told = Backup(
            f"{now().isoformat()}Z", version("groundswell"), published, "external" if external else "sqlite",
            len(self.files), sum(one["size"] for one in self.files.values()),
        )  # fmt: skip
        manifest = json.dumps({"format": FORMAT, **asdict(told), "contents": self.files}, indent=1).encode()
        head = tarfile.TarInfo(MANIFEST)
        head.size, head.mtime = len(manifest), int(time.time())
        self.tar.addfile(head, io.BytesIO(manifest))
        return told

    def _parts(self) -> None:
        """Rows of chunks of runs that are done, before the ledger: where it lacks one, the chunk would count as done.

        Of later ones the rows are made again from the ledger.
        """
        for part in sorted(runs_folder(self.settings).glob("*/part-*.parquet")):
            self._file(part)

    def _sources_of_jobs(self) -> None:
        """What uploads and runs that are accepted are made from."""
        self._folder(self.home.path / "state" / "uploads")
        for path in sources(self.settings):
            self._file(path)

    def _folder(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            hidden = any(name.startswith(".tmp-") for name in path.relative_to(folder).parts)
            if not hidden and path.is_file():
                self._file(path)

    def _file(self, path: Path) -> None:
        name = path.relative_to(self.home.path).as_posix()
        with suppress(FileNotFoundError), path.open("rb") as file:  # its owner has just taken it
            if name not in self.files:
                self._add(name, file)

    def _add(self, name: str, file: IO[bytes]) -> None:
        """Add what a file holds now; it is read once, and hashed as it is written."""
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        head, hashing = tarfile.TarInfo(name), _Hashing(file)
        head.size, head.mtime, head.mode = size, int(time.time()), 0o600
        self.tar.addfile(head, hashing)  # type: ignore[arg-type]  # it only reads
        self.files[name] = {"sha256": hashing.digest.hexdigest(), "size": size}

    def _hand_over(self, folder: Path) -> None:
        """One that waits, whole: where it vanishes meanwhile it was stored, and the snapshot has it."""
        copy = self.scratch / folder.name
        try:
            shutil.copytree(folder, copy)
        except (FileNotFoundError, shutil.Error):
            return
        for path in sorted(copy.iterdir()):
            with path.open("rb") as file:
                self._add(f"inbox/{folder.name}/{path.name}", file)

    def _database(self, path: Path) -> None:
        if not path.exists():
            return
        copy = self.scratch / path.name
        with closing(sqlite3.connect(path, timeout=30)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        with copy.open("rb") as file:
            self._add(f"state/{path.name}", file)
        copy.unlink()

    def _snapshot(self) -> int:
        """The newest snapshot, once it has all that the receipts say is stored; its version, 0 for none."""
        self._publish()
        while (name := current_name(self.home)) is not None:
            with suppress(FileNotFoundError), (self.home.snapshots / name).open("rb") as file:
                self._add(f"snapshots/{name}", file)
                self._add(f"snapshots/{self.home.current.name}", io.BytesIO(name.encode()))
                return version_of(name)
            if current_name(self.home) == name:
                raise BackupRefused(f"{self.home.snapshots / name} is missing: groundswell doctor --mend")
        if self.home.database.exists() and self.home.current.exists():
            raise BackupRefused(f"{self.home.current} names no snapshot: groundswell doctor --mend")
        return 0

    def _publish(self) -> None:
        """Have what is stored published: by whoever owns the store, or by us where nobody does."""
        names = [name for name in self.files if name.startswith("inbox/receipts/")]
        wanted = max((_stored(self.home.path / name) for name in names), default=0)
        deadline = time.monotonic() + PUBLISH_SECONDS
        while self.home.database.exists() and time.monotonic() < deadline:
            try:
                with Store.open(self.home.path) as store:
                    store.publish()
                return
            except StoreBusy:
                if published_version(self.home) >= wanted:
                    return
                time.sleep(0.1)


class _Hashing:
    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        return data


def _stored(receipt: Path) -> int:
    """The data version at which a hand-over was stored; 0 where it was not, or nobody can read it."""
    try:
        return int(json.loads(receipt.read_bytes())["stored"]["data_version"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def restore(file: Path, home: Path) -> Backup:
    """Make a new home from a backup, after each file in it was compared with its hash.

    Raises:
        BackupRefused: the file is no backup, is damaged or of a newer form, or the home is not empty.
    """
    if home.exists() and not home.is_dir():
        raise BackupRefused(f"{home} is no directory: choose another --home")
    if home.is_dir() and any(entry.name != "lost+found" for entry in home.iterdir()):
        raise BackupRefused(f"{home} is not empty: restore into a new --home")
    fresh = home / MEANWHILE
    fresh.mkdir(parents=True)
    try:
        told = _unpack(file, fresh)
        _open_store(Home(fresh))
        for entry in sorted(fresh.iterdir()):
            entry.rename(home / entry.name)
        fsync(home)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return told


def _unpack(file: Path, folder: Path) -> Backup:
    with ExitStack() as opened:
        try:
            tar = opened.enter_context(tarfile.open(file, "r:"))
            members = {member.name: member for member in tar.getmembers()}
            packed = tar.extractfile(members[MANIFEST])
            assert packed is not None
            manifest: dict[str, Any] = json.loads(packed.read())
            form, contents = manifest["format"], manifest["contents"]
            told = Backup(**{name: manifest[name] for name in Backup.__dataclass_fields__})
        except (tarfile.TarError, KeyError, ValueError, AssertionError, TypeError) as error:
            raise BackupRefused(f"{file} is no backup, or was cut off ({error})") from error
        if form != FORMAT:
            raise BackupRefused(f"{file} has the form {form}, this program reads {FORMAT}")
        if strange := (members.keys() ^ contents.keys()) - {MANIFEST}:
            raise BackupRefused(f"{file} does not hold what its manifest says: {min(strange)}")
        for name, facts in contents.items():
            _extract(tar, members[name], folder, facts["sha256"])
    return told


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, sha: str) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not member.isfile():
        raise BackupRefused(f"the backup holds {member.name!r}, which is no file of a home")
    target, digest = folder / path, hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    packed = tar.extractfile(member)
    assert packed is not None
    with target.open("wb") as out:
        while chunk := packed.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != sha:
        raise BackupRefused(f"{member.name} in the backup is damaged: it is not what was backed up")
    fsync(target)


def _open_store(home: Home) -> None:
    """The store itself: a snapshot holds all that was stored up to its version."""
    home.create()
    name = current_name(home)
    if name is not None:
        shutil.copyfile(home.snapshots / name, home.database)
        fsync(home.database)
        write_durably(home.current, name)
