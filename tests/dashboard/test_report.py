"""The printable page."""

import re

import pandas as pd
import pytest

from dashboard import language, report


@pytest.mark.parametrize("value", [22.5, None])
@pytest.mark.parametrize("spoken", language.LANGUAGES)
def test_one_sheet_of_a4(spoken: str, value: float | None) -> None:
    """With long texts as well, in each language, without a date and without curves where there are none."""
    curves = pd.DataFrame([(x, c, 20 + c / 10) for x in range(20, 31) for c in (3, 10, 50, 90)])
    curves.columns = ["x", "centile", "value"]
    page = report.Page(
        entered=[("Age", "54 years")] * 5,
        answers=[("62nd percentile", "among women of 54 years " * 8)] * 2,
        curves=curves if value else curves.head(0),
        curves_title="Women by age",
        x_title="Age, years",
        y_title="Area, cm²",
        at=25,
        value=value,
        hue="#0f766e",
        notes=["note " * 100] * 3,
        ribbon="Synthetic data",
    )
    pdf = report.as_pdf(page, spoken)
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b", pdf)) == 1
    assert b"/CreationDate" not in pdf
    assert re.search(rb"/MediaBox \[ 0 0 595\.\d+ 841\.\d+ \]", pdf)
    language.use("en")
