"""One hash over everything that can change a published number: code, SQL, the small-cell limit."""

import hashlib
from functools import lru_cache
from pathlib import Path

from dagster_project.settings import load_settings

ROOT = Path(__file__).parent.parent


@lru_cache
def hash_code() -> str:
    """Twelve hexadecimal digits; equal hashes and equal releases give equal snapshots."""
    digest = hashlib.sha256(str(load_settings().min_cell).encode())
    files = [
        path
        for folder in ("models", "dagster_project", "sql")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".sql", ".csv")
    ]
    for path in sorted(files):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
