import io
from contextlib import suppress
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from signals.connector import ConfigError, Drift, Payload
from signals.connectors.http_table import HttpTable, HttpTableEntry, HttpTableSettings
from tests.fakes.http_table import HttpTable as FakeTable
from tests.fakes.http_table import csv
from tests.fakes.server import PAGE, Answer, serving
from tests.signals import broken
from tests.signals.one_pull import answers, parsed, stored, task_of

NOW = datetime(2026, 11, 25, 12)
CONNECTOR = HttpTable(HttpTableSettings())
WEEKS = ("week,visitors,calls", "2026-11-02,1200,7", "2026-11-09,1350,", "2026-11-16,1100,9", "2026-11-23,300,2")


def entry_of(url="https://example.com/t.csv", **more):
    given = {"name": "shop", "date": "week", "values": ["visitors"], "cadence": "W-SUN"} | more
    return HttpTableEntry(url=url, **given)


def read(answer, now=NOW, **more):
    """The frame that one answer gives."""
    with serving(FakeTable({"/t": answer})) as server:
        return parsed(CONNECTOR, task_of(CONNECTOR, entry_of(server.url + "/t", **more), now)).frame


def values(frame, signal="http/shop/visitors"):
    rows = frame[frame["signal"] == signal]
    return dict(zip(rows["start"].dt.strftime("%Y-%m-%d"), rows["value"], strict=True))


def parquet(**columns):
    body = io.BytesIO()
    pd.DataFrame(columns).to_parquet(body)
    return Answer(body.getvalue(), 200, "application/octet-stream")


def test_each_column_of_a_wide_table_is_a_signal():
    frame = read(csv(*WEEKS), values=["visitors", "calls"])
    assert values(frame) == {"2026-11-02": 1200, "2026-11-09": 1350, "2026-11-16": 1100}
    assert values(frame, "http/shop/calls").keys() == values(frame).keys()


def test_a_week_that_is_not_over_is_left_out_and_a_plan_is_not():
    assert "2026-11-23" not in values(read(csv(*WEEKS)))
    assert "2026-11-23" in values(read(csv(*WEEKS), future_known=True))


def test_a_long_table_gives_the_series_that_are_named():
    lines = ("day;shop;sold", "24.11.2026;A/1;1,5", "24.11.2026;B;2", "23.11.2026;A/1;1.000,5")
    frame = read(csv(*lines), date="day", values=["sold"], signal="shop", labels=["A/1"], cadence="D")
    assert values(frame, "http/shop/A 1") == {"2026-11-23": 1000.5, "2026-11-24": 1.5}


def test_records_of_json_at_a_path():
    rows = [{"m": "2026-09", "v": 1}, {"m": "2026-10", "v": "2.5", "more": {}}, {"m": "2026-08"}]
    frame = read(Answer({"data": {"rows": rows}}), records="data.rows", date="m", values=["v"], cadence="MS")
    assert frame.set_index("start")["value"].dropna().tolist() == [1, 2.5]


def test_a_parquet_file_by_what_it_is():
    table = parquet(week=pd.to_datetime(["2026-11-02", "2026-11-09"]), visitors=[5, 6])
    assert values(read(table)) == {"2026-11-02": 5, "2026-11-09": 6}


def test_tables_of_other_programs_are_read_as_imports_read_them():
    answer = csv("Woche;Größe", "2026-W45;1.234,5", "2026-W46;-", encoding="cp1252")
    assert values(read(answer, date="Woche", values=["Größe"]), "http/shop/Größe")["2026-11-02"] == 1234.5


def test_when_each_version_became_known_is_read_where_a_column_says_it():
    lines = ("week,visitors,published", "2026-11-02,5,2026-11-10T08:00Z", "2026-11-02,6,2026-11-17T08:00Z")
    frame = read(csv(*lines), known_at="published")
    assert frame["known_at"].tolist() == [pd.Timestamp("2026-11-10 08:00"), pd.Timestamp("2026-11-17 08:00")]


def test_the_same_pull_twice_changes_nothing_and_a_change_is_known_from_then(tmp_path):
    tables = {"/t": csv(*WEEKS)}
    with serving(FakeTable(tables)) as server:
        entry = entry_of(server.url + "/t", lag_days=2)
        results = [stored(tmp_path, CONNECTOR, task_of(CONNECTOR, entry, NOW))[1].inserted for _ in range(2)]
        tables["/t"] = csv(WEEKS[0], "2026-11-02,1201,7", *WEEKS[2:])
        snapshot, last = stored(tmp_path, CONNECTOR, task_of(CONNECTOR, entry, NOW))
    assert [*results, last.inserted] == [3, 0, 1]
    known = snapshot.observations(["http/shop/visitors"], vintages=True)["known_at"]
    assert known.tolist()[:2] == [pd.Timestamp("2026-11-11"), pd.Timestamp(NOW)]


def test_a_token_goes_only_to_the_table_that_asks_for_it():
    connector = HttpTable(HttpTableSettings(token="Bearer t1"))
    with serving(FakeTable({"/t": csv(*WEEKS)}, token="Bearer t1")) as server:
        entry = entry_of(server.url + "/t", auth_header="Authorization")
        assert len(parsed(connector, task_of(connector, entry, NOW)).frame) == 3
        pull = next(iter(connector.plan(task_of(connector, entry_of(server.url + "/t"), NOW))))
        assert answers(connector, pull)[0].status == 401


