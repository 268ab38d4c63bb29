"""The shipped model: scores on fresh phantoms, sides, and refusal of what is not the model."""

import json
import pickle
import shutil

import numpy as np
import pytest

from models.imaging.dixon import DixonSet
from models.imaging.phantom import REDUCED_GRID, Person, render, true_measures
from models.measurement.morphometry import measure
from models.segmentation.anatomy import LABELS
from models.segmentation.inference import InvalidModel, Segmenter, open_model
from models.segmentation.training import draw_test_cases, score_model

SHIPPED = "phantom-v1"
SIDES_EXCHANGED = np.array([0, 2, 1, 4, 3], np.uint8)


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(open_model(SHIPPED), "cpu")


def test_ten_fresh_phantoms_with_stronger_noise_and_bmi_beyond_the_training_range():
    scores = score_model(open_model(SHIPPED), draw_test_cases())
    mean_dice = scores.groupby("compartment")["dice"].mean()
    assert scores["case"].nunique() == 10
    assert mean_dice["psoas"] >= 0.95
    assert mean_dice["gluteus"] >= 0.97
    assert scores["exchanged_side_pct"].max() < 0.1


@pytest.mark.parametrize("seed", [501, 502, 503])
def test_measures_of_predicted_masks_lie_within_five_percent_of_the_truth(segmenter, seed):
    phantom = render(Person("1", "FM"[seed % 2], 30 + seed % 40, 172.0, 55.0 + 12 * (seed - 500)), seed)
    labels = segmenter.segment(phantom.dixon)
    muscles = measure(labels, phantom.dixon.affine).muscles.set_index(["compartment", "side"])
    truth = true_measures(phantom.profile, REDUCED_GRID)
    for side in ("left", "right"):
        assert muscles.loc[("psoas", side), "max_csa_cm2"] == pytest.approx(truth[f"csa_psoas_{side}_cm2"], rel=0.05)
        assert muscles.loc[("gluteus", side), "volume_ml"] == pytest.approx(
            1000 * truth[f"volume_gluteus_{side}_l"], rel=0.05
        )


def test_mirrored_pixels_under_an_unchanged_affine_exchange_the_sides(segmenter):
    phantom = render(Person("1", "F", 40, 168.0, 68.0), 77)
    mirrored = DixonSet({c: v[::-1].copy() for c, v in phantom.dixon.volumes.items()}, phantom.dixon.affine)
    expected = SIDES_EXCHANGED[phantom.labels[::-1]]
    predicted = segmenter.segment(mirrored)
    for value in LABELS.values():
        overlap = ((predicted == value) & (expected == value)).sum()
        assert 2 * overlap / ((predicted == value).sum() + (expected == value).sum()) > 0.9


@pytest.fixture
def copied_model(tmp_path):
    folder = tmp_path / "copied"
    shutil.copytree(open_model(SHIPPED).folder, folder)
    return folder


def test_model_with_one_byte_changed_is_refused(copied_model):
    weights = copied_model / "fold_0.pth"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InvalidModel, match=r"fold_0\.pth"):
        open_model(str(copied_model))


def test_absent_model_is_refused_with_what_to_do():
    with pytest.raises(InvalidModel, match="MYONORM_MODEL"):
        open_model("no-such-model")


class _Malicious:
    def __reduce__(self):
        return print, ("code from a checkpoint ran",)


def test_weights_that_would_run_code_are_not_unpickled(copied_model, capsys):
    """Even where the manifest vouches for them."""
    import hashlib

    weights = copied_model / "fold_0.pth"
    weights.write_bytes(pickle.dumps(_Malicious()))
    manifest = json.loads((copied_model / "manifest.json").read_text())
    manifest["sha256"]["fold_0.pth"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (copied_model / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(pickle.UnpicklingError):
        Segmenter(open_model(str(copied_model)), "cpu")
    assert "ran" not in capsys.readouterr().out
