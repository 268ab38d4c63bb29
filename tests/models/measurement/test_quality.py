"""Every check sees its fault, lets a sound case pass, and only facts about image or mask can fail."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.imaging.dixon import DixonSet
from models.imaging.phantom import Acquisition, Person, Phantom, render
from models.measurement.morphometry import measure
from models.measurement.quality import (
    Finding,
    check_folds,
    check_image,
    check_mask,
    check_outcome,
    describe_verdicts,
    judge,
    read_thresholds,
)
from models.segmentation.anatomy import LABELS

REGISTRY = Path(__file__).parents[3] / "sql" / "ref" / "threshold.csv"
THRESHOLDS = read_thresholds(REGISTRY)
PERSON = Person("1", "M", 45, 178.0, 82.0)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return render(PERSON, 11)


def _image_verdicts(dixon: DixonSet) -> dict[str, str]:
    return _verdicts(check_image(dixon)[0])


def _mask_verdicts(labels: np.ndarray, affine: np.ndarray) -> dict[str, str]:
    return _verdicts(check_mask(labels, measure(labels, affine)))


def _verdicts(findings) -> dict[str, str]:
    checks = judge(findings, THRESHOLDS)
    return dict(zip(checks["check_name"], checks["verdict"], strict=True))


def _with(dixon: DixonSet, **volumes: np.ndarray) -> DixonSet:
    return DixonSet({**dixon.volumes, **volumes}, dixon.affine)


def test_folds_that_disagree_warn_and_never_fail():
    assert _verdicts(check_folds(100.0)) == {"fold_disagreement_pct": "warn"}
    assert _verdicts(check_folds(None)) == {"fold_disagreement_pct": "pass"}


def test_sound_case_passes_every_check(phantom):
    measured = measure(
        phantom.labels, phantom.dixon.affine, phantom.dixon.volumes["fat"], phantom.dixon.volumes["water"]
    )
    findings = check_image(phantom.dixon)[0] | check_mask(phantom.labels, measured)
    findings |= check_outcome(measured, PERSON.sex, PERSON.height_cm, PERSON.weight_kg) | check_folds(3.0)
    verdicts = _verdicts(findings)
    assert set(verdicts.values()) == {"pass"}, verdicts
    assert all(np.isfinite(finding.value) for finding in findings.values())
    assert set(verdicts) | {"not_inspected"} == set(THRESHOLDS)


def test_registry_lets_outcomes_only_warn_and_names_every_source():
    rows = pd.read_csv(REGISTRY)
    assert rows.loc[rows["subject"] == "outcome", "fail_limit"].isna().all()
    assert rows["source"].str.len().min() > 20 and rows["check_name"].is_unique
    both = rows.dropna(subset=["warn_limit", "fail_limit"])
    sign = both["direction"].map({"above": 1, "below": -1})
    assert (sign * both["fail_limit"] > sign * both["warn_limit"]).all()


@pytest.mark.parametrize(
    ("name", "values", "verdicts"),
    [
        ("coverage_mm", (401, 399, 299), ("pass", "warn", "fail")),
        ("islands_pct", (2, 2.1, 15.1), ("pass", "warn", "fail")),
        ("psoas_asymmetry_pct", (16, 17, 170), ("pass", "warn", "warn")),
        ("missing_labels", (0, 1, 4), ("pass", "fail", "fail")),
        ("noise_pct", (float("nan"),), ("pass",)),
    ],
)
def test_limits_are_outside_the_passing_range(name, values, verdicts):
    assert tuple(_verdicts({name: Finding(value)})[name] for value in values) == verdicts


def test_image_faults_are_seen(phantom):
    volumes, dixon = phantom.dixon.volumes, phantom.dixon
    swapped = _with(dixon, water=volumes["fat"], fat=volumes["water"])
    assert _image_verdicts(swapped)["fat_water_swap_pct"] == "fail"
    halved = _with(dixon, **{"in": volumes["in"] // 2})
    assert _image_verdicts(halved)["in_phase_residual_pct"] == "fail"
    empty = {contrast: volume.copy() for contrast, volume in volumes.items()}
    for volume in empty.values():
        volume[:, :, 60:75] = 0
    assert _image_verdicts(_with(dixon, **empty))["empty_slices_mm"] == "fail"
    mirrored = _with(dixon, **{contrast: volume[::-1] for contrast, volume in volumes.items()})
    assert _image_verdicts(mirrored)["liver_side_pct"] == "fail"
    short = DixonSet({contrast: volume[:, :, 40:88] for contrast, volume in volumes.items()}, dixon.affine)
    assert _image_verdicts(short)["coverage_mm"] == "fail"
    tilt = np.deg2rad(25)
    rotation = np.eye(4)
    rotation[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    assert _image_verdicts(DixonSet(volumes, rotation @ dixon.affine))["slice_tilt_deg"] == "fail"


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_noise_grows_with_noise(noise):
    low, high = (
        check_image(render(PERSON, 11, acquisition=Acquisition(level)).dixon)[0]["noise_pct"].value
        for level in (noise, 2 * noise)
    )
    assert high > 1.3 * low


def test_bias_is_seen_beyond_what_segmentation_was_tested_with():
    weak, strong = (
        check_image(render(PERSON, 11, acquisition=Acquisition(bias=bias)).dixon)[0]["bias_field_pct"].value
        for bias in (0.1, 0.9)
    )
    assert strong > 2 * weak and strong > THRESHOLDS["bias_field_pct"].warn_limit


def _psoas_slices(labels: np.ndarray) -> np.ndarray:
    return np.flatnonzero((labels == LABELS["psoas", "left"]).any(axis=(0, 1)))


def _lose_label(labels):
    labels[labels == LABELS["gluteus", "right"]] = 0


def _exchange_sides(labels):
    labels[:] = np.array([0, 2, 1, 4, 3], np.uint8)[labels]


def _drill(labels):
    where = np.argwhere(labels == LABELS["gluteus", "left"])
    for x, y, z in where[:: len(where) // 250]:
        block = labels[x : x + 2, y : y + 2, z]
        if (labels[x - 1 : x + 3, y - 1 : y + 3, z] == LABELS["gluteus", "left"]).all():
            block[:] = 0


def _add_island(labels):
    labels[5:30, 60:80, 140:150] = LABELS["psoas", "right"]


def _empty_slice(labels):
    middle = _psoas_slices(labels)[len(_psoas_slices(labels)) // 2]
    labels[:, :, middle][labels[:, :, middle] == LABELS["psoas", "left"]] = 0


def _take_in_iliacus(labels):
    for k in _psoas_slices(labels)[:6]:
        x, y = (int(axis.mean()) for axis in np.nonzero(labels[:, :, k] == LABELS["psoas", "left"]))
        block = labels[x - 6 : x + 6, y - 5 : y + 5, k]
        block[block == 0] = LABELS["psoas", "left"]


MASK_FAULTS = {
    "missing_labels": (_lose_label, "fail"),
    "wrong_side_pct": (_exchange_sides, "fail"),
    "islands_pct": (_add_island, "fail"),
    "jagged_profile_pct": (_empty_slice, "fail"),
    "holes_pct": (_drill, "warn"),
    "psoas_caudal_rise_pct": (_take_in_iliacus, "warn"),
}


@pytest.mark.parametrize("check", MASK_FAULTS)
def test_mask_fault_is_seen_by_its_check(phantom, check):
    put_in, expected = MASK_FAULTS[check]
    labels = phantom.labels.copy()
    put_in(labels)
    assert _mask_verdicts(labels, phantom.dixon.affine)[check] == expected


def test_maximum_at_the_caudal_end_warns(phantom):
    labels = phantom.labels.copy()
    for value in (1, 2):
        slices = np.flatnonzero((labels == value).any(axis=(0, 1)))
        labels[:, :, : slices[len(slices) // 2]][labels[:, :, : slices[len(slices) // 2]] == value] = 0
    assert _mask_verdicts(labels, phantom.dixon.affine)["psoas_maximum_level_pct"] == "warn"


def test_lateral_truncation_warns_and_never_fails(phantom):
    columns = np.flatnonzero((phantom.labels > 0).any(axis=(1, 2)))
    cut = phantom.labels[columns[4] :]
    verdicts = _mask_verdicts(cut, phantom.dixon.affine)
    assert verdicts["laterally_cut_labels"] == verdicts["truncated_labels"] == "warn"
    assert "fail" not in verdicts.values()


def test_empty_mask_fails_by_what_is_missing_and_nothing_else(phantom):
    verdicts = _mask_verdicts(np.zeros_like(phantom.labels), phantom.dixon.affine)
    assert verdicts.pop("missing_labels") == "fail" and set(verdicts.values()) == {"pass"}


def test_outlier_is_scored_against_the_frozen_reference(phantom):
    """A person far heavier than the muscles suggest is far out; without covariates nothing is said."""
    measured = measure(phantom.labels, phantom.dixon.affine)
    usual = check_outcome(measured, "M", 178.0, 82.0)["gluteus_outlier_z"]
    odd = check_outcome(measured, "M", 178.0, 500.0)["gluteus_outlier_z"]
    unknown = check_outcome(measured, "M", None, 82.0)["gluteus_outlier_z"]
    assert usual.value < 3.5 < odd.value and "study-2026-1" in usual.detail
    assert np.isnan(unknown.value) and "not known" in unknown.detail


def test_frozen_reference_describes_the_study():
    """Mean height and weight give the study's mean muscles; a change of the file must be a new version."""
    rows = pd.read_csv(Path(__file__).parents[3] / "models" / "measurement" / "outlier_reference.csv")
    assert set(rows["version"]) == {"study-2026-1"} and len(rows) == 4
    for row in rows.itertuples():
        height, weight = (165.5, 70.9) if row.sex == "F" else (179.0, 85.5)
        expected = np.exp(row.intercept + row.ln_height_cm * np.log(height) + row.ln_weight_kg * np.log(weight))
        published = {
            ("csa_psoas_total_cm2", "F"): 24.47,
            ("csa_psoas_total_cm2", "M"): 37.92,
            ("volume_gluteus_total_l", "F"): 2.39,
            ("volume_gluteus_total_l", "M"): 3.38,
        }
        assert expected == pytest.approx(published[row.measure, row.sex], rel=0.03)


def test_verdicts_are_put_in_words_failures_first():
    findings = {"psoas_asymmetry_pct": Finding(17.32), "missing_labels": Finding(1.0, "left psoas")}
    lines = describe_verdicts(
        judge(findings, THRESHOLDS),
        {"psoas_asymmetry_pct": "Left-right difference, %", "missing_labels": "Compartments without mask, 1"},
    )
    assert lines == [
        "FAIL  Compartments without mask 1 (limit 0): left psoas",
        "WARN  Left-right difference 17.3 % (limit 16)",
    ]
