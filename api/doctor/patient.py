"""The home that is examined, what was found in it, and where things go that are replaced."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from api.database import now
from api.settings import Settings
from signals.home import Home, fsync

State = Literal["ok", "warning", "problem", "mended"]
MEND = "groundswell doctor --mend"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `remedy`: what a person can do about it."""

    check: str
    state: State
    message: str
    remedy: str = ""


@dataclass
class Patient:
    """One examination.

    owned: we hold the home at present; busy: somebody else does; restored: the store is that of the last snapshot.
    """

    settings: Settings
    mend: bool
    owned: bool = False
    busy: bool = False
    restored: bool = False
    ill: bool = False  # the store cannot be opened: what needs it is left out
    findings: list[Finding] = field(default_factory=list)
    _stamp: str = field(default_factory=lambda: f"{now():%Y%m%dT%H%M%S%f}")

    @property
    def home(self) -> Home:
        """Where things lie."""
        return Home(self.settings.home)

    @property
    def mends(self) -> bool:
        """Whether files of the store may be moved."""
        return self.mend and self.owned

    def fine(self, check: str, message: str) -> None:
        """Note that all is well."""
        self.findings.append(Finding(check, "ok", message))

    def warn(self, check: str, message: str, remedy: str = "") -> None:
        """Note what a person should know, though everything works."""
        self.findings.append(Finding(check, "warning", message, remedy))

    def problem(self, check: str, message: str, remedy: str = MEND) -> None:
        """Note what keeps something from working."""
        if remedy == MEND and self.busy:
            remedy = f"stop what writes to the home, then {MEND}"
        self.findings.append(Finding(check, "problem", message, remedy))

    def mended(self, check: str, message: str, remedy: str = "") -> None:
        """Note what was wrong and is right now."""
        self.findings.append(Finding(check, "mended", message, remedy))

    def set_aside(self, path: Path) -> Path:
        """Move a file or folder of the home to `aside/`; where it lies then."""
        root = self.home.path.absolute()
        target = root / "aside" / self._stamp / path.absolute().relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        fsync(target.parent)
        fsync(path.parent)
        return target

    def set_aside_sqlite(self, path: Path) -> Path:
        """The same for a database of SQLite, with the files beside it: they belong to it alone."""
        for name in (f"{path.name}-wal", f"{path.name}-shm"):
            if path.with_name(name).exists():
                self.set_aside(path.with_name(name))
        return self.set_aside(path)
