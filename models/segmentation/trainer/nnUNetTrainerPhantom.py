"""The nnU-Net trainer of the phantom model: short, unmirrored, and quick on a CPU.

nnU-Net finds it by its file name through the environment variable `nnUNet_extTrainer`, which is why it has a folder of
its own. Nothing else belongs here.
"""

import torch
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import nnUNetTrainerNoMirroring

ROTATION_RAD = (-0.26, 0.26)


class nnUNetTrainerPhantom(nnUNetTrainerNoMirroring):
    """nnU-Net's training without mirroring, rotations within 15 degrees, 130 epochs of 40 iterations.

    On a CPU the forward and backward pass run in bfloat16 with channels last.
    """

    def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: torch.device):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = 130
        self.num_iterations_per_epoch = 40
        self.num_val_iterations_per_epoch = 4
        self.save_every = 2

    def initialize(self):
        super().initialize()
        self.network = self.network.to(memory_format=torch.channels_last_3d)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):
        _, _, _, mirror_axes = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        initial = get_patch_size(self.configuration_manager.patch_size, *[ROTATION_RAD] * 3, (0.85, 1.25))
        return ROTATION_RAD, False, initial, mirror_axes

    def train_step(self, batch: dict) -> dict:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.device.type == "cpu"):
            return super().train_step(_channels_last(batch))

    def validation_step(self, batch: dict) -> dict:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.device.type == "cpu"):
            return super().validation_step(_channels_last(batch))


def _channels_last(batch: dict) -> dict:
    return batch | {"data": batch["data"].contiguous(memory_format=torch.channels_last_3d)}
