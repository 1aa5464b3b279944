"""Card spending by category and Google mobility of the Opportunity Insights Economic Tracker (United States).

Both files are daily 7-day moving averages (spending has turned weekly since June 2022), so the value of a Sunday is
the mean of the week from Monday to that Sunday, and only Sundays are taken.
"""

import gzip
import hashlib
import io
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
from pydantic import BaseModel, ConfigDict, Field

from signals.batch import Batch
from signals.prepared import Prepared, Progress, Steps, payload_sha
from signals.refused import ImportRefused
from signals.rows import utc_now

CONNECTOR = "economic_tracker"
_REPOSITORY = "https://raw.githubusercontent.com/OpportunityInsights/EconomicTracker/main/data/"
SPENDING_URL = _REPOSITORY + "Affinity%20-%20National%20-%20Daily.csv"
MOBILITY_URL = _REPOSITORY + "Google%20Mobility%20-%20National%20-%20Daily.csv"
SPENDING_LAG = timedelta(days=10)  # median delay of the published vintages
MOBILITY_LAG = timedelta(days=3)
CATEGORIES = {
    "spend_19_aap": "Apparel and accessories",
    "spend_19_acf": "Accommodation and food service",
    "spend_19_aer": "Arts, entertainment and recreation",
    "spend_19_gen": "General merchandise stores",
    "spend_19_grf": "Grocery and food stores",
    "spend_19_hcs": "Health care and social assistance",
    "spend_19_hic": "Home improvement centers",
    "spend_19_sgh": "Sporting goods and hobby",
    "spend_19_tws": "Transportation and warehousing",
}
PLACES = {
    "gps_retail_and_recreation": "Time spent at retail and recreation",
    "gps_grocery_and_pharmacy": "Time spent at grocery stores and pharmacies",
    "gps_parks": "Time spent in parks",
    "gps_transit_stations": "Time spent at transit stations",
    "gps_workplaces": "Time spent at workplaces",
    "gps_residential": "Time spent at home",
    "gps_away_from_home": "Time spent away from home (imputed)",
}
_UNIT = "index, January 2019 = 100"
_LICENCE = (
    "Opportunity Insights Economic Tracker (Chetty, Friedman, Hendren, Stepner and others), tracktherecovery.org; "
    "data provider: {}. Free to use with attribution."
)
_DATE = ("year", "month", "day")


class EconomicTrackerSettings(BaseModel):
    """Where the two files are fetched from, and how long a fetch may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spending_url: str = Field(SPENDING_URL, pattern=r"^https?://\S+$", description="CSV of card spending by category")
    mobility_url: str = Field(MOBILITY_URL, pattern=r"^https?://\S+$", description="CSV of Google mobility")
    timeout_seconds: float = Field(30.0, gt=0, description="longest wait for the server to answer or go on")


def prepare_economic_tracker(
    home: Path,
    settings: EconomicTrackerSettings | None = None,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Fetch both files, land them under `home/raw/economic_tracker`, and turn them into a batch for the store.

    Spending becomes weekly sales (W-SUN) of nine categories as 100 * (1 + change since January 2019), mobility weekly
    signals in percent. Raises ImportRefused where a file cannot be fetched or no longer has the columns needed.
    """
    settings = settings or EconomicTrackerSettings()
    today, steps = np.datetime64(utc_now(now).date(), "D"), Steps(progress, 3)
    steps.next("fetching card spending")
    spending = _land(_fetch(settings.spending_url, settings.timeout_seconds), home)
    steps.next("fetching mobility")
    mobility = _land(_fetch(settings.mobility_url, settings.timeout_seconds), home)
    steps.next("reading both")
    sales = _sales(_weeks(spending, settings.spending_url, CATEGORIES, today))
    observations = _observations(_weeks(mobility, settings.mobility_url, PLACES, today))
    batch = _batch(sales, observations)
    mapping = {"category": "spend_19_*", "date": ", ".join(_DATE), "quantity": "100 * (1 + spend_19_*)"}
    mapping |= {"signal": "gps_*", "value": "100 * gps_*"}
    steps.next("done")
    return Prepared(batch, mapping, _notes(sales, observations), len(sales) + len(observations))


def _fetch(url: str, timeout: float) -> bytes:
    try:
        answer = httpx.get(url, timeout=timeout, follow_redirects=True)
        answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        reason = f"the server answered {error.response.status_code} {error.response.reason_phrase}"
        raise ImportRefused(
            f"cannot fetch {url}: {reason}", value=url, remedy="Check the address in the settings"
        ) from error
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise ImportRefused(
            f"cannot fetch {url}: {reason}", value=url, remedy="Check the connection and the address in the settings"
        ) from error
    return answer.content


def _land(payload: bytes, home: Path) -> bytes:
    """Keep the file as it came, gzipped under its hash, so that it can be read again without fetching."""
    folder = home / "raw" / CONNECTOR
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{hashlib.sha256(payload).hexdigest()}.csv.gz"
    if not place.exists():
        part = place.with_name(f"{place.name}.{os.getpid()}.part")
        part.write_bytes(gzip.compress(payload, mtime=0))
        part.replace(place)
    return payload


