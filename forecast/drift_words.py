"""An alarm in one plain sentence."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from forecast.drift_causes import CONFIGURATION, DATA, REGIME, SIGNAL
from forecast.drift_record import Alarm
from forecast.words import period_label, period_noun

_CAUSES = {
    DATA: "actuals since then are missing or hard to believe: look at the data first",
    SIGNAL: "a signal died or changed scale at about that time",
    REGIME: "the reference did worse too, or sales moved to another level: the market changed",
    CONFIGURATION: "the reference did not do worse: the configuration no longer suits",
}


def told(alarm: Alarm, frequency: str) -> Alarm:
    """The alarm with its sentence."""
    since = period_label(pd.Timestamp(alarm.since), frequency)
    since = f"the {since}" if frequency[0] == "W" else since
    return replace(alarm, sentence=f"Since {since} {_what(alarm, frequency)}.")


def _what(alarm: Alarm, frequency: str) -> str:
    size = abs(alarm.change)
    if alarm.kind == "signal died":
        return f"the signal {alarm.signal} has told nothing new: it is missing or stands still"
    if alarm.kind == "signal changed scale":
        factor = 1 + alarm.change / 100
        times = f"{factor:.3g} times as large" if factor >= 1 else f"{1 / factor:.3g} times as small"
        return f"the steps of the signal {alarm.signal} are {times} as before"
    if alarm.kind == "season moved":
        when = "later" if alarm.change > 0 else "earlier"
        return f"the season has come {size:.0f} {period_noun(frequency, int(size))} {when} than in the years before"
    between = f"(95 % interval {alarm.low:+.0f} to {alarm.high:+.0f})"
    if alarm.kind == "loss":
        what = f"the loss has been {size:.0f} % higher against the reference {between}"
    elif alarm.kind == "coverage":
        what = f"{size:.0f} percentage points fewer actuals have been inside the interval {between}"
    else:
        what = (
            f"forecasts have been {size:.0f} % of the usual sale too {'high' if alarm.change > 0 else 'low'} {between}"
        )
    return f"{what}; {_CAUSES[alarm.cause]}"
