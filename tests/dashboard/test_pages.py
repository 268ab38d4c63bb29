"""Both pages, as a reader meets them."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy import special, stats
from streamlit.testing.v1 import AppTest

RIBBON = "Synthetic data – not real people"
NO_NORMS = "DELETE FROM norms.lms; DELETE FROM norms.centile"
COHORT = "views/cohort.py"


def texts(app: AppTest) -> str:
    """Return all text of the page, tables and ribbon included."""
    assert not app.exception
    written = [
        element.value for kind in (app.title, app.subheader, app.markdown, app.caption, app.warning) for element in kind
    ]
    return "\n".join(written + [element.proto.body for element in app.get("html")])


def number_input(app: AppTest, label: str):
    """Return the number input whose label begins so."""
    return next(element for element in app.number_input if element.label.startswith(label))


def ask(app: AppTest, age: float, bmi: float, value: float | None) -> AppTest:
    """Enter a person and run the page."""
    app.run()
    number_input(app, "Age").set_value(age)
    number_input(app, "BMI").set_value(bmi)
    number_input(app, "Measured value").set_value(value)
    return app.run()


def expected_percentile(age: float, bmi: float, value: float) -> int:
    """Return the percentile of a woman's value under the closed-form norms of conftest.py."""
    median, s = 10 * math.exp(0.004 * age + 0.02 * bmi), 0.1 + 0.001 * age
    return round(100 * stats.norm.cdf(special.boxcox(value / median, 0.3) / s))


@pytest.mark.parametrize(("age", "bmi", "value"), [(54, 27, 22.5), (54.5, 27.3, 18), (20, 18, 17), (70, 40, 27)])
def test_the_percentile_of_a_value(home: Path, app: AppTest, age: float, bmi: float, value: float) -> None:
    """At the given BMI in the title, by age alone below."""
    ask(app, age, bmi, value)
    assert app.title[0].value.startswith(f"{expected_percentile(age, bmi, value)}")
    assert app.subheader[0].value == f"for women of {age:g} years with a BMI of {bmi:g} kg/m²"
    assert f"**{expected_percentile(age, 26, value)}" in texts(app)
    assert "among all women of" in texts(app)


def test_men_have_their_own_norms(home: Path, app: AppTest) -> None:
    """The median of men is 1.5 times that of women in these norms."""
    app.run()
    app.segmented_control(key="sex").set_value("M")
    app.run()
    assert app.title[0].value == f"Median {15 * math.exp(0.2 + 0.52):.1f} cm²"


def test_without_a_value_the_answer_is_the_median(home: Path, app: AppTest) -> None:
    """With the middle 80 %."""
    ask(app, 54, 27, None)
    assert app.title[0].value == f"Median {10 * math.exp(0.004 * 54 + 0.54):.1f} cm²"
    low, high = (
        10 * math.exp(0.004 * 54 + 0.54) * special.inv_boxcox(0.154 * stats.norm.ppf(p), 0.3) for p in (0.1, 0.9)
    )
    assert f"between {low:.1f} and {high:.1f} cm²" in texts(app)


def test_height_and_weight_in_place_of_bmi(home: Path, app: AppTest) -> None:
    """81 kg at 180 cm are 25 kg/m2."""
    app.run()
    app.segmented_control(key="body").set_value("Height and weight")
    app.run()
    number_input(app, "Height").set_value(180.0)
    number_input(app, "Weight").set_value(81.0)
    app.run()
    assert app.subheader[0].value == "for women of 50 years with a BMI of 25 kg/m²"


def test_the_table_of_centiles(home: Path, app: AppTest) -> None:
    """P50 with its limits, 2 % to either side in these norms."""
    ask(app, 54, 27, None)
    median = 10 * math.exp(0.004 * 54 + 0.54)
    row = f'<th scope="row">P50</th><td>{median:.1f}</td><td>{0.98 * median:.1f}–{1.02 * median:.1f}</td>'
    assert row in texts(app)


@pytest.mark.parametrize(("age", "bmi"), [(54, 41), (54, 17.9), (54.5, 40.2)])
def test_outside_in_bmi_only_the_answer_by_age_remains(home: Path, app: AppTest, age: float, bmi: float) -> None:
    """No extrapolation, no table, and a word on where there are norms."""
    ask(app, age, bmi, 22.5)
    assert app.title[0].value == "Outside the reference range"
    assert "cover a BMI of 18 to 40 kg/m²" in texts(app)
    assert f"**{expected_percentile(age, 26, 22.5)}" in texts(app)
    assert "P50</th>" not in texts(app)


