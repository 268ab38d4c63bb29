"""The code location `myonorm`: everything Dagster shows."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions of the folder `defs`."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
