"""How fast outside sources are read, without the store: `python -m bench.parsing [--rows N]`.

Writes archives of mobility of true size (Apple's last one has 4,700 rows and 800 days, 20 MB; the first weeks had
3 MB) and answers of data portals, made up, and prints rows, MB and values a second and the highest resident memory.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from bench.arguments import whole_number
from bench.importing import measured
from bench.machine import machine
from signals.connector import Observations, Payload, Request, Task
from signals.connectors.socrata import Socrata, SocrataEntry, SocrataSettings
from signals.connectors.tsa import Tsa
from signals.mobility_import import prepare_apple_mobility, prepare_google_mobility

NOW = datetime(2026, 11, 23, 9)
KINDS = ("driving", "transit", "walking")
CHANGES = ("retail_and_recreation", "grocery_and_pharmacy", "parks", "transit_stations", "workplaces", "residential")
COUNTRIES = [a + b for a in "ABCDEFGHIJKLM" for b in "ACEGI"]


def write_apple(path: Path, rows: int, days: int) -> None:
    """A row a place and kind: 65 countries first, then counties."""
    draw = np.random.default_rng(7)
    dates = [f"{day:%Y-%m-%d}" for day in pd.date_range("2020-01-13", periods=days)]
    places = [_apple_place(number) for number in range(-(-rows // 3))]
    keys = pd.DataFrame([(*place[:2], kind, *place[2:]) for place in places for kind in KINDS][:rows])
    keys.columns = ["geo_type", "region", "transportation_type", "alternative_name", "sub-region", "country"]
    cells = pd.DataFrame(draw.gamma(9, 11, (len(keys), days)).round(2), columns=dates)
    cells[["2020-05-11", "2020-05-12"]] = np.nan
    pd.concat([keys, cells], axis=1).to_csv(path, index=False)


def _apple_place(number: int) -> tuple[str, str, str, str, str]:
    if number < len(COUNTRIES):
        return "country/region", f"Country {COUNTRIES[number]}", "", "", ""
    return "county", f"County {number}", "", f"State {number % 50}", "United States"


def write_google(path: Path, rows: int, places: int) -> None:
    """A row a place and day: countries first, then their regions."""
    days = pd.date_range("2020-02-15", periods=-(-rows // places)).strftime("%Y-%m-%d").to_numpy(dtype=object)
    codes = np.array([COUNTRIES[number % len(COUNTRIES)] for number in range(places)], dtype=object)
    regions = np.array(["" if n < len(COUNTRIES) else f"Region {n}" for n in range(places)], dtype=object)
    draw, size = np.random.default_rng(7), places * len(days)
    frame = pd.DataFrame(
        {
            "country_region_code": np.repeat(codes, len(days)),
            "country_region": np.repeat("Country " + codes, len(days)),
            "sub_region_1": np.repeat(regions, len(days)),
            **dict.fromkeys(("sub_region_2", "metro_area", "iso_3166_2_code", "census_fips_code", "place_id"), ""),
            "date": np.tile(days, places),
            **{f"{kind}_percent_change_from_baseline": draw.integers(-90, 90, size) for kind in CHANGES},
        }
    )
    frame.to_csv(path, index=False)


def timed(stage: str, size: int, rows: int, read: Callable[[], int]) -> None:
    """Read once and print the rates."""
    began = time.perf_counter()
    with measured(stage):
        values = read()
    seconds = time.perf_counter() - began
    rates = f"{rows / seconds:,.0f} rows/s, {size / 1e6 / seconds:,.0f} MB/s, {values / seconds:,.0f} values/s"
    print(f"{'':<28} {size / 1e6:.1f} MB, {rows:,} rows, {values:,} values: {rates}")


def archives(folder: Path, rows: int) -> None:
    """Both archives, as a child process has written them."""
    for name, apple_rows, days in (("apple-3mb", 4_700, 125), ("apple", 4_700, 800)):
        file = made(folder / f"{name}.csv", write_apple, apple_rows, days)
        size = file.stat().st_size
        for what, regions in (("countries", None), ("every place", ["*"])):
            timed(
                f"{name}, {what}", size, apple_rows,
                lambda: prepare_apple_mobility(file, regions=regions, now=NOW).rows,  # noqa: B023 - called at once
            )  # fmt: skip
    file = made(folder / "google.csv", write_google, rows, -(-rows // 850))
    for what, regions in (("countries", None), ("every place", ["*"])):
        timed(
            f"google, {what}", file.stat().st_size, rows,
            lambda: prepare_google_mobility(file, regions=regions, now=NOW).rows,  # noqa: B023 - called at once
        )  # fmt: skip


def made(file: Path, write: Callable[[Path, int, int], None], rows: int, more: int) -> Path:
    """The file, written in a process of its own, so that making it does not count as memory of reading it."""
    child = os.fork()
    if child == 0:
        write(file, rows, more)
        os._exit(0)
    os.waitpid(child, 0)
    return file


def portal() -> None:
    """A page of 300 days of four modes from Socrata."""
    connector = Socrata(SocrataSettings())
    entry = SocrataEntry.model_validate({"preset": "new_york_mta"})
    signals = tuple(connector.signals(entry))
    since = dict.fromkeys([one.signal for one in signals], datetime(2024, 1, 1))
    pull = next(iter(connector.plan(Task(entry, signals, since, datetime(2025, 1, 1), datetime(2024, 1, 1)))))
    rows = [
        {
            "gs_day": f"{date(2024, 1, 1) + timedelta(day)}T00:00:00.000",
            "gs_group": mode,
            "gs_value": "1",
            "gs_records": "1",
        }
        for day in range(300)
        for mode in entry.groups
    ]
    bodies = json.dumps([{"gs_records": str(len(rows))}]).encode(), json.dumps(rows).encode()
    payloads = [answer(request, body) for request, body in zip(pull.requests, bodies, strict=True)]
    timed("socrata, 1,200 rows", len(bodies[1]), len(rows), lambda: len(connector.parse(pull, payloads).frame))


def page() -> None:
    """A year's page of the TSA."""
    connector = Tsa(Tsa.settings_type())
    days = pd.date_range("2024-01-01", "2024-12-31")[::-1]
    rows = "".join(f"<tr><td>{day:%-m/%-d/%Y}</td><td>2,854,118</td></tr>" for day in days)
    body = f"<table><tr><th>Date</th><th>Numbers</th></tr>{rows}</table>".encode()
    signals = tuple(connector.signals(Tsa.entry_type()))
    task = Task(Tsa.entry_type(), signals, {signals[0].signal: datetime(2024, 1, 1)}, NOW, datetime(2024, 1, 1))
    pull = next(iter(connector.plan(task)))
    read: Callable[[], Observations] = lambda: connector.parse(pull, [answer(pull.requests[0], body)])  # noqa: E731
    timed("tsa, a year", len(body), len(days), lambda: len(read().frame))


def answer(request: Request, body: bytes) -> Payload:
    """The answer to a request."""
    return Payload(request, body, datetime.now(UTC).replace(tzinfo=None))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=whole_number, default=170_000, help="rows of Google's file, six values each")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        archives(Path(folder), options.rows)
    portal()
    page()


if __name__ == "__main__":
    main()
