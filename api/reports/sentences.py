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
    where = f"{_across(scored, items)}{_better_in(scored)}"
    return f"Over the last {_origins(scored)} Groundswell's error was {size} seasonal naive's {where}."


def _better_in(scored: Sequence[ReportItem]) -> str:
    """One number over all categories hides those in which seasonal naive is better."""
    changes = [item.forecast.quality.vs_seasonal_naive_pct or 0.0 for item in scored]
    if len(scored) == 1 or not any(round(change) > 0 for change in changes):
        return ""
    return f" (better in {sum(change < 0 for change in changes)} of {len(scored)})"


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
    helped = sorted(found, key=lambda pair: (-proof(pair[1]), -(pair[1].gain_pct or 0.0)))
    best = proof(helped[0][1])
    if best == NOTHING:
        return "No admitted signal lowered the error measurably."
    told = [pair for pair in helped if proof(pair[1]) == best]
    rest = _others(len(told) - _BEST, len(helped) - len(told))
    return _sentence("; ".join([*(_one_help(item, signal) for item, signal in told[:_BEST]), *rest]))


CLEAR, MAYBE, NOTHING = 2, 1, 0


def proof(signal: SignalReport) -> int:
    """Did a signal lower the error: `CLEAR` if its interval lies above zero, `MAYBE`, or `NOTHING` to speak of."""
    if signal.gain_pct is None or round(signal.gain_pct, 1) <= 0:
        return NOTHING
    return CLEAR if signal.gain_interval_pct is not None and signal.gain_interval_pct[0] > 0 else MAYBE


def _others(smaller: int, unclear: int) -> list[str]:
    told = [f"{smaller} more {'gain is' if smaller == 1 else 'gains are'} smaller"] if smaller > 0 else []
    if unclear > 0:
        told.append(f"{unclear} more {'gain' if unclear == 1 else 'gains'} cannot be told from zero")
    return told


def _one_help(item: ReportItem, signal: SignalReport) -> str:
    name, category = driver_name(signal.signal, item.signal_names), item.record.category
    clear = proof(signal) == CLEAR
    interval = ""
    if signal.gain_interval_pct is not None:
        low, high = signal.gain_interval_pct
        span = f"{_plain(low)} to {_plain(high)} %"
        interval = f" (interval {span})" if clear else f" (interval {span}, which includes zero)"
    lowered = "lowered" if clear else "may have lowered"
    early = _how_early(signal, item.record.frequency)
    return f"{name} {lowered} the error for {category} by {gain(signal.gain_pct or 0.0)} %{interval}{early}"


def gain(value: float) -> str:
    """A gain in per cent; small ones keep a decimal."""
    return number(value, 0 if abs(value) >= 1 else 1)


def _plain(value: float) -> str:
    """As `gain`, with a hyphen for a minus and no decimal that is zero: terminals print it too."""
    text = gain(value).replace("−", "-")
    return text.removesuffix(".0")


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
        if len(items) > 1:
            return "No category is left without help: at least one signal earned its place in each."
        return f"{items[0].record.category} is not left without help: at least one signal earned its place."
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
        return f"no signal helps {_names(refused)}: its forecast rests on its own history alone"
    which = f"any of the {total} categories" if len(refused) == total else _names(refused)
    return f"no signal helps {which}: their forecasts rest on their own histories alone"


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
