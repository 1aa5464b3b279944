"""Examines a home, and mends what can be mended: `groundswell doctor`.

Nothing of the user's is deleted: what is replaced is moved to `aside/` in the home.
"""

from __future__ import annotations

from collections.abc import Callable

from api.doctor import files, operations, runs, store
from api.doctor.patient import Finding, Patient
from api.settings import Settings
from signals.home import Home
from signals.lock import StoreBusy, ingest_lock

__all__ = ["Finding", "examine"]

# While the home is ours, so that no owner of the store works beside us; then what needs it to be open to others.
ALONE: tuple[Callable[[Patient], None], ...] = (
    files.check_heartbeat,
    store.check_store,
    store.check_snapshots,
    files.check_inbox,
    files.check_raw,
    files.check_notes,
    operations.check_database,
)
TOGETHER: tuple[Callable[[Patient], None], ...] = (
    store.publish,
    store.read_again,
    operations.check_jobs,
    runs.check_runs,
    operations.check_keys,
    operations.check_sources,
)


def examine(settings: Settings, mend: bool) -> list[Finding]:
    """What is found in the home of these settings, after mending where `mend`."""
    patient = Patient(settings, mend)
    if not settings.home.is_dir():
        patient.problem("home", f"{settings.home} is no directory", "name the right one with --home")
        return patient.findings
    files.check_access(patient)
    files.check_space(patient)
    try:
        with ingest_lock(Home(settings.home).lock):
            patient.owned = True
            patient.fine("lock", "nobody writes to the home")
            _run(ALONE, patient)
    except StoreBusy as busy:
        patient.busy = True
        patient.fine("lock", f"{busy.owner} writes to the home: the store itself is not looked at")
        _run(ALONE, patient)
    patient.owned = False
    _run(TOGETHER, patient)
    return patient.findings


def _run(checks: tuple[Callable[[Patient], None], ...], patient: Patient) -> None:
    for check in checks:
        try:
            check(patient)
        except OSError as error:
            name = check.__name__.removeprefix("check_")
            patient.problem(name, f"cannot be looked at: {error}", "see to the disk and the permissions")
