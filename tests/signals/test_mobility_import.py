import gzip
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from signals.mobility_import import prepare_apple_mobility, prepare_google_mobility
from signals.prepared import Prepared
from signals.refused import ImportRefused
from signals.store import open_snapshot, submit

NOW = datetime(2026, 11, 23, 9)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "samples" / "mobility"

APPLE = """\
geo_type,region,transportation_type,alternative_name,sub-region,country,2020-05-10,2020-05-11,2020-05-12,2020-05-13
country/region,Germany,driving,Deutschland,,,98.5,,,101.25
country/region,Germany,walking,Deutschland,,,88,,,90
country/region,Republic of Korea,driving,한국,,,77,,,79
country/region,Luxembourg,driving,,,,60,,,61
sub-region,Aichi Prefecture,driving,愛知県,,Japan,55,,,56
sub-region,Colorado,driving,,,United States,70,,,71
county,Adams County,driving,,Colorado,United States,48.62,,,67.31
county,Adams County,driving,,Idaho,United States,50,,,51
city,Luxembourg,driving,,,Luxembourg,40,,,41
"""
APPLE_EARLY = """\
geo_type,region,transportation_type,alternative_name,2020-01-13,2020-01-14
country/region,Germany,driving,Deutschland,100,101.5
city,Berlin,transit,,100,99.25
"""
CHANGES = ("retail_and_recreation", "grocery_and_pharmacy", "parks", "transit_stations", "workplaces", "residential")
CHANGED = ",".join(f"{kind}_percent_change_from_baseline" for kind in CHANGES)
GOOGLE = f"""\
country_region_code,country_region,sub_region_1,sub_region_2,metro_area,iso_3166_2_code,census_fips_code,place_id,date,{CHANGED}
DE,Germany,,,,,,ChIJa76xwh5ymkcRW-WRjmtd6HU,2020-02-15,6,1,45,10,0,-1
DE,Germany,,,,,,ChIJa76xwh5ymkcRW-WRjmtd6HU,2020-02-16,7,10,9,6,-1,0
DE,Germany,Thuringia,,,DE-TH,,place-th,2020-02-15,-4,,,,2,
NA,Namibia,,,,,,,2020-02-15,1,2,3,4,5,6
US,United States,Colorado,Adams County,,,08001,,2020-02-15,9,8,,,7,
AR,Argentina,,,Cordoba Metropolitan Area,,,,2020-02-15,3,3,3,3,3,3
"""
GOOGLE_EARLY = f"""\
country_region_code,country_region,sub_region_1,sub_region_2,date,{CHANGED}
DE,Germany,,,2020-02-15,6,1,45,10,0,-1
"""


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def values(prepared: Prepared, signal: str) -> dict[str, float]:
    frame = prepared.batch.observations
    assert frame is not None
    mine = frame[frame["signal"] == signal]
    return dict(zip(mine["start"].dt.strftime("%Y-%m-%d"), mine["value"], strict=True))


def names(prepared: Prepared) -> list[str]:
    assert prepared.batch.signals is not None
    return prepared.batch.signals["signal"].tolist()


def test_apples_countries_become_daily_signals(tmp_path: Path) -> None:
    prepared = prepare_apple_mobility(write(tmp_path, "apple.csv", APPLE), now=NOW)
    places = ("driving/DE", "walking/DE", "driving/KR", "driving/LU")
    assert names(prepared) == [f"apple_mobility/{place}" for place in places]
    assert values(prepared, "apple_mobility/driving/DE") == {"2020-05-10": 98.5, "2020-05-13": 101.25}
    assert prepared.rows == 8


def test_all_of_apple_must_be_asked_for(tmp_path: Path) -> None:
    prepared = prepare_apple_mobility(write(tmp_path, "apple.csv", APPLE), regions=["*"], kinds=["driving"], now=NOW)
    assert "apple_mobility/driving/US/Colorado/Adams County" in names(prepared)
    assert "apple_mobility/driving/US/Idaho/Adams County" in names(prepared)
    assert "apple_mobility/driving/LU/Luxembourg (city)" in names(prepared)
    assert len(names(prepared)) == 8


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("deutschland", ["DE"]),
        ("DE", ["DE"]),
        ("愛知県", ["JP/Aichi Prefecture"]),
        ("Luxembourg", ["LU"]),
        ("US/Colorado/*", ["US/Colorado", "US/Colorado/Adams County"]),
        ("United States/*", ["US/Colorado", "US/Colorado/Adams County", "US/Idaho/Adams County"]),
        ("US/idaho/adams county", ["US/Idaho/Adams County"]),
    ],
)
def test_regions_are_found_by_code_and_name(tmp_path: Path, region: str, expected: list[str]) -> None:
    file = write(tmp_path, "apple.csv", APPLE)
    prepared = prepare_apple_mobility(file, regions=[region], kinds=["driving"], now=NOW)
    assert names(prepared) == [f"apple_mobility/driving/{place}" for place in expected]


