"""Real pixels and real people through the same doors: Dixon water and fat of two legs, limb lean mass of 12,437 adults."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from models.imaging.delivery import write_composed_zip
from models.imaging.demo import SERIES
from models.imaging.dixon import DixonSet
from models.statistics.box_cox import z_score
from tests.pipeline.installation import Installation, last_line


@pytest.fixture(scope="module")
def legs(real_data) -> DixonSet:
    """Water and fat as delivered, scaled to 16 bit; in = W + F, opposed = |W - F|."""
    images = {
        contrast: nib.as_closest_canonical(nib.load(real_data / "dixon_legs" / f"{contrast}.nii.gz"))
        for contrast in ("water", "fat")
    }
    water, fat = (np.asarray(images[contrast].dataobj, dtype=float).clip(0) for contrast in ("water", "fat"))
    scale = 20_000 / max(water.max(), fat.max())
    water, fat = (np.rint(volume * scale).astype(np.uint16) for volume in (water, fat))
    opposed = np.abs(water.astype(int) - fat).astype(np.uint16)
    affine = images["water"].affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    axis_aligned = np.diag([*spacing, 1.0])
    axis_aligned[:3, 3] = affine[:3, 3]
    return DixonSet({"in": water + fat, "opp": opposed, "fat": fat, "water": water}, axis_aligned)


def test_real_dixon_pixels_reach_nifti_unchanged(installation: Installation, legs):
    folder = installation.releases / "legs" / "imaging" / SERIES
    folder.mkdir(parents=True)
    write_composed_zip(folder / "300001.zip", legs, "300001", rng=np.random.default_rng(0))
    assert last_line(installation.update("legs")).startswith("published ")
    rows = installation.query("SELECT contrast, nifti_path, echo_time_ms FROM raw.dixon_series WHERE study = 'cohort'")
    assert len(rows) == 4
    for contrast, path, echo_time_ms in rows:
        image = nib.load(installation.home / path)
        assert (np.asarray(image.dataobj) == legs.volumes[contrast]).all()
        assert image.affine == pytest.approx(legs.affine, abs=1e-4)
        assert echo_time_ms == (2.46 if contrast == "in" else 1.23)


def test_legs_are_no_field_of_view_for_the_model_and_say_so(installation: Installation):
    """Runs after the legs were taken in: what the model was not made for is refused with a code, never measured as 0."""
    rows = installation.query("SELECT status, code, message, mask_path FROM imaging.segmentation")
    assert [(status, code, path) for status, code, _, path in rows] == [("failed", "small_field_of_view", None)]
    assert "field of view" in rows[0][2]
    assert installation.query("SELECT count(*) FROM imaging.muscle") == [(0,)]


@pytest.fixture(scope="module")
def adults(real_data) -> pd.DataFrame:
    """NHANES 1999-2004, adults with limb lean mass by DXA."""
    table = pd.read_csv(real_data / "tables" / "nhanes_limb_lean.csv.gz")
    return table.assign(participant_id=[f"N{number:06d}" for number in table["seqn"]], visit="1")


@pytest.fixture(scope="module")
def nhanes(tmp_path_factory, adults) -> Installation:
    """The adults through the plain dialect: a declared measure, and its percentiles published."""
    installation = Installation(tmp_path_factory.mktemp("nhanes"))
    folder = installation.releases / "nhanes"
    installation.write_table("nhanes", "release.toml", 'study = "NHANES"')
    installation.write_table("nhanes", "measures.csv", "measure,label,unit", "lean_mass_limb_kg,Limb lean mass,kg")
    people = adults.rename(columns={"age": "age_years", "weight": "weight_kg"}).assign(
        height_cm=adults["height"] * 100, centre=""
    )
    columns = ["participant_id", "visit", "sex", "age_years", "height_cm", "weight_kg", "centre"]
    people[columns].to_csv(folder / "participants.csv", index=False)
    values = adults.assign(measure="lean_mass_limb_kg", value=adults["llean"], unit="kg")
    values[["participant_id", "visit", "measure", "value", "unit"]].to_csv(folder / "measurements.csv", index=False)
    assert last_line(installation.update("nhanes")).startswith("published ")
    return installation


def test_declared_measure_is_a_row_in_the_registry(nhanes, adults):
    assert nhanes.query("SELECT label, unit, kind FROM ref.measure WHERE measure = 'lean_mass_limb_kg'") == [
        ("Limb lean mass", "kg", "declared")
    ]
    assert nhanes.query("SELECT study, is_synthetic FROM ref.analysis_set") == [("NHANES", False)]
    ((n, mean),) = nhanes.query(
        "SELECT n, mean FROM stats.descriptive WHERE measure = 'lean_mass_limb_kg' AND sex = 'M' AND age_band IS NULL AND bmi_band IS NULL"
    )
    men = adults[adults["sex"] == "M"]["llean"]
    assert (n, mean) == (len(men), pytest.approx(men.mean(), rel=1e-9))


@pytest.mark.parametrize("sex", ["F", "M"])
def test_published_percentiles_cover_the_share_they_name(nhanes, adults, sex):
    """Share of the adults below P10, P50, P90 at their whole year and BMI, within 1 percentage point."""
    grid = pd.DataFrame(
        nhanes.query(
            f"SELECT age_years, bmi_kg_m2, l, m, s FROM norms.lms WHERE sex = '{sex}' AND bmi_kg_m2 IS NOT NULL",
            "normative",
        ),
        columns=["age_years", "bmi_kg_m2", "l", "m", "s"],
    )
    people = adults[adults["sex"] == sex].assign(age_years=adults["age"].round(), bmi_kg_m2=adults["bmi"].round())
    known = people.merge(grid, on=["age_years", "bmi_kg_m2"])
    assert len(known) > 0.95 * len(people)
    z = z_score(known["llean"], known["l"], known["m"], known["s"])
    below = [100 * (z < limit).mean() for limit in (-1.2816, 0, 1.2816)]
    assert below == pytest.approx([10, 50, 90], abs=1.0)
