"""Every connector that is installed holds what the contract asks."""

from __future__ import annotations

import pytest

from signals.config import connector_names, connector_type
from signals.conformance import Check, check_connector, checks
from signals.connector import Connector, Example

INSTALLED = [connector_type(name) for name in connector_names()]
ALL = [(kind, *check) for kind in INSTALLED for check in checks(kind)]


@pytest.mark.parametrize("kind", INSTALLED, ids=lambda kind: kind.name)
def test_a_connector_passes_the_whole_check(kind: type[Connector]) -> None:  # type: ignore[type-arg]
    check_connector(kind)


@pytest.mark.parametrize(("kind", "name", "check", "example"), ALL, ids=[name for _, name, _, _ in ALL])
def test_a_connector_holds(kind: type[Connector], name: str, check: Check, example: Example) -> None:  # type: ignore[type-arg]
    check(kind, example)


def test_entry_points_bear_the_names_of_their_connectors() -> None:
    assert [kind.name for kind in INSTALLED] == connector_names()
