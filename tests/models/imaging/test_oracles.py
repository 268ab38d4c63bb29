"""Good series against other people's readers: highdicom and dcm2niix. Skipped, saying so, where they are absent."""

import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread

from models.imaging.delivery import write_composed_zip
from models.imaging.dicom import read_delivery
from models.imaging.dixon import CONTRASTS
from models.imaging.instance import read_instance
from models.imaging.phantom import Grid, draw_person, render
from models.imaging.stack import build_volume, stack_slices
from tests.models.imaging.imaging_cases import locate, read_datasets, to_bytes


@pytest.fixture(scope="module")
def participant(tmp_path_factory) -> Path:
    """A rendered participant's composed zip."""
    path = tmp_path_factory.mktemp("oracle") / "123456.zip"
    dixon = render(draw_person(np.random.default_rng(3), "123456"), 3, Grid((40, 36, 24), (9.0, 8.0, 12.0))).dixon
    write_composed_zip(path, dixon, "123456", rng=np.random.default_rng(3))
    return path


def split_by_contrast(path: Path) -> dict[str, list]:
    groups = {contrast: [] for contrast in CONTRASTS}
    for dataset in read_datasets(path):
        mark = dataset.get_item(0x00511019) and dataset[0x00511019].value
        groups[{"DIXF": "fat", "DIXW": "water"}.get(mark, "in" if dataset.EchoTime > 2 else "opp")].append(dataset)
    return groups


def assert_same_world(ours: tuple[np.ndarray, np.ndarray], theirs: nib.Nifti1Image, atol_mm: float) -> None:
    canonical = nib.as_closest_canonical(theirs)
    np.testing.assert_array_equal(ours[0], np.asanyarray(canonical.dataobj))
    np.testing.assert_allclose(ours[1], canonical.affine, atol=atol_mm)


def test_highdicom_builds_the_same_volumes(participant):
    highdicom = pytest.importorskip("highdicom", reason="highdicom absent: pip install highdicom.")
    dixon = read_delivery(participant).dixon
    for contrast, datasets in split_by_contrast(participant).items():
        volume = highdicom.get_volume_from_series(datasets).to_patient_orientation("LAF")
        lps_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
        image = nib.Nifti1Image(volume.array, lps_to_ras @ volume.affine)
        assert_same_world((dixon.volumes[contrast], dixon.affine), image, 1e-4)


def test_highdicom_builds_the_same_real_volume(real_data):
    highdicom = pytest.importorskip("highdicom", reason="highdicom absent: pip install highdicom.")
    datasets = [dcmread(p) for p in sorted((real_data / "dicom_nifti_pairs/siemens/anatomical/001").glob("*.dcm"))]
    for dataset in datasets:
        dataset.FrameOfReferenceUID = "1.2.3"
    volume = highdicom.get_volume_from_series(datasets)
    image = nib.Nifti1Image(volume.array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine)
    assert_same_world(build_volume(stack_slices([read_instance(to_bytes(d)) for d in datasets])), image, 1e-4)


def find_dcm2niix() -> str:
    beside = Path(sys.executable).parent / "dcm2niix"
    found = str(beside) if beside.exists() else shutil.which("dcm2niix")
    if not found:
        pytest.skip("dcm2niix absent: pip install dcm2niix.")
    return found


def test_dcm2niix_builds_the_same_volumes(participant, tmp_path):
    dcm2niix = find_dcm2niix()
    dixon = read_delivery(participant).dixon
    for contrast, datasets in split_by_contrast(participant).items():
        source, out = tmp_path / contrast, tmp_path / f"{contrast}-out"
        source.mkdir(), out.mkdir()
        for number, dataset in enumerate(datasets):
            (source / f"{number}.dcm").write_bytes(to_bytes(dataset))
        subprocess.run([dcm2niix, "-z", "i", "-o", out, source], check=True, capture_output=True)
        (converted,) = out.glob("*.nii.gz")
        assert_same_world((dixon.volumes[contrast], dixon.affine), nib.load(converted), 1e-3)


def test_coded_files_say_where_they_belong(delivery):
    """The helper that spoils single files of a coded delivery finds every contrast and slice."""
    assert {locate(dataset) for dataset in read_datasets(delivery)} == {(c, k) for c in CONTRASTS for k in range(8)}
