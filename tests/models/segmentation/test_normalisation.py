"""Channels are normalised as nnU-Net's own schemes do it, before or after resampling."""

import numpy as np
import pytest
from nnunetv2.preprocessing.normalization.default_normalization_schemes import CTNormalization, ZScoreNormalization

from models.segmentation.normalisation import open_channels

INTENSITIES = {"mean": 300.0, "std": 150.0, "percentile_00_5": 20.0, "percentile_99_5": 900.0}
OUTSIDE = np.zeros((6, 20, 20), bool)
OUTSIDE[:, :4] = True


@pytest.mark.parametrize(
    ("scheme", "is_masked"), [(ZScoreNormalization, False), (ZScoreNormalization, True), (CTNormalization, False)]
)
def test_channels_are_normalised_as_nnunet_does(scheme, is_masked):
    volume = np.random.default_rng(1).integers(1, 1500, OUTSIDE.shape).astype(np.uint16)
    volume[OUTSIDE] = 0
    normaliser = scheme(use_mask_for_norm=is_masked, intensityproperties=INTENSITIES)
    (channel,) = open_channels([volume], [normaliser])
    theirs = normaliser.run(volume.astype(np.float32), OUTSIDE.astype(np.int8) * -1)
    np.testing.assert_allclose((channel.voxels - channel.mean) / channel.sd, theirs, atol=1e-5)


def test_constant_volume_becomes_zero():
    (channel,) = open_channels([np.full((3, 4, 5), 7, np.uint16)], [ZScoreNormalization(False, INTENSITIES)])
    assert not ((channel.voxels - channel.mean) / channel.sd).any()
