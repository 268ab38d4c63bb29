"""Automatic quality control: numbers about image, mask and outcome, and the verdict that a threshold gives them.

What belongs here: one function per group of checks, each returning numbers by the name of the check, and `judge`. The
thresholds with their sources are data (``sql/ref/threshold.csv``); storing verdicts is the orchestration's work.

Only a fact about the image or the mask can fail a case. What depends on the outcome can only warn: norms must not be trimmed
by what they describe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from models.imaging.dixon import DixonSet
from models.imaging.swap import SwapEvidence, find_body, find_swaps, thin_out
from models.measurement.morphometry import SMOOTHING_MM, Morphometry, slice_thickness_mm, slice_tilt_deg
from models.segmentation.anatomy import COMPARTMENTS, LABELS, SIDES

REFERENCE_VERSION = "study-2026-1"
WHOLE_SWAP_PCT = 95.0  # of the examined half slices
NOT_INSPECTED = "not_inspected"
_REFERENCE = Path(__file__).parent / "outlier_reference.csv"
_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])[..., None] / 6
_FAT_DOMINATES = 0.7  # of the signal: subcutaneous fat
_BIAS_BLOCK = (12, 12, 8)  # about 50 mm
_ORGAN_VOXELS = (6, 6, 4)  # about 25 mm
_ABDOMEN_MM = 260.0  # above the crotch-nearest slice of the pelvis: where the liver can lie


@dataclass(frozen=True)
class Finding:
    """The number of a check; NaN with `detail` saying why where it could not be had. `detail` may also say where."""

    value: float
    detail: str | None = None


@dataclass(frozen=True)
class Threshold:
    """Limits of a check. `is_upper`: values above them warn or fail, else values below; None = never."""

    check_name: str
    subject: str
    is_upper: bool
    warn_limit: float | None
    fail_limit: float | None


def read_thresholds(path: Path) -> dict[str, Threshold]:
    """The limits of every check, by its name, from the registry's CSV."""
    rows = pd.read_csv(path)
    limits = rows[["warn_limit", "fail_limit"]].astype(object).where(rows[["warn_limit", "fail_limit"]].notna(), None)
    return {
        row.check_name: Threshold(row.check_name, row.subject, row.direction == "above", *limit)
        for row, limit in zip(rows.itertuples(), limits.itertuples(index=False), strict=True)
    }


def judge(findings: Mapping[str, Finding], thresholds: Mapping[str, Threshold]) -> pd.DataFrame:
    """Verdict of every check.

    Returns
    -------
    DataFrame
        check_name, value, warn_limit, fail_limit, verdict (pass, warn, fail), detail. What could not be measured passes:
        the reason is in `detail`, and the checks of what is missing fail on their own.

    Raises
    ------
    KeyError
        If a finding has no threshold.
    """
    rows = []
    for name, finding in findings.items():
        threshold = thresholds[name]
        sign = 1 if threshold.is_upper else -1
        verdict = "pass"
        for limit, word in ((threshold.warn_limit, "warn"), (threshold.fail_limit, "fail")):
            if limit is not None and sign * finding.value > sign * limit:
                verdict = word
        limits = [threshold.warn_limit, threshold.fail_limit]
        rows.append([name, finding.value, *limits, verdict, finding.detail])
    columns = ["check_name", "value", "warn_limit", "fail_limit", "verdict", "detail"]
    return pd.DataFrame(rows, columns=columns).astype({"value": float, "warn_limit": float, "fail_limit": float})


