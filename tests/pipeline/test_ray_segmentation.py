"""Segmentation on a Ray cluster of two local nodes: the masks of local processes, voxel for voxel, also where a node dies."""

import time
from pathlib import Path

import numpy as np
import pytest

from dagster_project.case_work import ImageCase, StoredMask, segment
from dagster_project.defs.segmentation import segment_all
from dagster_project.engine import LocalEngine
from dagster_project.ray_engine import RayEngine
from models.imaging.nifti import read_volume
from tests.pipeline.stored_phantoms import mask_file, store

pytestmark = pytest.mark.faults
N_CASES = 6


def segment_slowly(case: ImageCase) -> StoredMask:
    """Segment a case, long enough for its node to die meanwhile."""
    (case.home / f"{case.participant_id}.started").touch()
    time.sleep(2)
    return segment(case)


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> list[ImageCase]:
    """Stored phantoms."""
    home = tmp_path_factory.mktemp("home")
    return [store(home, f"case{i}", 100 + i) for i in range(N_CASES)]


@pytest.fixture(scope="module")
def masks(cases) -> list[np.ndarray]:
    """Masks of local processes."""
    assert all(outcome.code is None for outcome in segment_all(LocalEngine(2), cases))
    return [take_mask(case) for case in cases]


def take_mask(case: ImageCase) -> np.ndarray:
    """Read a mask and remove it."""
    labels = read_volume(mask_file(case))[0].copy()
    mask_file(case).unlink()
    return labels


@pytest.mark.parametrize("per_slot", [1, 2])
def test_masks_are_those_of_local_processes(ray_cluster, cases, masks, per_slot):
    assert all(outcome.code is None for outcome in segment_all(RayEngine(per_slot=per_slot), cases))
    assert all(len(np.unique(mask)) == 5 for mask in masks)
    assert all(np.array_equal(take_mask(case), mask) for case, mask in zip(cases, masks, strict=True))


def test_node_that_dies_in_mid_run_loses_no_case_and_no_voxel(ray_cluster, cases, masks):
    answered = []
    for outcome in RayEngine(per_slot=2).run(segment_slowly, cases, 600):
        answered.append(outcome)
        if len(answered) == 1:
            assert len(list(started(cases[0].home))) > 1, "cases are in flight when the node dies"
            ray_cluster.remove_node(ray_cluster.second, allow_graceful=False)
    assert sorted(outcome.case.participant_id for outcome in answered) == [case.participant_id for case in cases]
    assert all(outcome.code is None for outcome in answered)
    assert all(np.array_equal(take_mask(case), mask) for case, mask in zip(cases, masks, strict=True))


def started(home: Path) -> list[Path]:
    """Cases that a process has begun."""
    return list(home.glob("*.started"))
