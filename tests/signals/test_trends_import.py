import re
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from signals.refused import ImportRefused
from signals.store import open_snapshot, submit
from signals.trends_import import prepare_google_trends

NOW = datetime(2026, 11, 25, 6)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "samples" / "google_trends_exports"
ENGLISH = "Category: All categories\n\nWeek,coffee: (United States)\n2026-11-01,84\n2026-11-08,100\n2026-11-15,<1\n"


@pytest.fixture
def read(tmp_path):
    def from_text(text, encoding="utf-8", **options):
        path = tmp_path / "multiTimeline.csv"
        path.write_bytes(text.encode(encoding))
        return prepare_google_trends(path, **{"now": NOW} | options)

    return from_text


def values(prepared):
    return prepared.batch.observations["value"].tolist()


def only_signal(prepared):
    (row,) = prepared.batch.signals.to_dict("records")
    return row


def rows_of(days, header, form="%Y-%m-%d"):
    return header + "".join(f"{day.strftime(form)},{10 + i % 90}\n" for i, day in enumerate(days))


def test_an_export_becomes_a_signal_named_as_the_connector_does(read):
    prepared = read(ENGLISH)
    signal = only_signal(prepared)
    assert (signal["signal"], signal["cadence"], signal["scale"]) == ("google_trends/coffee/US", "W-SAT", "window")
    assert values(prepared) == [84, 100, 0.5]
    assert set(prepared.batch.observations["window"]) == {"2026-11-22T00:00:00Z"}  # where its last period ends


def test_an_old_file_is_an_old_window_whenever_it_is_imported(read):
    batches = [read(ENGLISH, now=NOW + timedelta(days=days)).batch for days in (0, 90)]
    pd.testing.assert_frame_equal(batches[0].observations, batches[1].observations)


def test_the_week_of_the_export_is_left_out(read):
    prepared = read(ENGLISH, known_at=datetime(2026, 11, 21))
    assert values(prepared) == [84, 100]
    assert any("1 period not over" in note for note in prepared.notes)


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH.replace("\n", "\r\n"),
        ENGLISH.replace(",", ";"),
        ENGLISH.replace(",", "\t"),
        "\ufeff" + ENGLISH,
        ENGLISH.split("\n\n")[1],
        ENGLISH.replace("2026-11-08", "\n2026-11-08"),
        ENGLISH.replace("Week,coffee: (United States)", 'Week,"coffee: (United States)"'),
        ENGLISH.replace("Category: All categories", "类别：所有类别").replace("Week", "周"),
        ENGLISH.replace("<1", "< 1").replace("2026-11-", "2026/11/"),
        re.sub(r"2026-11-(\d\d)", r"\1.11.2026", ENGLISH),
        re.sub(r"2026-11-(\d\d)", r"\1-Nov-26", ENGLISH),
        re.sub(r"2026-11-(\d\d)", r'"Nov \1, 2026"', ENGLISH),
    ],
)
def test_other_languages_and_editing_change_nothing(read, text):
    prepared = read(text)
    assert only_signal(prepared)["signal"] == "google_trends/coffee/US"
    assert values(prepared) == [84, 100, 0.5]


def test_utf_16_is_read(read):
    assert values(read(ENGLISH, "utf-16")) == [84, 100, 0.5]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("re: zero: (Japan)", "google_trends/re: zero/JP"),
        ("カップケーキ: (すべての国)", "google_trends/カップケーキ/world"),
        ("hats (straw): (United Kingdom)", "google_trends/hats (straw)/GB"),
        ("shoes：（全球）", "google_trends/shoes/world"),
        ("coffee: (Hong Kong (SAR))", "google_trends/coffee/Hong Kong (SAR)"),
        ("coffee: (Bretagne)", "google_trends/coffee/Bretagne"),
    ],
)
def test_terms_and_places_of_any_kind(read, header, name):
    assert only_signal(read(ENGLISH.replace("coffee: (United States)", header)))["signal"] == name


def test_a_region_that_is_given_counts(read):
    signal = only_signal(read(ENGLISH.replace("coffee: (United States)", "coffee: (Brasil)"), region="BR"))
    assert (signal["signal"], signal["region"]) == ("google_trends/coffee/BR", "BR")


def test_five_terms_are_five_signals(read):
    head = ",".join(f"t{i}: (Germany)" for i in range(5))
    days = pd.date_range("2026-10-01", "2026-10-10")
    prepared = read(f"X\n\nTag,{head}\n" + "".join(f"{day:%Y-%m-%d},1,2,3,<1,100\n" for day in days))
    assert prepared.batch.signals["signal"].tolist() == [f"google_trends/t{i}/DE/daily" for i in range(5)]
    assert values(prepared)[::10] == [1, 2, 3, 0.5, 100]