def _weeks(payload: bytes, url: str, columns: Mapping[str, str], today: np.datetime64) -> pd.DataFrame:
    """The Sundays up to today: `start`, `end` of the week that ends then, and the columns as fractions."""
    needed = (*_DATE, *columns)
    try:
        table = pacsv.read_csv(
            io.BytesIO(payload),
            convert_options=pacsv.ConvertOptions(
                include_columns=needed,
                column_types={**dict.fromkeys(_DATE, pa.int64()), **dict.fromkeys(columns, pa.float64())},
                null_values=[".", ""],
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise _drift(payload, url, needed, error) from error
    frame = table.to_pandas()
    try:
        days = pd.to_datetime(frame[list(_DATE)])
    except ValueError as error:
        raise _drift(payload, url, needed, error) from error
    sundays = ((days.dt.dayofweek == 6) & (days.to_numpy() < today)).to_numpy()
    end = days[sundays].astype("datetime64[us]") + timedelta(days=1)
    frame = frame.loc[sundays, list(columns)].assign(start=end - timedelta(days=7), end=end)
    if frame.empty or end.duplicated().any():
        raise _drift(payload, url, needed, "it does not have one row for each Sunday")
    weeks: pd.DataFrame = frame.sort_values("start", ignore_index=True)
    return weeks


def _drift(payload: bytes, url: str, needed: tuple[str, ...], error: Exception | str) -> ImportRefused:
    header = payload.split(b"\n", 1)[0].decode("utf-8", errors="replace").strip().removeprefix("\ufeff").split(",")
    missing = [column for column in needed if column not in header]
    if missing:
        return ImportRefused(
            f"{url} no longer has the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            column=missing[0], value=", ".join(header)[:200],
            remedy="The publisher has changed the file: update Groundswell, or point the settings to an older copy",
        )  # fmt: skip
    return ImportRefused(
        f"{url} cannot be read: {error}", value=url,
        remedy="The publisher has changed the file: update Groundswell, or point the settings to an older copy",
    )  # fmt: skip


def _long(weeks: pd.DataFrame, names: Mapping[str, str], key: str, value: str) -> pd.DataFrame:
    """One row a name and week, without the weeks before a name's first value."""
    long = weeks.melt(["start", "end"], list(names), key, value).sort_values([key, "start"], ignore_index=True)
    begun = long[value].notna().groupby(long[key]).cummax()
    return long[begun].reset_index(drop=True)


def _sales(weeks: pd.DataFrame) -> pd.DataFrame:
    long = _long(weeks.rename(columns=CATEGORIES), {name: name for name in CATEGORIES.values()}, "category", "quantity")
    long["quantity"] = (100 * (1 + long["quantity"])).round(9)
    return long.assign(known_at=_not_said(long), source=CONNECTOR)[
        ["category", "start", "end", "quantity", "known_at", "source"]
    ].astype({"category": "str", "source": "str"})


def _observations(weeks: pd.DataFrame) -> pd.DataFrame:
    long = _long(weeks, PLACES, "signal", "value")
    long["signal"] = [_signal(column) for column in long["signal"]]
    long["value"] = (100 * long["value"]).round(9)
    return long.assign(known_at=_not_said(long), window="", is_partial=False)[
        ["signal", "start", "end", "value", "known_at", "window", "is_partial"]
    ].astype({"signal": "str", "window": "str"})


def _signal(column: str) -> str:
    return f"google_mobility/{column.removeprefix('gps_')}/US"


def _not_said(frame: pd.DataFrame) -> pd.Series:
    return pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")


def _batch(sales: pd.DataFrame, observations: pd.DataFrame) -> Batch:
    categories = pd.DataFrame({"category": sales["category"].unique(), "frequency": "W-SUN", "unit": _UNIT})
    categories = categories.assign(timezone=None, calendar="US", parent=None, attributes=None).astype("str")
    signals = pd.DataFrame(
        {
            "signal": [_signal(column) for column in PLACES],
            "source": "google_mobility",
            "name": list(PLACES.values()),
            "region": "US",
            "unit": "% change from 3 January to 5 February 2020",
            "cadence": "W-SUN",
            "aggregation": "mean",
            "scale": "absolute",
        },
        dtype="str",
    ).assign(publication_lag=pd.Timedelta(MOBILITY_LAG).as_unit("us"), future_known=False)
    signals["licence"] = pd.Series([_LICENCE.format("Google")] * len(signals), dtype="str")
    candidates = pd.DataFrame({"category": "*", "signal": signals["signal"]}, dtype="str")
    return Batch(
        CONNECTOR,
        sales=sales,
        categories=categories,
        signals=signals,
        observations=observations,
        candidates=candidates,
        payload_sha=payload_sha(sales, categories, signals, observations, candidates),
        lag=SPENDING_LAG,
    )


def _notes(sales: pd.DataFrame, observations: pd.DataFrame) -> list[str]:
    ends = [f"{frame['end'].max() - timedelta(days=1):%Y-%m-%d}" for frame in (sales, observations)]
    return [
        f"{len(sales):,} weeks of card spending in {sales['category'].nunique()} categories, to {ends[0]}; "
        f"{len(observations):,} weeks of {observations['signal'].nunique()} mobility signals, to {ends[1]}.",
        "Only Sundays are used: the values are 7-day moving averages, so that of a Sunday is the mean of its week, "
        "Monday to Sunday (W-SUN).",
        "Spending is an index, not dollars: 100 is January 2019, not seasonally adjusted. The file holds final values; "
        "first prints differed from them by 3 to 5 points on average.",
        f"Publication is taken as {SPENDING_LAG.days} days after a week's end for spending and {MOBILITY_LAG.days} "
        "days for mobility (assumed_lag).",
        "Sources to name: Affinity Solutions (spending), Google (mobility), Opportunity Insights Economic Tracker.",
    ]
