"""A model trained elsewhere -> a model folder of the registry, without running anything that came with it.

What belongs here: the door for nnU-Net v2 results folders and zips. The label map is a data file (`label_maps/`): the
model's source and caveat, the contrasts its channels are, the orientation of the arrays it was trained on, for each of our
four labels the names of the model's labels that make it up, and the sha256 of checkpoints where its author states them.

Weights are loaded with `weights_only=True` and a short allow-list: a checkpoint that would run code is refused, one whose
hash differs from the stated one is not even opened. A network of fewer channels becomes one of our four: the kernels of
the added channels are zero, which changes no output.

`python -m models.segmentation.foreign SOURCE LABEL_MAP MODEL_FOLDER [CONFIGURATION]` is the same from the command line.
"""

import hashlib
import io
import json
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from models.imaging.dixon import CONTRASTS
from models.segmentation.anatomy import LABELS
from models.segmentation.inference import InvalidModel
from models.segmentation.registry import build_folder, read_checkpoint, write_json, write_manifest

LABEL_MAPS = Path(__file__).parent / "label_maps"
CHECKPOINT = re.compile(r"fold_(\d|all)/checkpoint_final\.pth")
ORIENTATION = "RAS"
FIRST_KERNEL = re.compile(r"(decoder\.)?encoder\.(stem|stages\.0\.0)\.convs\.0\.(conv|all_modules\.0)\.weight")
CARD = """# {name}

A model trained elsewhere, taken in by `models/segmentation/foreign.py`: {model}

| what | |
|---|---|
| caveat | {caveat} |
| licence | {licence} |
| channels | {channels}; the other contrasts have kernels of zero |
| labels | {labels} |
| folds | {folds} |
| scores here | none yet: annotate cases of your own and validate before use |
"""


def import_model(source: Path, label_map: Path, destination: Path, configuration: str = "3d_fullres") -> None:
    """Write a model folder (plans, dataset, weights of each fold, manifest with the label map, card) from nnU-Net's results.

    Parameters
    ----------
    source : Path
        A results folder `<trainer>__<plans>__<configuration>` or a zip that holds one.
    label_map : Path
        See the module.
    destination : Path
        A folder that does not exist; its name becomes the model's version.
    configuration : str
        nnU-Net's name.

    Raises
    ------
    InvalidModel
        If something is missing or does not fit, a hash differs from the stated one, or a checkpoint would run code.
    """
    mapping = json.loads(label_map.read_text(encoding="utf-8"))
    names, read = _open_zip(source) if source.is_file() else _open_folder(source)
    dataset, plans = (_read_json(read, names, name) for name in ("dataset.json", "plans.json"))
    channels = mapping["channels"]
    if len(channels) != len(dataset["channel_names"]) or not set(channels) <= set(CONTRASTS):
        raise InvalidModel("The label map must name the contrast of each of the model's channels: correct it.")
    orientation = "".join(dataset.get("orientation", mapping["orientation"]))
    if orientation != ORIENTATION:
        raise InvalidModel(
            f"The model reads arrays stored {orientation}, images here are stored {ORIENTATION}: it would confuse the sides."
        )
    lookup = _build_lookup(mapping["labels"], dataset["labels"])
    folds = sorted(name for name in names if CHECKPOINT.fullmatch(name))
    if not folds:
        raise InvalidModel("There is no fold_<k>/checkpoint_final.pth: give nnU-Net's results folder.")
    with build_folder(destination) as folder:
        for name in folds:
            _write_weights(read(name), mapping["sha256"].get(name), name, channels, folder)
        write_json(folder / "dataset.json", dataset | {"channel_names": dict(enumerate(CONTRASTS))})
        write_json(folder / "plans.json", _expand_plans(plans, configuration, channels))
        facts = {key: mapping[key] for key in ("model", "caveat", "licence")} | {"channels": ", ".join(channels)}
        labels = "; ".join(f"{ours} = {' + '.join(theirs)}" for ours, theirs in mapping["labels"].items())
        card = CARD.format(name=destination.name, labels=labels, folds=len(folds), **facts)
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        write_manifest(folder, destination.name, configuration=configuration, label_map=lookup)


