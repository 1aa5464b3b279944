"""The fake of FRED, read by fredapi (XML), and what our own connector stores, side by side."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from signals.connectors.fred import Fred, FredEntry, FredSettings
from tests.fakes import fred as fake
from tests.fakes.server import serving
from tests.signals.one_pull import stored, task_of
from tests.signals.test_fred import NOW, SALES, end_of, revised

ROOT = Path(__file__).resolve().parents[3]
PEERS = Path(os.environ.get("GROUNDSWELL_PEERS", ROOT / ".venv-peers" / "bin" / "python"))
READ = """
import json, sys
import fredapi
fredapi.Fred.root_url = sys.argv[1]
fred = fredapi.Fred(api_key=sys.argv[2])
releases = fred.get_series_all_releases("RSXFS", "1776-07-04", "2026-11-25")
told = {
    "title": fred.get_series_info("RSXFS")["title"],
    "vintages": [str(day)[:10] for day in fred.get_series_vintage_dates("RSXFS")],
    "latest": {str(day)[:10]: value for day, value in fred.get_series("RSXFS").dropna().items()},
    "releases": [[str(row.date)[:10], str(row.realtime_start)[:10], str(row.value)] for row in releases.itertuples()],
}
try:
    fred.get_series("NOSUCH")
except ValueError as error:
    told["error"] = str(error)
print(json.dumps(told))
"""

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not PEERS.exists(), reason="GROUNDSWELL_PEERS names no Python with the other clients"),
]


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """What fredapi read, the series that was served, and the store that our connector filled from the same fake."""
    series = revised()
    with serving(fake.Fred({"RSXFS": series})) as server:
        asked = [str(PEERS), "-c", READ, server.url + "/fred", fake.KEY]
        told = json.loads(subprocess.run(asked, check=True, capture_output=True, timeout=120).stdout)
        connector = Fred(FredSettings(base_url=server.url + "/fred", api_key=fake.KEY))
        task = task_of(connector, FredEntry(series=["RSXFS"]), NOW)
        snapshot, _ = stored(tmp_path_factory.mktemp("peer"), connector, task)
    return told, series, snapshot


def test_fredapi_reads_the_fake(peer):
    told, series, _ = peer
    assert told["vintages"] == series.days
    assert told["title"] == series.title
    assert told["latest"] == {day: value for day, value in series.truth("2026-11-25").items() if value is not None}
    assert told["error"] == "Bad Request.  The series does not exist."


def test_every_release_that_fredapi_knows_is_in_the_store(peer):
    told, _, snapshot = peer
    ours = snapshot.observations([SALES], vintages=True).dropna(subset="value")
    kept = set(zip(ours["start"].dt.strftime("%Y-%m-%d"), ours["known_at"], ours["value"], strict=True))
    theirs = {
        (day, end_of(vintage).tz_convert("UTC").tz_localize(None), float(value))
        for day, vintage, value in told["releases"]
        if value not in ("nan", "NaT", "None")
    }
    assert len(kept) > 50
    assert kept == {(day, pd.Timestamp(moment), value) for day, moment, value in theirs}
