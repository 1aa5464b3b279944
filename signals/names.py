"""Which names categories and signals may bear: one rule for imports and for the store."""

from __future__ import annotations

import unicodedata

LONGEST = 200  # characters of a name that the API takes
EVERY = "*"  # in the place of a category: every one
DRIVERS = (
    "level",
    "trend",
    "season",
    "remainder",
    "guard",
    "closed",
    "ds",
)  # columns of the forecast's own explanation
SCENARIO = "scenario/"  # how the differences that a scenario makes are named there


def name_problem(kind: str, name: str) -> tuple[str, str] | None:
    """Why a `kind` (category or signal) cannot be called `name`, and the remedy; None if it can.

    The kind "candidate" is the category that a signal may serve, where '*' stands for every one.
    """
    kind, every = ("category", True) if kind == "candidate" else (kind, False)
    if len(name) > LONGEST:
        problem = f"the name of a {kind} has {len(name):,} characters, at most {LONGEST} are allowed"
        return problem, f"Rename the {kind}, for instance by a code, and keep the long text elsewhere"
    for character in name:
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            what = {"\0": "a NUL byte", "\n": "a line break", "\r": "a line break", "\t": "a tab"}
            shown = what.get(character, f"the control character {character!r}")
            return f"the name of {kind} {name!r} holds {shown}", "Take it out: a name is one line of text"
    if kind == "category" and name == EVERY and not every:
        return "a category cannot be called '*', which stands for every category", "Rename the category"
    if kind == "signal" and (name in DRIVERS or name.startswith(SCENARIO)):
        problem = f"a signal cannot be called {name!r}, which is a driver of the forecast itself"
        return problem, f"Rename the signal, for instance {'my ' + name.replace('/', ' ')!r}"
    return None
