"""The places of the mobility archives: how they are named in a signal, and which of them are wanted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from signals.refused import ImportRefused

EVERYTHING = "*"
# Apple names countries in words, Google also by code; signals of both are named by the code.
_COUNTRIES = (
    "Albania AL|Argentina AR|Australia AU|Austria AT|Belgium BE|Brazil BR|Bulgaria BG|Cambodia KH|Canada CA|Chile CL|"
    "Colombia CO|Croatia HR|Czech Republic CZ|Denmark DK|Egypt EG|Estonia EE|Finland FI|France FR|Germany DE|Greece GR|"
    "Hong Kong HK|Hungary HU|Iceland IS|India IN|Indonesia ID|Ireland IE|Israel IL|Italy IT|Japan JP|Latvia LV|"
    "Lithuania LT|Luxembourg LU|Macao MO|Malaysia MY|Mexico MX|Morocco MA|Netherlands NL|New Zealand NZ|Norway NO|"
    "Philippines PH|Poland PL|Portugal PT|Republic of Korea KR|Romania RO|Russia RU|Saudi Arabia SA|Serbia RS|"
    "Singapore SG|Slovakia SK|Slovenia SI|South Africa ZA|Spain ES|Sweden SE|Switzerland CH|Taiwan TW|Thailand TH|"
    "Turkey TR|UK GB|Ukraine UA|United Arab Emirates AE|United Kingdom GB|United States US|Uruguay UY|Vietnam VN"
)
CODES: dict[str, str] = {name: code for name, _, code in (one.rpartition(" ") for one in _COUNTRIES.split("|"))}


@dataclass(frozen=True)
class Place:
    """A place: `path` from the country down, which is its name in signals, and what else it is called."""

    path: tuple[str, ...]
    shown: str  # for people
    region: str  # its code: ISO 3166 where one is known
    others: tuple[str, ...] = ()  # what else it is called
    country: str = ""  # in words
    national: bool = True
    names: frozenset[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        own = (self.name, self.path[-1], self.shown, *self.others)
        object.__setattr__(self, "names", frozenset(name.casefold() for name in own))

    @property
    def name(self) -> str:
        """The place in the name of a signal, such as US/Colorado/Adams County."""
        return "/".join(self.path)

    def fits(self, wanted: str) -> bool:
        """Whether `wanted` means this place, alone or, as with US/*, among others."""
        text = wanted.casefold()
        if text == EVERYTHING:
            return True
        if text.endswith("/*"):
            return text[:-2] in (*self.names, self.country.casefold()) or self.name.casefold().startswith(text[:-1])
        return text in self.names


class Choice:
    """Which places are wanted: those named, or without names every country as a whole."""

    def __init__(self, regions: Sequence[str] | None) -> None:
        self.regions = None if regions is None else [region.strip() for region in regions]

    def may_take(self, place: Place) -> bool:
        """Whether a place may be wanted; `resolve` decides between places of one name once all are known."""
        if self.regions is None:
            return place.national
        return any(place.fits(region) for region in self.regions)

    def resolve(self, places: Sequence[Place], known: Iterable[str]) -> list[bool]:
        """Which of the places that passed `may_take` are meant; raises ImportRefused for names that mean none or many.

        A name that several places bear means the widest of them: Luxembourg is the country, not its capital. `known`
        are the names of all places of the archive, for a hint.
        """
        if self.regions is None:
            return [True] * len(places)
        meant: set[Place] = set()
        for region in self.regions:
            meant |= _meant(region, places, known)
        return [place in meant for place in places]


def _meant(region: str, places: Sequence[Place], known: Iterable[str]) -> set[Place]:
    found = {place for place in places if place.fits(region)}
    if not found:
        raise _unknown(region, known)
    if region.endswith(EVERYTHING):
        return found
    widest = min(len(place.path) for place in found)
    found = {place for place in found if len(place.path) == widest}
    if len(found) > 1:
        examples = ", ".join(sorted(place.name for place in found)[:5])
        raise ImportRefused(
            f"region {region!r} means {len(found)} places", value=region, remedy=f"Give one in full: {examples}"
        )
    return found


def _unknown(region: str, known: Iterable[str]) -> ImportRefused:
    names = {name.casefold(): name for name in known}
    close = [names[name] for name in difflib.get_close_matches(region.casefold(), list(names), 3)]
    hint = f"Nearest: {', '.join(close)}" if close else "Give codes or names such as DE or Germany"
    return ImportRefused(f"region {region!r} is not in the archive", value=region, remedy=f"{hint}; * means every one")
