"""A registered model and a case in, a label map out.

What belongs here: verifying and loading a model folder, and running it on one case at a time. Choosing cases, deadlines and
retries belong to the orchestration; training to `training.py`.
"""

import hashlib
import json
import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.imaging.dixon import CONTRASTS, DixonSet
from models.segmentation.anatomy import LABELS
from models.segmentation.confinement import cover, find_extent, grow
from models.segmentation.geometry import ModelGeometry
from models.segmentation.normalisation import Channel, open_channels, open_normalisers
from models.segmentation.resampling import Box, Grid, axis_matrices, narrow, resample, rows_inside
from models.segmentation.sliding_window import LogitSum, Starts, find_hull, list_starts, list_tiles, tile_weights

if TYPE_CHECKING:
    import torch

REGISTRY = Path(__file__).parent / "nnunet"

TILE_STEP = 0.5
PRECISIONS = {
    "float32": ("float32", False),
    "bfloat16": ("bfloat16", False),
    "bfloat16-channels-last": ("bfloat16", True),
}
"""Name -> torch's number format, and whether channels are stored last."""

COARSE_STRIDE = 5  # slices of the model's grid
COARSE_TILES_PART = 0.25  # the coarse pass is made where it takes at most this part of the full pass's tiles
EXPORT_SLICES = 16
MIN_AGREEMENT = 0.99  # of muscle voxels with float32's label, for a narrower number format
MIN_GAIN = 1.2  # in seconds, for another format: what is about as quick must not change from probe to probe


class InvalidModel(ValueError):
    """A model folder that is incomplete or is not what its manifest says."""


@dataclass(frozen=True)
class Model:
    """A verified model folder.

    Attributes
    ----------
    label_map
        Our label of each of the network's; None where they are the same.
    min_component_ml
        Connected components of a label below this are removed from masks; 0 = none, the default. The card has to name it.
    """

    folder: Path
    model_version: str
    configuration: str
    geometry: ModelGeometry
    label_map: tuple[int, ...] | None
    min_component_ml: float
    manifest_sha256: str
    fold_files: tuple[str, ...]
    card: str


