"""What every door of a release that brings images or masks works with."""

from dataclasses import dataclass

import duckdb

from dagster_project.defs.releases import Release
from dagster_project.identity import Identity
from dagster_project.intake_issue import Issues
from dagster_project.settings import Settings
from dagster_project.withdrawal import Withdrawn


@dataclass(frozen=True)
class Door:
    """A release on its way into the warehouse: who may come in, under which name, and what is wrong with it."""

    connection: duckdb.DuckDBPyConnection
    settings: Settings
    release: Release
    identity: Identity
    withdrawn: Withdrawn
    issues: Issues
