"""`groundswell serve`: API workers, the ingest process, the job worker and the puller, started and stopped together."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any
from urllib.parse import urlsplit

from api.logs import configure, log_config
from api.settings import Settings, is_loopback

log = logging.getLogger("groundswell")

BUSY = "busy"
FAILED = "failed"
READY = "ready"
PATIENCE_SECONDS = 5.0  # for an import that has the home when `serve` starts
START_SECONDS = 120.0
LONGEST_PAUSE = 30.0
STABLE_SECONDS = 60.0
SWITCH_SECONDS = 0.0005  # a thread that computes lets the others, which answer and write, go on so soon
PARTS = ("api", "jobs", "ingest", "puller")
COUNTS = "PROMETHEUS_MULTIPROC_DIR"
# One thread a process in linear algebra: several in each of several workers slow one another down.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class ServeError(RuntimeError):
    """`serve` cannot start; the message says why and what to do."""


@dataclass
class Child:
    """One process that is kept running."""

    name: str
    target: Callable[..., None]
    settings: Settings
    extra: tuple[Any, ...] = ()
    failures: int = 0
    restart_at: float = 0.0
    started_at: float = 0.0
    process: SpawnProcess | None = None
    report: Connection = field(init=False)

    def start(self) -> None:
        """Start the process; it tells over `report` that it is ready."""
        context = multiprocessing.get_context("spawn")
        self.report, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=self.target, args=(self.settings, theirs, *self.extra), name=self.name)
        self.process.start()
        theirs.close()
        self.started_at = time.monotonic()

    def wait_ready(self, stop: threading.Event) -> str | None:
        """What the process said first, None if it ended without a word (or `stop` was set)."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not stop.is_set():
            if self.report.poll(0.1):
                try:
                    return str(self.report.recv())
                except EOFError:
                    return None
        return None

    def watch(self) -> None:
        """Start the process again after it ended, with a pause that doubles from failure to failure."""
        if self.process is None or self.process.is_alive():
            return
        now = time.monotonic()
        if not self.restart_at:
            stable = now - self.started_at > STABLE_SECONDS
            self.failures = 1 if stable else self.failures + 1
            pause = min(0.25 * 2**self.failures, LONGEST_PAUSE)
            log.error("%s ended (exit code %s); it starts again in %.1f s", self.name, self.process.exitcode, pause)
            self.restart_at = now + pause
        elif now >= self.restart_at:
            self.restart_at = 0.0
            self.start()

    def stop(self, seconds: float) -> None:
        """End the process: asked first, killed when it takes longer than `seconds`."""
        if self.process is None:
            return
        self.process.join(seconds)
        if self.process.is_alive():
            log.error("%s did not end within %.0f s and is killed", self.name, seconds)
            self.process.kill()
            self.process.join()

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()


def serve(settings: Settings, *, without_auth: bool = False, only: Collection[str] = PARTS) -> None:
    """Serve until SIGTERM or SIGINT; `only` some of PARTS where others run elsewhere, over the same home and database.

    Raises:
        ServeError: the address is taken or open to others, the certificate cannot be used, the home is taken, or a
            process did not start.
    """
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    configure(settings)
    log.info("starting over the home %s", settings.home)
    if "api" in only:
        _check_certificate(settings)
        _check_host(settings, without_auth)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as opened:
        # What all processes count lies in a folder; the client of Prometheus reads its name when it is imported.
        os.environ[COUNTS] = opened.enter_context(tempfile.TemporaryDirectory(prefix="groundswell-"))
        opened.callback(os.environ.pop, COUNTS)  # who counts after the end has no folder for it
        workers = [Child("jobs", _do_jobs, settings)] if "jobs" in only else []
        if "api" in only:
            listener = opened.enter_context(_bind(settings.host, settings.port))
            extra = (listener, without_auth)
            workers += [Child(f"api-{i + 1}", _work, settings, extra) for i in range(settings.workers)]
        ingest = Child("ingest", _ingest, settings, (PATIENCE_SECONDS,)) if "ingest" in only else None
        pullers = [Child("puller", _pull, settings)] if "puller" in only and settings.pull_check_seconds else []
        _run(settings, ingest, workers, pullers, stop)
    log.info("stopped")


def _run(
    settings: Settings, ingest: Child | None, workers: list[Child], pullers: list[Child], stop: threading.Event
) -> None:
    """Start the processes, watch them until `stop`, end them."""
    try:
        _start(settings, ingest, workers, stop)
        for child in pullers if not stop.is_set() else ():
            child.start()
        if ingest is not None:
            ingest.extra = (math.inf,)  # the home is ours: started again, it waits for imports that came in between
        if not stop.is_set():
            log.info("%s", _told(settings, [child.name for child in (*workers, *pullers)]))
        while not stop.wait(0.2):
            for child in (*filter(None, [ingest]), *workers, *pullers):
                child.watch()
    finally:
        _stop(ingest, [*workers, *pullers], settings.shutdown_seconds)


def _told(settings: Settings, names: list[str]) -> str:
    if "api-1" not in names:
        return f"running {', '.join(names) or 'ingest'}, home {settings.home}"
    scheme = "https" if settings.tls_cert else "http"
    return f"serving {scheme}://{settings.host}:{settings.port}/docs, home {settings.home}"


