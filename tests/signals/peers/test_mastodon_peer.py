"""The fake of Mastodon, read by Mastodon.py, and what our own connector stores, side by side."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.fakes import mastodon as fake
from tests.fakes.pulling import pull
from tests.fakes.server import serving
from tests.signals.test_mastodon import NOW, USES, stored, toml

ROOT = Path(__file__).resolve().parents[3]
PEERS = Path(os.environ.get("GROUNDSWELL_PEERS", ROOT / ".venv-peers" / "bin" / "python"))
READ = """
import json, sys
from mastodon import Mastodon, MastodonNotFoundError
client = Mastodon(api_base_url=sys.argv[1])
tag = client.tag("boots")
told = {"name": tag["name"], "left": client.ratelimit_remaining, "history": []}
for item in tag["history"]:
    told["history"].append([str(item["day"])[:10], int(item["uses"]), int(item["accounts"])])
try:
    client.tag("nobodyusesthis")
except MastodonNotFoundError as error:
    told["error"] = str(error)
print(json.dumps(told))
"""

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not PEERS.exists(), reason="GROUNDSWELL_PEERS names no Python with the other clients"),
]


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """What Mastodon.py read, and what our connector stored from the same fake: uses and accounts."""
    home = tmp_path_factory.mktemp("peer")
    with serving(fake.Mastodon({"boots": USES}, NOW.date())) as server:
        asked = [str(PEERS), "-c", READ, server.url]
        told = json.loads(subprocess.run(asked, check=True, capture_output=True, timeout=120).stdout)
        pull(home, toml(server, more='metrics = ["uses", "accounts"]'), NOW)
        return told, stored(home, server), stored(home, server, "accounts/boots")


def test_mastodon_py_reads_what_we_store(peer):
    told, uses, accounts = peer
    today, *over = told["history"]
    assert today[0] == NOW.date().isoformat()
    assert sorted(over) == [[day.isoformat(), uses[day], accounts[day]] for day in sorted(uses)]


def test_mastodon_py_understands_budget_and_unknown_tags(peer):
    told, *_ = peer
    assert (told["name"], told["left"]) == ("boots", 299)
    assert "Record not found" in told["error"]
