"""nnU-Net's normalisation of each channel, put off until fewer voxels are left where that changes nothing.

What belongs here: from a plan's schemes to channels that carry their mean and SD. Resampling belongs to `resampling.py`.
"""

from dataclasses import dataclass

import numpy as np

SMALLEST_SD = 1e-8


@dataclass(frozen=True)
class Channel:
    """Voxels (z, y, x) and what normalises them: (x - mean) / sd, before resampling or after, which is the same."""

    voxels: np.ndarray
    mean: float = 0.0
    sd: float = 1.0


def open_normalisers(configuration, intensities: dict) -> list:
    """nnU-Net's own normalisation of each channel of a planned configuration."""
    from nnunetv2.preprocessing.normalization import default_normalization_schemes as schemes

    return [
        getattr(schemes, name)(use_mask_for_norm=use_mask, intensityproperties=intensities[str(channel)])
        for channel, (name, use_mask) in enumerate(
            zip(configuration.normalization_schemes, configuration.use_mask_for_norm, strict=True)
        )
    ]


def open_channels(volumes: list[np.ndarray], normalisers: list) -> list[Channel]:
    """The volumes (z, y, x) with the normalisation of each."""
    outside = None
    if any(normaliser.use_mask_for_norm for normaliser in normalisers):
        from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

        outside = create_nonzero_mask(np.stack(volumes)).astype(np.int8) - 1
    return [_open_channel(volume, normaliser, outside) for normaliser, volume in zip(normalisers, volumes, strict=True)]


def _open_channel(volume: np.ndarray, normaliser, outside: np.ndarray | None) -> Channel:
    """nnU-Net's usual normalisation, the z-score of the whole volume, as mean and SD; any other done at once."""
    from nnunetv2.preprocessing.normalization.default_normalization_schemes import ZScoreNormalization

    if type(normaliser) is not ZScoreNormalization or normaliser.use_mask_for_norm:
        return Channel(normaliser.run(volume.astype(np.float32), outside))
    total = squares = 0.0
    for plane in volume:
        values = plane.astype(np.float64).ravel()
        total, squares = total + values.sum(), squares + values @ values
    mean = total / volume.size
    return Channel(volume, mean, max(np.sqrt(max(squares / volume.size - mean**2, 0.0)), SMALLEST_SD))
