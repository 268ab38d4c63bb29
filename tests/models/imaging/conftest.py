"""Fixtures of the imaging tests."""

from pathlib import Path

import pytest

from models.imaging.dixon import DixonSet
from tests.models.imaging.imaging_cases import draw_coded, write_coded


@pytest.fixture
def coded() -> DixonSet:
    """Every voxel says its contrast, slice, row and column."""
    return draw_coded()


@pytest.fixture
def delivery(tmp_path) -> Path:
    """The coded volumes as NAKO's composed zip."""
    return write_coded(tmp_path / "123456.zip")
