"""The two synthetic imaging releases `demo-1` and `demo-2`: who is in them, and what is wrong with whom.

What belongs here: the choice of synthetic participants and their defects, and writing them the way NAKO's deliveries look
(science: one zip per participant, older table dialect). Anatomy is `phantom.py`'s, the DICOM form `delivery.py`'s.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from models.imaging.delivery import write_composed_zip
from models.imaging.phantom import REDUCED_GRID, Acquisition, Grid, Person, Phantom, draw_person, person_truth, render
from models.segmentation.anatomy import LABELS

SERIES = "3D_GRE_TRA_W_COMPOSED"
RELEASE_TOML = 'study = "synthetic"\nnotes = "Synthetic data: rendered phantoms, no real person."\n'
NOT_COLLECTED = "7777"


@dataclass(frozen=True)
class DemoCase:
    """A synthetic participant's delivery: the person, the seed of anatomy and noise, and what is wrong with it."""

    person: Person
    seed: int
    centre: str
    acquisition: Acquisition = field(default_factory=Acquisition)
    missing: frozenset[tuple[str, int]] = frozenset()
    is_truncated: bool = False
    has_height: bool = True

    @property
    def is_readable(self) -> bool:
        """Whether intake should take the images in."""
        return not self.missing and not self.is_truncated


def _draw_cases(first: int, n: int) -> list[DemoCase]:
    rng = np.random.default_rng(first)
    persons = [draw_person(rng, str(first + i), (19.0, 36.0)) for i in range(n)]
    return [DemoCase(person, int(person.participant_id), f"{1 + i % 4}") for i, person in enumerate(persons)]


def draw_demo_1() -> list[DemoCase]:
    """Twelve participants: a fat-water swap, one without height, one with a slice missing, one truncated zip."""
    cases = _draw_cases(100_001, 12)
    cases[8] = replace(cases[8], has_height=False)
    cases[9] = replace(cases[9], acquisition=Acquisition(is_swapped=True))
    cases[10] = replace(cases[10], missing=frozenset({("water", 70)}))
    cases[11] = replace(cases[11], is_truncated=True)
    return cases


def draw_demo_2() -> list[DemoCase]:
    """Four new participants, and the third of demo-1 with corrected images."""
    return [*_draw_cases(100_013, 4), replace(draw_demo_1()[2], seed=200_003)]


DEMO_1_ANNOTATED = ("100001", "100002", "100004", "100006", "100007", "100008")
DEMO_2_WITHDRAWN = ("100005",)
ANNOTATION_HEADER = "participant_id,visit,reader,reading,role,blinded"
READER, VISIT = "truth", "30"
JITTER_MM, JITTER_WIDTH_MM = 3.0, 12.0


def expected_truth(grid: Grid = REDUCED_GRID) -> dict[str, tuple[DemoCase, dict[str, float]]]:
    """True measures (names as in the warehouse) of everyone who should be analysed after both releases, by participant."""
    current = {case.person.participant_id: case for case in [*draw_demo_1(), *draw_demo_2()]}
    return {
        participant_id: (case, person_truth(case.person, case.seed, grid))
        for participant_id, case in current.items()
        if case.is_readable and participant_id not in DEMO_2_WITHDRAWN
    }


def write_release(
    folder: Path,
    cases: list[DemoCase],
    withdrawn: tuple[str, ...] = (),
    grid: Grid = REDUCED_GRID,
    annotated: tuple[str, ...] = (),
) -> None:
    """Write a release; it appears under its name only when it is complete.

    Participants in `annotated` bring two readings of role test: the true mask, and one with a jittered boundary.
    """
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    (building / "imaging" / SERIES).mkdir(parents=True)
    for case in cases:
        phantom = _write_case(building / "imaging" / SERIES / f"{case.person.participant_id}.zip", case, grid)
        if case.person.participant_id in annotated:
            _write_annotations(building / "annotations", case, phantom)
    (building / "release.toml").write_text(RELEASE_TOML)
    (building / "participants.csv").write_text(_participants_csv(cases), encoding="latin-1")
    if annotated:
        rows = [f"{who},{VISIT},{READER},{reading},test,true" for who in annotated for reading in (1, 2)]
        (building / "annotations.csv").write_text("\n".join([ANNOTATION_HEADER, *rows, ""]))
    if withdrawn:
        (building / "withdrawals.csv").write_text("\n".join(["participant_id", *withdrawn, ""]))
    os.replace(building, folder)


def _write_case(path: Path, case: DemoCase, grid: Grid) -> Phantom:
    phantom = render(case.person, case.seed, grid, case.acquisition)
    rng = np.random.default_rng([case.seed, 3])
    write_composed_zip(path, phantom.dixon, case.person.participant_id, rng=rng, omit=case.missing)
    if case.is_truncated:
        os.truncate(path, path.stat().st_size // 2)
    return phantom


def _write_annotations(folder: Path, case: DemoCase, phantom: Phantom) -> None:
    folder.mkdir(exist_ok=True)
    affine = phantom.dixon.affine
    second = jitter_boundary(np.random.default_rng([case.seed, 4]), phantom.labels, np.diag(affine)[:3])
    for reading, labels in ((1, phantom.labels), (2, second)):
        name = f"{case.person.participant_id}_{VISIT}_{READER}-{reading}.nii.gz"
        nib.save(nib.Nifti1Image(labels, affine), folder / name)


def jitter_boundary(rng: np.random.Generator, labels: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """A label map as another reading might draw it: every boundary moved by a smooth random field of SD 3 mm."""
    jittered = np.zeros_like(labels)
    for value in LABELS.values():
        mask = labels == value
        depth = ndimage.distance_transform_edt(mask, spacing_mm) - ndimage.distance_transform_edt(~mask, spacing_mm)
        field = ndimage.gaussian_filter(rng.standard_normal(labels.shape), JITTER_WIDTH_MM / np.asarray(spacing_mm))
        jittered[(depth + JITTER_MM * field / field.std() > 0) & (jittered == 0)] = value
    return jittered


def _participants_csv(cases: list[DemoCase]) -> str:
    """NAKO's older dialect: semicolons, latin-1, decimal point, 7777 = not collected."""
    lines = ["ID;basis_age;basis_sex;basis_uort;anthro_groe;anthro_gew"]
    for case in cases:
        person = case.person
        height = f"{person.height_cm:.1f}" if case.has_height else NOT_COLLECTED
        sex = "1" if person.sex == "M" else "2"
        lines.append(f"{person.participant_id};{person.age_years};{sex};{case.centre};{height};{person.weight_kg:.1f}")
    return "\n".join([*lines, ""])
