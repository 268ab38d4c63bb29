"""What the imaging tests share: coded deliveries, ways to spoil them, and the code of a refusal."""

from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import nibabel as nib
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from models.imaging.archive import look_at
from models.imaging.delivery import write_composed_zip
from models.imaging.dicom import Named, read_delivery, read_folder
from models.imaging.dixon import CONTRASTS, DixonSet
from models.imaging.refusal import Refusal

SHAPE = (7, 6, 8)
AFFINE = np.array([[1.40625, 0, 0, -200.123456], [0, 1.5, 0, -180.2], [0, 0, 3.0, -611.7], [0, 0, 0, 1]])
Change = Callable[[Dataset, str, int], Dataset | None]


def draw_coded() -> DixonSet:
    """Every voxel says its contrast, slice, row and column."""
    x, y, z = np.indices(SHAPE)
    volumes = {c: (10_000 * i + 1000 * z + 30 * y + x).astype(np.uint16) for i, c in enumerate(CONTRASTS)}
    return DixonSet(volumes, AFFINE)


def write_coded(path: Path, participant: str = "123456", visit: str = "30", **options: object) -> Path:
    """Write the coded volumes as one composed zip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_composed_zip(path, draw_coded(), participant, visit=visit, rng=np.random.default_rng(0), **options)
    return path


def read_datasets(path: Path) -> list[Dataset]:
    """Every file of a zip, as pydicom reads it."""
    with ZipFile(path) as archive:
        return [dcmread(BytesIO(archive.read(name))) for name in archive.namelist()]


def to_bytes(dataset: Dataset) -> bytes:
    """The file of a dataset."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def locate(dataset: Dataset) -> tuple[str, int]:
    """Contrast and slice index that a coded file's pixels say."""
    code = int(dataset.pixel_array.max())
    return CONTRASTS[code // 10_000], code % 10_000 // 1000


def pack(path: Path, files: Iterable[bytes]) -> Path:
    """Write files into a zip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(path, "w") as archive:
        for number, content in enumerate(files):
            archive.writestr(f"{number:06d}.dcm", content)
    return path


def alter(path: Path, change: Change) -> Path:
    """Rewrite a delivery, every file changed by ``change(dataset, contrast, slice index)`` or dropped (None)."""
    changed = [change(dataset, *locate(dataset)) for dataset in read_datasets(path)]
    return pack(path, [to_bytes(dataset) for dataset in changed if dataset is not None])


def set_elements(dataset: Dataset, **elements: object) -> Dataset:
    """Set elements by keyword."""
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def shift(dataset: Dataset, millimetres: float, axis: int = 2) -> Dataset:
    """Move a slice."""
    position = list(dataset.ImagePositionPatient)
    position[axis] = float(position[axis]) + millimetres
    dataset.ImagePositionPatient = position
    return dataset


def code_of(path: Path) -> str:
    """The code by which a zip is refused."""
    with pytest.raises(Refusal) as caught:
        read_delivery(path)
    return caught.value.code


def read_tree(folder: Path) -> list[Named]:
    """Every DICOM file of a folder tree."""
    return read_folder([look_at(path) for path in sorted(folder.rglob("*")) if path.is_file()])


def as_folder(path: Path, zip_path: Path, rng: np.random.Generator) -> Path:
    """The files of a zip as a folder tree without file extensions, in random order."""
    datasets = read_datasets(zip_path)
    for number, index in enumerate(rng.permutation(len(datasets))):
        file = path / f"series{number % 3}" / f"IM{number:04d}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(to_bytes(datasets[index]))
    return path


def with_series_per_contrast(path: Path) -> Path:
    """Give each contrast of a zip its own series id."""
    return alter(path, lambda d, contrast, index: set_elements(d, SeriesInstanceUID=f"1.2.{CONTRASTS.index(contrast)}"))


def write_stations(
    imaging: Path, dixon: DixonSet, cuts: Iterable[tuple[int, int]], scratch: Path, in_one_zip: bool = False
) -> Path:
    """Write slabs [first, end) of volumes as NAKO's station series: four folders, a zip for each station or for all."""
    files: dict[tuple[str, int], list[bytes]] = {}
    for number, (first, end) in enumerate(cuts, start=1):
        affine = dixon.affine.copy()
        affine[2, 3] += first * affine[2, 2]
        slab = DixonSet({c: v[:, :, first:end] for c, v in dixon.volumes.items()}, affine)
        write_composed_zip(scratch / "slab.zip", slab, "123456", rng=np.random.default_rng(number))
        for dataset in read_datasets(scratch / "slab.zip"):
            mark = dataset.get_item(0x00511019) and dataset[0x00511019].value
            contrast = {"DIXF": "fat", "DIXW": "water"}.get(mark, "in" if dataset.EchoTime > 2 else "opp")
            dataset.SeriesInstanceUID = f"1.2.{CONTRASTS.index(contrast)}.{number}"
            files.setdefault((contrast, 0 if in_one_zip else number), []).append(to_bytes(dataset))
    words = {"in": "in", "opp": "opp", "fat": "F", "water": "W"}
    for (contrast, number), content in files.items():
        name = "123456.zip" if in_one_zip else f"123456_station{number}.zip"
        pack(imaging / f"3D_GRE_TRA_{words[contrast]}" / name, content)
    return imaging


def write_nifti_set(folder: Path, name: str = "123456", words=CONTRASTS, affine=AFFINE) -> list[Path]:
    """Write the coded volumes as a converted set; returns its files in the order of `CONTRASTS`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for contrast, word in zip(CONTRASTS, words, strict=True):
        image = nib.Nifti1Image(draw_coded().volumes[contrast], affine)
        paths.append(folder / f"{name}_{word}.nii.gz")
        nib.save(image, paths[-1])
    return paths
