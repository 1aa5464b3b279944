"""docs/security.md says what the code does: forms, times, scopes and roles."""

from __future__ import annotations

from pathlib import Path

from api.commands.keys import USUAL
from api.gate import EASY_FACES
from api.headers import DEFAULTS
from api.keyring import FRESH_SECONDS, LEAST_SECONDS
from api.keys import FORM
from api.limits import FAILURES
from api.security import SCOPES
from api.tokens import JWKS_SECONDS, LEEWAY_SECONDS, role_of

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8").split())


def test_the_form_of_a_key() -> None:
    assert f"`{FORM.pattern.replace('(', '').replace(')', '')}`" in PAGE


def test_scopes_and_roles() -> None:
    for scope in SCOPES:
        assert f"`{scope}`" in PAGE
        assert f"| `{role_of(scope)}` | `{scope}` |" in PAGE
    assert f"it may {', '.join(sorted(USUAL))};" in PAGE


def test_times_and_limits() -> None:
    assert f"within {FRESH_SECONDS:.0f} seconds" in PAGE
    assert (LEAST_SECONDS, "within a second after it was made" in PAGE) == (1, True)
    assert f"{LEEWAY_SECONDS} seconds for clocks" in PAGE
    assert f"kept for {JWKS_SECONDS // 60} minutes" in PAGE
    assert (FAILURES.get_expiry(), f"After {FAILURES.amount} requests with wrong credentials in a minute" in PAGE) == (
        60,
        True,
    )


def test_headers_and_faces() -> None:
    for name, value in DEFAULTS.items():
        assert f"`{name}: {value}`" in PAGE
    assert EASY_FACES == ("odata", "business-central")
    assert PAGE.count("| OData and Business Central") == 2
