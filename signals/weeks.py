"""Whether the date of a week is its first day or its last."""

import re

from signals.periods import WEEKDAYS, last_weekday, weekly
from signals.refused import ImportRefused
from signals.rows import Naming

_BEGINS = r"(?i)start|begin|commenc|week.?of|first|from|anfang|beginn|ab\b|von\b|début|debut|inicio|início|inizio"
_ENDS = r"(?i)end|last|through|until|\bto\b|ende|bis\b|fin\b|final|fine\b"


def check_week(week: str | None) -> None:
    """Refuse an option other than begins and ends."""
    if week not in (None, "begins", "ends"):
        raise ImportRefused(f"--week is {week!r}", value=str(week), remedy="Allowed: begins, ends")


def read_weeks(
    label: int, week: str | None, wanted: str | None, naming: Naming, iso: bool
) -> tuple[str, tuple[str, ...]]:
    """The frequency of weeks that are labelled on weekday `label` (0 = Monday), and the sentence that says so.

    The option `week` decides, else the frequency asked for, else the name of the date column, else custom: Monday
    begins a week, any other day ends it. Raises ImportRefused where the frequency asked for fits neither.
    """
    if iso:
        sides = ["begins"]
        why = "as ISO weeks are"
    elif week:
        sides, why = [week], "as --week says"
    else:
        side, why = _custom(label, naming.date)
        sides = [side, "ends" if side == "begins" else "begins"] if wanted not in (None, "W") else [side]
    frequencies = {side: weekly(label - 1 if side == "begins" else label) for side in sides}
    fitting = [side for side in sides if wanted in (None, "W", frequencies[side])]
    if not fitting:
        raise naming.refusal(
            f"weeks labelled on {WEEKDAYS[label]}s run {' or '.join(_run(one) for one in frequencies.values())}, "
            f"not {_run(str(wanted))} ({wanted})",
            f"Give --frequency {' or '.join(frequencies.values())}", 0,
        )  # fmt: skip
    side = fitting[0]
    why = why if side == sides[0] else f"as {wanted} asks"
    frequency = frequencies[side]
    other = "ends" if side == "begins" else "begins"
    hint = "" if iso or week else f"; if that is wrong, give --week {other}"
    place = "first" if side == "begins" else "last"
    note = (
        f"Weeks are labelled on {WEEKDAYS[label]}s, taken as the {place} day ({why}): "
        f"each runs {_run(frequency)} ({frequency}){hint}."
    )
    return frequency, (note,)


def _custom(label: int, column: str) -> tuple[str, str]:
    if re.search(_BEGINS, column):
        return "begins", f"as the column's name {column!r} says"
    if re.search(_ENDS, column):
        return "ends", f"as the column's name {column!r} says"
    return ("begins" if label == 0 else "ends"), "as is usual"


def _run(frequency: str) -> str:
    last = last_weekday(frequency)
    return f"{WEEKDAYS[(last + 1) % 7]} to {WEEKDAYS[last]}"
