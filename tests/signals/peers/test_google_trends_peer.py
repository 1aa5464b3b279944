"""pytrends-next, written by others from the same page, reads what the fake says."""

import json
import os
import subprocess
from datetime import date
from pathlib import Path

import pytest

from tests.fakes import google_trends as fake
from tests.fakes.server import Faults, serving, too_many

PEERS = Path(os.environ.get("GROUNDSWELL_PEERS", Path(__file__).resolve().parents[3] / ".venv-peers/bin/python"))
pytestmark = [pytest.mark.heavy, pytest.mark.skipif(not PEERS.exists(), reason="no peers: set GROUNDSWELL_PEERS")]
SCRIPT = """
import json, sys
from pytrends_next.request import TrendReq
class Here(TrendReq):
    def _fetch(self, url, data=None, headers=None):
        if not url.startswith("https://trends.google.com"):
            return 200, ""
        return super()._fetch(url.replace("https://trends.google.com", sys.argv[1]), data, headers)
client = Here(retries=1)
client.build_payload(json.loads(sys.argv[2]), timeframe=sys.argv[3], geo="US")
frame = client.interest_over_time()
days = [f"{day:%Y-%m-%d}" for day in frame.index]
columns = {str(name): frame[name].tolist() for name in frame.columns}
print(json.dumps({"days": days, "columns": columns}, default=str))
"""


def said(server, terms, time):
    arguments = [server.url, json.dumps(terms), time]
    done = subprocess.run([PEERS, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("time", "rows"), [("today 5-y", 261), ("2022-06-27 2023-03-22", 269)])
def test_another_client_reads_weeks_and_days(time, rows):
    with serving(fake.GoogleTrends(today=date(2023, 3, 26))) as server:
        found = said(server, ["pizza", "bagel"], time)
    assert len(found["days"]) == rows
    assert max(max(found["columns"][term]) for term in ("pizza", "bagel")) == 100


def test_another_client_understands_too_many_requests():
    faults = Faults()
    with serving(fake.GoogleTrends(today=date(2023, 3, 26)), faults) as server:
        faults.next = [lambda answer: answer, too_many(0)]
        found = said(server, ["pizza"], "today 5-y")
    assert (len(found["days"]), faults.count) == (261, 2)
