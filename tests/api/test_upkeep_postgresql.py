"""Doctor, retention, figures and a backup with PostgreSQL as the operational database."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from api.app import create_app
from api.backup import back_up
from api.database import engine_of, issued, job, writing
from api.doctor import examine
from api.fold import catch_up
from api.jobs import Jobs
from api.odata.tables import TABLES
from api.retention import Tidied, tidy
from api.settings import Settings
from api.snapshots import Snapshots
from tests.api.stores import fill, last_week
from tests.api.test_metrics import figures
from tests.api.test_retention import LONG_AGO, numbers
from tests.api.test_runs_postgresql import address, pytestmark  # noqa: F401 - a fixture, and where it is skipped
from tests.api.workers import wait_for, working


@pytest.fixture
def settings(tmp_path: Path, address: str) -> Settings:  # noqa: F811
    fill(tmp_path / "home", last_week())
    return Settings(home=tmp_path / "home", database_url=address, keep_receipts_days=30, shutdown_seconds=1)


def test_a_home_over_postgresql(settings: Settings, tmp_path: Path) -> None:
    client, jobs = TestClient(create_app(settings)), Jobs(settings)
    lost = client.post("/v1/runs", json={"horizon": 2}).headers["location"].rsplit("/", 1)[1]
    jobs._dbos().delete_workflow(lost)
    assert [one.check for one in examine(settings, mend=False) if one.state == "problem"] == ["jobs"]
    assert [one.check for one in examine(settings, mend=True) if one.state == "mended"] == ["jobs"]
    with working(settings):
        wait_for(lambda: (found := jobs.status(lost)) is not None and found.is_over)
    assert not [one for one in examine(settings, mend=False) if one.state == "problem"]
    assert figures(client)["groundswell_jobs", "run", "succeeded"] == 1
    assert back_up(settings, tmp_path / "kept.tar")[1].database == "external"
    catch_up(settings, Snapshots(settings.home))
    with writing(engine_of(settings)) as connection:
        connection.execute(job.update().values(finished=LONG_AGO))
        connection.execute(issued.update().values(issued=LONG_AGO))
        connection.execute(sa.text("UPDATE dbos.workflow_status SET completed_at = 0"))
    assert tidy(settings) == Tidied(1, 2, 1, 0, 0, 0, 0)
    assert [numbers(settings, TABLES[name]) for name in ("Forecasts", "Contributions", "Runs")] == [0, 0, 0]
    engine_of(settings).dispose()
