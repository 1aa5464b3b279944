"""Import of what is known of categories: overlaid on what the store has, all of a file or nothing."""

from datetime import datetime
from pathlib import Path

import orjson
import pandas as pd
import pytest

from signals.category_import import prepare_categories
from signals.refused import ImportRefused
from signals.sales_import import prepare_sales
from signals.store import open_snapshot, submit

NOW = datetime(2026, 11, 23, 9)
WEEKS = pd.date_range(end="2026-11-22", periods=12, freq="W-SUN")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    frames = [pd.DataFrame({"category": name, "date": WEEKS, "units": 10.0}) for name in ("Boots", "Sandals", "Hats")]
    submit(tmp_path, prepare_sales(pd.concat(frames), now=NOW).batch)
    return tmp_path


def known(home: Path) -> pd.DataFrame:
    return open_snapshot(home).categories()


def store(home: Path, frame: pd.DataFrame | Path) -> None:
    submit(home, prepare_categories(frame, known=known(home)).batch)


def told(home: Path, category: str) -> tuple[object, ...]:
    one = open_snapshot(home).category(category)
    attributes = orjson.loads(one.attributes) if one.attributes else None
    return one.parent, one.calendar, one.unit, attributes


def test_what_is_said_is_kept_and_what_is_not_stays(home: Path) -> None:
    first = {"Category": ["Boots", "Hats"], "Parent": ["Shoes", ""], "calendar": ["US", "DE"], "item": ["1896-S", ""]}
    store(home, pd.DataFrame(first))
    assert told(home, "Boots") == ("Shoes", "US", None, {"item": "1896-S"})
    assert told(home, "Hats") == (None, "DE", None, None)
    store(home, pd.DataFrame({"category": ["Boots"], "unit": ["pairs"], "location": ["MAIN"]}))
    assert told(home, "Boots") == ("Shoes", "US", "pairs", {"item": "1896-S", "location": "MAIN"})
    assert told(home, "Sandals") == (None, None, None, None)


def test_several_values(home: Path) -> None:
    store(home, pd.DataFrame({"category": ["Boots"], "item": ["1896-S | 1900-S"]}))
    assert told(home, "Boots")[3] == {"item": ["1896-S", "1900-S"]}


def test_a_category_before_its_first_sale(home: Path) -> None:
    frame = pd.DataFrame(
        {"category": ["Mules"], "frequency": ["W-SUN"], "parent": ["Shoes"], "like": ["Boots|Sandals"]}
    )
    prepared = prepare_categories(frame, known=known(home))
    assert prepared.notes[1:] == ["new, without sales yet: Mules", "attributes: like"]
    submit(home, prepared.batch)
    one = open_snapshot(home).category("Mules")
    assert (one.frequency, one.periods, one.start, one.parent) == ("W-SUN", 0, None, "Shoes")
    assert told(home, "Mules")[3] == {"like": ["Boots", "Sandals"]}
    store(home, pd.DataFrame({"category": ["Mules"], "frequency": ["W-SUN"], "unit": ["pairs"]}))
    assert told(home, "Mules")[2] == "pairs"
    later = pd.DataFrame({"category": "Mules", "date": [pd.Timestamp("2026-11-29")], "units": 4.0})
    submit(home, prepare_sales(later, known_categories={"Mules": "W-SUN"}, now=datetime(2026, 12, 1)).batch)
    assert open_snapshot(home).category("Mules").periods == 1


def test_what_can_be_forecast_are_all_but_totals_without_sales(home: Path) -> None:
    frame = pd.DataFrame({"category": ["Shoes", "Mules", "Boots"], "parent": ["", "Shoes", "Shoes"]})
    store(home, frame.assign(frequency="W-SUN"))
    assert open_snapshot(home).names() == ["Boots", "Hats", "Mules", "Sandals"]


def test_the_same_again_changes_nothing(home: Path) -> None:
    frame = pd.DataFrame({"category": ["Boots"], "parent": ["Shoes"], "item": ["7"]})
    store(home, frame)
    version = open_snapshot(home).data_version
    again = prepare_categories(frame, known=known(home))
    assert again.notes[0] == "1 category, of 0 of which something new is said"
    result = submit(home, again.batch)
    assert (result.inserted, result.data_version) == (0, version)


def test_sales_that_come_later_leave_it(home: Path) -> None:
    store(home, pd.DataFrame({"category": ["Boots"], "parent": ["Shoes"]}))
    later = pd.DataFrame({"category": "Boots", "date": [pd.Timestamp("2026-11-29")], "units": 11.0})
    submit(home, prepare_sales(later, known_categories={"Boots": "W-SUN"}, now=datetime(2026, 12, 1)).batch)
    assert told(home, "Boots")[0] == "Shoes"


def test_a_file(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "categories.csv"
    path.write_text("category;parent;item\nBoots;Shoes;1896-S\n;;\nSandals;Shoes;\n", encoding="utf-8")
    prepared = prepare_categories(path, known=known(home))
    assert (prepared.rows, prepared.notes) == (
        2,
        ["2 categories, of 2 of which something new is said", "attributes: item"],
    )
    assert prepared.mapping == {"category": "category", "parent": "parent", "item": "item"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,parent\nBoots,Shoes\n", "no column is called category; there are: name, parent"),
        ("category\nBoots\n", "nothing is said of the categories"),
        ("category,item,Item,item\nBoots,1,2,3\n", "item"),
        (
            "category,parent\nBots,Shoes\n",
            "line 2, column 'category': there is no category 'Bots'. Did you mean Boots?",
        ),
        (
            "category,frequency\nMules,weekly\n",
            "line 2, column 'frequency': 'Mules' cannot have the frequency 'weekly'",
        ),
        ("category,frequency\nBoots,MS\n", "line 2, column 'frequency': 'Boots' cannot have the frequency 'MS'"),
        ("category,parent\nBoots,Shoes\nBoots,Hats\n", "line 3, column 'category': 'Boots' stands in line 2 already"),
        ("category,calendar\nBoots,XX\n", "line 2, column 'calendar': 'XX' is no country"),
        ("category,parent\nBoots,Hats\nHats,Boots\n", "above themselves: Boots > Hats > Boots"),
        ("category,parent\nBoots,Boots\n", "above themselves: Boots > Boots"),
    ],
)
def test_what_is_refused(home: Path, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "categories.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ImportRefused) as refusal:
        prepare_categories(path, known=known(home))
    assert message in str(refusal.value)
    assert refusal.value.remedy


def test_a_ring_with_what_the_store_says(home: Path) -> None:
    store(home, pd.DataFrame({"category": ["Boots"], "parent": ["Hats"]}))
    with pytest.raises(ImportRefused, match="above themselves"):
        store(home, pd.DataFrame({"category": ["Hats"], "parent": ["Boots"]}))
