"""nnU-Net's trainer without mirroring, set up by the training profile that the plan carries.

nnU-Net finds it by its file name through the environment variable `nnUNet_extTrainer`, which is why it has a folder of
its own. What a profile may say is in `profiles.toml`; nothing else belongs here.
"""

from pathlib import Path

import numpy as np
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import nnUNetTrainerNoMirroring

SCALING = (0.85, 1.25)
RESAMPLING = (GaussianBlurTransform, SimulateLowResolutionTransform)


class nnUNetTrainerMyonorm(nnUNetTrainerNoMirroring):
    """nnU-Net's training by the profile under `training_profile` in the plans; nothing is mirrored.

    On a CPU the forward and backward pass run in bfloat16 with channels last.
    """

    def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: torch.device):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.profile = plans["training_profile"]
        self.num_epochs = self.profile["epochs"]
        self.num_iterations_per_epoch = self.profile["iterations_per_epoch"]
        self.num_val_iterations_per_epoch = self.profile["validation_iterations_per_epoch"]
        self.initial_lr = self.profile["initial_lr"]
        self.save_every = self.profile["epochs_per_checkpoint"]
        self.oversample_foreground_percent = self.profile["foreground_share"]

    def initialize(self):
        super().initialize()
        if self.device.type == "cpu":
            self.network = self.network.to(memory_format=torch.channels_last_3d)

    def save_checkpoint(self, filename: str) -> None:
        """Write the checkpoint beside and rename it: nnU-Net's own is half a file where the process is killed meanwhile."""
        complete, temporary = Path(filename), Path(f"{filename}.tmp")
        super().save_checkpoint(str(temporary))
        if temporary.is_file():
            temporary.replace(complete)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):
        rotation, is_dummy_2d, initial_patch, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        if "rotation_deg" in self.profile:
            most = np.deg2rad(self.profile["rotation_deg"])
            rotation, is_dummy_2d = (-most, most), False
            initial_patch = get_patch_size(self.configuration_manager.patch_size, *[rotation] * 3, SCALING)
        return rotation, is_dummy_2d, initial_patch, mirror_axes

    def get_training_transforms(self, *arguments, **options) -> ComposeTransforms:
        composed = nnUNetTrainerNoMirroring.get_training_transforms(*arguments, **options)
        if self.profile["is_resampled"]:
            return composed
        kept = [t for t in composed.transforms if not isinstance(getattr(t, "transform", t), RESAMPLING)]
        for transform in kept:
            if isinstance(transform, SpatialTransform):
                transform.p_rotation = transform.p_scaling = 0
        return ComposeTransforms(kept)

    def train_step(self, batch: dict) -> dict:
        with self._number_format():
            return super().train_step(self._arrange(batch))

    def validation_step(self, batch: dict) -> dict:
        with self._number_format():
            return super().validation_step(self._arrange(batch))

    def _number_format(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.device.type == "cpu")

    def _arrange(self, batch: dict) -> dict:
        if self.device.type != "cpu":
            return batch
        return batch | {"data": batch["data"].contiguous(memory_format=torch.channels_last_3d)}
