"""The page: complete in itself, plain HTML for every finding and number, and nothing that runs or breaks out."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import re
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from api.reports.report import build_report
from api.reports.sentences import three_sentences
from forecast.events import Applied
from forecast.plot import DARK, LIGHT

EVIL = '<script>alert(1)</script> & "co" </td><img src=x onerror=alert(2)>'


class Page(HTMLParser):
    """Collects elements, text per element id, and script contents."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self.scripts, self._open = [], [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, _tag):
        self._open = None

    def handle_data(self, data):
        if self._open == "script":
            self.scripts.append(data)
        elif self._open != "style":
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def report(*items, note="", **options):
    made = datetime(2026, 11, 23, 9, 0)
    return Page(build_report(items, title="Autumn", generated_at=made, source_note=note, **options))


def charts(page):
    return json.loads(page.scripts[0])["charts"]


def test_page_shows_each_finding_sentence_and_fact(make_item, signal):
    items = [make_item("Boots", signals=[signal("search", 12.0)]), make_item("Hats", signals=[signal("search", -3.0)])]
    page = report(*items, note="Simulated data", data_version=7)
    for words in (
        *three_sentences(items),
        "Simulated data",
        "Data version 7",
        "Made 23 Nov 2026 09:00 UTC",
        "Engine fast",
    ):
        assert words in page.text


def test_no_banner_without_a_note(make_item):
    assert not [attrs for attrs in report(make_item()).all("p") if attrs.get("class") == "banner"]


def test_portfolio_links_lead_to_the_sections(make_item):
    page = report(make_item("Boots"), make_item("Hats"))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    targets = [attrs["href"][1:] for attrs in page.all("a") if attrs["href"].startswith("#")]
    assert set(targets) <= set(ids)
    assert {"category-1", "category-2"} <= set(targets)
    assert len(ids) == len(set(ids))


def test_tables_hold_every_number_of_the_forecast(make_item):
    item = make_item()
    page = report(item)
    frame = item.forecast.to_frame()
    for value in (*frame["mean"], *frame["median"], *frame["lo-80"], *frame["hi-95"]):
        assert f"{value:,.0f}" in page.text
    for share in ("level", "season", "trend"):
        assert share in page.text


def test_drivers_chart_adds_up_to_the_distance_from_the_level(make_item):
    item = make_item()
    drawn = charts(report(item))["category-1-drivers"]["data"]
    total = _numbers(drawn[-1]["y"])
    expected = item.forecast.to_frame()["mean"] - item.forecast.contributions()["level"]
    np.testing.assert_allclose(total, expected)
    np.testing.assert_allclose(sum(_numbers(bar["y"]) for bar in drawn[:-1]), expected)


def _numbers(values):
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
    return np.array(values, dtype=float)


def test_many_drivers_are_drawn_as_seven_and_still_add_up(make_item):
    parts = {name: np.full(4, 10.0 * n) for n, name in enumerate(["level", "season", "trend", *"abcdefgh"], start=1)}
    drawn = charts(report(make_item(parts=parts)))["category-1-drivers"]["data"]
    assert [bar["name"] for bar in drawn] == ["season", "trend", "h", "g", "f", "e", "other drivers", "Sum"]
    assert _numbers(drawn[-1]["y"]).tolist() == [650.0] * 4


def test_names_cannot_break_out(make_item, signal):
    item = make_item(EVIL, unit=EVIL, names={"x": EVIL}, signals=[signal("x", 9.0, reason=EVIL)], warnings=[EVIL])
    parts = {**item.forecast.parts, EVIL: np.zeros(4)}
    item = replace(item, forecast=replace(item.forecast, parts=parts))
    page = report(item, note=EVIL)
    assert len(page.all("script")) == 3
    assert page.all("img") == []
    assert EVIL in page.text
    for trace in charts(page)["category-1-drivers"]["data"]:
        assert "<" not in trace["name"]


def test_nothing_is_fetched_and_only_our_scripts_may_run(make_item):
    page = report(make_item())
    policy = next(attrs["content"] for attrs in page.all("meta") if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'")
    for script in page.scripts[1:]:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    outside = [v for _, attrs in page.elements for k, v in attrs.items() if k in ("src", "href") and "://" in (v or "")]
    assert outside == []
    assert [script[:40].count("plotly.js") for script in page.scripts] == [0, 1, 0]


def test_every_colour_has_its_dark_twin(make_item):
    page = report(make_item())
    used = set(re.findall(r'"(#[0-9a-f]{6}|rgba\([^)]*\))"', page.scripts[0].split('"charts":')[1]))
    assert used
    assert used <= set(LIGHT.values())
    assert LIGHT.keys() == DARK.keys()
    assert len(set(LIGHT.values())) == len(LIGHT)


def test_charts_have_alternative_text_and_a_table_twin(make_item):
    page = report(make_item())
    plots = [attrs for attrs in page.all("div") if attrs.get("class") == "plot"]
    assert len(plots) == len(charts(page)) == len(page.all("details")) == 2
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 60 for attrs in plots)


def test_download_holds_the_frame(make_item):
    item = make_item("Boots & co")
    link = next(attrs for attrs in report(item).all("a") if "download" in attrs)
    assert link["download"] == "boots-co.csv"
    text = base64.b64decode(link["href"].split(",")[1]).decode()
    assert text.splitlines()[0] == ",".join(item.forecast.to_frame().columns)
    assert len(text.splitlines()) == 5


def test_signals_are_listed_admitted_first_with_their_evidence(make_item, signal):
    refused, admitted = signal("rain", -3.0, lag=0), signal("search/boots", 12.0)
    words = report(make_item(signals=[refused, admitted])).text
    assert "1 of 2 signals earned its place." in words
    assert words.index("✓ admitted") < words.index("✕ refused")
    for cell in ("+12.0 %", "6.0 to 18.0 %", "3 weeks", "22 Nov 2026", "same week"):
        assert cell in words


