"""A registered model and a case in, a label map out.

What belongs here: verifying and loading a model folder, and running it on one case at a time. Choosing cases, deadlines and
retries belong to the orchestration; training to `training.py`.
"""

import hashlib
import json
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.imaging.dixon import CONTRASTS, DixonSet
from models.segmentation.anatomy import LABELS
from models.segmentation.geometry import ModelGeometry
from models.segmentation.resampling import Box, Grid, axis_matrices, resample, rows_inside
from models.segmentation.sliding_window import n_tiles, predict_logits, tile_weights

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

COARSE_STRIDE = 3  # slices of the model's grid; at 4 the shipped model begins to miss small psoas
COARSE_TILES_PART = 0.25  # the coarse pass is made where it takes at most this part of the full pass's tiles
MARGIN_PART = 0.25  # of the patch, around what the coarse pass finds
EXPORT_SLICES = 16
MIN_AGREEMENT = 0.99  # of muscle voxels with float32's label, for a narrower number format
MIN_GAIN = 1.2  # in seconds, for leaving float32


class InvalidModel(ValueError):
    """A model folder that is incomplete or is not what its manifest says."""


@dataclass(frozen=True)
class Model:
    """A verified model folder.

    Attributes
    ----------
    label_map
        Our label of each of the network's; None where they are the same.
    """

    folder: Path
    model_version: str
    configuration: str
    geometry: ModelGeometry
    label_map: tuple[int, ...] | None
    manifest_sha256: str
    fold_files: tuple[str, ...]
    card: str


