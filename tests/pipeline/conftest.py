"""Fixtures of the pipeline's tests."""

import pytest

from tests.pipeline.installation import Installation


@pytest.fixture(scope="module")
def installation(tmp_path_factory) -> Installation:
    """An empty installation for the tests of a module; its path has a space and an umlaut."""
    return Installation(tmp_path_factory.mktemp("möre data"))
