"""A home with a past: sales with revisions, a signal that drives them, and the forecasts of 24 weeks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from api.settings import Settings
from tests.api.life.lives import fill_poorly
from tests.api.life.past import fill_revised, issue, mondays, score

WEEKS = 24


@pytest.fixture(scope="session")
def issued_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forecasts that nothing was scored of."""
    home = tmp_path_factory.mktemp("lived")
    fill_revised(home)
    issue(Settings(home=home), mondays(WEEKS), "Boots")
    issue(Settings(home=home), mondays(5), "Hats")
    return home


@pytest.fixture(scope="session")
def lived(issued_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The same, scored; for tests that only read."""
    settings = Settings(home=tmp_path_factory.mktemp("scored") / "home")
    shutil.copytree(issued_home, settings.home)
    score(settings)
    return settings


@pytest.fixture
def fresh(issued_home: Path, tmp_path: Path) -> Settings:
    """A copy of the first of the test's own."""
    shutil.copytree(issued_home, tmp_path / "fresh")
    return Settings(home=tmp_path / "fresh")


@pytest.fixture
def scored(lived: Settings, tmp_path: Path) -> Settings:
    """A copy of the second of the test's own."""
    shutil.copytree(lived.home, tmp_path / "scored")
    return Settings(home=tmp_path / "scored")


@pytest.fixture(scope="session")
def poor_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A category whose champion did poorly; for tests that copy it."""
    home = tmp_path_factory.mktemp("poor")
    fill_poorly(home)
    return home


@pytest.fixture
def poor(poor_home: Path, tmp_path: Path) -> Path:
    """A copy of the test's own."""
    shutil.copytree(poor_home, tmp_path / "poor")
    return tmp_path / "poor"
