"""Open-Meteo's Single Runs API: one run of a weather model, by hour of UTC, as it was issued."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from tests.fakes.server import Answer, Asked

UNITS = {
    "temperature_2m": "°C",
    "precipitation": "mm",
    "wind_gusts_10m": "km/h",
    "cloud_cover": "%",
    "sunshine_duration": "s",
}
SUMMED = ("precipitation", "sunshine_duration")
DAYS = 15  # of a run's horizon
NEEDED = ("latitude", "longitude", "hourly", "run")


class OpenMeteo:
    """A source. `truth(variable, hour)` is the weather; a run's error grows with the hours ahead, `error` a day.

    Runs before `first` or in `missing` are not kept; `nulls` are variables that the model does not forecast.
    """

    def __init__(self, first: datetime = datetime(2024, 3, 14), error: float = 0.5, key: str | None = None) -> None:
        self.first, self.error, self.key = first, error, key
        self.missing: set[datetime] = set()
        self.nulls: set[str] = set()

    def __call__(self, asked: Asked) -> Answer:
        query = asked.query
        if asked.path != "/v1/forecast":
            return Answer(b"Not Found", 404, "text/plain")
        if self.key is not None and query.get("apikey") != self.key:
            return refusal("The supplied API key is invalid.")
        if lacking := [name for name in NEEDED if name not in query]:
            return refusal(f"Parameter '{lacking[0]}' is required")
        if unknown := [name for name in query["hourly"].split(",") if name not in UNITS]:
            return refusal(
                f"Data corrupted at path ''. Cannot initialize ForecastVariable from invalid String value {unknown[0]}."
            )
        if not 0 <= int(query.get("forecast_days", "7")) <= 16:
            return refusal("Forecast days is invalid. Allowed range 0 to 16.")
        run = datetime.strptime(query["run"], "%Y-%m-%dT%H:%M")
        if run < self.first or run in self.missing:
            text = f"Unexpected error while streaming data: modelRunUnavailable(model: {query['models']}, run: {run})"
            return Answer(text.encode(), 400, "text/plain")
        return Answer(self.body(run, query["hourly"].split(","), int(query.get("forecast_days", "7"))))

    def body(self, run: datetime, names: list[str], days: int) -> dict[str, Any]:
        """The answer for one run."""
        hours = [run + timedelta(hours=hour) for hour in range(24 * days)]
        values = {name: [self.forecast(name, run, hour) for hour in hours] for name in names}
        return {
            "latitude": 52.52,
            "longitude": 13.42,
            "generationtime_ms": 0.2,
            "utc_offset_seconds": 0,
            "timezone": "GMT",
            "timezone_abbreviation": "GMT",
            "elevation": 38.0,
            "hourly_units": {"time": "iso8601"} | {name: UNITS[name] for name in names},
            "hourly": {"time": [f"{hour:%Y-%m-%dT%H:%M}" for hour in hours], **values},
        }

    def forecast(self, name: str, run: datetime, hour: datetime) -> float | None:
        """What the run says of an hour; null beyond its horizon and, of sums, before its first hour."""
        ahead = (hour - run) / timedelta(days=1)
        if name in self.nulls or ahead >= DAYS or (ahead == 0 and name in SUMMED):
            return None
        value = truth(name, hour) + self.error * math.sqrt(ahead) * _chance(f"{name} {run} {hour:%Y-%m-%d}")
        return round(max(value, 0.0) if name in SUMMED else value, 2)


def truth(name: str, hour: datetime) -> float:
    """The weather itself: seasons, the course of a day, and weather that changes from day to day."""
    weather = _chance(f"{name} {hour:%Y-%m-%d}")
    year = math.sin(2 * math.pi * hour.timetuple().tm_yday / 365.25)
    if name in SUMMED:
        return max(weather, 0.0)
    return 10 - 8 * year + 3 * math.sin(2 * math.pi * hour.hour / 24) + 3 * weather


@lru_cache(maxsize=100_000)
def _chance(seed: str) -> float:
    return random.Random(seed).gauss(0, 1)


def refusal(reason: str) -> Answer:
    """The source's own error."""
    return Answer({"error": True, "reason": reason}, 400)
