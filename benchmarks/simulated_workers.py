"""Workers that answer at once: what reading, segmenting, measuring and judging a case would return, without any image.

What belongs here: the answers, in the shape of the real ones, drawn from the synthetic cohort of `models.statistics.synthetic`. All
else (work lists, ledger, tables, statistics, norms, publication, Dagster) is the project's own.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from dagster_project import case_work, engine
from dagster_project.case_work import DeliveredCase, ImageCase, Inspection, QualityCase, StoredMask, derivative_folder
from dagster_project.defs.quality import THRESHOLDS
from models.imaging.dixon import CONTRASTS
from models.measurement.morphometry import Morphometry
from models.measurement.quality import Finding, judge, read_thresholds
from models.segmentation.anatomy import LABELS
from models.statistics.synthetic import VISIT, simulate_cohort, simulate_profiles

THICKNESS_MM = 3.0
DRAWN_AT_ONCE = 2000
RELEASE_TOML = 'study = "synthetic"\nnotes = "Simulated deliveries without images. No real person is in it."\n'


class SimulatedCohort:
    """The synthetic participants as deliveries and as what workers make of them; `units` counts the work by function."""

    def __init__(self, seed: int, n_women: int, n_men: int, levels: int = 80):
        self._seed, self._levels = seed, levels
        self.people = simulate_cohort(seed, n_women, n_men)
        self.people["participant_id"] = [f"{100_000 + i}" for i in range(len(self.people))]
        self._row = {participant_id: i for i, participant_id in enumerate(self.people["participant_id"])}
        self._areas = self._draw_areas()
        self._slices = self._list_slices()
        shared = {"slice_thickness_mm": THICKNESS_MM, "is_truncated": False}
        self._muscles = pd.DataFrame(list(LABELS), columns=["compartment", "side"]).assign(**shared)
        self.units: dict[str, int] = {}
        self._verdicts = judge({"fat_water_swap_pct": Finding(0.0)}, read_thresholds(THRESHOLDS))

    def write_release(self, folder: Path, people: pd.DataFrame, content: bytes = b"simulated") -> None:
        """A delivery of some participants: their table, and a file in place of each one's images."""
        (folder / "imaging").mkdir(parents=True)
        (folder / "release.toml").write_text(RELEASE_TOML, encoding="utf-8")
        columns = ["participant_id", "visit", "sex", "age_years", "height_cm", "weight_kg", "centre"]
        people[columns].to_csv(folder / "participants.csv", index=False, float_format="%.1f")
        for participant_id in people["participant_id"]:
            (folder / "imaging" / f"{participant_id}_{VISIT}.zip").write_bytes(content)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Inside, cases of images are answered here; what works on tables (norms) runs as ever."""
        real_run = engine.LocalEngine.run
        answers = {
            case_work.take_in: self._take_in,
            case_work.segment: self._segment,
            case_work.measure: self._measure,
            case_work.inspect: self._inspect,
            case_work.probe_precision: lambda _: "float32",
        }

        def run(
            workers: engine.LocalEngine, function: Callable, cases: Iterable[Any], *limits, **options
        ) -> Iterator[engine.Outcome]:
            if function not in answers:
                yield from real_run(workers, function, cases, *limits, **options)
                return
            for case in cases:
                self.units[function.__name__] = self.units.get(function.__name__, 0) + 1
                yield engine.Outcome(case, answers[function](case))

        with patch.object(engine.LocalEngine, "run", run):
            yield

    def _draw_areas(self) -> dict[tuple[str, str], np.ndarray]:
        """Areas (participants, levels) by compartment and side, cm2; drawn for some participants at a time, to save memory."""
        areas = {label: np.empty((len(self.people), self._levels), np.float32) for label in LABELS}
        for start in range(0, len(self.people), DRAWN_AT_ONCE):
            people = self.people.iloc[start : start + DRAWN_AT_ONCE].reset_index(drop=True)
            for label, rows in simulate_profiles(people, self._seed + start, self._levels).groupby(
                ["compartment", "side"]
            ):
                ordered = rows.sort_values(["participant_id", "slice_index"])["csa_cm2"].to_numpy()
                areas[label][start : start + len(people)] = ordered.reshape(len(people), self._levels)
        return areas

    def _take_in(self, case: DeliveredCase) -> pd.DataFrame:
        participant_id = case.case.participant_id
        folder = derivative_folder(case.study, participant_id, VISIT)
        (case.home / folder).mkdir(parents=True, exist_ok=True)
        for contrast in CONTRASTS:
            (case.home / folder / f"{contrast}.nii.gz").touch()
        content = Path(case.case.files[0].path).read_bytes() + participant_id.encode()
        return pd.DataFrame(
            {
                "participant_id": participant_id,
                "visit": VISIT,
                "contrast": CONTRASTS,
                "shape": [[320, 260, 316]] * 4,
                "spacing": [[1.4, 1.4, THICKNESS_MM]] * 4,
                "orientation": "RAS",
                "n_instances": 316,
                "image_sha256": [hashlib.sha256(content + contrast.encode()).hexdigest() for contrast in CONTRASTS],
                "nifti_path": [str(folder / f"{contrast}.nii.gz") for contrast in CONTRASTS],
            }
        )

    def _segment(self, case: ImageCase) -> StoredMask:
        sha256 = hashlib.sha256(f"{case.image_sha256} {case.model}".encode()).hexdigest()
        return StoredMask(str(case.folder / f"{case.model}_dseg.nii.gz"), sha256, 30.0, "cpu")

    def _measure(self, case: ImageCase) -> Morphometry:
        row = self._row[case.participant_id]
        areas = np.stack([self._areas[label][row] for label in LABELS])
        muscles = {
            "volume_ml": areas.sum(axis=1, dtype=float) * THICKNESS_MM / 10,
            "max_csa_cm2": areas.max(axis=1).astype(float),
            "max_csa_z_mm": -THICKNESS_MM * areas.argmax(axis=1),
        }
        return Morphometry(self._slices.assign(csa_cm2=areas.ravel()), self._muscles.assign(**muscles))

    def _list_slices(self) -> pd.DataFrame:
        """What the profiles of all participants share."""
        index = np.tile(np.arange(self._levels), len(LABELS))
        sides = pd.DataFrame(list(LABELS), columns=["compartment", "side"])
        slices = sides.loc[sides.index.repeat(self._levels)].reset_index(drop=True)
        position = 100 * (index + 0.5) / self._levels
        return slices.assign(slice_index=index, z_mm=-THICKNESS_MM * index, position_pct=position, fat_fraction_pct=8.0)

    def _inspect(self, case: QualityCase) -> Inspection:
        return Inspection(self._verdicts, None)
