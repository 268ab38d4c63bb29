"""Who a participant is in the warehouse: pseudonym, tombstone, and paths that name nobody.

What belongs here: keyed hashes and what they stand for. Removing a withdrawn person is `withdrawal.py`'s work.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

import pandas as pd

from models.imaging.demo import SERIES

_SIX_DIGITS = re.compile(r"[0-9]{6}")
_KNOWN_PART = re.compile(
    rf"imaging|annotations|{SERIES}|3D_GRE_TRA_(in|opp|F|W)|(participants|measurements|measures|withdrawals|annotations)\.(csv|parquet)|profiles\.parquet"
)
_PSEUDONYM_PART = re.compile(r"[0-9]{6}(_[A-Za-z0-9]{1,16}){0,3}(-[1-9][0-9]?)?(\.zip|\.nii|\.nii\.gz)?")


@dataclass(frozen=True)
class Identity:
    """How ids of a study are stored; `is_hashed` replaces delivered pseudonyms by a keyed hash."""

    study: str
    key: bytes
    is_hashed: bool

    def hash(self, text: str) -> str:
        """HMAC-SHA256 under the installation's key, hexadecimal."""
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def tombstone(self, delivered_id: str) -> str:
        """What is kept of a withdrawn person."""
        return self.hash(f"{self.study}/{delivered_id}")

    def pseudonym(self, delivered_id: str) -> str:
        """The id under which a delivered id is stored."""
        return self.hash(f"pseudonym/{self.study}/{delivered_id}")[:16] if self.is_hashed else delivered_id

    def case_name(self, stored_id: str, visit: str) -> str:
        """What training files and models call a case: they outlive the person, and may be shared."""
        return f"case_{self.hash(f'case/{self.study}/{stored_id}/{visit}')[:16]}"

    def pseudonyms(self, delivered_ids: pd.Series) -> pd.Series:
        """`pseudonym` of a column; null stays null."""
        mapping = {delivered_id: self.pseudonym(delivered_id) for delivered_id in delivered_ids.dropna().unique()}
        return delivered_ids.map(mapping)

    def mask_path(self, path: str, is_secret: bool = False) -> str:
        """A path within a release whose parts that follow no known pattern (or all ids, where secret) are hashed."""
        return "/".join(
            part if self._is_harmless(part, is_secret) else f"h-{self.hash(part)[:12]}" for part in path.split("/")
        )

    def _is_harmless(self, part: str, is_secret: bool) -> bool:
        is_shown = not self.is_hashed and not is_secret
        return bool(_KNOWN_PART.fullmatch(part) or (is_shown and _PSEUDONYM_PART.fullmatch(part)))


def is_pseudonym(text: str | None) -> bool:
    """Whether a text looks like one of NAKO's pseudonyms: six digits."""
    return bool(text and _SIX_DIGITS.fullmatch(text))
