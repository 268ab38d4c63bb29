"""The published snapshot, read."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from dashboard import snapshot


def test_the_link_is_resolved(home: Path) -> None:
    """A reader keeps the folder it opened, whatever `current` points at later."""
    assert snapshot.newest() == (home / "snapshots" / "20260101T000000Z").resolve()


def test_without_a_snapshot_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder, and a folder without the file."""
    monkeypatch.setenv("MYONORM_HOME", str(tmp_path))
    with pytest.raises(snapshot.SnapshotMissing):
        snapshot.newest()
    (tmp_path / "snapshots" / "current").mkdir(parents=True)
    with pytest.raises(snapshot.SnapshotMissing):
        snapshot.newest()


def test_a_new_snapshot_is_read_from_the_next_rerun_on(publish_changed: Callable[..., None]) -> None:
    """Not before, and then without what was cached."""
    publish_changed("", "one")
    snapshot.open_newest()
    assert snapshot.measures().loc["age_years", "label"] == "Age"
    publish_changed("UPDATE ref.measure SET label = 'Years lived' WHERE measure = 'age_years'", "two")
    assert snapshot.measures().loc["age_years", "label"] == "Age"
    snapshot.open_newest()
    assert snapshot.measures().loc["age_years", "label"] == "Years lived"
    assert snapshot.stamp() == "two"


def test_nothing_can_be_written(home: Path) -> None:
    """The file is opened read-only."""
    snapshot.open_newest()
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        snapshot.query("DELETE FROM norms.lms")


def test_labels_and_units_come_from_the_dictionary(home: Path) -> None:
    """As the comments of the SQL files declare them."""
    snapshot.open_newest()
    assert snapshot.label("norms.centile", "bmi_kg_m2") == "Body mass index"
    assert snapshot.unit("norms.centile", "bmi_kg_m2") == "kg/m²"
    assert snapshot.measures().loc["csa_psoas_total_per_height2_cm2_m2", "unit"] == "cm²/m²"


def test_the_analysis_set_is_one_row(home: Path) -> None:
    """With what ribbon and footer need."""
    snapshot.open_newest()
    assert snapshot.analysis_set()["study"] == "synthetic"
    assert bool(snapshot.analysis_set()["is_synthetic"])
