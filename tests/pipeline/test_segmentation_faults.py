"""The cohort's segmentation when something breaks: each fault costs its own case, and the next run does just what is missing."""

import os
import signal
import time
from pathlib import Path

import duckdb
import numpy as np
import pytest

from dagster_project import case_work
from dagster_project.case_work import ImageCase, StoredMask
from dagster_project.defs.segmentation import check_release, choose_precision, record, segment_all
from dagster_project.engine import LocalEngine
from dagster_project.warehouse import declare_schema
from models.imaging.dixon import CONTRASTS
from models.imaging.nifti import read_volume
from models.segmentation.anatomy import LABELS
from tests.pipeline.stored_phantoms import MODEL, THIN, mask_file, register_images, store

ROOT = Path(__file__).parents[2]


def segment_with_fault(case: ImageCase) -> StoredMask:
    """Segment a case; what its participant id says goes wrong on the way, inside the forward pass or while the mask is written."""
    from torch import nn

    def fail(self, *_):
        match case.participant_id:
            case "exception":
                raise ValueError("Jane Doe")
            case "hang":
                time.sleep(600)
            case "memory" if not case.is_low_memory:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    def kill(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    hook = nn.modules.module.register_module_forward_pre_hook(fail)
    rename = os.replace
    if case.participant_id == "killed" and case.attempts == 0:
        os.replace = kill
    try:
        return case_work.segment(case)
    finally:
        hook.remove()
        os.replace = rename


class FaultyEngine(LocalEngine):
    """The local engine, with faults."""

    def run(self, function, cases, deadline_s):
        """As the engine's, but each case goes wrong as its participant id says."""
        return super().run(segment_with_fault, cases, 30)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """The ledger after a run in which nearly everything that can go wrong did."""
    home = tmp_path_factory.mktemp("home")
    names = ["good", "exception", "hang", "memory", "killed", "truncated"]
    cases = {name: store(home, name, 40 + i) for i, name in enumerate(names)}
    cases["thin"] = store(home, "thin", 50, THIN)
    truncated = home / cases["truncated"].folder / "fat.nii.gz"
    truncated.write_bytes(truncated.read_bytes()[:-1000])
    connection = duckdb.connect()
    declare_schema(connection)
    for outcome in segment_all(FaultyEngine(2), list(cases.values())):
        record(connection, [outcome], MODEL)
    yield connection, cases
    connection.close()


@pytest.mark.parametrize(
    ("name", "row"),
    {
        "good": ("done", None, 1, False),
        "exception": ("failed", "error", 1, False),
        "hang": ("failed", "deadline", 1, False),
        "memory": ("done", None, 2, True),
        "killed": ("done", None, 2, False),
        "truncated": ("failed", "corrupt_volume", 1, False),
        "thin": ("failed", "small_field_of_view", 1, False),
    }.items(),
)
def test_each_fault_costs_only_its_case_and_is_in_the_ledger(ledger, name, row):
    connection, cases = ledger
    found = connection.execute(
        "SELECT status, code, attempts, is_low_memory FROM imaging.segmentation WHERE participant_id = ?", [name]
    ).fetchall()
    assert found == [row]
    assert mask_file(cases[name]).is_file() == (row[0] == "done")
    assert not list(mask_file(cases[name]).parent.glob(".*")), "nothing partial is left behind"


def test_no_text_of_an_exception_reaches_the_ledger(ledger):
    (message,) = (
        ledger[0].execute("SELECT message FROM imaging.segmentation WHERE participant_id = 'exception'").fetchone()
    )
    assert "Jane" not in message and message.endswith(".")


def test_masks_are_verified_and_carry_their_provenance(ledger):
    import json

    _, cases = ledger
    labels, _ = read_volume(mask_file(cases["memory"]))
    assert set(np.unique(labels)) == {0, *LABELS.values()}
    facts = json.loads(mask_file(cases["memory"]).with_name(f"{MODEL}_dseg.json").read_text())
    assert facts["precision"] == "bfloat16" and facts["options"] == {
        "tile_step": 0.5,
        "mirroring": False,
        "low_memory": True,
        "min_component_ml": 0.0,
    }
    assert len(facts["model_sha256"]) == 64 and facts["versions"]["nnunetv2"] and facts["seconds"] > 0


def test_later_masks_take_the_precision_of_the_earlier_ones(ledger):
    assert choose_precision(ledger[0], None, MODEL, []) == "bfloat16"


def test_checks_see_missing_rows_and_failures(ledger):
    connection, cases = ledger
    register_images(connection, "r", {name: dict.fromkeys(CONTRASTS, "0") for name in [*cases, "forgotten"]})
    complete, failure_rate = check_release(connection, MODEL, "r")
    assert not complete.passed and complete.metadata["without a row"].value == 1
    assert not failure_rate.passed and failure_rate.metadata["failed"].value == 4
