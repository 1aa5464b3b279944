"""`groundswell serve` for measurements that kill it: started again as often as it dies, its processes told apart."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

API, JOBS, INGEST = "API worker", "job worker", "ingest process"
START_SECONDS = 120.0
COMMAND = (sys.executable, "-c", "from api.cli import main; main()")


@dataclass(frozen=True)
class Answer:
    """What came back. status 0: nothing, and `problem` says why."""

    status: int
    body: bytes = b""
    problem: str = ""


def ask(port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None,
        seconds: float = 30.0) -> Answer:  # fmt: skip
    """One request over a connection of its own: none is left half dead by a kill."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, problem=type(error).__name__)
    finally:
        connection.close()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Service:
    """A running server over a home. `variables`: what is added to its environment."""

    def __init__(self, home: Path, variables: Mapping[str, str] | None = None) -> None:
        self.home, self.port = home, free_port()
        self._command = [*COMMAND, "--home", str(home), "serve", "--port", str(self.port)]
        quiet = {
            "GROUNDSWELL_LOG_LEVEL": os.environ.get("GROUNDSWELL_LOG_LEVEL", "critical"),
            "GROUNDSWELL_PULL_CHECK_SECONDS": "0",
        }
        self._variables = {**os.environ, **quiet, **(variables or {})}
        self._stderr = None if "GROUNDSWELL_LOG_LEVEL" in os.environ else subprocess.DEVNULL
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; a port or a lock of the killed one may be free a little later."""
        until = time.monotonic() + START_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    self._command, env=self._variables, start_new_session=True, stderr=self._stderr
                )
            if ask(self.port, "GET", "/health/startup", seconds=5).status == 200:
                return
            if time.monotonic() > until:
                raise RuntimeError(f"the server did not start within {START_SECONDS:g} s")
            time.sleep(0.2)

    def processes(self) -> dict[int, str]:
        """The processes of `serve` by id, with what each is; one that has just begun is not there yet."""
        assert self._process is not None
        socket_of_port = _listening(self.port)
        found = {}
        for pid in children(self._process.pid):
            files = _open_files(pid)
            if "ingest.lock" in files:
                found[pid] = INGEST
            elif any(name.startswith("jobs") and name.endswith(".lock") for name in files):
                found[pid] = JOBS
            elif socket_of_port in files:
                found[pid] = API
        return found

    def kill(self) -> None:
        """Kill all of it, and start it again."""
        assert self._process is not None
        for pid in (self._process.pid, *self.processes()):
            killed(pid)
        self._process.wait()
        self.start()

    def stop(self) -> None:
        """End it in good order."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(120)


def children(pid: int) -> list[int]:
    """The processes that one has started, whichever of its threads it was; none where it has ended."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text("ascii").split()]
    return found


def _open_files(pid: int) -> set[str]:
    """Names of the files, and `socket:[number]` of the sockets, that a process holds open."""
    names = set()
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                names.add(link.readlink().name)
    return names


def _listening(port: int) -> str:
    """The socket that listens on a port; empty where none does."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return next((f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")), "")


def killed(pid: int) -> bool:
    """Kill a process that may have ended by itself; whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
