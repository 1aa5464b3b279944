"""A store that is restored from its last snapshot gets back what was fetched after it: the payloads were landed."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from api.cli import cli
from signals.store import open_snapshot
from tests.fakes.counter import Things
from tests.fakes.pulling import pull
from tests.fakes.server import serving
from tests.signals.conftest import counter  # noqa: F401 - a fixture
from tests.signals.test_reparse import DAY, SIGNAL, toml

pytestmark = pytest.mark.usefixtures("counter")


def values(home: Path) -> pd.Series:
    return open_snapshot(home).observations([SIGNAL])["value"]


def test_pulls_after_the_snapshot_are_read_again(tmp_path: Path) -> None:
    now = datetime.now().replace(microsecond=0)
    things, home = Things(now), tmp_path / "home"
    home.mkdir()
    with serving(things) as fake:
        pull(home, toml(fake), now)
        shutil.copytree(home / "snapshots", tmp_path / "earlier")
        things.numbers["boots", DAY] = 500.0
        pull(home, toml(fake), now)
    known = values(home)
    assert 500.0 in set(known)
    shutil.rmtree(home / "snapshots")  # as if the machine had died before the second pull was published
    shutil.copytree(tmp_path / "earlier", home / "snapshots")
    (home / "state" / "ingest.duckdb").write_bytes(b"\0" * 4096)
    result = CliRunner().invoke(cli, ["--home", str(home), "doctor", "--mend"])
    assert result.exit_code == 0, result.output
    assert "counter: 2 pulls read again, 1 values stored" in result.output
    pd.testing.assert_series_equal(values(home), known)