def open_model(name_or_folder: str) -> Model:
    """Find a model by its registered name or its folder and verify every file against the manifest's sha256.

    Raises
    ------
    InvalidModel
        If there is no such model, a file is absent or differs from the manifest, the model reads other channels, or it removes
        small components and its card does not say so.
    """
    folder = (
        REGISTRY / name_or_folder if (REGISTRY / name_or_folder / "manifest.json").is_file() else Path(name_or_folder)
    )
    try:
        manifest_bytes = (folder / "manifest.json").read_bytes()
        manifest = json.loads(manifest_bytes)
        for name, sha256 in manifest["sha256"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != sha256:
                raise InvalidModel(
                    f"{name} of model {folder.name} differs from its manifest: restore the model folder."
                )
        plans, dataset = (json.loads((folder / name).read_bytes()) for name in ("plans.json", "dataset.json"))
        card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise InvalidModel(
            f"Model {folder.name} has no {missing}: set MYONORM_MODEL to a registered name or a model folder."
        ) from error
    channels = tuple(dataset["channel_names"][key] for key in sorted(dataset["channel_names"], key=int))
    if channels != CONTRASTS:
        raise InvalidModel(
            f"Model {folder.name} reads the channels {', '.join(channels)}, not {', '.join(CONTRASTS)}: train it on the four"
            " Dixon contrasts in this order, or choose another model."
        )
    min_component_ml = manifest.get("min_component_ml", 0.0)
    if min_component_ml and "min_component_ml" not in card:
        raise InvalidModel(
            f"Model {folder.name} removes small components and its card does not say so: add min_component_ml to it."
        )
    return Model(
        folder=folder,
        model_version=manifest["model_version"],
        configuration=manifest["configuration"],
        geometry=ModelGeometry.from_plans(plans, manifest["configuration"]),
        label_map=tuple(manifest["label_map"]) if "label_map" in manifest else None,
        min_component_ml=min_component_ml,
        manifest_sha256=hashlib.sha256(manifest_bytes).hexdigest(),
        fold_files=tuple(sorted(name for name in manifest["sha256"] if name.startswith("fold_"))),
        card=card,
    )


def load_weights(model: Model) -> list[dict]:
    """The network's weights, one dictionary of tensors for each fold; a file that would run code is not unpickled."""
    import torch

    return [torch.load(model.folder / name, map_location="cpu", weights_only=True) for name in model.fold_files]


def choose_device(wanted: str) -> str:
    """`auto` -> cuda where there is one, else cpu; anything else is taken as it is."""
    import torch

    return wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def choose_precision(model: Model, device: str, dixon: DixonSet) -> str:
    """The quickest of `PRECISIONS` on the middle tile of a case, among those that give float32's labels; else float32.

    A format has to label 99 % of the muscle voxels as float32 does and to be 1.2 times as quick as the one before. Where the tile
    shows no muscle nothing is proved, and float32 it is.
    """
    one_fold = replace(model, fold_files=model.fold_files[:1])
    labels, seconds = {}, {}
    for precision in PRECISIONS:
        labels[precision], seconds[precision] = Segmenter(one_fold, device, precision).probe(dixon)
    reference = labels["float32"]
    quickest = "float32"
    for precision in PRECISIONS:
        is_muscle = (reference > 0) | (labels[precision] > 0)
        agreement = (labels[precision] == reference)[is_muscle].mean() if is_muscle.any() else 0.0
        if agreement >= MIN_AGREEMENT and seconds[precision] * MIN_GAIN < seconds[quickest]:
            quickest = precision
    return quickest


def remove_components(labels: np.ndarray, min_voxels: float) -> None:
    """Set to 0 what is connected, by faces, to fewer than `min_voxels` voxels of its label."""
    from scipy import ndimage

    for value in LABELS.values():
        components, _ = ndimage.label(labels == value)
        is_small = np.bincount(components.ravel()) < min_voxels
        is_small[0] = False
        labels[is_small[components]] = 0


class Segmenter:
    """A model, loaded once; `segment` runs it on one case. Nothing is mirrored at test time.

    The same result as nnU-Net's predictor but for rounding: its spline resampling, its tiles and their weights, the mean of
    the folds' logits. Quicker by a narrower number format, resampling by matrices, and by looking only where muscle is.

    Parameters
    ----------
    precision
        A key of `PRECISIONS`; see `choose_precision`.
    is_low_memory
        Sums of logits are kept in half precision and in main memory; costs time, and some voxels at borders may differ.

    Attributes
    ----------
    fold_disagreement_pct : float or None
        Of the case segmented last; see `LogitSum.disagreement_pct`.
    """

    def __init__(self, model: Model, device: str, precision: str = "float32", is_low_memory: bool = False):
        import torch
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        plans = PlansManager(json.loads((model.folder / "plans.json").read_text()))
        dataset = json.loads((model.folder / "dataset.json").read_text())
        configuration = plans.get_configuration(model.configuration)
        number_format, is_channels_last = PRECISIONS[precision]
        self._memory_format = torch.channels_last_3d if is_channels_last else torch.contiguous_format
        self._networks = []
        for weights in load_weights(model):
            network = get_network_from_plans(
                configuration.network_arch_class_name,
                configuration.network_arch_init_kwargs,
                configuration.network_arch_init_kwargs_req_import,
                len(CONTRASTS),
                plans.get_label_manager(dataset).num_segmentation_heads,
                allow_init=False,
                deep_supervision=False,
            )
            network.load_state_dict(weights)
            network.to(device, getattr(torch, number_format), memory_format=self._memory_format)
            self._networks.append(network.eval())
        self._device = device
        self._label_map = model.label_map and torch.tensor(model.label_map, dtype=torch.uint8, device=device)
        self._min_component_ml = model.min_component_ml
        self.fold_disagreement_pct = None
        self._sums = (torch.float16, "cpu") if is_low_memory else (torch.float32, device)
        self._patch = tuple(configuration.patch_size)
        self._weights = tile_weights(self._patch)
        self._spacing = tuple(configuration.spacing)
        self._transpose = tuple(plans.transpose_forward)
        self._normalisers = open_normalisers(configuration, plans.foreground_intensity_properties_per_channel)
        _check_resampling(configuration.configuration)
        self._orders = [
            (kwargs["order"], kwargs["order_z"], kwargs["force_separate_z"])
            for kwargs in map(configuration.configuration.get, _RESAMPLING_KWARGS)
        ]

    def segment(
        self, dixon: DixonSet, is_confined: bool = True, turn: AbstractContextManager | None = None
    ) -> np.ndarray:
        """Label map (x, y, z; uint8) of a case on its own RAS+ grid.

        With `is_confined`, fold 0 looks at every fifth slice first, and all folds at those tiles only that cover the muscle found. Tiles
        are added where a muscle goes on beyond them, and all are taken where one is not found or the coarse pass would save little.
        `turn` is held while the network works: not while the images are normalised, nor while labels are brought to their grid.

        Raises
        ------
        MemoryError
            If it does not fit into the memory of the device or of the machine.
        """
        import torch

        volumes, spacing = self._orient(dixon)
        crop = _nonzero_box(volumes)
        labels = np.zeros(volumes[0].shape, np.uint8)
        try:
            with torch.inference_mode():
                cropped = [volume[crop] for volume in volumes]
                labels[crop] = self._segment_crop(cropped, spacing, is_confined, turn or nullcontext())
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
                raise MemoryError from error
            raise
        labels = labels.transpose(np.argsort(self._transpose)).T
        if self._min_component_ml:
            remove_components(labels, self._min_component_ml * 1000 / abs(np.linalg.det(dixon.affine[:3, :3])))
        return labels

    def probe(self, dixon: DixonSet) -> tuple[np.ndarray, float]:
        """Labels of the middle tile of a case, and the seconds it took (the better of two)."""
        import torch

        volumes, spacing = self._orient(dixon)
        source, target = self._grids(volumes[0].shape, spacing)
        starts = list_starts(target.shape, self._patch, TILE_STEP)
        (tile,) = list_tiles(tuple(axis[len(axis) // 2 :][:1] for axis in starts), self._patch, target.shape)
        seconds = []
        with torch.inference_mode():
            channels, matrices = (
                open_channels(volumes, self._normalisers),
                axis_matrices(source, target, *self._orders[0]),
            )
            for _ in range(2):
                started = time.perf_counter()
                logits = LogitSum(self._networks, target.shape, self._weights, self._memory_format, *self._sums)
                logits.add(self._resample(channels, matrices, tile), [tile])
                labels = self._label(logits.read_sum(tile)).cpu().numpy()
                seconds.append(time.perf_counter() - started)
        return labels, min(seconds)

    def _orient(self, dixon: DixonSet) -> tuple[list[np.ndarray], tuple[float, ...]]:
        """Volumes (z, y, x, transposed as planned) and their spacing in mm."""
        spacing = np.linalg.norm(dixon.affine[:3, :3], axis=0)[::-1][list(self._transpose)]
        return [dixon.volumes[contrast].T.transpose(self._transpose) for contrast in CONTRASTS], tuple(spacing)

    def _grids(self, shape: tuple[int, ...], spacing: tuple[float, ...]) -> tuple[Grid, Grid]:
        """The image's grid and the model's grid over the same field of view."""
        new_shape = (round(n * a / b) for n, a, b in zip(shape, spacing, self._spacing, strict=True))
        return Grid(tuple(shape), spacing), Grid(tuple(new_shape), self._spacing)

    def _segment_crop(
        self, volumes: list[np.ndarray], spacing: tuple[float, ...], is_confined: bool, turn
    ) -> np.ndarray:
        source, target = self._grids(volumes[0].shape, spacing)
        channels = open_channels(volumes, self._normalisers)
        from_model = axis_matrices(target, source, *self._orders[1])
        with turn:
            logits, box, part = self._run_networks(channels, source, target, is_confined)
        return self._export(logits, box, part, from_model, source.shape)

    def _run_networks(
        self, channels: list[Channel], source: Grid, target: Grid, is_confined: bool
    ) -> tuple["torch.Tensor", Box, Box]:
        """Logits (label, z, y, x) of a box of the model's grid, the box, and the part of it (relative to it) that holds all muscle."""
        shape, matrices = target.shape, axis_matrices(source, target, *self._orders[0])
        all_starts = list_starts(shape, self._patch, TILE_STEP)
        starts = self._choose_starts(channels, source, target, matrices, all_starts) if is_confined else all_starts
        logits = LogitSum(self._networks, shape, self._weights, self._memory_format, *self._sums)
        done: list[Box] = []
        while True:
            tiles = [tile for tile in list_tiles(starts, self._patch, shape) if tile not in done]
            logits.add(self._resample(channels, matrices, find_hull(tiles)), tiles)
            done += tiles
            box = find_hull(done)
            self.fold_disagreement_pct = logits.disagreement_pct
            if starts == all_starts:
                return logits.read_mean(box), box, box
            labels = self._label(logits.read_sum(box)).cpu().numpy()
            grown = grow(starts, all_starts, labels)
            if grown == starts:
                return logits.read_mean(box), box, _bounding_box(labels > 0, margin=(1, 1, 1), shape=labels.shape)
            starts = grown

    def _resample(self, channels: list[Channel], matrices, box: Box) -> "torch.Tensor":
        """Normalised channels (channel, z, y, x; float32) in a box of the model's grid."""
        import torch

        matrix, slices = narrow(matrices[0], box[0])
        part = []
        for channel in channels:
            voxels = torch.from_numpy(channel.voxels[slices].astype(np.float32)).to(self._device)
            part.append(
                (resample(voxels, (matrix, *matrices[1:]), (slice(None), *box[1:])) - channel.mean) / channel.sd
            )
        return torch.stack(part)

    def _choose_starts(
        self, channels: list[Channel], source: Grid, target: Grid, matrices, all_starts: Starts
    ) -> Starts:
        """Of the tiles those that cover the core of the muscle which fold 0 sees in some of the image's slices; all where it sees none."""
        stride = max(1, round(COARSE_STRIDE * target.spacing_mm[0] / source.spacing_mm[0]))
        slices = range(stride // 2, source.shape[0], stride)
        shape = (len(slices), *target.shape[1:])
        tiles = list_tiles(list_starts(shape, self._patch, 1.0), self._patch, shape)
        if len(tiles) > COARSE_TILES_PART * len(self._networks) * math.prod(map(len, all_starts)):
            return all_starts
        box = (slice(slices.start, slices.stop, stride), slice(0, shape[1]), slice(0, shape[2]))
        logits = LogitSum(self._networks[:1], shape, self._weights, self._memory_format, *self._sums)
        logits.add(self._resample(channels, (None, *matrices[1:]), box), tiles)
        labels = self._label(logits.read_sum(find_hull(tiles))).cpu().numpy()
        chosen = []
        for axis, (starts, size) in enumerate(zip(all_starts, self._patch, strict=True)):
            found = find_extent(labels, axis)
            if found is None:
                return all_starts
            if axis == 0:
                core = slices[found[0] + 1 : found[1]] or slices[found[0] : found[1] + 1]
                found = tuple(int((i + 0.5) * target.shape[0] / source.shape[0]) for i in (core[0], core[-1]))
            chosen.append(cover(starts, size, *found))
        return tuple(chosen)

    def _export(self, logits: "torch.Tensor", box: Box, part: Box, from_model, shape: tuple[int, ...]) -> np.ndarray:
        """Label map (uint8) on the image's grid: logits of `box` resampled where they depend on `part` (relative to `box`).

        Linear interpolation between voxels that are all background gives background, so that nothing is lost outside a `part` that holds
        all muscle and one voxel around it.
        """
        inside = [slice(a.start + b.start, a.start + b.stop) for a, b in zip(box, part, strict=True)]
        rows = [rows_inside(matrix, rows) for matrix, rows in zip(from_model, inside, strict=True)]
        matrices = [
            matrix if matrix is None else matrix[:, columns] for matrix, columns in zip(from_model, box, strict=True)
        ]
        labels, logits = np.zeros(shape, np.uint8), logits.float()
        for start in range(rows[0].start, rows[0].stop, EXPORT_SLICES):
            slab = (slice(start, min(start + EXPORT_SLICES, rows[0].stop)), rows[1], rows[2])
            on_box = [
                slice(r.start - b.start, r.stop - b.start) if matrix is None else r
                for r, b, matrix in zip(slab, box, matrices, strict=True)
            ]
            labels[slab] = self._label(resample(logits, matrices, on_box)).cpu().numpy()
        return labels

    def _label(self, logits: "torch.Tensor") -> "torch.Tensor":
        """Our label (uint8) of the largest logit."""
        labels = _argmax(logits)
        return labels if self._label_map is None else self._label_map[labels.long()]


_RESAMPLING_KWARGS = ("resampling_fn_data_kwargs", "resampling_fn_probabilities_kwargs")


def _check_resampling(configuration: dict) -> None:
    """Refuse a plan that resamples otherwise than nnU-Net does by default.

    Raises
    ------
    InvalidModel
        If it does.
    """
    functions = {configuration[f"resampling_fn_{what}"] for what in ("data", "probabilities")}
    if functions != {"resample_data_or_seg_to_shape"}:
        raise InvalidModel(
            f"The plan resamples by {', '.join(sorted(functions))}: plan with nnU-Net's default resampling."
        )


def _nonzero_box(volumes: list[np.ndarray]) -> Box:
    """Bounding box of the voxels that are not zero in every channel; everything where all are."""
    is_signal = volumes[0] != 0
    for volume in volumes[1:]:
        is_signal |= volume != 0
    return _bounding_box(is_signal, (0, 0, 0), is_signal.shape) or (slice(None),) * 3


def _bounding_box(mask: np.ndarray, margin: tuple[int, ...], shape: tuple[int, ...]) -> Box | None:
    """Box around what is not zero, widened within `shape`; None where all is zero."""
    planes = mask.any(axis=2)
    lines = [planes.any(axis=1), planes.any(axis=0), mask.any(axis=(0, 1))]
    ends = [np.flatnonzero(line)[[0, -1]] for line in lines if line.any()]
    if len(ends) < 3:
        return None
    return tuple(
        slice(max(int(a) - m, 0), min(int(b) + 1 + m, n)) for (a, b), m, n in zip(ends, margin, shape, strict=True)
    )


def _argmax(logits: "torch.Tensor") -> "torch.Tensor":
    """`logits.argmax(0)` as uint8; on a CPU several times as quick."""
    import torch

    best, labels = logits[0].clone(), torch.zeros(logits.shape[1:], dtype=torch.uint8, device=logits.device)
    for label, values in enumerate(logits[1:], start=1):
        labels.masked_fill_(values > best, label)
        torch.maximum(best, values, out=best)
    return labels