def test_nowcasts_are_named_and_the_next_period_comes_after_them(make_item):
    item = make_item(kinds=("nowcast", "nowcast", "forecast", "forecast"))
    words = report(item).text
    third = item.forecast.to_frame()["ds"][2]
    assert "Nowcast: the week is over, its sales are not in yet." in words
    assert words.index(f"week to {third.day} {third:%b %Y}") < words.index("What drives it")


@pytest.mark.parametrize("frequency", ["D", "W-SUN", "MS", "QS"])
@pytest.mark.parametrize(("periods", "horizon"), [(3, 1), (60, 30)])
def test_every_frequency_and_length_makes_a_page(make_item, frequency, periods, horizon):
    page = report(make_item(frequency=frequency, periods=periods, horizon=horizon, unit=None))
    assert "nan" not in re.sub(r"[a-z]+nan|nan[a-z]+", "", page.text.lower())
    assert "None" not in page.text


def test_a_gap_in_the_history_stays_a_gap(make_item):
    item = make_item()
    history = item.history.assign(y=item.history["y"].where(item.history.index != 170))
    page = report(replace(item, history=history, forecast=replace(item.forecast, history=history)))
    assert "nan" not in " ".join(attrs.get("points", "") for attrs in page.all("polyline"))


def test_history_without_quality_says_so(make_item, scored, signal):
    unknown = dict.fromkeys(("wape", "mase", "bias_pct", "vs_seasonal_naive_pct"))
    backtest = scored(origins=0, coverage={"80": None, "95": None}, **unknown)
    words = report(make_item(backtest=backtest, signals=[signal("new", None, lag=None, lead=None, known_to=None)])).text
    assert "The history is too short to test the forecast against its past." in words
    assert "There is not enough history to tell whether a signal helps this category." in words
    assert "n/a" in words


def test_old_data_is_told_at_the_top_in_the_table_and_at_the_category(make_item):
    fresh = make_item("Boots", moment=datetime(2025, 6, 9))  # asked for the moment at which its sales end
    old = make_item("Hats")  # the report is of November 2026
    words = report(fresh, old).text
    last = pd.Timestamp(old.forecast.history_end)
    assert f"How fresh Sales of Hats end on {last.day} {last:%b %Y}, so periods that are called next are over" in words
    assert words.count(f"Old data: sales end on {last.day} {last:%b %Y}") == 1
    assert words.count("(over)") == 1
    assert "How fresh" not in report(fresh).text
    assert "How fresh" in report(make_item(kinds=("nowcast",) * 4, moment=datetime(2025, 6, 9))).text


def test_the_unknown_unit_is_not_made_up_and_an_index_not_a_count(make_item):
    assert "units" not in report(make_item(unit=None)).text
    words = report(make_item(unit="index, January 2019 = 100")).text
    assert "(index, January 2019 = 100) a week expected" in words
    assert "index, January 2019 = 100, by week, added to or taken from the level" in words


def test_ranges_that_held_too_little_are_a_warning(make_item, scored):
    item = make_item(backtest=scored(coverage={"80": 0.66, "95": 0.9}), warnings=["one", "two"])
    words = report(item).text
    assert "At past origins the 80 % range held only 66 % of actual sales" in words
    assert "the 95 % range held only" not in words
    assert "3 old data, ranges too narrow" in words
    assert "Warnings At past origins" in words


def test_events_that_were_taken_out_are_told(make_item):
    day = dt.date(2026, 3, 1)
    event = Applied("stock_out", day, day, None, "stock-out of the week to 1 Mar 2026: taken as missing")
    assert "Event taken out of the sales stock-out of the week to 1 Mar" in report(make_item(events=(event,))).text
    assert "taken out of the sales" not in report(make_item()).text


def test_a_gain_that_cannot_be_told_from_zero_is_called_so(make_item, signal):
    assert "perhaps 3 % less error (1 signal)" in report(make_item(signals=[signal("search", 3.0)])).text
    assert "no measurable gain (1 signal)" in report(make_item(signals=[signal("x", 0.0, admitted=True)])).text
    both = [signal("search", 30.0, gain_interval_pct=(-1.0, 50.0)), signal("rain", 9.0)]
    assert "up to 9 % less error (2 signals)" in report(make_item(signals=both)).text


def test_a_month_is_called_by_its_name(make_item, signal):
    item = make_item(frequency="MS", periods=60, signals=[signal("search", 9.0, known_to="2022-08-01")])
    assert "Aug 2022" in report(item).text
    assert "1 Aug 2022" not in report(item).text


def test_drivers_that_round_to_nothing_move_nothing(make_item):
    item = make_item()
    parts = {"level": item.forecast.mean, "trend": np.full(4, 0.2)}
    words = report(replace(item, forecast=replace(item.forecast, parts=parts))).text
    assert "Nothing moves the forecast away from its level." in words
    assert "the largest driver" not in words


def test_mase_is_explained_without_contradicting_seasonal_naive(make_item):
    words = report(make_item()).text
    assert "misses, where 1 is the usual change of the history from one season to the next" in words
    assert "naive forecast of the past" not in words


def test_no_items_is_an_error():
    with pytest.raises(ValueError, match="at least one category"):
        report()


def test_the_same_input_gives_the_same_bytes(make_item):
    made = datetime(2026, 11, 23)
    pages = [build_report([make_item()], title="T", generated_at=made, source_note="") for _ in range(2)]
    assert pages[0] == pages[1]
