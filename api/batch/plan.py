"""What a batch is: where its series come from, in which chunks, with which options; the same plan after a kill."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from api.batch import tables
from api.batch.tables import CANDIDATES, SALES, SIGNALS, BatchError
from forecast.chunk import CHUNK, ChunkOptions
from forecast.core import VERSION

MANIFEST = "manifest.json"
STAGE = ".stage"


@dataclass(frozen=True)
class Files:
    """Series that lie in files."""

    sales: tuple[Path, ...]
    signals: tuple[Path, ...] = ()
    candidates: tuple[Path, ...] = ()
    sql: str | None = None  # the database that the sales were asked of, whose answer `sales` holds


@dataclass(frozen=True)
class Stored:
    """Series of the store, from one data version and one moment (UTC, as text)."""

    home: Path
    data_version: int
    as_of: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """One batch. A chunk is the names of its first and last series (of files) or of all (of the store)."""

    out: Path
    source: Files | Stored
    options: ChunkOptions
    chunks: tuple[tuple[str, ...], ...]
    series: int
    told: dict[str, Any]  # the source as it was given, for whoever reads the manifest
    warnings: tuple[str, ...]
    fingerprint: str  # of options and data: what a run that was interrupted must share with the one that goes on

    @property
    def described(self) -> dict[str, Any]:
        """The plan as the manifest tells it."""
        return {
            "fingerprint": self.fingerprint,
            "version": version("groundswell"),
            "options": asdict(self.options),
            "source": orjson.loads(orjson.dumps(self.told, default=str)),
            "warnings": list(self.warnings),
            "series": self.series,
            "chunks": len(self.chunks),
        }


def plan_files(given: Files, options: ChunkOptions, out: Path) -> Plan:
    """Plan a batch over files. Raises BatchError where they cannot be used, or `out` holds another run."""
    named = {
        "sales": tables.files_of(given.sales),
        "signals": tables.files_of(given.signals) if given.signals else [],
        "candidates": tables.files_of(given.candidates) if given.candidates else [],
    }
    fingerprint = _fingerprint(options, {name: tables.digest_of(files) for name, files in named.items() if files})
    check_out(out, fingerprint)
    with _staged(out / STAGE / fingerprint[:16]) as stage:
        read = _read(named, stage)
        names = list(tables.counts_of(read.sales))
        if not names:
            raise BatchError(f"the sales have no rows; give at least one in {', '.join(map(str, given.sales))}")
        warnings = tuple(_strangers(read.candidates, names))
    chunks = tuple((chunk[0], chunk[-1]) for chunk in _chunks(names))
    return Plan(out, read, options, chunks, len(names), _told(given), warnings, fingerprint)


def _strangers(candidates: Sequence[Path], names: Sequence[str]) -> Iterator[str]:
    """A warning where candidates name categories without sales: a slip, or a list of more than this batch forecasts."""
    unknown = sorted(tables.counts_of(candidates, "candidates").keys() - set(names)) if candidates else []
    if unknown:
        more = f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""
        yield f"candidates name categories that have no sales: {', '.join(unknown[:3])}{more}"


def _told(given: Files) -> dict[str, Any]:
    """The files that were given, not those that they were sorted into; for a database its name."""
    told = {name: value for name, value in asdict(given).items() if value}
    if given.sql is not None:
        del told["sales"]
    return told


def _read(named: Mapping[str, Sequence[Path]], stage: Path) -> Files:
    """The files as chunks are read from them."""

    def ordered(name: str, columns: tables.Columns) -> tuple[Path, ...]:
        return tuple(tables.in_order(named[name], columns, stage)) if named[name] else ()

    return Files(ordered("sales", SALES), ordered("signals", SIGNALS), ordered("candidates", CANDIDATES))


@contextmanager
def _staged(stage: Path) -> Iterator[Path]:
    """A folder for sorted files, which a plan that is refused does not leave behind."""
    try:
        yield stage
    except BatchError:
        shutil.rmtree(stage, ignore_errors=True)
        for folder in (stage.parent, stage.parent.parent):
            with suppress(OSError):  # it holds something else, or never was
                folder.rmdir()
        raise


def plan_store(source: Stored, options: ChunkOptions, out: Path) -> Plan:
    """Plan a batch over categories of the store, as they were known to a data version at a moment."""
    described = {"data_version": source.data_version, "categories": list(source.categories)}
    fingerprint = _fingerprint(replace(options, as_of=source.as_of), described)
    check_out(out, fingerprint)
    names = source.categories
    return Plan(out, source, options, tuple(_chunks(names)), len(names), asdict(source), (), fingerprint)


def _chunks(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(names[first : first + CHUNK]) for first in range(0, len(names), CHUNK))


def _fingerprint(options: ChunkOptions, data: dict[str, Any]) -> str:
    made = {"groundswell": version("groundswell"), "method": VERSION, "chunk": CHUNK}
    return hashlib.sha256(orjson.dumps([made, asdict(options), data])).hexdigest()


def manifest_of(out: Path) -> dict[str, Any] | None:
    """What the manifest in a directory says; None where there is none."""
    file = out / MANIFEST
    try:
        found: dict[str, Any] = orjson.loads(file.read_bytes())
        _ = found["fingerprint"], found["state"], found["source"]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise BatchError(
            f"{file} is damaged and does not tell of which run it is; give another --out, or remove it"
        ) from error
    return found


def begun_store(home: Path, out: Path) -> Stored | None:
    """What the run over the store reads that was begun in a directory and did not end."""
    begun = manifest_of(out)
    if begun is None or begun["state"] == "done" or "data_version" not in begun["source"]:
        return None
    told = begun["source"]
    return Stored(home, told["data_version"], told["as_of"], tuple(told["categories"]))


def check_out(out: Path, fingerprint: str) -> None:
    """Refuse a directory that holds something else."""
    begun = manifest_of(out)
    if begun is not None and begun["fingerprint"] != fingerprint:
        raise BatchError(f"{out} holds a run of other data, options or version; give another --out, or remove it")
    if begun is None and out.is_dir() and any(file.name != STAGE for file in out.iterdir()):
        raise BatchError(f"{out} holds files that are no run; give another --out")
