"""The shipped model: scores on fresh phantoms, sides, and refusal of what is not the model."""

import json
import pickle
import shutil
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.imaging.demo import expected_truth
from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.phantom import REDUCED_GRID, Grid, Person, draw_person, render, true_measures
from models.measurement.morphometry import measure
from models.segmentation import inference
from models.segmentation.anatomy import LABELS, SIDES
from models.segmentation.inference import InvalidModel, Segmenter, open_model
from models.segmentation.training import draw_test_cases, score_model

SHIPPED = "phantom-v2"
SIDES_EXCHANGED = np.array([0, 2, 1, 4, 3], np.uint8)


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(open_model(SHIPPED), "cpu", "bfloat16")


def test_ten_fresh_phantoms_with_stronger_noise_and_bmi_beyond_the_training_range(segmenter):
    scores = score_model(segmenter, draw_test_cases())
    mean_dice = scores.groupby("compartment")["dice"].mean()
    assert scores["case"].nunique() == 10
    assert mean_dice["psoas"] >= 0.95
    assert mean_dice["gluteus"] >= 0.97
    assert scores["exchanged_side_pct"].max() < 0.1


def relative_errors(segmenter, phantom) -> pd.Series:
    """Predicted by true measure minus 1, by the warehouse's names, each side for itself."""
    labels = segmenter.segment(phantom.dixon)
    muscles = measure(labels, phantom.dixon.affine).muscles
    muscles = muscles.set_index(["compartment", "side"])
    measured = {f"csa_psoas_{side}_cm2": muscles.loc[("psoas", side), "max_csa_cm2"] for side in SIDES}
    measured |= {f"volume_gluteus_{side}_l": muscles.loc[("gluteus", side), "volume_ml"] / 1000 for side in SIDES}
    return pd.Series(measured) / pd.Series(true_measures(phantom.profile, REDUCED_GRID))[list(measured)] - 1


ANALYSED = {
    participant_id: case
    for participant_id, (case, _) in expected_truth().items()
    if not case.acquisition.is_swapped
}  # fmt: skip


@pytest.mark.parametrize("case", ANALYSED.values(), ids=ANALYSED)
def test_measures_on_predicted_masks_of_the_demo_lie_within_five_percent_of_the_truth(segmenter, case):
    errors = relative_errors(segmenter, render(case.person, case.seed, REDUCED_GRID, case.acquisition))
    assert errors.abs().max() <= 0.05, errors


@pytest.mark.parametrize("seed", range(70_000, 70_012))
def test_measures_on_predicted_masks_of_others_lie_within_five_percent_of_the_truth(segmenter, seed):
    person = draw_person(np.random.default_rng([seed, 7]), f"{seed}", (17.0, 38.0))
    errors = relative_errors(segmenter, render(person, seed))
    assert errors.abs().max() <= 0.05, errors


def test_mirrored_pixels_under_an_unchanged_affine_exchange_the_sides(segmenter):
    """f(mirror x) = swapLR(mirror f(x)), and the truth likewise."""
    phantom = render(Person("1", "F", 40, 168.0, 68.0), 77)
    mirrored = DixonSet({c: v[::-1].copy() for c, v in phantom.dixon.volumes.items()}, phantom.dixon.affine)
    predicted = segmenter.segment(mirrored)
    for labels, limit in ((segmenter.segment(phantom.dixon), 0.97), (phantom.labels, 0.95)):
        assert lowest_dice(predicted, SIDES_EXCHANGED[labels[::-1]]) >= limit


def test_label_map_of_a_foreign_model_is_applied():
    phantom = render(Person("1", "F", 40, 168.0, 68.0), 77)
    plain = open_model("phantom-v1")
    foreign = replace(plain, label_map=tuple(SIDES_EXCHANGED.tolist()))
    ours, mapped = (Segmenter(model, "cpu", "bfloat16").segment(phantom.dixon) for model in (plain, foreign))
    assert ours.any() and np.array_equal(mapped, SIDES_EXCHANGED[ours])


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