def _open_zip(path: Path) -> tuple[list[str], Callable[[str], bytes]]:
    """Names relative to the folder that holds plans.json, and a reader of them; nothing is ever unpacked to a path."""
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
    root = next((name.removesuffix("plans.json") for name in members if Path(name).name == "plans.json"), "")

    def read(name: str) -> bytes:
        with zipfile.ZipFile(path) as archive:
            return archive.read(root + name)

    return [name.removeprefix(root) for name in members if name.startswith(root)], read


def _open_folder(folder: Path) -> tuple[list[str], Callable[[str], bytes]]:
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return names, lambda name: (folder / name).read_bytes()


def _read_json(read: Callable[[str], bytes], names: list[str], name: str) -> dict:
    if name not in names:
        raise InvalidModel(f"There is no {name}: give nnU-Net's results folder, or a zip of it.")
    return json.loads(read(name))


def _build_lookup(labels: dict[str, list[str]], known: dict[str, int]) -> list[int]:
    """Our value of each value of the model; 0 for what is in no compartment."""
    lookup = [0] * (1 + max(value for value in known.values() if isinstance(value, int)))
    for (compartment, side), value in LABELS.items():
        for name in labels.get(f"{compartment}_{side}", []):
            if not isinstance(known.get(name), int):
                raise InvalidModel(f"The model has no label {name}: correct the label map.")
            lookup[known[name]] = value
    return lookup


def _write_weights(content: bytes, stated: str | None, name: str, channels: list[str], folder: Path) -> None:
    import torch

    if stated and hashlib.sha256(content).hexdigest() != stated:
        raise InvalidModel(f"{name} differs from the sha256 in the label map: get the model again.")
    weights = read_checkpoint(io.BytesIO(content), name)
    expanded = {
        key: _expand(tensor, channels) if FIRST_KERNEL.fullmatch(key) else tensor for key, tensor in weights.items()
    }
    torch.save(expanded, folder / f"{name.partition('/')[0]}.pth")


def _expand(kernel, channels: list[str]):
    """A first kernel (features, channels, ...) for our four contrasts: zero where the model has no such channel."""
    wide = kernel.new_zeros((kernel.shape[0], len(CONTRASTS), *kernel.shape[2:]))
    for channel, contrast in enumerate(channels):
        wide[:, CONTRASTS.index(contrast)] = kernel[:, channel]
    return wide


def _expand_plans(plans: dict, configuration: str, channels: list[str]) -> dict:
    """The plans with normalisation and intensities of every contrast; those the model does not know are as its first."""
    source = [channels.index(contrast) if contrast in channels else 0 for contrast in CONTRASTS]
    if configuration not in plans["configurations"]:
        raise InvalidModel(f"The model has no configuration {configuration}.")
    intensities = plans["foreground_intensity_properties_per_channel"]
    plans["foreground_intensity_properties_per_channel"] = {
        str(channel): intensities[str(theirs)] for channel, theirs in enumerate(source)
    }
    settings = plans["configurations"][configuration]
    for key in ("normalization_schemes", "use_mask_for_norm"):
        settings[key] = [settings[key][theirs] for theirs in source]
    return plans


def main() -> int:
    """Command line: results folder or zip, label map, model folder, configuration."""
    source, label_map, destination, *configuration = sys.argv[1:]
    try:
        import_model(Path(source), Path(label_map), Path(destination), *configuration)
    except InvalidModel as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    print(f"took in {Path(destination).name}: set MYONORM_MODEL to it to validate it on annotated cases of your own")
    return 0


if __name__ == "__main__":
    sys.exit(main())
