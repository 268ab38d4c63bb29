"""The door for other people's models: the shipped one, disguised as theirs, gives the same masks; bad ones are refused."""

import hashlib
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch

from models.segmentation.foreign import LABEL_MAPS, import_model, main
from models.segmentation.inference import InvalidModel, Segmenter, open_model

NAMES = {"background": 0, "iliacus": 9, "p_l": 1, "p_r": 2, "g_l": 3, "g_r": 4}
FOUR = {name: value for name, value in NAMES.items() if name != "iliacus"}
MAP = {
    "model": "the phantom model in disguise",
    "licence": "Apache-2.0",
    "caveat": "none",
    "channels": ["in", "opp", "fat", "water"],
    "orientation": "RAS",
    "labels": {
        "psoas_left": ["p_r"],
        "psoas_right": ["p_l"],
        "gluteus_left": ["g_l"],
        "gluteus_right": ["g_r", "iliacus"],
    },
    "sha256": {},
}

# From its README, github.com/robert-graf/VIBESegmentator at 01e85382: the labels of hips and back.
VIBE_LABELS = {
    53: "gluteus_maximus_left",
    54: "gluteus_maximus_right",
    55: "gluteus_medius_left",
    56: "gluteus_medius_right",
    57: "gluteus_minimus_left",
    58: "gluteus_minimus_right",
    59: "autochthon_left",
    60: "autochthon_right",
    61: "iliopsoas_left",
    62: "iliopsoas_right",
}


@pytest.fixture
def results(tmp_path):
    """nnU-Net's results folder as its trainer leaves it: the weights beside optimizer state and numpy scalars."""
    ours = open_model("phantom-v1").folder
    folder = tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_bytes((ours / "plans.json").read_bytes())
    dataset = json.loads((ours / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(dataset | {"labels": NAMES}))
    weights = torch.load(ours / "fold_0.pth", weights_only=True)
    checkpoint = {"network_weights": weights, "_best_ema": np.float64(0.9), "init_args": {"fold": 0}}
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    return folder


def _import(results, tmp_path, name="theirs", **changes):
    (tmp_path / "map.json").write_text(json.dumps(MAP | changes))
    import_model(results, tmp_path / "map.json", tmp_path / name)
    return open_model(str(tmp_path / name))


def test_same_network_and_mapped_labels_from_a_zip(results, tmp_path):
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in results.rglob("*.*"):
            file.write(path, path.relative_to(tmp_path))
    model = _import(archive, tmp_path)
    ours = torch.load(open_model("phantom-v1").folder / "fold_0.pth", weights_only=True)
    theirs = torch.load(model.folder / "fold_0.pth", weights_only=True)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert model.label_map == (0, 2, 1, 3, 4, 0, 0, 0, 0, 4)
    assert open_model("phantom-v1").label_map is None
    assert "in disguise" in model.card
    with pytest.raises(InvalidModel, match="immutable"):
        _import(archive, tmp_path)
    with pytest.raises(InvalidModel, match="phantom-v1 already"):
        _import(archive, tmp_path, name="phantom-v1")


def test_command_line_takes_in_a_model_trained_on_all_cases_or_says_what_to_do(results, tmp_path, monkeypatch, capsys):
    (tmp_path / "map.json").write_text(json.dumps(MAP))
    (results / "fold_0").rename(results / "fold_all")
    monkeypatch.setattr("sys.argv", ["foreign", str(results), str(tmp_path / "map.json"), str(tmp_path / "theirs")])
    assert main() == 0 and "took in theirs" in capsys.readouterr().out
    assert open_model(str(tmp_path / "theirs")).fold_files == ("fold_all.pth",)
    assert main() == 1 and "immutable" in capsys.readouterr().err


def test_network_of_one_channel_ignores_the_others(results, tmp_path):
    """First kernels cut to water alone come back with zeros for the other contrasts, and load into a network of four."""
    path = results / "fold_0" / "checkpoint_final.pth"
    weights = torch.load(path, weights_only=False)["network_weights"]
    first = [
        key
        for key in weights
        if key.endswith(("stages.0.0.convs.0.conv.weight", "stages.0.0.convs.0.all_modules.0.weight"))
    ]
    first = [key for key in first if "encoder" in key]
    assert first
    torch.save({"network_weights": weights | {key: weights[key][:, 3:] for key in first}}, path)
    dataset = json.loads((results / "dataset.json").read_text())
    (results / "dataset.json").write_text(json.dumps(dataset | {"channel_names": {"0": "T1"}, "labels": FOUR}))
    model = _import(results, tmp_path, channels=["water"], labels=MAP["labels"] | {"gluteus_right": ["g_r"]})
    imported = torch.load(model.folder / "fold_0.pth", weights_only=True)
    for key in first:
        assert torch.equal(imported[key][:, 3:], weights[key][:, 3:]) and not imported[key][:, :3].any()
    Segmenter(model, "cpu")


class _Malicious:
    def __reduce__(self):
        return print, ("code from a checkpoint ran",)


def test_what_would_run_code_or_differs_is_refused_and_leaves_nothing(results, tmp_path, capsys):
    path = results / "fold_0" / "checkpoint_final.pth"
    wrong = {"fold_0/checkpoint_final.pth": hashlib.sha256(b"other").hexdigest()}
    with pytest.raises(InvalidModel, match="sha256"):
        _import(results, tmp_path, sha256=wrong)
    for content in (pickle.dumps(_Malicious()), path.read_bytes()[:-1000]):
        path.write_bytes(content)
        with pytest.raises(InvalidModel, match="not opened"):
            _import(results, tmp_path)
    torch.save({"network_weights": _Malicious()}, path)
    with pytest.raises(InvalidModel, match="not opened"):
        _import(results, tmp_path)
    assert "ran" not in capsys.readouterr().out
    assert not (tmp_path / "theirs").exists() and not list(tmp_path.glob(".*"))


def test_maps_that_do_not_fit_are_refused(results, tmp_path):
    with pytest.raises(InvalidModel, match="no label psoas_major"):
        _import(results, tmp_path, labels={"psoas_left": ["psoas_major"]})
    with pytest.raises(InvalidModel, match="each of the model's channels"):
        _import(results, tmp_path, channels=["water"])
    with pytest.raises(InvalidModel, match="stored LPS"):
        _import(results, tmp_path, orientation="LPS")
    path = results / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"orientation": ["L", "A", "S"]}))
    with pytest.raises(InvalidModel, match="stored LAS"):
        _import(results, tmp_path)
    (results / "plans.json").unlink()
    with pytest.raises(InvalidModel, match="no plans.json"):
        _import(results, tmp_path)


@pytest.mark.parametrize("path", sorted(LABEL_MAPS.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_maps_are_complete_and_carry_their_caveat(path):
    content = json.loads(path.read_text())
    assert content.keys() == MAP.keys() and content["labels"].keys() == MAP["labels"].keys()
    if path.stem == "vibesegmentator":
        assert "iliacus" in content["caveat"] and "README" in content["model"]
        used = {name for names in content["labels"].values() for name in names}
        assert used == {VIBE_LABELS[value] for value in (*range(53, 59), 61, 62)}