def test_a_name_of_several_places_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "apple.csv", APPLE)
    with pytest.raises(ImportRefused, match=r"means 2 places.*US/Colorado/Adams County, US/Idaho/Adams County"):
        prepare_apple_mobility(file, regions=["Adams County"], now=NOW)


def test_an_unknown_region_gets_the_nearest(tmp_path: Path) -> None:
    file = write(tmp_path, "apple.csv", APPLE)
    with pytest.raises(ImportRefused, match=r"region 'US/Colorada' is not in the archive.*Nearest: US/Colorado"):
        prepare_apple_mobility(file, regions=["US/Colorada"], now=NOW)


def test_apples_first_layout_is_read(tmp_path: Path) -> None:
    prepared = prepare_apple_mobility(write(tmp_path, "apple.csv", APPLE_EARLY), regions=["*"], now=NOW)
    assert names(prepared) == ["apple_mobility/driving/DE", "apple_mobility/transit/Berlin (city)"]


def test_google_ends_in_daily_beside_the_weekly_tracker(tmp_path: Path) -> None:
    prepared = prepare_google_mobility(write(tmp_path, "google.csv", GOOGLE), kinds=["parks"], now=NOW)
    assert names(prepared) == ["google_mobility/parks/DE/daily", "google_mobility/parks/NA/daily"]
    assert values(prepared, "google_mobility/parks/DE/daily") == {"2020-02-15": 45, "2020-02-16": 9}


@pytest.mark.parametrize("region", ["DE-TH", "place-th", "thuringia", "DE/Thuringia"])
def test_googles_regions_have_more_names(tmp_path: Path, region: str) -> None:
    prepared = prepare_google_mobility(write(tmp_path, "google.csv", GOOGLE), regions=[region], now=NOW)
    kinds = ("retail_and_recreation", "workplaces")
    assert names(prepared) == [f"google_mobility/{kind}/DE/Thuringia/daily" for kind in kinds]
    assert prepared.batch.signals is not None
    assert set(prepared.batch.signals["region"]) == {"DE-TH"}


def test_blanks_are_left_out_and_told(tmp_path: Path) -> None:
    prepared = prepare_google_mobility(write(tmp_path, "google.csv", GOOGLE), regions=["*"], now=NOW)
    assert prepared.rows == 12 + 2 + 6 + 3 + 6
    assert "7 blanks left out: days or places for which nothing was published." in prepared.notes
    assert any(note.startswith("Google ended the reports on 15 October 2022") for note in prepared.notes)


def test_googles_first_layout_is_read(tmp_path: Path) -> None:
    prepared = prepare_google_mobility(write(tmp_path, "google.csv", GOOGLE_EARLY), now=NOW)
    assert prepared.rows == 6


def test_packed_files_and_folders_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "Region_Mobility_Report_CSVs.zip", "w") as archive:
        archive.writestr("2020_DE_Region_Mobility_Report.csv", GOOGLE_EARLY)
        archive.writestr("__MACOSX/._2020_DE_Region_Mobility_Report.csv", "junk")
    (tmp_path / "2020_US.csv.gz").write_bytes(gzip.compress(GOOGLE.encode()))
    prepared = prepare_google_mobility(tmp_path, regions=["*"], now=NOW)
    assert prepared.rows == 29
    assert "6 values stood there twice, alike, and were taken once." in prepared.notes


def test_a_byte_order_mark_and_semicolons_do_no_harm(tmp_path: Path) -> None:
    file = write(tmp_path, "apple.csv", "\ufeff" + APPLE.replace(",", ";"))
    assert prepare_apple_mobility(file, now=NOW).rows == 8


