"""What the mobility archives of Apple and Google are: columns, measures, places, terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from signals.mobility_places import CODES, Place


@dataclass(frozen=True)
class Archive:
    """One of the archives. `keys` are the columns that tell a row's place, `needed` those that must be there."""

    source: str
    title: str
    unit: str
    kinds: Mapping[str, str]  # what is measured, with its name for people
    keys: tuple[str, ...]
    needed: tuple[str, ...]
    place: Callable[[Mapping[str, str]], Place]
    ending: str  # of a signal's name
    lag: timedelta  # from the end of a day until it was published, about
    licence: str
    ended: str

    def signal(self, kind: str, place: str) -> str:
        """The name of a signal."""
        return f"{self.source}/{kind}/{place}{self.ending}"


def _apple_place(row: Mapping[str, str]) -> Place:
    """Country, sub-region, then the place; files from before May 2020 tell of cities no more than their names."""
    region, geo = row["region"], row["geo_type"]
    alternatives = tuple(name for name in row["alternative_name"].split("|") if name)
    if geo == "country/region":
        code = CODES.get(region, region)
        return Place((code,), region, code, alternatives, region)
    country = row["country"]
    above = [name for name in (CODES.get(country, country), row["sub-region"]) if name]
    last = f"{region} (city)" if geo == "city" else region
    shown = ", ".join(name for name in (region, row["sub-region"], country) if name)
    return Place((*above, last), shown, CODES.get(country, country), (region, *alternatives), country, national=False)


def _google_place(row: Mapping[str, str]) -> Place:
    country, code = row["country_region"], row["country_region_code"] or row["country_region"]
    below = [row[column] for column in ("sub_region_1", "sub_region_2", "metro_area") if row[column]]
    iso = row["iso_3166_2_code"]
    others = tuple(name for name in (iso, row["place_id"]) if name)
    shown = ", ".join([*reversed(below), country])
    return Place((code, *below), shown, iso or code, others, country, national=not below)


APPLE = Archive(
    source="apple_mobility",
    title="Apple's Mobility Trends Reports",
    unit="requests for directions, 13 January 2020 = 100",
    kinds={
        "driving": "Requests for driving directions",
        "transit": "Requests for transit directions",
        "walking": "Requests for walking directions",
    },
    keys=("geo_type", "region", "alternative_name", "sub-region", "country"),
    needed=("geo_type", "region", "transportation_type"),
    place=_apple_place,
    ending="",
    lag=timedelta(days=2),
    licence="Apple Mobility Trends Reports, © Apple Inc. Apple's terms allowed use only to respond to COVID-19 while "
    "it was a pandemic: read them before any other use.",
    ended="Apple ended the reports in April 2022: they are history only and will never be continued.",
)
GOOGLE = Archive(
    source="google_mobility",
    title="Google's Community Mobility Reports",
    unit="% change from the median of the weekday, 3 January to 6 February 2020",
    kinds={
        "retail_and_recreation": "Visits to retail and recreation",
        "grocery_and_pharmacy": "Visits to grocery stores and pharmacies",
        "parks": "Visits to parks",
        "transit_stations": "Visits to transit stations",
        "workplaces": "Visits to workplaces",
        "residential": "Time spent at home",
    },
    keys=(
        *("country_region_code", "country_region", "sub_region_1", "sub_region_2"),
        *("metro_area", "iso_3166_2_code", "place_id"),
    ),
    needed=("country_region_code", "country_region", "date"),
    place=_google_place,
    ending="/daily",  # the Economic Tracker names the same measures by the week, such as google_mobility/parks/US
    lag=timedelta(days=3),
    licence='Google LLC "Google COVID-19 Community Mobility Reports", https://www.google.com/covid19/mobility/; '
    "Google's terms of service; to be named as the source.",
    ended="Google ended the reports on 15 October 2022: they are history only and will never be continued.",
)
