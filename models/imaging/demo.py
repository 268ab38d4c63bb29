"""The two synthetic imaging releases `demo-1` and `demo-2`: who is in them, and what is wrong with whom.

What belongs here: the choice of synthetic participants and their defects, and writing them the way NAKO's deliveries look
(science: one zip per participant, older table dialect). Anatomy is `phantom.py`'s, the DICOM form `delivery.py`'s.
"""

import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.imaging.delivery import write_composed_zip
from models.imaging.phantom import REDUCED_GRID, Acquisition, Grid, Person, draw_person, person_truth, render

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


DEMO_2_WITHDRAWN = ("100005",)


def expected_truth(grid: Grid = REDUCED_GRID) -> dict[str, tuple[DemoCase, dict[str, float]]]:
    """True measures (names as in the warehouse) of everyone who should be analysed after both releases, by participant."""
    current = {case.person.participant_id: case for case in [*draw_demo_1(), *draw_demo_2()]}
    return {
        participant_id: (case, person_truth(case.person, case.seed, grid))
        for participant_id, case in current.items()
        if case.is_readable and participant_id not in DEMO_2_WITHDRAWN
    }


def write_release(
    folder: Path, cases: list[DemoCase], withdrawn: tuple[str, ...] = (), grid: Grid = REDUCED_GRID
) -> None:
    """Write a release; it appears under its name only when it is complete."""
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    (building / "imaging" / SERIES).mkdir(parents=True)
    for case in cases:
        _write_case(building / "imaging" / SERIES / f"{case.person.participant_id}.zip", case, grid)
    (building / "release.toml").write_text(RELEASE_TOML)
    (building / "participants.csv").write_text(_participants_csv(cases), encoding="latin-1")
    if withdrawn:
        (building / "withdrawals.csv").write_text("\n".join(["participant_id", *withdrawn, ""]))
    os.replace(building, folder)


def _write_case(path: Path, case: DemoCase, grid: Grid) -> None:
    phantom = render(case.person, case.seed, grid, case.acquisition)
    rng = np.random.default_rng([case.seed, 3])
    write_composed_zip(path, phantom.dixon, case.person.participant_id, rng=rng, omit=case.missing)
    if case.is_truncated:
        os.truncate(path, path.stat().st_size // 2)


def _participants_csv(cases: list[DemoCase]) -> str:
    """NAKO's older dialect: semicolons, latin-1, decimal point, 7777 = not collected."""
    lines = ["ID;basis_age;basis_sex;basis_uort;anthro_groe;anthro_gew"]
    for case in cases:
        person = case.person
        height = f"{person.height_cm:.1f}" if case.has_height else NOT_COLLECTED
        sex = "1" if person.sex == "M" else "2"
        lines.append(f"{person.participant_id};{person.age_years};{sex};{case.centre};{height};{person.weight_kg:.1f}")
    return "\n".join([*lines, ""])