def open_model(name_or_folder: str) -> Model:
    """Find a model by its registered name or its folder and verify every file against the manifest's sha256.

    Raises
    ------
    InvalidModel
        If there is no such model, a file is absent or differs from the manifest, or the model reads other channels.
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
    return Model(
        folder=folder,
        model_version=manifest["model_version"],
        configuration=manifest["configuration"],
        geometry=ModelGeometry.from_plans(plans, manifest["configuration"]),
        label_map=tuple(manifest["label_map"]) if "label_map" in manifest else None,
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

    A narrower format has to label 99 % of the muscle voxels as float32 does and to be 1.2 times as quick. Where the tile
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
        is_quicker = seconds[precision] * (MIN_GAIN if quickest == "float32" else 1) < seconds[quickest]
        if agreement >= MIN_AGREEMENT and is_quicker:
            quickest = precision
    return quickest


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
        self._sums = (torch.float16, "cpu") if is_low_memory else (torch.float32, device)
        self._patch = tuple(configuration.patch_size)
        self._weights = tile_weights(self._patch)
        self._spacing = tuple(configuration.spacing)
        self._transpose = tuple(plans.transpose_forward)
        self._normalisers = _open_normalisers(configuration, plans.foreground_intensity_properties_per_channel)
        self._orders = [
            (kwargs["order"], kwargs["order_z"], kwargs["force_separate_z"])
            for kwargs in map(configuration.configuration.get, _RESAMPLING_KWARGS)
        ]

    def segment(
        self, dixon: DixonSet, is_confined: bool = True, turn: AbstractContextManager | None = None
    ) -> np.ndarray:
        """Label map (x, y, z; uint8) of a case on its own RAS+ grid.

        With `is_confined`, fold 0 looks at every third slice first, and the tiles of all folds cover only what lies around the
        muscles found, unless this saves little, a muscle was not found, or one reaches the edge of what was covered.
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
        return labels.transpose(np.argsort(self._transpose)).T

    def probe(self, dixon: DixonSet) -> tuple[np.ndarray, float]:
        """Labels of the middle tile of a case, and the seconds it took (the better of two)."""
        import torch

        volumes, spacing = self._orient(dixon)
        source, target = self._grids(volumes[0].shape, spacing)
        box = tuple(_widen(slice(n // 2, n // 2), size, n) for n, size in zip(target.shape, self._patch, strict=True))
        seconds = []
        with torch.inference_mode():
            channels, to_model = self._normalise(volumes), axis_matrices(source, target, *self._orders[0])
            for _ in range(2):
                started = time.perf_counter()
                labels = self._label(self._predict(self._networks, channels, to_model, box)).cpu().numpy()
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
        channels = self._normalise(volumes)
        to_model = axis_matrices(source, target, *self._orders[0])
        from_model = axis_matrices(target, source, *self._orders[1])
        with turn:
            logits, box, part = self._run_networks(channels, to_model, target.shape, is_confined)
        return self._export(logits, box, part, from_model, source.shape)

    def _run_networks(
        self, channels: list["torch.Tensor"], to_model, shape: tuple[int, ...], is_confined: bool
    ) -> tuple["torch.Tensor", Box, Box]:
        """Logits (label, z, y, x) of a box of the model's grid, the box, and the part of it that holds all muscle."""
        box = self._find_muscle(channels, to_model, shape) if is_confined else None
        if box is not None:
            logits = self._predict(self._networks, channels, to_model, box)
            muscle = _bounding_box(self._label(logits).cpu().numpy(), margin=(1, 1, 1), shape=logits.shape[1:])
            if muscle and not _touches(muscle, box, shape):
                return logits, box, muscle
        everything = tuple(slice(0, n) for n in shape)
        return self._predict(self._networks, channels, to_model, everything), everything, everything

    def _normalise(self, volumes: list[np.ndarray]) -> list["torch.Tensor"]:
        """Each channel (z, y, x; float32) normalised as the plan says."""
        import torch

        outside = None
        if any(normaliser.use_mask_for_norm for normaliser in self._normalisers):
            from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

            outside = create_nonzero_mask(np.stack(volumes)).astype(np.int8) - 1
        return [
            torch.from_numpy(normaliser.run(volume.astype(np.float32, order="C"), outside)).to(self._device)
            for normaliser, volume in zip(self._normalisers, volumes, strict=True)
        ]

    def _predict(self, networks, channels: list["torch.Tensor"], to_model, box: Box) -> "torch.Tensor":
        """Logits (label, z, y, x) of a box of the model's grid."""
        import torch

        data = torch.stack([resample(channel, to_model, box) for channel in channels])
        return predict_logits(networks, data, self._weights, TILE_STEP, self._memory_format, *self._sums)

    def _find_muscle(self, channels: list["torch.Tensor"], to_model, shape: tuple[int, ...]) -> Box | None:
        """Box of the model's grid around the muscles that fold 0 sees in every third slice; None = the whole grid."""
        import torch

        strides = (COARSE_STRIDE, 1, 1)
        coarse = tuple(slice(stride // 2, n, stride) for n, stride in zip(shape, strides, strict=True))
        coarse_shape = [len(range(n)[rows]) for n, rows in zip(shape, coarse, strict=True)]
        n_full = len(self._networks) * n_tiles(shape, self._patch, TILE_STEP)
        if n_tiles(coarse_shape, self._patch, 1.0) > COARSE_TILES_PART * n_full:
            return None
        data = torch.stack([resample(channel, to_model, coarse) for channel in channels])
        logits = predict_logits(self._networks[:1], data, self._weights, 1.0, self._memory_format, *self._sums)
        labels = self._label(logits).cpu().numpy()
        if len(np.unique(labels)) <= len(LABELS):
            return None
        found = _bounding_box(labels, margin=(1, 0, 0), shape=coarse_shape)
        margins = [int(size * MARGIN_PART) for size in self._patch]
        box = tuple(
            _widen(slice(part.start * stride - margin, part.stop * stride + margin), size, n)
            for part, stride, margin, size, n in zip(found, strides, margins, self._patch, shape, strict=True)
        )
        n_box = len(self._networks) * n_tiles([part.stop - part.start for part in box], self._patch, TILE_STEP)
        return box if n_box < n_full else None

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


def _open_normalisers(configuration, intensities: dict) -> list:
    """nnU-Net's own normalisation of each channel.

    Raises
    ------
    InvalidModel
        If the plan resamples otherwise than nnU-Net does by default.
    """
    from nnunetv2.preprocessing.normalization import default_normalization_schemes as schemes

    functions = {configuration.configuration[f"resampling_fn_{what}"] for what in ("data", "probabilities")}
    if functions != {"resample_data_or_seg_to_shape"}:
        raise InvalidModel(
            f"The plan resamples by {', '.join(sorted(functions))}: plan with nnU-Net's default resampling."
        )
    return [
        getattr(schemes, name)(use_mask_for_norm=use_mask, intensityproperties=intensities[str(channel)])
        for channel, (name, use_mask) in enumerate(
            zip(configuration.normalization_schemes, configuration.use_mask_for_norm, strict=True)
        )
    ]


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


def _widen(part: slice, size: int, n: int) -> slice:
    """A part at least `size` long about the same centre, within 0..n."""
    missing = max(size - (part.stop - part.start), 0)
    start = min(max(part.start - missing // 2, 0), max(n - size, 0))
    return slice(start, min(max(part.stop + missing - missing // 2, start + size), n))


def _touches(muscle: Box, box: Box, shape: tuple[int, ...]) -> bool:
    """Whether muscle (box relative to `box`) reaches a side of `box` that is no side of the image."""
    return any(
        (inner.start == 0 and outer.start > 0) or (outer.start + inner.stop == outer.stop < n)
        for inner, outer, n in zip(muscle, box, shape, strict=True)
    )


def _argmax(logits: "torch.Tensor") -> "torch.Tensor":
    """`logits.argmax(0)` as uint8; on a CPU several times as quick."""
    import torch

    best, labels = logits[0].clone(), torch.zeros(logits.shape[1:], dtype=torch.uint8, device=logits.device)
    for label, values in enumerate(logits[1:], start=1):
        labels.masked_fill_(values > best, label)
        torch.maximum(best, values, out=best)
    return labels
