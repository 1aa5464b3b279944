"""What answers depend on beside data and request: versions of the software, and the kind of processor."""

from __future__ import annotations

import hashlib
import platform
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

import orjson
import sqlalchemy as sa

from api.database import made_with, reading
from forecast.core import VERSION
from forecast.engines import GROUP

PACKAGES = (
    "groundswell", "numpy", "pandas", "scipy", "statsmodels", "prophet", "sktime", "scikit-learn", "lightgbm",
    "holidays", "duckdb", "orjson",
)  # fmt: skip


@lru_cache(maxsize=1)
def here() -> dict[str, str]:
    """The versions of this installation by name; `method` is that of the forecaster, `processor` that of the machine.

    Packages of the plug-ins that bring engines are among them.
    """
    plugged = {point.dist.name for point in entry_points(group=GROUP) if point.dist is not None}
    found = {name: _version(name) for name in sorted({*PACKAGES, *plugged})}
    return {"method": VERSION, "python": sys.version.split()[0], "processor": _processor(), **found}


@lru_cache(maxsize=1)
def name_here() -> str:
    """The id under which these versions are kept."""
    return f"mw_{hashlib.sha256(_body()).hexdigest()[:12]}"


def row_here() -> dict[str, str]:
    """The row of these versions."""
    return {"id": name_here(), "body": _body().decode()}


def versions(engine: sa.Engine, name: str) -> dict[str, str] | None:
    """The versions of an id; None where it is not kept."""
    with reading(engine) as connection:
        body = connection.execute(sa.select(made_with.c.body).where(made_with.c.id == name)).scalar()
    if body is None:
        return None
    found: dict[str, str] = orjson.loads(body)
    return found


def changed(before: dict[str, str]) -> list[str]:
    """Each version that is another now, as `numpy 2.3.1 then, 2.4.6 now`."""
    now = here()
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return [f"{name} {before.get(name, 'none')} then, {now.get(name, 'none')} now" for name in names]


def _body() -> bytes:
    return orjson.dumps(here(), option=orjson.OPT_SORT_KEYS)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _processor() -> str:
    """Its kind: sums of the same numbers may differ in their last bit on another."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} {names[0] if names else platform.processor()}".strip()