@pytest.fixture(scope="module")
def two_folds(tmp_path_factory):
    """The shipped model with a second, slightly different fold."""
    import torch

    model = open_model(SHIPPED)
    folder = tmp_path_factory.mktemp("models") / "two-folds"
    shutil.copytree(model.folder, folder)
    weights = torch.load(folder / "fold_0.pth", weights_only=True)
    generator = torch.Generator().manual_seed(1)
    other = {key: value * (1 + 0.05 * torch.randn(value.shape, generator=generator)) for key, value in weights.items()}
    torch.save(other, folder / "fold_1.pth")
    return replace(model, folder=folder, fold_files=("fold_0.pth", "fold_1.pth"))


@pytest.fixture(scope="module")
def other_grid():
    """A short phantom on a grid that has to be resampled both ways."""
    return render(Person("1", "M", 40, 178.0, 82.0), 12, Grid((88, 72, 48), (5.0, 5.0, 7.0)))


def predict_with_nnunet(model, dixon):
    """nnU-Net's own preprocessing, prediction without mirroring, and export."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(json.loads((model.folder / "plans.json").read_text()))
    dataset = json.loads((model.folder / "dataset.json").read_text())
    configuration = plans.get_configuration(model.configuration)
    network = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        4,
        5,
        deep_supervision=False,
    )
    weights = [torch.load(model.folder / name, weights_only=True) for name in model.fold_files]
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(network, plans, configuration, weights, dataset, "", None)
    image = np.stack([dixon.volumes[contrast].T for contrast in CONTRASTS]).astype(np.float32)
    spacing = [float(step) for step in np.linalg.norm(dixon.affine[:3, :3], axis=0)[::-1]]
    return predictor.predict_single_npy_array(image, {"spacing": spacing}).T


def lowest_dice(one, other):
    """Over the four labels."""
    return min(
        2 * ((one == value) & (other == value)).sum() / ((one == value).sum() + (other == value).sum())
        for value in LABELS.values()
    )


@pytest.fixture(scope="module")
def by_nnunet(two_folds, other_grid):
    return predict_with_nnunet(two_folds, other_grid.dixon)


@pytest.mark.parametrize(
    ("precision", "is_low_memory", "limit"),
    [("float32", False, 0.999), ("bfloat16-channels-last", False, 0.995), ("bfloat16", True, 0.995)],
)
def test_two_folds_on_another_grid_give_nnunets_labels(
    two_folds, other_grid, by_nnunet, precision, is_low_memory, limit
):
    ours = Segmenter(two_folds, "cpu", precision, is_low_memory).segment(other_grid.dixon, is_confined=False)
    assert ours.dtype == np.uint8 and ours.shape == other_grid.labels.shape
    assert lowest_dice(ours, by_nnunet) >= limit
    assert lowest_dice(by_nnunet, other_grid.labels) > 0.9


@pytest.fixture(scope="module")
def full_pass(segmenter):
    """A phantom, the labels of the full pass, and the tiles that it took."""
    phantom = render(Person("1", "F", 40, 168.0, 68.0), 78)
    with counted_tiles(segmenter) as tiles:
        return phantom, segmenter.segment(phantom.dixon, is_confined=False), tiles


@contextmanager
def counted_tiles(segmenter):
    """Calls of fold 0."""
    tiles, forward = [], segmenter._networks[0].forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmenter._networks[0], "forward", lambda tile: tiles.append(1) or forward(tile))
        yield tiles


def test_tiles_confined_to_the_muscles_give_the_full_passs_labels(segmenter, full_pass):
    phantom, full, all_tiles = full_pass
    with counted_tiles(segmenter) as tiles:
        confined = segmenter.segment(phantom.dixon)
    assert len(tiles) - 1 <= 4 < len(all_tiles) / 2, "one of them is the coarse pass"
    assert lowest_dice(confined, full) >= 0.995
    assert lowest_dice(confined, phantom.labels) >= lowest_dice(full, phantom.labels) - 0.002


def test_tiles_are_added_while_muscle_goes_on_beyond_them(segmenter, full_pass, monkeypatch):
    """From a single tile in the middle all the muscle is found."""
    phantom, full, all_tiles = full_pass
    monkeypatch.setattr(segmenter, "_choose_starts", lambda *given: tuple(a[len(a) // 3 :][:1] for a in given[-1]))
    with counted_tiles(segmenter) as tiles:
        grown = segmenter.segment(phantom.dixon)
    assert 1 < len(tiles) < len(all_tiles)
    assert lowest_dice(grown, full) >= 0.995


def test_probe_takes_a_narrower_format_only_where_it_gives_the_same_labels(other_grid, monkeypatch):
    model = open_model(SHIPPED)
    seconds = {"float32": 1.0, "bfloat16": 0.5, "bfloat16-channels-last": 0.4}
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:6] = 1
    spoilt = labels.copy()
    spoilt[2] = 2

    def choose(answers):
        class Probed:
            def __init__(self, model, device, precision):
                self.probe = lambda dixon: (answers[precision], seconds[precision])

        monkeypatch.setattr(inference, "Segmenter", Probed)
        return inference.choose_precision(model, "cpu", other_grid.dixon)

    assert choose(dict.fromkeys(seconds, labels)) == "bfloat16-channels-last"
    assert choose({**dict.fromkeys(seconds, labels), "bfloat16-channels-last": spoilt}) == "bfloat16"
    assert choose({"float32": labels, "bfloat16": spoilt, "bfloat16-channels-last": spoilt}) == "float32"
    assert choose(dict.fromkeys(seconds, np.zeros_like(labels))) == "float32"
    seconds |= {"bfloat16": 0.9, "bfloat16-channels-last": 0.95}
    assert choose(dict.fromkeys(seconds, labels)) == "float32"


def test_image_of_zeros_gives_an_empty_mask(segmenter):
    grid = Grid((106, 86, 40), (4.21875, 4.21875, 6.0))
    zeros = np.zeros(grid.shape, np.uint16)
    assert not segmenter.segment(DixonSet(dict.fromkeys(CONTRASTS, zeros), grid.affine)).any()


def test_memory_that_runs_out_in_the_network_is_a_memory_error(segmenter, other_grid, monkeypatch):
    def fail(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(segmenter, "_run_networks", fail)
    with pytest.raises(MemoryError):
        segmenter.segment(other_grid.dixon)


def test_model_for_other_channels_is_refused_with_a_sentence(copied_model):
    import hashlib

    dataset = json.loads((copied_model / "dataset.json").read_text())
    dataset["channel_names"] = {"0": "T2"}
    (copied_model / "dataset.json").write_text(json.dumps(dataset))
    manifest = json.loads((copied_model / "manifest.json").read_text())
    manifest["sha256"]["dataset.json"] = hashlib.sha256((copied_model / "dataset.json").read_bytes()).hexdigest()
    (copied_model / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InvalidModel, match=r"reads the channels T2, not in, opp, fat, water: .*\."):
        open_model(str(copied_model))


def test_small_components_are_removed_only_where_the_card_says_so(copied_model):
    manifest = json.loads((copied_model / "manifest.json").read_text())
    assert open_model(SHIPPED).min_component_ml == 0 and "none is removed" in open_model(SHIPPED).card
    (copied_model / "manifest.json").write_text(json.dumps(manifest | {"min_component_ml": 5.0}))
    with pytest.raises(InvalidModel, match="card does not say so"):
        open_model(str(copied_model))
    card = (copied_model / "MODEL_CARD.md").read_text()
    (copied_model / "MODEL_CARD.md").write_text(card + "\nmin_component_ml: 5\n")
    assert open_model(str(copied_model)).min_component_ml == 5


def test_components_below_the_limit_go_and_no_other_voxel():
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[2:8, 2:8, 2:8] = 1
    kept = labels.copy()
    labels[10:12, 10:12, 10:12] = 1
    labels[8, 8, 8] = 2
    inference.remove_components(labels, 9)
    assert np.array_equal(labels, kept)
    inference.remove_components(labels, 216)
    assert np.array_equal(labels, kept)
