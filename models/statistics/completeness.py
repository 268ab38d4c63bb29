"""Expected against delivered: who is in the tables, who was imaged, and whose images are someone else's.

Belongs here: comparisons of lists of participants and visits, as issues. Does not belong here: reading either list, or
deciding which releases to compare.
"""

import pandas as pd

KEY = ["participant_id", "visit"]
ISSUES = {
    "no_images": "The participant's visit has a row in the table but no images: deliver them, or confirm their absence.",
    "no_participant_row": "The images have no row of their participant and visit in the table: check id and visit.",
    "same_images": "The images are identical to those of another participant id: check which of them they belong to.",
}


def compare_expected(participants: pd.DataFrame, imaged: pd.DataFrame) -> pd.DataFrame:
    """Return who is in the table without images, and whose images are without a row in it.

    Parameters
    ----------
    participants, imaged : DataFrame
        participant_id, visit; repeated rows and further columns do no harm.

    Returns
    -------
    DataFrame
        participant_id, visit, code (no_images, no_participant_row), message, sorted.
    """
    pairs = participants[KEY].drop_duplicates().merge(imaged[KEY].drop_duplicates(), "outer", KEY, indicator="side")
    codes = pairs["side"].astype(str).map({"left_only": "no_images", "right_only": "no_participant_row"})
    return _issues(pairs.assign(code=codes).dropna(subset=["code"]))


def duplicate_images(images: pd.DataFrame) -> pd.DataFrame:
    """Return every participant and visit with images that another participant id has too.

    Parameters
    ----------
    images : DataFrame
        participant_id, visit, image_sha256 (null: not compared); several rows per visit do no harm.

    Returns
    -------
    DataFrame
        participant_id, visit, code (same_images), message, sorted.
    """
    n_ids = images.groupby("image_sha256")["participant_id"].transform("nunique")
    return _issues(images.loc[n_ids > 1, KEY].drop_duplicates().assign(code="same_images"))


def _issues(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.sort_values(KEY, ignore_index=True)
    return rows.assign(message=rows["code"].map(ISSUES))[[*KEY, "code", "message"]]
