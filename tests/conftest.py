"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Public data that nobody here made; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("MYONORM_REAL_DATA", _REPOSITORY / "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip("Real data absent: set MYONORM_REAL_DATA to its folder.")
    return folder