def test_values_that_disagree_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "1.csv", GOOGLE_EARLY)
    write(tmp_path, "2.csv", GOOGLE_EARLY.replace(",45,", ",46,"))
    with pytest.raises(ImportRefused, match="parks of DE on 2020-02-15 is both 45 and 46"):
        prepare_google_mobility(tmp_path, now=NOW)


REFUSED = [
    (APPLE[:400], "Expected 10 columns, got"),
    (APPLE.replace("101.25", "many"), "cannot be read.*many"),
    (APPLE.replace("transportation_type,", "transport,"), "has no column 'transportation_type'"),
    (APPLE.replace("driving", "cycling"), "transportation_type is 'cycling'"),
    (APPLE_EARLY.replace("2020-01-13,2020-01-14", "1/13/2020,1/14/2020"), "has no column of a day"),
    (APPLE.replace("2020-05-11", "2020-05-10"), "has the column '2020-05-10' twice"),
    (APPLE.replace("2020-05-11", "2020-05-41"), "named like a day"),
    (APPLE.replace("2020-05-11", "2027-05-11").replace("98.5,,", "98.5,1,"), "dated 2027-05-11, which is not over"),
    (APPLE.splitlines()[0] + "\n", "no value was found|cannot be read"),
    ("<!doctype html><html>", "no file of Apple's Mobility Trends Reports"),
    ("", "has no column 'geo_type'"),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ImportRefused, match=problem):
        prepare_apple_mobility(write(tmp_path, "apple.csv", text), now=NOW)


def test_a_google_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"google\.csv cannot be read"):
        prepare_google_mobility(write(tmp_path, "google.csv", GOOGLE[:-30]), now=NOW)


def test_a_cut_last_number_is_told(tmp_path: Path) -> None:
    prepared = prepare_apple_mobility(write(tmp_path, "apple.csv", APPLE[:-1]), now=NOW)
    assert prepared.notes[-1] == "The last line of apple.csv does not end: its last number may be cut."


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(GOOGLE.encode())[:-20])
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04 no more")
    for name in ("a.csv.gz", "b.zip", "absent.csv"):
        with pytest.raises(ImportRefused, match=name):
            prepare_google_mobility(tmp_path / name, now=NOW)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"kind 'flying'.*Allowed: driving, transit, walking"):
        prepare_apple_mobility(write(tmp_path, "apple.csv", APPLE), kinds=["flying"], now=NOW)


def test_the_store_takes_it_and_nothing_the_second_time(tmp_path: Path) -> None:
    file = write(tmp_path, "google.csv", GOOGLE)
    batch = prepare_google_mobility(file, categories=["*"], now=NOW).batch
    assert submit(tmp_path / "home", batch).inserted == 18
    assert submit(tmp_path / "home", prepare_google_mobility(file, now=NOW).batch).inserted == 0
    parks = open_snapshot(tmp_path / "home").observations(["google_mobility/parks/DE/daily"])
    assert (parks["known_at"] - parks["end"]).eq(timedelta(days=3)).all()
    assert set(parks["known_basis"]) == {"assumed_lag"}


def test_the_licence_goes_with_every_signal(tmp_path: Path) -> None:
    apple = prepare_apple_mobility(write(tmp_path, "apple.csv", APPLE), now=NOW).batch.signals
    assert apple is not None
    assert apple["licence"].str.contains("Apple's terms").all()
    assert set(apple["cadence"]) == {"D"}


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
def test_published_files() -> None:
    apple = prepare_apple_mobility(
        SHARED / "applemobilitytrends-2020-05-17_countries_and_us_states_original.csv", regions=["*"], now=NOW
    )
    google = prepare_google_mobility(SHARED / "2020_DE_Region_Mobility_Report_original.csv", regions=["*"], now=NOW)
    assert (apple.rows, len(names(apple))) == (206 * 124, 206)
    assert (google.rows, len(names(google))) == (24_059, 102)
    berlin = values(google, "google_mobility/parks/DE/Berlin/daily")
    assert pd.Series(berlin).index.is_monotonic_increasing


def test_too_many_values_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signals.mobility_read.MOST", 10)
    with pytest.raises(ImportRefused, match=r"more than 10 values were asked for\. Import in parts"):
        prepare_google_mobility(write(tmp_path, "google.csv", GOOGLE), regions=["*"], now=NOW)
