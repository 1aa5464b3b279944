"""The fake of Wikimedia, read by mwviews and by pageviewapi, and what our own connector stores, side by side."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.fakes import wikimedia as fake
from tests.fakes.pulling import pull
from tests.fakes.server import serving
from tests.signals.test_wikimedia import BUSY, NOW, stored, toml

ROOT = Path(__file__).resolve().parents[3]
PEERS = Path(os.environ.get("GROUNDSWELL_PEERS", ROOT / ".venv-peers" / "bin" / "python"))
TITLES = ["AC/DC", "Кроссовки"]
READ = """
import json, sys
import mwviews.api.pageviews as mwviews
import pageviewapi.client as pageviewapi
import requests
real = requests.get
requests.get = lambda url, **more: real(url.replace("https://wikimedia.org", sys.argv[1]), **more)
titles, first, last = ["AC/DC", "Кроссовки"], "20261001", "20261122"
client = mwviews.PageviewsClient("peer (ops@example.com)")
views = client.article_views("en.wikipedia", titles, agent="user", start=first, end=last)
told = {"mwviews": {str(day)[:10]: counts for day, counts in views.items()}}
answer = pageviewapi.per_article("en.wikipedia", titles[0], first, last, agent="user")
told["pageviewapi"] = {item["timestamp"]: item["views"] for item in answer["items"]}
try:
    pageviewapi.per_article("en.wikipedia", "No such article", first, last)
except pageviewapi.ZeroOrDataNotLoadedException:
    told["missing"] = "ZeroOrDataNotLoadedException"
print(json.dumps(told))
"""

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not PEERS.exists(), reason="GROUNDSWELL_PEERS names no Python with the other clients"),
]


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    """What the two clients read, and the home that our connector filled from the same fake."""
    home = tmp_path_factory.mktemp("peer")
    with serving(fake.Wikimedia({("en.wikipedia", title): BUSY for title in TITLES})) as server:
        asked = [str(PEERS), "-c", READ, server.url]
        told = json.loads(subprocess.run(asked, check=True, capture_output=True, timeout=120).stdout)
        pull(home, toml(server, TITLES), NOW)
    return told, home


@pytest.mark.parametrize("title", TITLES)
def test_mwviews_reads_what_we_store(peers, title):
    told, home = peers
    theirs = {day: counts[title] for day, counts in told["mwviews"].items() if counts[title] is not None}
    assert theirs == stored(home, f"wikimedia/en.wikipedia/{title}") == BUSY


def test_pageviewapi_reads_what_we_store(peers):
    told, home = peers
    ours = {f"{day.replace('-', '')}00": value for day, value in stored(home, "wikimedia/en.wikipedia/AC/DC").items()}
    assert told["pageviewapi"] == ours
    assert told["missing"] == "ZeroOrDataNotLoadedException"
