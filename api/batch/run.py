"""Runs a plan on an execution engine, keeps the manifest, tells how far it is."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from api.batch.parts import Part, done_parts, tidy
from api.batch.plan import MANIFEST, STAGE, Plan

On = Literal["pool", "spark"]


@dataclass
class Progress:
    """How far a batch is, in series."""

    total: int
    made: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """Series that are over, forecast or failed."""
        return self.made + self.failed


def run_plan(plan: Plan, on: On, processes: int, told: Callable[[Progress], None]) -> dict[str, Any]:
    """Do what of a plan is not done yet; the manifest. Interrupted at any moment, it goes on where it was."""
    began, progress = time.monotonic(), Progress(plan.series)
    _keep(plan, {"state": "running"})
    tidy(plan.out)
    done = {part.number for part in _count(done_parts(plan.out, len(plan.chunks)), progress, told)}
    left = [number for number in range(len(plan.chunks)) if number not in done]
    if left:
        for _ in _count(_engine(on)(plan, left, processes), progress, told):
            pass
    shutil.rmtree(plan.out / STAGE, ignore_errors=True)
    return _keep(
        plan,
        {
            "state": "done",
            "made": progress.made,
            "failed": progress.failed,
            "resumed_chunks": len(done),
            "seconds": round(time.monotonic() - began, 1),
            "finished": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
            "on": on,
        },
    )


def _engine(on: On) -> Callable[[Plan, Sequence[int], int], Iterator[Part]]:
    if on == "spark":
        from api.batch.spark import run_spark  # an optional package

        return run_spark
    from api.batch.pool import run_pool

    return run_pool


def _count(parts: Iterator[Part], progress: Progress, told: Callable[[Progress], None]) -> Iterator[Part]:
    for part in parts:
        progress.made += part.made
        progress.failed += part.failed
        told(progress)
        yield part


def _keep(plan: Plan, outcome: dict[str, Any]) -> dict[str, Any]:
    """Write the manifest whole or not at all."""
    manifest = plan.described | outcome
    plan.out.mkdir(parents=True, exist_ok=True)
    file: Path = plan.out / MANIFEST
    part = file.with_name(f".{MANIFEST}.{os.getpid()}")
    part.write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    part.replace(file)
    return manifest
