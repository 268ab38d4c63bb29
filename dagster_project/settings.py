"""Every setting, typed, from the environment (MYONORM_*), in one place."""

import json
import os
import secrets
from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of an installation; each is the environment variable MYONORM_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="MYONORM_", frozen=True)

    home: Path = Path("data")
    engine: str = Field("local", pattern="^(local|ray)$")
    ray_address: str = "auto"
    workers: int | None = Field(None, ge=1)
    device: str = Field("auto", pattern="^(auto|cpu|cuda)$")
    min_cell: int = Field(10, ge=1)
    model: str = "phantom-v2"
    secret_key: str = ""
    hash_pseudonyms: bool = False
    correct_swaps: bool = False
    destroy_snapshots: bool = False
    stable_minutes: float = Field(60, ge=0)

    @property
    def local_workers(self) -> int:
        """Processes of the local engine: MYONORM_WORKERS, else one a core."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def threads(self) -> int:
        """Threads of one local worker, so that all together use every core."""
        return 1 if self.engine == "ray" else max(1, len(os.sched_getaffinity(0)) // self.local_workers)

    @property
    def releases(self) -> Path:
        """Deliveries, never written to."""
        return self.home / "releases"

    @property
    def warehouse_file(self) -> Path:
        """The pipeline's database."""
        return self.home / "warehouse.duckdb"

    @property
    def rewrite_marker(self) -> Path:
        """Exists while deleted rows still have bytes in the warehouse file."""
        return self.home / "warehouse.rewrite"

    @property
    def rebuild_marker(self) -> Path:
        """Exists while the warehouse is being built anew: all releases are due."""
        return self.home / "warehouse.rebuilding"

    @property
    def withdrawals(self) -> Path:
        """Tombstones, and what the steward has to destroy."""
        return self.home / "withdrawals"

    @property
    def snapshots(self) -> Path:
        """Published snapshots."""
        return self.home / "snapshots"

    @property
    def models(self) -> Path:
        """Models trained or taken in here, beside those that the package brings."""
        return self.home / "models"

    @property
    def trainings(self) -> Path:
        """Where nnU-Net works on models in the making."""
        return self.home / "training"

    def find_model(self, name: str) -> str:
        """The folder of a model of this installation; any other name as it is: one the package brings, or a folder."""
        return str(self.models / name) if (self.models / name / "manifest.json").is_file() else name

    def published_file(self, kind: str) -> Path | None:
        """The current snapshot's aggregate ("normative") or participant-level ("research") file; None before the first."""
        path = (self.snapshots / "current").resolve() / f"{kind}.duckdb"
        return path if path.is_file() else None

    @property
    def acceptances_file(self) -> Path:
        """Releases accepted despite their completeness or drift: release, reason, accepted_at."""
        return self.home / "acceptances.jsonl"

    def read_promotions(self) -> list[dict]:
        """Promotions of models, the oldest first: model, model_version, promoted_at, despite_scores, scores."""
        path = self.home / "promotions.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    def resolve_secret_key(self) -> bytes:
        """The key of keyed hashes: MYONORM_SECRET_KEY, else MYONORM_HOME/secret.key, made once where absent."""
        if self.secret_key:
            return self.secret_key.encode()
        path = self.home / "secret.key"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_bytes()
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        return path.read_bytes()


@lru_cache
def load_settings() -> Settings:
    """The settings of this process, with an absolute MYONORM_HOME; without MYONORM_MODEL the model promoted last."""
    settings = Settings()
    settings = settings.model_copy(update={"home": settings.home.absolute()})
    promotions = settings.read_promotions()
    is_promoted = promotions and "model" not in settings.model_fields_set
    name = promotions[-1]["model"] if is_promoted else settings.model
    return settings.model_copy(update={"model": settings.find_model(name)})
