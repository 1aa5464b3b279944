"""Figures for Prometheus: what the processes count, and what the database and the store say when they are asked.

Several workers share one address, so each process writes its counts into the folder that PROMETHEUS_MULTIPROC_DIR
names, which `serve` makes, and whoever is asked adds them up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.database import engine_of, job, now, reading
from api.ingest import sign_of_life
from api.job_list import totals
from api.settings import Settings
from signals.connector import ConfigError
from signals.home import Home
from signals.publish import published_version
from signals.status import source_status
from signals.trouble import StoreDamaged

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # read by the client when it is imported
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
OWN = CollectorRegistry()
disable_created_metrics()  # type: ignore[no-untyped-call]  # else each series has a second one, of when it began

REQUESTS = Counter("groundswell_requests", "Requests that were answered.", ["method", "route", "status"], registry=OWN)
REQUEST_SECONDS = Histogram(
    "groundswell_request_seconds", "From the first byte asked to the last answered.", ["method", "route"],
    buckets=BUCKETS, registry=OWN,
)  # fmt: skip
FORECASTS = Counter("groundswell_forecasts", "Forecasts that were made.", ["face", "engine"], registry=OWN)
FORECAST_SECONDS = Histogram(
    "groundswell_forecast_seconds", "Reading and fitting of one forecast.", ["engine"], buckets=BUCKETS, registry=OWN
)
LEDGER_SECONDS = Histogram(
    "groundswell_ledger_commit_seconds", "One transaction of the ledger, of one forecast or of many.",
    buckets=BUCKETS, registry=OWN,
)  # fmt: skip
ADMISSIONS = Counter(
    "groundswell_admissions", "What became of requests that ask for a forecast now.", ["outcome"], registry=OWN
)


def forecast_made(face: str, engine: str, seconds: float) -> None:
    """Count one forecast."""
    FORECASTS.labels(face, engine).inc()
    FORECAST_SECONDS.labels(engine).observe(seconds)


def exposition(settings: Settings) -> bytes:
    """All figures, in the text format of Prometheus."""
    registry = CollectorRegistry()
    if os.environ.get(FOLDER):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(OWN)
    registry.register(State(settings))
    return generate_latest(registry)


class State(Collector):
    """What is read at the moment: jobs, the store, the ingest process, sources."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family a figure."""
        yield from self._jobs()
        yield from self._store()
        yield from self._sources()

    def _jobs(self) -> Iterator[GaugeMetricFamily]:
        count, alive = sa.func.count(), job.c.state.in_(("pending", "running"))
        by_state = sa.select(job.c.kind, job.c.state, count).group_by(job.c.kind, job.c.state)
        with reading(engine_of(self._settings)) as connection:
            rows = connection.execute(by_state).all()
            oldest = connection.execute(sa.select(sa.func.min(job.c.accepted)).where(alive)).scalar()
        family = GaugeMetricFamily(
            "groundswell_jobs", "Jobs that are kept, by what became of them.",
            labels=["kind", "state"],
        )  # fmt: skip
        for kind, state, number in rows:
            family.add_metric([kind, state], number)
        yield family
        family = GaugeMetricFamily(
            "groundswell_job_totals", "All jobs ever: accepted, and answered, pending and dead, which add up to it.",
            labels=["what"],
        )  # fmt: skip
        for what, number in totals(self._settings).items():
            family.add_metric([what], number)
        yield family
        age = 0.0 if oldest is None else (now() - oldest).total_seconds()
        yield _gauge("groundswell_jobs_oldest_seconds", "How long the oldest job that is not over has waited.", age)

    def _store(self) -> Iterator[GaugeMetricFamily]:
        home = Home(self._settings.home)
        yield _gauge("groundswell_store_data_version", "What readers get; 0: nothing yet.", published_version(home))
        if home.current.exists():
            age = time.time() - home.current.stat().st_mtime
            yield _gauge("groundswell_store_age_seconds", "Since the store was last published.", age)
        sign = sign_of_life(home.path)
        if sign is not None:
            yield _gauge(
                "groundswell_ingest_age_seconds", "Since the ingest process last gave a sign of life.", sign.age
            )
            trouble = float(bool(sign.trouble))
            yield _gauge("groundswell_ingest_hindered", "1 while the ingest process takes no imports.", trouble)

    def _sources(self) -> Iterator[GaugeMetricFamily]:
        healthy = GaugeMetricFamily(
            "groundswell_source_healthy", "0: degraded, closed, or its values are late.", labels=["connector"]
        )
        age = GaugeMetricFamily(
            "groundswell_source_age_days", "Since the end of its newest period, of the signal that lags most.",
            labels=["connector"],
        )  # fmt: skip
        with suppress(ConfigError, StoreDamaged):  # `groundswell doctor` tells them; the other figures go on
            self._add_sources(healthy, age)
        yield healthy
        yield age

    def _add_sources(self, healthy: GaugeMetricFamily, age: GaugeMetricFamily) -> None:
        for one in source_status(self._settings.home):
            healthy.add_metric([one.connector], float(one.state not in ("degraded", "closed", "late")))
            if one.age_days is not None:
                age.add_metric([one.connector], one.age_days)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


class Metrics:
    """Pure ASGI: counts each request by the template of its route, never by its address, which anybody can make up."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = _route(scope)
            REQUESTS.labels(method, route, status).inc()
            REQUEST_SECONDS.labels(method, route).observe(time.perf_counter() - begun)


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path", "none"))
