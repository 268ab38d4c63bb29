"""The synthetic cohort against the published figures (science.md, section 2)."""

import hashlib
import time
import tomllib

import numpy as np
import pandas as pd
import pytest

from models.statistics import association, descriptive, participants, synthetic

PUBLISHED = {
    "F": {
        "csa_psoas_left_cm2": (12.34, 1.91),
        "csa_psoas_right_cm2": (12.12, 1.87),
        "csa": (24.47, 3.65),
        "volume": (2.39, 0.41),
    },
    "M": {
        "csa_psoas_left_cm2": (19.14, 3.02),
        "csa_psoas_right_cm2": (18.79, 2.98),
        "csa": (37.92, 5.80),
        "volume": (3.38, 0.53),
    },
}
AGE_BMI = {"F": ((48.7, 12.2), (25.9, 5.1)), "M": ((47.9, 12.4), (26.7, 3.8))}
STRENGTHS = {
    ("csa", "age_years"): ("negligible", "negligible"),
    ("volume", "age_years"): ("negligible", "negligible"),
    ("volume", "weight_kg"): ("strong", "strong"),
    ("volume", "bmi_kg_m2"): ("strong", "moderate"),
    ("csa", "weight_kg"): ("weak", "weak"),
    ("csa", "bmi_kg_m2"): ("weak", "weak"),
}
AGE_BANDS = [18, 30, 40, 50, 60, 74]
BMI_BANDS = [0, 18.5, 25, 30, 35, 40, 99]


@pytest.fixture(scope="module", params=[1, 7])
def cohort(request):
    people = synthetic.simulate_cohort(request.param)
    people["csa"] = people["csa_psoas_left_cm2"] + people["csa_psoas_right_cm2"]
    people["volume"] = people["volume_gluteus_left_l"] + people["volume_gluteus_right_l"]
    people["bmi_kg_m2"] = people["weight_kg"] / (people["height_cm"] / 100) ** 2
    return people


def test_size_and_missing_weights_are_published(cohort):
    assert cohort.groupby("sex").size().to_dict() == {"F": 12262, "M": 15543}
    assert cohort["weight_kg"].isna().groupby(cohort["sex"]).sum().to_dict() == {"F": 334, "M": 612}
    assert cohort["age_years"].between(19, 73).all()
    assert cohort["participant_id"].is_unique
    assert cohort["centre"].nunique() == 18


@pytest.mark.parametrize("sex", ["F", "M"])
def test_moments_are_published(cohort, sex):
    people = cohort[cohort["sex"] == sex]
    for measure, (mean, sd) in PUBLISHED[sex].items():
        assert people[measure].mean() == pytest.approx(mean, abs=0.011)
        assert people[measure].std() == pytest.approx(sd, rel=0.01)
    for column, (mean, sd) in zip(("age_years", "bmi_kg_m2"), AGE_BMI[sex], strict=True):
        assert people[column].mean() == pytest.approx(mean, abs=0.3)
        assert people[column].std() == pytest.approx(sd, rel=0.04)
    difference = people["csa_psoas_left_cm2"] - people["csa_psoas_right_cm2"]
    assert difference.std() == pytest.approx({"F": 0.98, "M": 1.54}[sex], rel=0.03)


def test_correlations_are_as_strong_as_published(cohort):
    columns = ["participant_id", "sex", *association.COVARIATES]
    table = association.correlate(cohort.melt(columns, ["csa", "volume"], "measure", "value"))
    words = table.set_index(["measure", "covariate", "sex"])["strength"]
    for key, wanted in STRENGTHS.items():
        assert (words[(*key, "F")], words[(*key, "M")]) == wanted, key


@pytest.mark.parametrize("sex", ["F", "M"])
def test_bands_are_ordered_as_published(cohort, sex):
    people = cohort[cohort["sex"] == sex]
    by_age = people.groupby(pd.cut(people["age_years"], AGE_BANDS, right=False))[["csa", "volume"]].mean().to_numpy()
    by_bmi = people.groupby(pd.cut(people["bmi_kg_m2"], BMI_BANDS, right=False))[["csa", "volume"]].mean().to_numpy()
    assert by_age[:, 0].argmax() == 0 and by_age[:, 0].argmin() == 4
    assert by_age[:, 1].argmax() == 2
    assert (np.diff(by_bmi, axis=0) > 0).all()


