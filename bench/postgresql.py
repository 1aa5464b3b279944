"""A PostgreSQL of a measurement's own, on a socket, that can be killed and started again."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.service import killed

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)  # Debian's package postgresql


@dataclass(frozen=True)
class PostgreSQL:
    """A server in a folder; writes reach the disk as in production."""

    folder: Path

    @property
    def address(self) -> str:
        """For the setting `database_url`."""
        return f"postgresql+psycopg://admin@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start it, and wait until it has recovered; what was killed may take a moment to go."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        until = time.monotonic() + 60
        while _program("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start"):
            if time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL does not start: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.5)

    def stop_hard(self) -> None:
        """As `pg_ctl -m immediate` does: all its processes end at once, and the next start recovers."""
        _program("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")

    def kill(self) -> None:
        """Kill the first of its processes (SIGKILL); the others notice it and end."""
        killed(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A running server, gone with the block."""
    folder = Path(tempfile.mkdtemp(prefix="groundswell-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = PostgreSQL(folder)
    try:
        _program("initdb", "-D", folder / "data", "-U", "admin", "-A", "trust", "--no-sync")
        server.start()
        yield server
    finally:
        server.stop_hard()
        shutil.rmtree(folder)


def _program(name: str, *args: object) -> int:
    """Run a program of PostgreSQL, which refuses to work for root; its exit code."""
    assert PROGRAMS is not None, "PostgreSQL is not installed (Debian package postgresql)"
    command, user = [str(PROGRAMS / name), *map(str, args)], "postgres" if os.geteuid() == 0 else None
    return subprocess.run(command, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