def test_months(read):
    months = pd.date_range("2025-01-01", "2026-11-01", freq="MS")
    prepared = read(rows_of(months, "Category: x\n\nMês,x: (Brazil)\n", "%Y-%m"))
    assert only_signal(prepared)["cadence"] == "MS"
    assert prepared.batch.observations["end"].max() == pd.Timestamp("2026-11-01"), "the month that runs is left out"


def test_hours_become_means_of_whole_days(read):
    hours = pd.date_range("2026-11-18 05:00", "2026-11-24 10:00", freq="h")
    prepared = read(rows_of(hours, "Category: x\n\nTime,x: (Worldwide)\n", "%Y-%m-%dT%H"))
    assert only_signal(prepared)["signal"] == "google_trends/x/world/daily"
    frame = prepared.batch.observations
    assert frame["start"].dt.day.tolist() == [19, 20, 21, 22, 23]
    assert frame["value"].iloc[0] == pytest.approx(sum(10 + i % 90 for i in range(19, 43)) / 24)


def test_a_blank_value_is_no_row(read):
    assert values(read(ENGLISH.replace(",100", ","))) == [84, 0.5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Category: x\n\nRegion,x: (1/1/04 – 6/30/23)\nBavaria,11%\nHesse,\n", "interest by region.*multiTimeline"),
        ("Category: x\n\nTOP\nhydro boost,100\nsunscreen,82\n\nRISING\ncream,+50%\n", "related queries.*multiTimeline"),
        ("Category: x\n\nTOP\nmarch 2024,100\nshoes,9\nboots,8\nhats,7\n", "related queries"),
        ("hello\n", "no export of interest over time"),
        ("", "holds no dates"),
        ("2026-11-01,84\n2026-11-08,100\n", "line 1: .*no header"),
        (ENGLISH.replace("100", "101"), "line 5, column 'coffee.*101 is no value"),
        (ENGLISH.replace("100", "many"), "line 5"),
        (ENGLISH.replace("11-08", "11-01"), "line 5, .*twice"),
        (ENGLISH.replace("11-08", "11-07"), "neither days nor weeks nor months"),
        (ENGLISH.replace(": (United States)", ""), "does not name a term and a place"),
        ("Day,x: (Germany)\n2026-11-25,3\n2026-11-26,4\n", "no period of the file is over"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(read, text, said):
    with pytest.raises(ImportRefused, match=f"(?s){said}"):
        read(text)


def test_another_cadence_than_the_stores_is_refused(read):
    with pytest.raises(ImportRefused, match=r"W-SUN.*Google's weeks begin on Sunday"):
        read(ENGLISH, known_signals={"google_trends/coffee/US": "W-SUN"})


@pytest.mark.parametrize("wrong", [{"region": "usa"}, {"known_at": NOW + timedelta(days=1)}])
def test_wrong_options_are_refused(read, wrong):
    with pytest.raises(ImportRefused, match=r"region|future"):
        read(ENGLISH, **wrong)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ImportRefused, match="cannot read"):
        prepare_google_trends(tmp_path / "none.csv")


def test_an_import_is_stored_once(tmp_path, read):
    prepared = read(ENGLISH)
    assert submit(tmp_path / "home", prepared.batch).inserted == 3
    assert submit(tmp_path / "home", read(ENGLISH).batch).inserted == 0
    assert len(open_snapshot(tmp_path / "home").observations(["google_trends/coffee/US"])) == 3


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
@pytest.mark.parametrize(
    ("name", "cadence", "signals", "rows"),
    [
        ("daily_fr_3terms.csv", "D", 3, 87),
        ("monthly_ja.csv", "MS", 1, 223),
        ("monthly_pt_br_5terms.csv", "MS", 5, 1170),
        ("weekly_en_5terms_lt1.csv", "W-SAT", 5, 255),
        ("weekly_en_yeezy.csv", "W-SAT", 1, 205),
        ("weekly_fr_lt1_values.csv", "W-SAT", 1, 114),
    ],
)
def test_genuine_exports(name, cadence, signals, rows):
    prepared = prepare_google_trends(SHARED / name, now=NOW)
    assert set(prepared.batch.signals["cadence"]) == {cadence}
    assert (len(prepared.batch.signals), prepared.rows) == (signals, rows)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
@pytest.mark.parametrize(
    ("name", "what"), [("geomap_pt_br.csv", "region"), ("related_queries_en_neutrogena.csv", "related")]
)
def test_genuine_exports_of_another_kind(name, what):
    with pytest.raises(ImportRefused, match=f"{what}.*multiTimeline.csv"):
        prepare_google_trends(SHARED / name, now=NOW)
