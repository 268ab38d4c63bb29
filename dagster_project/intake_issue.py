"""Collecting the rows of raw.intake_issue that a release gives rise to."""

import pandas as pd

from dagster_project.identity import Identity

COLUMNS = ["path", "item", "code", "message", "participant_id", "visit", "is_refusal"]
# Codes of `models.statistics.participants` whose record or column is kept.
REMARKS = {
    "missing_code",
    "unit_converted",
    "bmi_differs",
    "mixed_decimals",
    "invalid_value",
    "implausible_value",
    "unit_differs",
}


class Issues:
    """The issues found so far; ids are stored as `identity` says, paths masked."""

    def __init__(self, identity: Identity):
        self._identity = identity
        self._frames: list[pd.DataFrame] = []

    def add_table(self, path: str, issues: pd.DataFrame) -> None:
        """Add what was found in a table: item, code, message, participant_id as delivered."""
        ids = self._identity.pseudonyms(issues["participant_id"])
        is_refusal = ~issues["code"].isin(REMARKS)
        self._frames.append(
            issues.assign(path=self._identity.mask_path(path), participant_id=ids, is_refusal=is_refusal)
        )

    def add(
        self,
        path: str,
        code: str,
        message: str,
        delivered_id: str | None = None,
        visit: str | None = None,
        is_refusal: bool = True,
        is_secret: bool = False,
    ) -> None:
        """Add one issue; a secret one hides the ids in its path."""
        row = {
            "path": self._identity.mask_path(path, is_secret),
            "item": None,
            "code": code,
            "message": message,
            "participant_id": self._identity.pseudonym(delivered_id) if delivered_id else None,
            "visit": visit,
            "is_refusal": is_refusal,
        }
        self._frames.append(pd.DataFrame([row], dtype=object))

    def collect(self) -> pd.DataFrame:
        """All rows, without release."""
        return pd.concat([pd.DataFrame(columns=COLUMNS), *self._frames])[COLUMNS]
