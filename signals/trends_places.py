"""What a place of Google Trends is called in an export, and its code."""

from __future__ import annotations

import re
from functools import cache

import pytz

WORLD = "world"
PLACE = r"^(world|[A-Z]{2}(-[A-Z0-9]{1,3}(-[0-9]{1,4})?)?)$"
_WORLDS = (
    "worldwide, weltweit, monde, monde entier, dans tous les pays, todo el mundo, todo o mundo, tutto il mondo, "
    "wereldwijd, cały świat, по всему миру, весь мир, すべての国, 全球, 全世界, 전 세계, dünya geneli, hele verden, "
    "hela världen, celosvětově"
)
_OTHERS = {
    "united kingdom": "GB",
    "south korea": "KR",
    "north korea": "KP",
    "czechia": "CZ",
    "türkiye": "TR",
    "vietnam": "VN",
    "bosnia & herzegovina": "BA",
    "côte d’ivoire": "CI",
    "myanmar (burma)": "MM",
    "hong kong": "HK",
    "macao": "MO",
}


@cache
def _codes() -> dict[str, str]:
    codes = {str(name).lower(): str(code) for code, name in pytz.country_names.items()}
    return codes | _OTHERS | dict.fromkeys(_WORLDS.split(", "), WORLD)


def place_code(text: str) -> str | None:
    """`world` or the code of a country by its English name; a code as it is; None where the name is not known."""
    name = " ".join(text.split())
    if re.fullmatch(PLACE, name):
        return name
    return _codes().get(name.lower())
