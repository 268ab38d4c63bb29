"""Studies, and what an uninterrupted run makes of them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.homes import RELEASES, Home, write_simulated_study, write_study


@pytest.fixture(scope="session")
def make_home(tmp_path_factory) -> Callable[[], Home]:
    """Fresh homes with simulated images; their path has a space and an umlaut."""
    study = tmp_path_factory.mktemp("study")
    write_simulated_study(study)
    return lambda: _copy(study, tmp_path_factory.mktemp("möre data") / "home", is_simulated=True)


@pytest.fixture(scope="session")
def reference(make_home) -> Home:
    """After one uninterrupted run. Not to be changed."""
    return _run(make_home())


@pytest.fixture(scope="session")
def make_real_home(tmp_path_factory) -> Callable[[], Home]:
    """Fresh homes with phantoms, which the network segments."""
    study = tmp_path_factory.mktemp("phantoms")
    write_study(study)
    return lambda: _copy(study, tmp_path_factory.mktemp("möre data") / "home", is_simulated=False)


@pytest.fixture(scope="session")
def real_reference(make_real_home) -> Home:
    """After one uninterrupted run with the network. Not to be changed."""
    return _run(make_real_home())


def _copy(study: Path, path: Path, is_simulated: bool) -> Home:
    shutil.copytree(study, path / "releases")  # times are kept: fingerprints are equal
    return Home(path, is_simulated)


def _run(home: Home) -> Home:
    assert home.run(*RELEASES).startswith("published ")
    return home
