"""Cases are recognised by names alone, and one run of each participant and visit is chosen."""

import os
import time

import pytest

from models.imaging.intake import plan_intake
from models.imaging.layout import choose_run, list_cases
from tests.models.imaging.imaging_cases import write_coded


def touch(folder, *names, size=1):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))


def keys(cases):
    return {(case.layout, case.participant_id, case.visit, case.run, len(case.files)) for case in cases}


def test_every_layout_is_recognised(tmp_path):
    touch(
        tmp_path,
        "NAKO_195/MRT/3D_GRE_TRA_W_COMPOSED/100001.zip",
        "NAKO_195/MRT/3D_GRE_TRA_W_COMPOSED/100001_60.zip",
        *(
            f"NAKO_195/MRT/3D_GRE_TRA_{w}/100002_30_station{k}.zip"
            for w in ("in", "opp", "F", "W")
            for k in range(1, 5)
        ),
        *(f"3d_gre_tra_{w}/100003.zip" for w in ("in", "opp", "f", "w")),
        "NAKO_195/100004_60/series/IM1.dcm",
        "NAKO_195/100004_60/other/deep/IM2",
        "P-17/IM1",
        *(f"100005_{w}.nii.gz" for w in ("in", "opp", "fat", "water")),
        *(f"100006_60_run2_{w}.nii" for w in ("IN", "OPP_PHASE", "F", "W")),
    )
    listing = list_cases(tmp_path)
    assert listing.strays == []
    assert keys(listing.cases) == {
        ("composed", "100001", None, 0, 1),
        ("composed", "100001", "60", 0, 1),
        ("stations", "100002", "30", 0, 16),
        ("stations", "100003", None, 0, 4),
        ("dicom", "100004", "60", 0, 2),
        ("dicom", "P-17", None, 0, 1),
        ("nifti", "100005", None, 0, 4),
        ("nifti", "100006", "60", 2, 4),
    }
    nifti = next(case for case in listing.cases if case.participant_id == "100006")
    assert {file.contrast for file in nifti.files} == {"in", "opp", "fat", "water"}


def test_what_follows_no_rule_is_stray(tmp_path):
    touch(tmp_path, "loose.dcm", "notes.txt", "100001/list.csv", ".DS_Store", "thing.nii.gz", "100001_T2.nii.gz")
    listing = list_cases(tmp_path)
    assert (len(listing.cases), len(listing.strays)) == (0, 6)
    assert list_cases(tmp_path / "absent").cases == []


def test_stated_layout_leaves_the_others_out(tmp_path):
    touch(tmp_path, "100001.zip", "100001_fat.nii.gz", "100002/IM1")
    assert keys(list_cases(tmp_path, "dicom").cases) == {("dicom", "100002", None, 0, 1)}
    assert len(list_cases(tmp_path, "dicom").strays) == 2
    with pytest.raises(ValueError, match="layout"):
        list_cases(tmp_path, "bids")


@pytest.mark.parametrize(
    "name", ["100 001", "1\n2", "1" * 300 if os.name != "posix" else "1" * 200, "12345\u0661", "a.b"]
)
def test_invalid_names_keep_their_case_without_participant(tmp_path, name):
    touch(tmp_path, f"{name}.zip", f"{name}/IM1")
    assert {(case.participant_id, case.visit) for case in list_cases(tmp_path).cases} == {(None, None)}
    assert len(plan_intake(tmp_path).cases) == 2


def test_links_and_pipes_are_listed_and_not_followed(tmp_path):
    touch(tmp_path / "elsewhere", "x.zip", "IM1")
    imaging = tmp_path / "imaging"
    touch(imaging, "100001/IM1")
    (imaging / "100001" / "link").symlink_to(tmp_path / "elsewhere")
    (imaging / "100002.zip").symlink_to(tmp_path / "elsewhere" / "x.zip")
    os.mkfifo(imaging / "100001" / "pipe")
    assert keys(list_cases(imaging).cases) == {("dicom", "100001", None, 0, 3), ("composed", "100002", None, 0, 1)}


def test_the_best_run_is_chosen_and_the_others_recorded(tmp_path):
    touch(tmp_path, "a/100001_30.zip", "100001_30_run2.zip", size=1000)
    touch(tmp_path, "100001_30_run3.zip", size=900)
    touch(tmp_path, "100001_30/IM1", size=9000)
    touch(tmp_path, "100002_30/IM1", "100002_30/IM2", "100002_30_run2/IM1")
    plan = plan_intake(tmp_path)
    assert [str(case.path.relative_to(tmp_path)) for case in plan.cases] == ["100001_30_run2.zip", "100002_30"]
    assert len(plan.duplicates) == 4
    assert {best.participant_id for _, best in plan.duplicates} == {"100001", "100002"}


def test_the_later_path_wins_between_equals(tmp_path):
    touch(tmp_path, "a/100001.zip", "b/100001.zip")
    assert choose_run(list_cases(tmp_path).cases).path == tmp_path / "b" / "100001.zip"


def test_visits_that_names_do_not_state_are_no_duplicates(tmp_path):
    write_coded(tmp_path / "first" / "123456.zip", visit="30")
    write_coded(tmp_path / "second" / "123456.zip", visit="60")
    write_coded(tmp_path / "third" / "123456_60.zip", visit="60")
    plan = plan_intake(tmp_path)
    assert [case.path.parent.name for case in plan.cases] == ["first", "third"]
    assert [(run.path.parent.name, best.path.parent.name) for run, best in plan.duplicates] == [("second", "third")]


def test_ten_thousand_participants_are_listed_in_seconds(tmp_path):
    folder = tmp_path / "3D_GRE_TRA_W_COMPOSED"
    folder.mkdir()
    for participant in range(100_000, 110_000):
        (folder / f"{participant}.zip").touch()
    began = time.perf_counter()
    assert len(plan_intake(tmp_path).cases) == 10_000
    assert time.perf_counter() - began < 5
