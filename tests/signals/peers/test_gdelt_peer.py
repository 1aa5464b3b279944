"""The fake of GDELT, read by gdeltdoc, and what our own connector stores, side by side."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.fakes import gdelt as fake
from tests.fakes.pulling import pull
from tests.fakes.server import serving
from tests.signals.test_gdelt import NOW, stored, toml, volume

ROOT = Path(__file__).resolve().parents[3]
PEERS = Path(os.environ.get("GROUNDSWELL_PEERS", ROOT / ".venv-peers" / "bin" / "python"))
READ = """
import json, sys
import requests
from gdeltdoc import Filters, GdeltDoc
real = requests.get
requests.get = lambda url, **more: real(url.replace("https://api.gdeltproject.org", sys.argv[1]), **more)
def read(**wanted):
    return GdeltDoc().timeline_search("timelinevolraw", Filters(start_date="2026-06-01", **wanted))
frame = read(keyword="running shoes", country=["US", "UK"], end_date="2026-11-22")
rows = zip(frame["datetime"], frame["Article Count"], frame["All Articles"])
told = {"rows": [[str(day)[:10], int(value), int(norm)] for day, value, norm in rows]}
told["none"] = len(read(keyword="xyzzy", end_date="2026-11-22"))
hours = GdeltDoc().timeline_search(
    "timelinevolraw", Filters(keyword="boots", start_date="2026-11-20", end_date="2026-11-22")
)
told["hours"] = len(hours)
try:
    read(keyword="AI", end_date="2026-11-22")
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
    """What gdeltdoc read, its queries, ours, and the home that our connector filled from the same fake."""
    home = tmp_path_factory.mktemp("peer")
    with serving(fake.Gdelt(volume)) as server:
        asked = [str(PEERS), "-c", READ, server.url]
        told = json.loads(subprocess.run(asked, check=True, capture_output=True, timeout=120).stdout)
        pull(home, toml(server, '"running shoes"', 'countries = ["US", "UK"]'), NOW)
    return told, server.asked[0].query["query"], server.asked[-1].query["query"], home


def test_gdeltdoc_asks_as_we_do(peer):
    _, theirs, ours, _ = peer
    assert theirs.split() == ours.split()


def test_gdeltdoc_reads_what_we_store(peer):
    told, _, _, home = peer
    theirs = {day: 1e6 * value / norm for day, value, norm in told["rows"] if norm}
    ours = stored(home, 'gdelt/"running shoes"/US+UK')
    assert {day.isoformat(): value for day, value in ours.items()} == pytest.approx(theirs)


def test_gdeltdoc_understands_what_is_no_data(peer):
    told, *_ = peer
    assert (told["none"], told["hours"]) == (0, 49)
    assert fake.SHORT_PHRASE in told["error"] or fake.SHORT_WORD in told["error"]