def _start(settings: Settings, ingest: Child | None, workers: list[Child], stop: threading.Event) -> None:
    said: str | None = READY
    if ingest is not None:
        ingest.start()
        said = ingest.wait_ready(stop)
    if said is not None and said.startswith(BUSY):
        owner = said.removeprefix(BUSY).strip() or "unknown"
        raise ServeError(
            f"the home {settings.home} is taken by process {owner}, another `groundswell serve` or an import: "
            "end it or wait for it, or choose another --home"
        )
    if said is not None and said.startswith(FAILED):
        raise ServeError(said.removeprefix(FAILED).strip())
    for worker in workers:
        worker.start()
    silent = [child.name for child in workers if child.wait_ready(stop) != READY] + ([] if said else ["ingest"])
    if silent and not stop.is_set():
        raise ServeError(f"process {', '.join(silent)} did not start; the log above has the reason")


def _stop(ingest: Child | None, workers: list[Child], seconds: float) -> None:
    """Requests and pulls end first, then the ingest process, which publishes what it still has."""
    for worker in workers:
        worker.ask_to_end()
    for worker in workers:
        worker.stop(seconds + 5)
    if ingest is not None:
        ingest.ask_to_end()
        ingest.stop(seconds + 5)


def _check_host(settings: Settings, without_auth: bool) -> None:
    if without_auth or is_loopback(settings.host) or settings.jwt_issuer:
        return
    from api.keys import has_live_key

    if not has_live_key(settings):
        raise ServeError(
            f"host {settings.host} can be reached from other machines, and there is no live key to ask them for: make "
            "one with `groundswell keys create`, set up an issuer of tokens (jwt_issuer), or add --insecure-no-auth if "
            "everybody who reaches it may use it"
        )


def _check_certificate(settings: Settings) -> None:
    cert, key = settings.tls_cert, settings.tls_key
    if bool(cert) != bool(key):
        raise ServeError(f"{'tls_key' if cert else 'tls_cert'} is missing: HTTPS takes tls_cert and tls_key")
    if cert:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key, password=_no_password)
        except (OSError, ValueError) as error:
            raise ServeError(f"tls_cert {cert} with tls_key {key} cannot be used: {error}") from error


def _no_password() -> str:
    raise ValueError("the private key has a password; take it off")


def _anonymous_hosts(settings: Settings, without_auth: bool) -> frozenset[str] | None:
    """Under which names the API may be called while there is no key; None: any."""
    if without_auth:
        return None
    if not is_loopback(settings.host):
        return frozenset()
    names = {"localhost", "127.0.0.1", "::1", settings.host, urlsplit(settings.public_url).hostname}
    return frozenset(name for name in names if name)


def _bind(host: str, port: int) -> socket.socket:
    """Bind here, so that a taken port is one error and not one a worker."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ServeError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port"
        ) from error
    return listener


def _ingest(settings: Settings, report: Connection, patience: float) -> None:
    from api.ingest import run_ingest
    from signals.schema import SchemaMismatch
    from signals.store import DiskFull, StoreBusy, StoreDamaged

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _as_child(settings)
    try:
        run_ingest(settings.home, settings.publish_seconds, stop, lambda: report.send(READY), patience=patience)
    except StoreBusy as error:
        if stop.is_set():
            return
        report.send(f"{BUSY} {error.pid or ''}")
        log.error("the home is taken by process %s", error.pid)
        raise SystemExit(1) from None
    except (StoreDamaged, SchemaMismatch, DiskFull) as error:
        report.send(f"{FAILED} {error}")
        log.error("%s", error)
        raise SystemExit(1) from None


def _work(settings: Settings, report: Connection, listener: socket.socket, without_auth: bool) -> None:
    import uvicorn

    from api.app import create_app
    from api.protocol import LimitedHttp

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            report.send(READY)

    _as_child(settings)
    sys.setswitchinterval(SWITCH_SECONDS)
    config = uvicorn.Config(
        create_app(settings, _anonymous_hosts(settings, without_auth)),
        log_config=log_config(settings),
        access_log=False,  # it would write keys that stand in addresses; api/request_log.py writes what may be kept
        http=LimitedHttp,
        ws="none",  # there are no websockets, and a refused one would be logged with its address
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
        timeout_keep_alive=75,  # above the idle time of usual proxies, so that they do not race with the close
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    Server(config).run(sockets=[listener])


def _pull(settings: Settings, report: Connection) -> None:
    from api.puller import run_puller

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _as_child(settings)
    report.send(READY)
    run_puller(settings.home, settings.pull_check_seconds, stop)


def _do_jobs(settings: Settings, report: Connection) -> None:
    from api.apart import Apart
    from api.fold import fold_until
    from api.handlers import HANDLERS
    from api.life.living import live_until
    from api.life.scoring import score_until
    from api.retention import tidy_until
    from api.worker import Worker

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _as_child(settings)
    sys.setswitchinterval(SWITCH_SECONDS)
    threading.Thread(target=fold_until, args=(settings, stop), name="fold", daemon=True).start()
    threading.Thread(target=score_until, args=(settings, stop), name="score", daemon=True).start()

    def ready() -> None:  # by then DBOS has its tables
        threading.Thread(target=tidy_until, args=(settings, stop), name="tidy", daemon=True).start()
        threading.Thread(target=live_until, args=(settings, stop), name="life", daemon=True).start()
        report.send(READY)

    apart = Apart(settings)
    Worker(settings, HANDLERS, made_for=apart).run(stop, ready)
    apart.close()
    logging.shutdown()
    os._exit(0)  # what is under way goes on after the next start; an orderly end would wait for it


def _as_child(settings: Settings) -> None:
    """What every child does: log as the others do, leave Ctrl-C to the parent, end when the parent has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure(settings)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