@pytest.mark.parametrize(
    ("token", "url", "message"),
    [
        (None, "https://example.com", "auth_header is 'X-Key'.*only where"),
        ("t1", "http://example.com", "url is 'http://example.com'.*https://"),
    ],
)
def test_a_token_that_cannot_be_sent_safely_is_refused(token, url, message):
    with pytest.raises(ConfigError, match=message):
        HttpTable(HttpTableSettings(token=token)).signals(entry_of(url, auth_header="X-Key"))


@pytest.mark.parametrize(
    ("answer", "more", "message"),
    [
        (PAGE, {}, "the answer is a web page"),
        (PAGE, {"format": "json"}, "the answer is a web page"),
        (PAGE, {"format": "parquet"}, "the answer is a web page"),
        (csv(*WEEKS), {"format": "parquet"}, "no Parquet file"),
        (csv(*WEEKS), {"date": "day"}, "day: there is no such column; there are week, visitors, calls"),
        (csv(*WEEKS), {"values": ["visits"]}, "visits: there is no such column"),
        (csv(*WEEKS), {"cadence": "MS"}, r"visitors: two rows for one period \(MS\)"),
        (csv("week,visitors", "2026-W45,1"), {"cadence": "D"}, "a week each, which does not fit cadence D"),
        (csv("week,visitors", "2026-11-02,many"), {}, "'many' is not a number"),
        (csv("week,visitors", "soon,1"), {}, "'soon' is not a date"),
        (csv("week,visitors", "03/04/2026,1"), {}, "dayfirst = true or false"),
        (csv("week,visitors", ",1"), {}, "the row has no date"),
        (csv("week,visitors", "2026-11-02,"), {}, "there is no value"),
        (csv("week,visitors", "2026-11-02,1,2"), {}, "3 values, the header has 2"),
        (csv("week,visitors"), {}, "no rows"),
        (Answer(b"", 200, "text/csv"), {}, "is empty"),
        (csv("week,visitors,s", "2026-11-02,1,A"), {"signal": "s", "labels": ["B"]}, "B: there is no value"),
        (Answer(b"PAR1 broken"), {}, "cannot be read"),
        (Answer({"data": []}), {"records": "data.rows"}, "rows: there is no such key"),
        (Answer({"data": 5}), {"records": "data"}, "data: a list of records was expected"),
        (Answer([]), {}, "a list of records was expected"),
        (Answer([1]), {}, "a list of records was expected"),
        (Answer([{"week": "2026-11-02", "visitors": [1]}]), {}, "visitors: texts, numbers or null"),
        (Answer([{"week": "2026-11-02", "visits": 1}]), {}, "visitors: there is no such column"),
        (Answer([{"week": "2026-11-02", "visitors": True}]), {}, "are not taken for numbers"),
        (Answer(b"[1,"), {}, "no JSON"),
    ],
)
def test_an_answer_of_another_shape_is_drift(answer, more, message):
    with pytest.raises(Drift, match=message):
        read(answer, **more)


def test_whatever_is_wrong_with_records_it_is_drift_or_read():
    rows = [{"week": f"2026-10-{day:02d}", "visitors": day / 3} for day in (4, 11, 18)]
    entry = entry_of("https://example.com/t.json", records="rows")
    pull = next(iter(CONNECTOR.plan(task_of(CONNECTOR, entry, NOW))))
    for body in broken.bodies({"rows": rows}, 200):
        with suppress(Drift):
            assert not np.isinf(CONNECTOR.parse(pull, [Payload(pull.requests[0], body, NOW)]).frame["value"]).any()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"url": "ftp://example.com"}, "pattern"),
        ({"cadence": "W"}, "pattern"),
        ({"values": []}, "at least 1 item"),
        ({"values": ["a", "a"]}, "'a' is named twice"),
        ({"signal": "shop"}, "signal and labels belong together"),
        ({"signal": "shop", "labels": ["A"], "values": ["a", "b"]}, "values names 2 columns"),
        ({"format": "xml"}, "'csv', 'parquet' or 'json'"),
        ({"name": "a/b"}, "pattern"),
    ],
)
def test_what_an_entry_cannot_say(entry, message):
    with pytest.raises(ValidationError, match=message):
        entry_of(**entry)


def test_what_is_declared_is_told_of_each_signal():
    signal = CONNECTOR.signals(entry_of(unit="people", region="Ulm", aggregation="sum", lag_days=3))[0]
    assert (signal.unit, signal.region, signal.aggregation, signal.publication_lag.days) == ("people", "Ulm", "sum", 3)


@pytest.mark.parametrize("example", HttpTable.examples)
def test_the_examples_are_true(example):
    pull = next(iter(CONNECTOR.plan(task_of(CONNECTOR, HttpTableEntry(**example.entry), NOW))))
    payload = Payload(pull.requests[0], example.answers[0], NOW, 200, example.content_type)
    assert set(CONNECTOR.parse(pull, [payload]).frame["signal"]) == set(pull.signals)