def test_outside_in_age_there_is_no_answer_at_all(home: Path, app: AppTest) -> None:
    """Not by age alone either."""
    ask(app, 80, 27, 22.5)
    assert app.title[0].value == "Outside the reference range"
    assert "percentile**" not in texts(app)


def test_a_slip_of_the_unit_is_asked_about(home: Path, app: AppTest) -> None:
    """mm2 in place of cm2."""
    ask(app, 54, 27, 2250)
    assert "is it in cm²?" in app.warning[0].value
    assert app.title[0].value == "Above the 99th percentile"


def test_norms_by_age_alone_ask_for_no_bmi(home: Path, app: AppTest) -> None:
    """And the link chooses the measure."""
    app.query_params["measure"] = "Gluteus volume, left"
    app.run()
    assert [element.label for element in app.number_input] == ["Age, years", "Measured value, L"]
    assert app.subheader[0].value == "for women of 50 years"


def test_the_url_never_holds_what_is_entered(home: Path, app: AppTest) -> None:
    """Only selections are bound to it."""
    ask(app, 54, 27, 22.5)
    assert [element.proto.query_param_key for element in app.number_input] == ["", "", ""]
    assert app.selectbox(key="measure").proto.query_param_key == "measure"
    assert app.segmented_control(key="sex").proto.query_param_key == "sex"
    assert not app.query_params


@pytest.mark.parametrize("page", ["views/percentile.py", COHORT])
def test_synthetic_data_carry_the_ribbon(home: Path, app: AppTest, page: str) -> None:
    """On every page."""
    app.run()
    app.switch_page(page).run()
    assert RIBBON in texts(app)
    assert "Invented data" in texts(app)


@pytest.mark.parametrize("page", ["views/percentile.py", COHORT])
def test_real_data_do_not(publish_changed: Callable[..., None], app: AppTest, page: str) -> None:
    """And name the population they describe."""
    publish_changed("UPDATE ref.analysis_set SET is_synthetic = false, study = 'nako'")
    app.run()
    app.switch_page(page).run()
    assert RIBBON not in texts(app)
    assert "General population of Germany (NAKO)" in texts(app)


def test_no_snapshot_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: AppTest) -> None:
    """A page that says what to do."""
    monkeypatch.setenv("MYONORM_HOME", str(tmp_path))
    app.run()
    assert app.title[0].value == "No published snapshot yet"
    assert "make demo" in texts(app)


def test_no_results_yet(publish_changed: Callable[..., None], app: AppTest) -> None:
    """A snapshot without an analysis set."""
    publish_changed("DELETE FROM ref.analysis_set")
    app.run()
    assert app.title[0].value == "No results yet"


def test_no_norms_yet(publish_changed: Callable[..., None], app: AppTest) -> None:
    """A cohort too small for them."""
    publish_changed(NO_NORMS)
    app.run()
    assert app.title[0].value == "No norms yet"
    assert not app.exception


def test_the_cohort_tables(home: Path, app: AppTest) -> None:
    """Characteristics, correlations, regression, flow of this analysis set only."""
    app.run()
    app.switch_page(COHORT).run()
    written = texts(app)
    assert '<th scope="row">Psoas area, left + right, cm²</th><td>12,262</td><td>24.47</td><td>3.65</td>' in written
    assert "strong 0.62 (0.60–0.63)" in written
    assert "0.213 (0.205–0.221)" in written
    assert "26,859" in written
    assert "77,777" not in written


def test_suppressed_cells_are_named_not_zero(home: Path, app: AppTest) -> None:
    """Both sexes above BMI 40, in the composition and in the percentiles."""
    app.run()
    app.switch_page(COHORT).run()
    row = '<th scope="row">≥40</th><td class="suppressed">suppressed (small cell)</td><td>–</td>'
    assert texts(app).count(row) == 3


def test_a_cohort_page_without_results(publish_changed: Callable[..., None], app: AppTest) -> None:
    """Empty tables are no error."""
    tables = ("descriptive", "band_percentile", "correlation", "regression", "profile", "participant_flow")
    publish_changed(";".join(f"DELETE FROM stats.{table}" for table in tables))
    app.run()
    app.switch_page(COHORT).run()
    assert "Nothing of this in the snapshot." in texts(app)
    assert "This analysis set has no area profiles." in texts(app)
