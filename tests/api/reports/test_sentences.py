"""The three sentences: right numbers, right words in every case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.reports.sentences import three_sentences, vs_seasonal_naive_pct

UNKNOWN = {"wape": None, "mase": None, "bias_pct": None, "vs_seasonal_naive_pct": None, "origins": 0}


def test_accuracy_counts_each_category_by_seasonal_naives_error(make_item, scored):
    good = make_item("Boots", backtest=scored(wape=0.05, vs_seasonal_naive_pct=-50.0))  # seasonal naive: 0.10
    poor = make_item("Hats", backtest=scored(wape=0.33, vs_seasonal_naive_pct=10.0))  # seasonal naive: 0.30
    assert vs_seasonal_naive_pct([good, poor]) == pytest.approx(100 * (0.38 / 0.40 - 1))
    told = three_sentences([good, poor])[0]
    assert told.startswith("Over the last 12 origins Groundswell's error was 5 % below seasonal naive's")
    assert told.endswith(" across 2 categories (better in 1 of 2).")


def test_accuracy_does_not_count_where_every_category_is_better(make_item, scored):
    items = [make_item(name, backtest=scored(vs_seasonal_naive_pct=-9.0)) for name in ("Boots", "Hats")]
    assert three_sentences(items)[0].endswith("across 2 categories.")


@pytest.mark.parametrize(
    ("change", "words"),
    [(-31.0, "31 % below"), (4.4, "4 % above"), (0.2, "as large as"), (-100.0, "not enough history")],
)
def test_accuracy_says_below_above_or_equal(make_item, scored, change, words):
    assert words in three_sentences([make_item(backtest=scored(vs_seasonal_naive_pct=change))])[0]


def test_accuracy_leaves_out_categories_without_a_backtest(make_item, scored):
    items = [make_item("Boots", backtest=scored()), make_item("Hats", backtest=scored(**UNKNOWN))]
    assert "across 1 of 2 categories" in three_sentences(items)[0]
    assert three_sentences(items[1:])[0].startswith("There is not enough history")


def test_accuracy_names_the_range_of_origins(make_item, scored):
    items = [make_item("Boots", backtest=scored(origins=8)), make_item("Hats", backtest=scored(origins=26))]
    assert "Over the last 8 to 26 origins" in three_sentences(items)[0]
    assert "Over the last origin " in three_sentences([make_item(backtest=scored(origins=1))])[0]


def test_help_names_the_signal_by_how_much_and_how_early(make_item, signal):
    item = make_item(names={"search/boots": "Search for boots"}, signals=[signal("search/boots", 12.2)])
    assert three_sentences([item])[1:] == [
        "Search for boots lowered the error for Boots by 12 % (interval 6 to 18 %) and leads sales by 3 weeks.",
        "Boots is not left without help: at least one signal earned its place.",
    ]


def test_help_tells_the_three_largest_gains_first_and_counts_the_rest(make_item, signal):
    gains = {"a": 11.0, "b": 19.0, "c": 15.0, "d": 17.0, "e": 12.0}
    told = three_sentences([make_item(signals=[signal(name, gain) for name, gain in gains.items()])])[1]
    assert told.index("B lowered") < told.index("d lowered") < told.index("c lowered")
    assert told.endswith("; 2 more gains are smaller.")


def test_sentences_are_plain_enough_for_any_terminal(make_item, signal):
    told = three_sentences([make_item(signals=[signal("search", 2.0)])])
    assert "(interval -4 to 8 %, which includes zero)" in told[1]
    assert all(sentence.isascii() for sentence in told)


def test_help_tells_a_clear_gain_before_a_larger_one_that_may_be_none(make_item, signal):
    clear, larger = signal("clear", 8.0), signal("larger", 30.0, gain_interval_pct=(-2.0, 40.0))
    told = three_sentences([make_item(signals=[larger, clear])])[1]
    assert told.startswith("Clear lowered the error for Boots by 8 % (interval 2 to 14 %)")
    assert told.endswith("; 1 more gain cannot be told from zero.")


def test_help_says_may_where_no_gain_is_clear(make_item, signal):
    told = three_sentences([make_item(signals=[signal("search", 3.0, lag=0, lead=0)])])[1]
    assert told == "Search may have lowered the error for Boots by 3 % (interval -3 to 9 %, which includes zero)."


@pytest.mark.parametrize("nothing", [0.0, 0.04, -1.0, None])
def test_a_gain_of_nothing_is_not_told_as_lowering(make_item, signal, nothing):
    admitted = signal("search", nothing, admitted=True)
    told = three_sentences([make_item(signals=[admitted])])
    assert told[1] == "No admitted signal lowered the error measurably."
    both = three_sentences([make_item(signals=[admitted, signal("rain", 12.0)])])[1]
    assert "earch" not in both


@pytest.mark.parametrize(("low", "text"), [(-0.2, "-0.2 to 8 %"), (-0.04, "0 to 8 %"), (0.3, "0.3 to 8 %")])
def test_an_interval_never_begins_at_minus_zero(make_item, signal, low, text):
    told = three_sentences([make_item(signals=[signal("search", 4.0, gain_interval_pct=(low, 8.0))])])[1]
    assert f"(interval {text}" in told


@pytest.mark.parametrize(
    ("lag", "lead", "ending"),
    [
        (1, 5, "and leads sales by 1 month."),
        (0, 5, "and is known 5 months beyond the last sale."),
        (0, 0, "(interval 6 to 18 %)."),
        (None, None, "(interval 6 to 18 %)."),
    ],
)
def test_help_says_how_early_in_periods_of_the_category(make_item, signal, lag, lead, ending):
    item = make_item(frequency="MS", periods=60, signals=[signal("search", 12.0, lag=lag, lead=lead)])
    assert three_sentences([item])[1].endswith(ending)


def test_a_gain_below_one_per_cent_keeps_a_decimal(make_item, signal):
    assert "by 0.4 % (" in three_sentences([make_item(signals=[signal("search", 0.4)])])[1]


def test_no_help_tells_refused_untested_and_not_offered_apart(make_item, signal):
    items = [
        make_item("Boots", signals=[signal("search", 12.0)]),
        make_item("Pots", signals=[signal("search", -2.0)]),
        make_item("Pans", signals=[signal("search", -1.0), signal("new", None)]),
        make_item("Hats", signals=[signal("search", None)]),
        make_item("Gloves", signals=[]),
    ]
    assert three_sentences(items)[2] == (
        "No signal helps Pots and Pans: their forecasts rest on their own histories alone; "
        "there is not enough history to tell whether a signal helps Hats; no signal was offered for Gloves."
    )


def test_no_help_for_one_category(make_item, signal):
    item = make_item("Kitchenware", signals=[signal("search", -2.0)])
    assert three_sentences([item])[1:] == [
        "No outside signal earned its place in any category.",
        "No signal helps Kitchenware: its forecast rests on its own history alone.",
    ]


def test_an_engine_without_signals_is_not_blamed_on_the_history(make_item, signal):
    result = make_item().forecast
    item = make_item(engine=replace(result.engine, name="seasonal_naive"), signals=[signal("search", None)])
    assert three_sentences([item])[2] == "The engine seasonal_naive uses no signals for Boots."


def test_every_category_helped(make_item, signal):
    items = [make_item(name, signals=[signal("search", 3.0)]) for name in ("Boots", "Hats")]
    told = three_sentences(items)[2]
    assert told == "No category is left without help: at least one signal earned its place in each."


def test_many_categories_are_counted_not_listed(make_item, signal):
    items = [make_item(f"Category {n}", signals=[signal("search", -1.0)]) for n in range(50)]
    items.append(make_item("Boots", signals=[signal("search", 3.0)]))
    assert "Category 0, Category 1, Category 2 and 47 other categories:" in three_sentences(items)[2]


def test_no_signals_at_all_says_what_to_do(make_item):
    assert three_sentences([make_item(signals=[])])[1].startswith("No outside signal was offered: import some")


def test_no_category_helped_is_said_once(make_item, signal):
    items = [make_item(name, signals=[signal("search", -1.0)]) for name in ("Boots", "Hats")]
    assert three_sentences(items)[2].startswith("No signal helps any of the 2 categories: their forecasts rest")


def test_no_items_is_an_error():
    with pytest.raises(ValueError, match="at least one category"):
        three_sentences([])
