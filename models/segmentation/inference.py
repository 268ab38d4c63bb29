"""A registered model and a case in, a label map out.

What belongs here: verifying and loading a model folder, and running it on one case at a time. Choosing cases, deadlines and
retries belong to the orchestration; training to `training.py`.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.imaging.dixon import CONTRASTS, DixonSet

REGISTRY = Path(__file__).parent / "nnunet"


class InvalidModel(ValueError):
    """A model folder that is incomplete or is not what its manifest says."""


@dataclass(frozen=True)
class Model:
    """A verified model folder: version, nnU-Net configuration, sha256 of the manifest, the fold files, the card's text."""

    folder: Path
    model_version: str
    configuration: str
    manifest_sha256: str
    fold_files: tuple[str, ...]
    card: str


def open_model(name_or_folder: str) -> Model:
    """Find a model by its registered name or its folder and verify every file against the manifest's sha256.

    Raises
    ------
    InvalidModel
        If there is no such model, or a file is absent or differs from the manifest.
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
        card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise InvalidModel(
            f"Model {folder.name} has no {missing}: set MYONORM_MODEL to a registered name or a model folder."
        ) from error
    return Model(
        folder=folder,
        model_version=manifest["model_version"],
        configuration=manifest["configuration"],
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


class Segmenter:
    """A model, loaded once; `segment` runs it on one case. Nothing is mirrored at test time."""

    def __init__(self, model: Model, device: str):
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
            len(CONTRASTS),
            plans.get_label_manager(dataset).num_segmentation_heads,
            deep_supervision=False,
        )
        weights = load_weights(model)
        network.load_state_dict(weights[0])
        self._predictor = nnUNetPredictor(
            use_mirroring=False,
            perform_everything_on_device=device == "cuda",
            device=torch.device(device),
            allow_tqdm=False,
        )
        self._predictor.manual_initialization(
            network, plans, configuration, weights, dataset, trainer_name="", inference_allowed_mirroring_axes=None
        )
        self._preprocessor = configuration.preprocessor_class(verbose=False)

    def segment(self, dixon: DixonSet) -> np.ndarray:
        """Label map (x, y, z; uint8) of a case on its own RAS+ grid."""
        import torch
        from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape

        predictor = self._predictor
        # nnU-Net works on (channel, z, y, x), with the spacing in the same order.
        image = np.stack([dixon.volumes[contrast].T for contrast in CONTRASTS]).astype(np.float32)
        properties = {"spacing": [float(step) for step in np.linalg.norm(dixon.affine[:3, :3], axis=0)[::-1]]}
        plans, configuration = predictor.plans_manager, predictor.configuration_manager
        data, _, properties = self._preprocessor.run_case_npy(
            image, None, properties, plans, configuration, predictor.dataset_json
        )
        logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data))
        labels = convert_predicted_logits_to_segmentation_with_correct_shape(
            logits, plans, configuration, predictor.label_manager, properties
        )
        return np.asarray(labels, dtype=np.uint8).T
