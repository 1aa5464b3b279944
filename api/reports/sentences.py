"""Three plain sentences about a set of forecasts: how good, what helped, where nothing helps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from api.reports.items import ReportItem
from forecast.engines import engine
from forecast.words import driver_name, number, period_noun

if TYPE_CHECKING:
    from forecast import Quality, SignalReport

_BEST = 3  # signals that the second sentence names


def three_sentences(items: Sequence[ReportItem]) -> list[str]:
    """Exactly three sentences: accuracy against seasonal naive, the signals that helped, where nothing helps."""
    if not items:
        raise ValueError("There is no forecast to describe: give at least one category.")
    return [_accuracy(items), _help(items), _no_help(items)]


def vs_seasonal_naive_pct(items: Sequence[ReportItem]) -> float | None:
    """Error over all categories against seasonal naive's, in per cent; negative is better.

    Each category counts by seasonal naive's error in per cent of its sales, because units differ between categories.
    None where no category could be backtested.
    """
    pairs = [pair for item in items if (pair := _errors(item.forecast.quality)) is not None]
    naive = sum(pair[1] for pair in pairs)
    return 100 * (sum(pair[0] for pair in pairs) / naive - 1) if naive > 0 else None


def _errors(quality: Quality) -> tuple[float, float] | None:
    """WAPE of the forecast and of seasonal naive; None where they are not known."""
    change = quality.vs_seasonal_naive_pct
    if quality.wape is None or change is None or change <= -100:
        return None
    return quality.wape, quality.wape / (1 + change / 100)


def _accuracy(items: Sequence[ReportItem]) -> str:
    change = vs_seasonal_naive_pct(items)
    if change is None:
        return "There is not enough history to compare Groundswell with seasonal naive."
    scored = [item for item in items if _errors(item.forecast.quality) is not None]
    size = "as large as" if not round(change) else f"{round(abs(change))} % {'below' if change < 0 else 'above'}"
    return f"Over the last {_origins(scored)} Groundswell's error was {size} seasonal naive's {_across(scored, items)}."


def _origins(scored: Sequence[ReportItem]) -> str:
    counts = sorted({item.forecast.quality.origins for item in scored})
    if counts == [1]:
        return "origin"
    return f"{counts[0]} origins" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} origins"


def _across(scored: Sequence[ReportItem], items: Sequence[ReportItem]) -> str:
    if len(items) == 1:
        return f"for {items[0].record.category}"
    return (
        f"across {len(items)} categories"
        if len(scored) == len(items)
        else f"across {len(scored)} of {len(items)} categories"
    )


def _help(items: Sequence[ReportItem]) -> str:
    found = [(item, signal) for item in items for signal in item.forecast.signals if signal.admitted]
    if not any(item.forecast.signals for item in items):
        return "No outside signal was offered: import some to see whether they help."
    if not found:
        return "No outside signal earned its place in any category."
    found.sort(key=lambda pair: pair[1].gain_pct or 0.0, reverse=True)
    told = "; ".join(_one_help(item, signal) for item, signal in found[:_BEST])
    more = len(found) - _BEST
    rest = f"; {more} more {'gain is' if more == 1 else 'gains are'} smaller" if more > 0 else ""
    return _sentence(f"{told}{rest}")


def _one_help(item: ReportItem, signal: SignalReport) -> str:
    name, category = driver_name(signal.signal, item.signal_names), item.record.category
    early = _how_early(signal, item.record.frequency)
    if signal.gain_pct is None:
        return f"{name} helps {category}{early}"
    interval = ""
    if signal.gain_interval_pct is not None:
        low, high = signal.gain_interval_pct
        interval = f" (interval {low:.0f} to {high:.0f} %)"  # plain hyphens: terminals print it too
    return f"{name} lowered the error for {category} by {_gain(signal.gain_pct)} %{interval}{early}"


def _gain(value: float) -> str:
    return number(value, 0 if value >= 1 else 1)


def _how_early(signal: SignalReport, frequency: str) -> str:
    if signal.lag:
        return f" and leads sales by {signal.lag} {period_noun(frequency, signal.lag)}"
    if signal.lead:
        return f" and is known {signal.lead} {period_noun(frequency, signal.lead)} beyond the last sale"
    return ""


def _no_help(items: Sequence[ReportItem]) -> str:
    groups: dict[str, list[ReportItem]] = {}
    for item in items:
        groups.setdefault(standing(item), []).append(item)
    if len(groups.get("helped", [])) == len(items):
        return "At least one signal helps every category." if len(items) > 1 else "At least one signal helps."
    parts = []
    if refused := groups.get("refused"):
        parts.append(_refused(refused, len(items)))
    if untested := groups.get("untested"):
        parts.append(f"there is not enough history to tell whether a signal helps {_names(untested)}")
    if unused := groups.get("unused"):
        parts.append(f"the engine {unused[0].forecast.engine.name} uses no signals for {_names(unused)}")
    if none := groups.get("none"):
        parts.append(f"no signal was offered for {_names(none)}")
    return _sentence("; ".join(parts))


def _refused(refused: Sequence[ReportItem], total: int) -> str:
    if len(refused) == 1:
        return f"no signal helps {_names(refused)}: its forecast rests on level and season alone"
    which = f"any of the {total} categories" if len(refused) == total else _names(refused)
    return f"no signal helps {which}: their forecasts rest on level and season alone"


def standing(item: ReportItem) -> str:
    """How signals fared in one category.

    `helped`, `refused`, `untested` (too little history), `unused` (the engine takes none) or `none` offered.
    """
    signals = item.forecast.signals
    if not signals:
        return "none"
    if any(signal.admitted for signal in signals):
        return "helped"
    if not engine(item.forecast.engine.name)[0].uses_signals:
        return "unused"
    return "refused" if any(signal.gain_pct is not None for signal in signals) else "untested"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _names(items: Sequence[ReportItem], most: int = 4) -> str:
    names = [item.record.category for item in items]
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} other categories"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
