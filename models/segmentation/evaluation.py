"""Agreement of a predicted with a true label map, per label and case.

What belongs here: scores of masks against masks. No network, no files.
"""

import numpy as np
import pandas as pd

from models.segmentation.anatomy import COMPARTMENTS, LABELS, SIDES


def score_labels(predicted: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """Dice per label: 2 |A and B| / (|A| + |B|), NaN where both masks are empty.

    Parameters
    ----------
    predicted, truth : ndarray of int, same shape
        Label maps with the values of `anatomy.LABELS`.

    Returns
    -------
    DataFrame
        compartment, side, dice.
    """
    rows = []
    for (compartment, side), value in LABELS.items():
        a, b = predicted == value, truth == value
        size = int(a.sum() + b.sum())
        rows.append((compartment, side, 2 * int((a & b).sum()) / size if size else np.nan))
    return pd.DataFrame(rows, columns=["compartment", "side", "dice"])


def exchanged_side_pct(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Share of the predicted muscle voxels that lie in the true muscle of the same compartment's other side, in percent."""
    exchanged = sum(
        int(((predicted == LABELS[compartment, side]) & (truth == LABELS[compartment, other])).sum())
        for compartment in COMPARTMENTS
        for side, other in (SIDES, SIDES[::-1])
    )
    return 100 * exchanged / max(int((predicted > 0).sum()), 1)