def test_the_seed_decides():
    first, second, other = (synthetic.simulate_cohort(seed, 200, 300) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(other)
    assert first["weight_kg"].isna().sum() == round(200 * 334 / 12262) + round(300 * 612 / 15543)


@pytest.fixture(scope="module")
def small():
    people = synthetic.simulate_cohort(3, 800, 1000)
    return people, synthetic.simulate_profiles(people, 3)


def test_profiles_keep_each_persons_measures(small):
    people, profiles = small
    assert list(profiles) == synthetic.PROFILE_COLUMNS
    people = people.set_index("participant_id")
    profiles = profiles.astype({"participant_id": str, "compartment": str, "side": str})
    by_person = profiles.sort_values("slice_index").groupby(["compartment", "side", "participant_id"])
    assert (by_person["z_mm"].diff().dropna() < 0).all()
    spacing_cm = (
        -by_person["z_mm"].diff().groupby([profiles[c] for c in ("compartment", "side", "participant_id")]).mean() / 10
    )
    for side in ("left", "right"):
        csa = by_person["csa_cm2"].max()["psoas", side]
        assert csa.to_numpy() == pytest.approx(people.loc[csa.index, f"csa_psoas_{side}_cm2"].to_numpy(), rel=1e-6)
        volume = (by_person["csa_cm2"].sum() * spacing_cm)["gluteus", side] / 1000
        assert volume.to_numpy() == pytest.approx(
            people.loc[volume.index, f"volume_gluteus_{side}_l"].to_numpy(), rel=1e-4
        )


def test_profiles_shift_as_published(small):
    people, profiles = small
    people = people.set_index("participant_id")
    left = profiles[(profiles["side"] == "left")].astype({"participant_id": str, "compartment": str})
    psoas = left[left["compartment"] == "psoas"].pivot(index="participant_id", columns="slice_index", values="csa_cm2")
    level = psoas.idxmax(axis=1)
    people = people.loc[level.index]
    bmi = people["weight_kg"] / (people["height_cm"] / 100) ** 2
    assert np.corrcoef(level, people["age_years"])[0, 1] > 0.1
    assert level[bmi > 25].mean() > level[bmi <= 25].mean() + 0.5
    for compartment in ("psoas", "gluteus"):
        area = left[left["compartment"] == compartment].pivot(
            index="participant_id", columns="slice_index", values="csa_cm2"
        )
        distal = area.loc[:, 20:].sum(axis=1) / area.sum(axis=1)
        assert distal[people["sex"] == "F"].mean() > distal[people["sex"] == "M"].mean()


def test_full_size_is_quick_and_lean(cohort):
    began = time.perf_counter()
    profiles = synthetic.simulate_profiles(cohort, 1)
    assert time.perf_counter() - began < 10
    assert len(profiles) == 27805 * 4 * 40
    assert profiles.memory_usage(deep=True).sum() < 150e6
    assert profiles["csa_cm2"].min() >= 0


def test_release_reads_back_and_has_the_same_bytes_twice(small, tmp_path):
    people, profiles = small
    for name in ("a", "b"):
        synthetic.write_release(tmp_path / name, people, profiles)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["measurements.csv", "participants.csv", "profiles.parquet", "release.toml"]
    digests = [[hashlib.sha256((tmp_path / name / file).read_bytes()).hexdigest() for file in files] for name in "ab"]
    assert digests[0] == digests[1]
    assert tomllib.loads((tmp_path / "a" / "release.toml").read_text())["study"] == "synthetic"
    table = participants.read_participants(tmp_path / "a" / "participants.csv")
    assert table.issues.empty
    assert table.rows["bmi_kg_m2"].isna().sum() == people["weight_kg"].isna().sum()
    measurements = participants.read_measurements(tmp_path / "a" / "measurements.csv")
    assert measurements.issues.empty
    assert len(measurements.rows) == 4 * len(people)
    assert len(pd.read_parquet(tmp_path / "a" / "profiles.parquet")) == len(profiles)


PRINTED = {
    ("csa_psoas_left_cm2", "F"): (12.34, 1.91),
    ("csa_psoas_right_cm2", "F"): (12.12, 1.87),
    ("csa", "F"): (24.47, 3.65, 24.41, 24.53),
    ("volume", "F"): (2.39, 0.41, 2.38, 2.40),
    ("csa_psoas_left_cm2", "M"): (19.14, 3.02),
    ("csa_psoas_right_cm2", "M"): (18.79, 2.98),
    ("csa", "M"): (37.92, 5.80, 37.83, 38.01),
    ("volume", "M"): (3.38, 0.53, 3.37, 3.39),
}


def test_published_means_sds_and_intervals_come_back_to_the_printed_digits(cohort):
    values = cohort.melt(["sex"], sorted({measure for measure, _ in PRINTED}), "measure", "value")
    table = descriptive.describe(values.assign(age_band="all", bmi_band="all")).query(
        "age_band.isna() and bmi_band.isna()"
    )
    rows = table.set_index(["measure", "sex"])[["mean", "sd", "ci_low", "ci_high"]]
    for key, printed in PRINTED.items():
        figures = rows.loc[key].tolist()[: len(printed)]
        if key[0] == "csa":
            # The SD of the total follows from the drawn correlation of the sides: 1 % off at most.
            assert figures[1] == pytest.approx(printed[1], rel=0.01)
            figures[1] = printed[1]
        assert [round(figure, 2) for figure in figures] == list(printed), key
