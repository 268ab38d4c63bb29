"""Building a model folder: whole or not at all, with the sha256 of every file, from checkpoints that cannot run code.

What belongs here: what a trained and an imported model have in common when they become folders that never change.
Opening and verifying one is `inference.py`'s work.
"""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from models.segmentation.inference import REGISTRY, InvalidModel

if TYPE_CHECKING:
    import torch


@contextmanager
def build_folder(destination: Path) -> Iterator[Path]:
    """A hidden folder that takes the name `destination` when the block ends without an error, and vanishes otherwise.

    Raises
    ------
    InvalidModel
        If there is such a model already, here or among those shipped.
    """
    if destination.exists() or (REGISTRY / destination.name).exists():
        raise InvalidModel(f"Models are immutable and there is a {destination.name} already: name a new version.")
    building = destination.with_name(f".{destination.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        yield building
        for path in building.iterdir():
            with path.open("rb") as written:
                os.fsync(written.fileno())
        os.replace(building, destination)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def write_manifest(folder: Path, model_version: str, **facts: Any) -> None:
    """Write manifest.json: version, further facts, sha256 of every other file."""
    files = sorted(path for path in folder.iterdir() if path.name != "manifest.json")
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    write_json(folder / "manifest.json", {"model_version": model_version, **facts, "sha256": hashes})


def write_json(path: Path, content: Any) -> None:
    """Write a file that people may read, too."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_checkpoint(file: Path | BinaryIO, name: str) -> "dict[str, torch.Tensor]":
    """Weights of an nnU-Net checkpoint, loaded with `weights_only` and an allow-list of numpy's scalars.

    Raises
    ------
    InvalidModel
        If the file is damaged or holds anything else that would have to be built by code.
    """
    import torch

    allowed = [np.dtype, np.ndarray, np._core.multiarray.scalar, np._core.multiarray._reconstruct]
    allowed += [np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType]
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(file, map_location="cpu", weights_only=True)["network_weights"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        raise InvalidModel(
            f"{name} is no nnU-Net checkpoint, or holds more than weights: it was not opened."
        ) from error