def describe_verdicts(checks: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    """The checks that fail, then those that warn, in words: label, value, limit, where.

    Parameters
    ----------
    checks : DataFrame
        As `judge`.
    labels : mapping
        Label and unit of each check, as `Fat, %`.
    """
    lines = []
    for verdict in ("fail", "warn"):
        for row in checks[checks["verdict"] == verdict].itertuples():
            label, _, unit = labels[row.check_name].rpartition(", ")
            unit = "" if unit == "1" else f" {unit}"
            where = f": {row.detail}" if pd.notna(row.detail) else ""
            limit = getattr(row, f"{verdict}_limit")
            lines.append(f"{verdict.upper()}  {label} {row.value:.3g}{unit} (limit {limit:g}){where}")
    return lines


def check_image(dixon: DixonSet) -> tuple[dict[str, Finding], SwapEvidence]:
    """Facts of the contrasts: residual, swap, noise, bias, empty slices, tilt, voxel, coverage, side of the liver.

    Parameters
    ----------
    dixon : DixonSet
        Voxels (x, y, z), RAS+.
    """
    volumes = dixon.volumes
    evidence = find_swaps(volumes["water"], volumes["fat"], dixon.affine)
    water, fat, affine = thin_out(volumes["water"], volumes["fat"], dixon.affine)
    in_phase, _, _ = thin_out(volumes["in"], volumes["in"], dixon.affine)
    body, is_bright = find_body(water + fat)
    spacing = np.linalg.norm(dixon.affine[:3, :3], axis=0)
    step_mm = slice_thickness_mm(affine)
    findings = {
        "in_phase_residual_pct": _measure_residual(in_phase, water + fat, is_bright),
        "fat_water_swap_pct": Finding(evidence.swapped_pct, evidence.describe() or None),
        "noise_pct": _measure_noise(volumes, dixon.affine),
        "bias_field_pct": _measure_bias(water, fat, is_bright),
        "empty_slices_mm": Finding(_longest_run(~body.any(axis=(0, 1))) * step_mm),
        "slice_tilt_deg": Finding(slice_tilt_deg(dixon.affine)),
        "voxel_edge_mm": Finding(float(spacing.max())),
        "coverage_mm": Finding(float(body.any(axis=(0, 1)).sum() * step_mm)),
        "liver_side_pct": _measure_liver_side(water, fat, is_bright, evidence, affine),
    }
    return findings, evidence


def check_mask(labels: np.ndarray, measured: Morphometry) -> dict[str, Finding]:
    """Facts of the mask: missing labels, exchanged sides, truncation, holes, islands, jagged profile, psoas junction."""
    muscles = measured.muscles.set_index(["compartment", "side"])
    areas = {
        key: rows["csa_cm2"].to_numpy()
        for key, rows in measured.profile.groupby(["compartment", "side"], sort=False)
        if rows["csa_cm2"].max() > 0
    }
    absent = [f"{side} {compartment}" for compartment, side in LABELS if (compartment, side) not in areas]
    islands = 100 - muscles["largest_component_share_pct"]
    findings = {
        "missing_labels": Finding(float(len(absent)), ", ".join(absent) or None),
        "wrong_side_pct": _measure_wrong_side(labels, muscles),
        "truncated_labels": _count_flag(muscles, "is_truncated"),
        "laterally_cut_labels": _count_flag(muscles, "is_cut_laterally"),
        "holes_pct": _worst({key: _hole_pct(labels == value) for key, value in LABELS.items() if key in areas}),
        "islands_pct": _worst(islands.dropna().to_dict()),
        "jagged_profile_pct": _worst({key: _jaggedness_pct(area) for key, area in areas.items()}),
    }
    thickness = float(muscles["slice_thickness_mm"].iloc[0])
    psoas = {key: area for key, area in areas.items() if key[0] == "psoas"}
    findings["psoas_caudal_rise_pct"] = _worst({key: _caudal_rise_pct(a, thickness) for key, a in psoas.items()})
    findings["psoas_maximum_level_pct"] = _worst(muscles["max_csa_level_pct"].loc[["psoas"]].dropna().to_dict())
    return findings


def check_folds(fold_disagreement_pct: float | None) -> dict[str, Finding]:
    """How far the model's folds differ on the case; a mask drawn by hand, or by one fold, has no such number."""
    if fold_disagreement_pct is None:
        return {"fold_disagreement_pct": Finding(float("nan"), "The mask does not come from several folds.")}
    return {"fold_disagreement_pct": Finding(fold_disagreement_pct)}


def check_outcome(
    measured: Morphometry, sex: str | None, height_cm: float | None, weight_kg: float | None
) -> dict[str, Finding]:
    """What depends on the outcome, and so can only warn: asymmetry, implausible size, fatty mask, outlier."""
    muscles = measured.muscles.set_index(["compartment", "side"])
    csa = muscles["max_csa_cm2"].loc[["psoas"]]
    volume_l = muscles["volume_ml"].loc[["gluteus"]] / 1000
    findings = {}
    for name, values in (("psoas_asymmetry_pct", csa), ("gluteus_asymmetry_pct", volume_l)):
        findings[name] = Finding(100 * (values.max() - values.min()) / values.mean()) if values.notna().all() else _NONE
    findings["psoas_area_least_cm2"] = Finding(csa.min()) if csa.notna().any() else _NONE
    findings["psoas_area_largest_cm2"] = Finding(csa.max()) if csa.notna().any() else _NONE
    total = volume_l.sum(skipna=False)
    findings["gluteus_volume_low_l"] = findings["gluteus_volume_high_l"] = Finding(total) if total > 0 else _NONE
    findings["muscle_fat_fraction_pct"] = _worst(muscles["fat_fraction_pct"].dropna().to_dict())
    outcomes = {"csa_psoas_total_cm2": csa.sum(skipna=False), "volume_gluteus_total_l": total}
    for measure, name in (("csa_psoas_total_cm2", "psoas_outlier_z"), ("volume_gluteus_total_l", "gluteus_outlier_z")):
        findings[name] = _score_outlier(measure, outcomes[measure], sex, height_cm, weight_kg)
    return findings


_NONE = Finding(float("nan"), "Not measured: see the reasons in imaging.muscle.")


def _worst(values: Mapping[tuple[str, str], float]) -> Finding:
    """The largest of some numbers, and whose it is."""
    if not values:
        return _NONE
    key = max(values, key=values.__getitem__)
    return Finding(float(values[key]), f"{key[1]} {key[0]}")


def _count_flag(muscles: pd.DataFrame, flag: str) -> Finding:
    where = [f"{side} {compartment}" for compartment, side in muscles.index[muscles[flag].eq(True)]]
    return Finding(float(len(where)), ", ".join(where) or None)


def _measure_residual(in_phase: np.ndarray, total: np.ndarray, is_body: np.ndarray) -> Finding:
    """Median of |in - (W + F)| over the body, relative to the median of in, in percent."""
    if not is_body.any():
        return Finding(float("nan"), "No body was found.")
    signal = in_phase[is_body]
    return Finding(float(100 * np.median(abs(signal - total[is_body])) / max(np.median(signal), 1e-9)))


def _measure_noise(volumes: Mapping[str, np.ndarray], affine: np.ndarray) -> Finding:
    """Immerkaer's (1996) estimate of the noise SD of water, by slice, relative to the 95th percentile of its signal, in percent.

    The operator cancels structure that is linear in x and y; the median over the image ignores edges.
    """
    n = volumes["water"].shape[2]
    planes = volumes["water"][:, :, np.linspace(0, n - 1, min(n, 24)).astype(int)].astype(np.float32)
    signal = float(np.percentile(planes[::2, ::2], 95))
    is_body = planes > signal / 3
    if signal <= 0 or not is_body.any():
        return Finding(float("nan"), "No body was found.")
    residual = abs(ndimage.convolve(planes, _LAPLACIAN))[ndimage.binary_erosion(is_body, np.ones((3, 3, 1)))]
    return Finding(100 * float(np.median(residual)) / 0.6745 / signal if residual.size else float("nan"))


def _measure_bias(water: np.ndarray, fat: np.ndarray, is_body: np.ndarray) -> Finding:
    """Spread (95th less 5th percentile) of the signal of fat tissue in blocks of 50 mm, relative to their median, in percent."""
    total = water + fat
    is_fat = is_body & (fat > _FAT_DOMINATES * total)
    blocks = []
    for first in np.ndindex(*(-(-n // step) for n, step in zip(total.shape, _BIAS_BLOCK, strict=True))):
        block = tuple(slice(i * step, (i + 1) * step) for i, step in zip(first, _BIAS_BLOCK, strict=True))
        values = total[block][is_fat[block]]
        if values.size >= 30:
            blocks.append(float(np.median(values)))
    if len(blocks) < 5:
        return Finding(float("nan"), "Too little fat to compare.")
    low, middle, high = np.percentile(blocks, [5, 50, 95])
    return Finding(float(100 * (high - low) / middle))


def _longest_run(is_true: np.ndarray) -> int:
    """Number of elements of the longest unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_true, [False]]).astype(int)))
    return int((edges[1::2] - edges[::2]).max()) if edges.size else 0


def _measure_liver_side(
    water: np.ndarray, fat: np.ndarray, is_bright: np.ndarray, evidence: SwapEvidence, affine: np.ndarray
) -> Finding:
    """Fat-free organ in the upper trunk on the right, less that on the left, in percent of the body there.

    The liver has 1.5 L and lies right (world coordinates). A voxel counts where less than 15 % of the signal around it,
    within 25 mm, is fat, any exchange of water and fat being undone. The body is halved slice by slice.
    """
    upper = np.flatnonzero(np.arange(water.shape[2]) * slice_thickness_mm(affine) > _ABDOMEN_MM)
    columns = np.arange(len(water))
    middles = {}
    for k in upper:
        count = is_bright[:, :, k].sum(axis=1)
        if count.any():
            middles[k] = count @ columns / count.sum()
    if not middles:
        return Finding(float("nan"), "No trunk was found.")
    is_right = np.zeros(water.shape, bool)
    for k, middle in middles.items():
        is_right[:, :, k] = (columns > middle)[:, None]
    swapped = np.where(is_right, *(evidence.is_swapped[:, half] for half in (1, 0)))
    total = ndimage.uniform_filter((water + fat) * is_bright, _ORGAN_VOXELS)
    lipid = ndimage.uniform_filter(np.where(swapped, water, fat) * is_bright, _ORGAN_VOXELS)
    chosen = np.zeros(water.shape, bool)
    chosen[:, :, list(middles)] = is_bright[:, :, list(middles)]
    organ = chosen & (lipid < 0.15 * total)
    share = [organ[half].sum() / max(chosen[half].sum(), 1) for half in (is_right, ~is_right)]
    return Finding(100 * float(share[0] - share[1]))


def _measure_wrong_side(labels: np.ndarray, muscles: pd.DataFrame) -> Finding:
    """Largest share of a label's voxels that lies beyond the plane midway between left and right, in percent.

    Left must lie at smaller x: exchanged sides give 100.
    """
    centroid = muscles["centroid_x_mm"]
    shares = {}
    for compartment in COMPARTMENTS:
        left, right = (centroid[compartment, side] for side in SIDES)
        if np.isfinite([left, right]).all():
            columns = {
                s: np.bincount(np.nonzero(labels == LABELS[compartment, s])[0], minlength=len(labels)) for s in SIDES
            }
            index = {side: columns[side] @ np.arange(len(labels)) / columns[side].sum() for side in SIDES}
            middle = (index["left"] + index["right"]) / 2
            is_right = np.arange(len(labels)) > middle
            shares[compartment, "left"] = 100 * columns["left"][is_right].sum() / columns["left"].sum()
            shares[compartment, "right"] = 100 * columns["right"][~is_right].sum() / columns["right"].sum()
    return _worst(shares)


def _hole_pct(mask: np.ndarray) -> float:
    """Area enclosed by the mask within its slices, relative to the mask, in percent."""
    box = mask[ndimage.find_objects(mask.view(np.uint8))[0]]
    filled = sum(int(ndimage.binary_fill_holes(plane).sum()) for plane in np.moveaxis(box, 2, 0))
    return 100 * (filled / box.sum() - 1)


def _jaggedness_pct(areas: np.ndarray) -> float:
    """Largest distance of a slice's area from the mean of its neighbours', relative to the largest area, in percent.

    Of a smooth muscle it is small whatever the slope; an empty slice within gives about 100.
    """
    if areas.size < 3:
        return 0.0
    return float(100 * abs(areas[1:-1] - (areas[:-2] + areas[2:]) / 2).max() / areas.max())


def _caudal_rise_pct(areas: np.ndarray, thickness_mm: float) -> float:
    """Largest gain of area over 15 mm on the way down in the lower third, relative to the largest area above it, in percent.

    The psoas tapers there; where it takes in the iliacus it grows at once.
    """
    step = max(1, round(SMOOTHING_MM / thickness_mm))
    start = 2 * areas.size // 3
    if areas.size < 3 * step:
        return 0.0
    lower = areas[start - step :] if start >= step else areas
    return float(100 * max(0.0, (lower[step:] - lower[:-step]).max()) / areas[:start].max())


def _score_outlier(
    measure: str, value: float, sex: str | None, height_cm: float | None, weight_kg: float | None
) -> Finding:
    """Distance from what sex, height and weight lead one to expect, in SD of the frozen reference.

    ln(value) = intercept + b_h ln(height) + b_w ln(weight), fitted once; the file is versioned, new releases do not move it.
    """
    if not np.isfinite(value) or value <= 0:
        return _NONE
    if sex not in ("F", "M") or not height_cm or not weight_kg or not np.isfinite([height_cm, weight_kg]).all():
        return Finding(float("nan"), "Sex, height or weight is not known.")
    rows = pd.read_csv(_REFERENCE).set_index(["measure", "sex"])
    row = rows.loc[(measure, sex)]
    expected = row["intercept"] + row["ln_height_cm"] * np.log(height_cm) + row["ln_weight_kg"] * np.log(weight_kg)
    return Finding(float(abs(np.log(value) - expected) / row["sd"]), f"reference {REFERENCE_VERSION}")
