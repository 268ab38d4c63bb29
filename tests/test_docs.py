"""docs/operations.md lists every code of intake, in order, with its sentence."""

import re
from pathlib import Path

import pytest

from dagster_project.correction import CORRECTION_ISSUES
from dagster_project.imaging_intake import MESSAGES
from dagster_project.review_intake import REVIEW_ISSUES
from models.imaging.refusal import REFUSALS
from models.segmentation.annotation import ANNOTATION_ISSUES
from models.segmentation.geometry import REFUSALS as GEOMETRY_REFUSALS
from models.statistics.participants import ISSUES

OPERATIONS = (Path(__file__).parents[1] / "docs" / "operations.md").read_text(encoding="utf-8")
LISTED = re.findall(r"^\| `(\w+)` \| (.+) \|$", OPERATIONS, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "codes",
    [REFUSALS, MESSAGES, ISSUES, ANNOTATION_ISSUES, GEOMETRY_REFUSALS, REVIEW_ISSUES, CORRECTION_ISSUES],
    ids=["images", "left out", "tables", "annotations", "geometry", "reviews", "corrections"],
)
def test_every_code_is_listed_in_order_with_its_sentence(codes):
    start = [code for code, _ in LISTED].index(next(iter(codes)))
    assert LISTED[start : start + len(codes)] == list(codes.items())
