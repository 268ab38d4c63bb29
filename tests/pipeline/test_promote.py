"""A model is promoted on scores, or in spite of them by order; the environment goes before."""

import json
import shutil

import duckdb
import pandas as pd
import pytest

from dagster_project.defs.publication import _list_promotions
from dagster_project.defs.statistics import pin_analysis_set
from dagster_project.promote import NotPromoted, promote
from dagster_project.settings import load_settings
from dagster_project.warehouse import Warehouse, declare_schema, insert
from models.segmentation.inference import InvalidModel, open_model


@pytest.fixture
def candidate(tmp_path, monkeypatch):
    """A copy of the shipped model as version `better`, in an empty installation."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("MYONORM_HOME", str(home))
    monkeypatch.delenv("MYONORM_MODEL", raising=False)
    load_settings.cache_clear()
    folder = tmp_path / "better"
    shutil.copytree(open_model(load_settings().model).folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"model_version": "better"}))
    yield folder
    load_settings.cache_clear()


def _score(model_version: str, dice: float, n: int = 3) -> None:
    key = {"study": "s", "visit": "30", "comparison": "automatic", "validation": "test", "reader": "A", "reading": 1}
    rows = [
        key | {"participant_id": f"{i}", "compartment": compartment, "side": "left", "dice": dice + i / 1000}
        for i in range(n)
        for compartment in ("psoas", "gluteus")
    ]
    with Warehouse().connect() as connection:
        frame = pd.DataFrame(rows).assign(model_version=model_version, annotation_sha256="a", source_sha256="m")
        insert(connection, "imaging.segmentation_score", frame)


def test_unscored_and_worse_models_are_refused_and_promoted_by_order(candidate):
    former = load_settings().model
    with pytest.raises(InvalidModel):
        promote("no-such-model")
    with pytest.raises(NotPromoted, match="share no scored test case"):
        promote(str(candidate))
    _score(former, 0.95)
    _score("better", 0.94)
    with pytest.raises(NotPromoted, match="gluteus left, psoas left"):
        promote(str(candidate))
    assert not load_settings().read_promotions()
    assert promote(str(candidate), despite_scores=True) == "better"
    load_settings.cache_clear()
    assert load_settings().model == str(candidate)


def test_better_model_is_promoted_and_the_environment_goes_before(candidate, monkeypatch):
    former = load_settings().model
    _score(former, 0.95)
    _score("better", 0.96)
    promote(str(candidate))
    load_settings.cache_clear()
    settings = load_settings()
    assert open_model(settings.model).model_version == "better"
    (line,) = settings.read_promotions()
    assert [row["n"] for row in line["scores"]] == [3, 3]
    assert line["scores"][0]["candidate"] - line["scores"][0]["standing"] == pytest.approx(0.01)
    assert [row["scores"] for row in _list_promotions(settings)] == [None], "three cases are fewer than may be shown"
    monkeypatch.setenv("MYONORM_MODEL", former)
    load_settings.cache_clear()
    assert load_settings().model == former


def test_another_model_of_a_known_version_is_refused(candidate, tmp_path):
    promote(str(candidate), despite_scores=True)
    other = tmp_path / "other"
    shutil.copytree(candidate, other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(manifest | {"configuration": "3d_fullres", "note": "changed"}))
    with pytest.raises(InvalidModel, match="give this one a new version"):
        promote(str(other), despite_scores=True)


def test_published_statistics_follow_a_promotion_when_the_model_has_seen_everyone(candidate):
    """A case that failed with the new model was seen; one that failed with the former does not count."""
    former = load_settings().model
    line = {"model": str(candidate), "model_version": "better", "promoted_at": "2026-01-01T00:00:00", "scores": []}
    (load_settings().home / "promotions.jsonl").write_text(json.dumps(line) + "\n")
    with duckdb.connect() as connection:
        declare_schema(connection)
        pinned = {
            "analysis_set": "x",
            "study": "s",
            "source": "measured",
            "model_version": former,
            "is_synthetic": False,
        }
        insert(connection, "ref.analysis_set", pd.DataFrame([pinned]))

        def enter(participant_id: str, model_version: str, status: str) -> None:
            row = {"study": "s", "participant_id": participant_id, "visit": "30", "model_version": model_version}
            row |= {"status": status, "attempts": 1, "image_sha256": "i", "is_low_memory": False}
            insert(connection, "imaging.segmentation", pd.DataFrame([row]))

        for participant_id, status in (("1", "done"), ("2", "done"), ("3", "failed")):
            enter(participant_id, former, status)
        enter("1", "better", "done")
        assert pin_analysis_set(connection)["model_version"].to_list() == [former]
        enter("2", "better", "failed")
        assert pin_analysis_set(connection)["analysis_set"].to_list() == ["s / measured / better"]
