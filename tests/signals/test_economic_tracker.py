import functools
import gzip
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from signals.connectors.economic_tracker import (
    CATEGORIES,
    MOBILITY_URL,
    PLACES,
    SPENDING_URL,
    EconomicTrackerSettings,
    prepare_economic_tracker,
)
from signals.refused import ImportRefused
from signals.store import open_snapshot, submit

NOW = datetime(2026, 11, 23, 9)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "samples" / "economic_tracker"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """The test's output is its result."""


@contextmanager
def served(folder: Path, spending: str, mobility: str) -> Iterator[EconomicTrackerSettings]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield EconomicTrackerSettings(spending_url=base + spending, mobility_url=base + mobility)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_files(folder, *, drop=(), days=None):
    """Two files made up in the published layout: daily until the end of May 2022, then Sundays only."""
    days = pd.date_range("2022-01-03", "2022-05-31") if days is None else days
    days = days.append(pd.date_range("2022-06-05", "2022-07-03", freq="W-SUN"))
    parts = {"year": days.year, "month": days.month, "day": days.day}
    change = np.round(np.linspace(-0.2, 0.3, len(days)), 4)
    spending = pd.DataFrame({**parts, "freq": "d", **dict.fromkeys(CATEGORIES, change)}).astype(object)
    spending.loc[:6, list(CATEGORIES)] = "."
    mobility = pd.DataFrame({**parts, **dict.fromkeys(PLACES, change / 2)})
    spending.drop(columns=list(drop)).to_csv(folder / "spending.csv", index=False)
    mobility.to_csv(folder / "mobility.csv", index=False)
    return dict(zip(days, change, strict=True))


@pytest.fixture
def fixture(tmp_path):
    change = write_files(tmp_path)
    with served(tmp_path, "spending.csv", "mobility.csv") as settings:
        yield tmp_path, settings, change


def test_sundays_become_weeks_of_an_index(fixture):
    folder, settings, change = fixture
    batch = prepare_economic_tracker(folder / "home", settings, now=NOW).batch
    shoes = batch.sales[batch.sales["category"] == "Apparel and accessories"]
    sundays = [day for day in change if day.dayofweek == 6][1:]  # the first one is missing in the file
    assert shoes["start"].tolist() == [day - timedelta(days=6) for day in sundays]
    assert shoes["quantity"].to_numpy() == pytest.approx([100 * (1 + change[day]) for day in sundays])
    assert set(batch.categories["frequency"]) == {"W-SUN"}


def test_mobility_becomes_signals_in_percent(fixture):
    folder, settings, change = fixture
    batch = prepare_economic_tracker(folder / "home", settings, now=NOW).batch
    parks = batch.observations[batch.observations["signal"] == "google_mobility/parks/US"]
    assert parks["value"].iloc[0] == pytest.approx(50 * change[pd.Timestamp("2022-01-09")])
    assert len(batch.signals) == 7
    assert (batch.lag.days, set(batch.signals["publication_lag"].dt.days)) == (10, {3})
    assert batch.signals["licence"].str.contains("Google").all()


def test_originals_are_landed_by_hash(fixture):
    folder, settings, _ = fixture
    for _ in range(2):
        prepare_economic_tracker(folder / "home", settings, now=NOW)
    landed = sorted((folder / "home" / "raw" / "economic_tracker").iterdir())
    assert len(landed) == 2
    for path in landed:
        assert path.name == hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() + ".csv.gz"


def test_weeks_to_come_are_left_out(fixture):
    folder, settings, _ = fixture
    batch = prepare_economic_tracker(folder / "home", settings, now=datetime(2022, 6, 12, 20)).batch
    assert batch.sales["end"].max() == pd.Timestamp("2022-06-06")


def test_lost_column_is_named(tmp_path):
    write_files(tmp_path, drop=["spend_19_grf"])
    problem = r"spending\.csv no longer has the column spend_19_grf"
    with (
        served(tmp_path, "spending.csv", "mobility.csv") as settings,
        pytest.raises(ImportRefused, match=problem) as lost,
    ):
        prepare_economic_tracker(tmp_path / "home", settings, now=NOW)
    assert lost.value.column == "spend_19_grf"
    assert len(list((tmp_path / "home" / "raw" / "economic_tracker").iterdir())) == 2


def test_unreadable_file_is_refused(tmp_path):
    write_files(tmp_path)
    (tmp_path / "mobility.csv").write_text("<html>moved</html>")
    problem = r"mobility\.csv no longer has the columns year, month, day"
    with served(tmp_path, "spending.csv", "mobility.csv") as settings, pytest.raises(ImportRefused, match=problem):
        prepare_economic_tracker(tmp_path / "home", settings, now=NOW)


def test_server_errors_are_told(tmp_path):
    problem = r"absent\.csv: the server answered 404"
    with served(tmp_path, "absent.csv", "absent.csv") as settings, pytest.raises(ImportRefused, match=problem):
        prepare_economic_tracker(tmp_path, settings, now=NOW)
    with pytest.raises(ImportRefused, match=r"cannot fetch http://127\.0\.0\.1:9/"):
        prepare_economic_tracker(tmp_path, EconomicTrackerSettings(spending_url="http://127.0.0.1:9/a.csv"), now=NOW)


def test_defaults_are_the_published_files():
    settings = EconomicTrackerSettings()
    assert (settings.spending_url, settings.mobility_url) == (SPENDING_URL, MOBILITY_URL)
    assert SPENDING_URL.endswith(
        "/OpportunityInsights/EconomicTracker/main/data/Affinity%20-%20National%20-%20Daily.csv"
    )
    with pytest.raises(ValueError, match="string_pattern_mismatch"):
        EconomicTrackerSettings(spending_url="ftp://example.org/a.csv")


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
def test_published_files(tmp_path):
    names = (Path(url).name for url in (SPENDING_URL, MOBILITY_URL))
    with served(SHARED, *names) as settings:
        prepared = prepare_economic_tracker(tmp_path, settings, now=NOW)
    sales = prepared.batch.sales
    assert sales.groupby("category").size().eq(284).all()
    assert (sales["start"].min(), sales["end"].max()) == (pd.Timestamp("2019-01-07"), pd.Timestamp("2024-06-17"))
    assert submit(tmp_path, prepared.batch).inserted == prepared.rows == 2556 + 959
    grocery = open_snapshot(tmp_path).sales("Grocery and food stores")
    assert (grocery["known_at"] - grocery["end"]).eq(timedelta(days=10)).all()
    assert set(grocery["known_basis"]) == {"assumed_lag"}
