"""Every public page in every state, as a reader meets it."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy import special, stats
from streamlit.testing.v1 import AppTest

PAGES = ("percentile", "population", "distribution", "segmentation", "flow", "data")
PARTS = {
    "population": ("bands", "map", "characteristics", "correlation", "regression"),
    "segmentation": ("scores", "agreement", "training", "models"),
    "flow": ("diagram", "exclusions", "checks"),
    "data": ("dictionary", "methods", "releases", "downloads", "citation"),
}
RIBBON = {"en": "Synthetic data – not real people", "de": "Synthetische Daten – keine echten Menschen"}
NO_NORMS = "DELETE FROM norms.lms; DELETE FROM norms.centile"


def texts(app: AppTest) -> str:
    """Return all text of the page, tables and ribbon included."""
    assert not app.exception
    kinds = (
        app.title,
        app.header,
        app.subheader,
        app.markdown,
        app.caption,
        app.warning,
        app.info,
        app.error,
        app.code,
    )
    written = [element.value for kind in kinds for element in kind]
    return "\n".join(written + [element.proto.body for element in app.get("html")])


def open_page(app: AppTest, page: str, part: str | None = None, language: str = "en") -> AppTest:
    """Open a page, and a part of it."""
    app.query_params["lang"] = language
    app.run()
    if page != "percentile":
        app.switch_page(f"views/{page}.py").run()
    if part:
        app.segmented_control(key=f"part {language}").set_value(part).run()
    return app


def ask(app: AppTest, age: float, bmi: float, value: float | None) -> AppTest:
    """Enter a person and run the page."""
    app.run()
    app.number_input(key="age").set_value(age)
    app.number_input(key="bmi").set_value(bmi)
    app.number_input(key="value of csa_psoas_total_cm2").set_value(value)
    return app.run()


def expected_percentile(age: float, bmi: float, value: float) -> int:
    """Return the percentile of a woman's value under the closed-form norms of conftest.py."""
    median, s = 10 * math.exp(0.004 * age + 0.02 * bmi), 0.1 + 0.001 * age
    return round(100 * stats.norm.cdf(special.boxcox(value / median, 0.3) / s))


@pytest.mark.parametrize(("age", "bmi", "value"), [(54, 27, 22.5), (54.5, 27.3, 18), (20, 18, 17), (70, 40, 27)])
def test_the_percentile_of_a_value(home: Path, app: AppTest, age: float, bmi: float, value: float) -> None:
    """First among all of the age, then given BMI; both large."""
    written = texts(ask(app, age, bmi, value))
    by_age, given_bmi = written.split('<section class="answer">')[1:]
    assert f'<p class="headline">{expected_percentile(age, 26, value)}' in by_age
    assert f"among women of {age:g} years</p>" in by_age
    assert f'<p class="headline">{expected_percentile(age, bmi, value)}' in given_bmi
    assert f"among women of {age:g} years with a BMI of {bmi:g}</p>" in given_bmi
    assert "50 people within 2.5 years and 2.5 kg/m²" in given_bmi


def test_the_limits_of_a_percentile(home: Path, app: AppTest) -> None:
    """Only log M is uncertain in these norms, by 0.01: se of z = (y/M)^L 0.01 / S."""
    age, bmi, value = 54, 27, 22.5
    median, s = 10 * math.exp(0.004 * age + 0.02 * bmi), 0.1 + 0.001 * age
    z, error = special.boxcox(value / median, 0.3) / s, (value / median) ** 0.3 * 0.01 / s
    low, high = (round(100 * stats.norm.cdf(z + sign * 1.959964 * error)) for sign in (-1, 1))
    assert f"95 % limits {low}–{high}" in texts(ask(app, age, bmi, value))


def test_men_have_their_own_norms(home: Path, app: AppTest) -> None:
    """The median of men is 1.5 times that of women in these norms."""
    app.run()
    app.segmented_control(key="sex en").set_value("M").run()
    assert f"Median {15 * math.exp(0.2 + 0.52):.1f} cm²" in texts(app)


def test_without_a_value_the_answer_is_the_median(home: Path, app: AppTest) -> None:
    """With the middle 80 %."""
    written = texts(ask(app, 54, 27, None))
    median = 10 * math.exp(0.004 * 54 + 0.54)
    assert f'<p class="headline">Median {median:.1f} cm²</p>' in written
    low, high = (median * special.inv_boxcox(0.154 * stats.norm.ppf(p), 0.3) for p in (0.1, 0.9))
    assert f"between {low:.1f} and {high:.1f} cm²" in written


def test_height_and_weight_in_place_of_bmi(home: Path, app: AppTest) -> None:
    """81 kg at 180 cm are 25 kg/m2."""
    app.run()
    app.segmented_control(key="body en").set_value("height_weight").run()
    app.number_input(key="height").set_value(180.0)
    app.number_input(key="weight").set_value(81.0).run()
    assert "women of 50 years with a BMI of 25" in texts(app)


def test_the_index_by_height_is_computed(publish_changed: Callable[..., None], app: AppTest) -> None:
    """22.68 cm2 at 180 cm are 7.00 cm2/m2, the median of norms made so."""
    publish_changed(
        "INSERT INTO norms.lms BY NAME SELECT * REPLACE ('csa_psoas_total_per_height2_cm2_m2' AS measure, 7 AS m)"
        " FROM norms.lms WHERE measure = 'csa_psoas_total_cm2' AND bmi_kg_m2 IS NULL"
    )
    app.query_params["body"] = "height_weight"
    app.run()
    app.number_input(key="height").set_value(180.0)
    app.number_input(key="value of csa_psoas_total_cm2").set_value(22.68).run()
    assert "**7.00 cm²/m²** (Psoas area / height²), **50th percentile** among women of 50 years" in texts(app)


def test_the_table_of_centiles(home: Path, app: AppTest) -> None:
    """P50 with its limits, 2 % to either side in these norms."""
    median = 10 * math.exp(0.004 * 54 + 0.54)
    row = (
        f'<th scope="row">P50</th><td class="number">{median:.1f}</td>'
        f'<td class="number">{0.98 * median:.1f}–{1.02 * median:.1f}</td>'
    )
    assert row in texts(ask(app, 54, 27, None))


def test_a_percentile_beyond_the_end_of_the_distribution(publish_changed: Callable[..., None], app: AppTest) -> None:
    """1 + L S z is negative there; a dash, no error."""
    publish_changed("UPDATE norms.lms SET l = 2, s = 0.4")
    ask(app, 54, 27, None)
    app.number_input(key="reverse").set_value(0.5).run()
    assert "**– cm²** among women of 54 years" in texts(app)


def test_the_value_of_a_percentile(home: Path, app: AppTest) -> None:
    """The other way round, against scipy."""
    ask(app, 54, 27, None)
    app.number_input(key="reverse").set_value(25.0).run()
    value = 10 * math.exp(0.004 * 54 + 0.54) * special.inv_boxcox(0.154 * stats.norm.ppf(0.25), 0.3)
    assert f"**{value:.1f} cm²** among women of 54 years with a BMI of 27" in texts(app)


@pytest.mark.parametrize(("age", "bmi"), [(54, 41), (54, 17.9), (54.5, 40.2)])
def test_outside_in_bmi_the_answer_by_age_remains(home: Path, app: AppTest, age: float, bmi: float) -> None:
    """No extrapolation, and a word on where there are norms."""
    by_age, given_bmi = texts(ask(app, age, bmi, 22.5)).split('<section class="answer">')[1:]
    assert f'<p class="headline">{expected_percentile(age, 26, 22.5)}' in by_age
    assert "Outside the reference range" in given_bmi
    assert "cover a BMI of 18 to 40 kg/m²" in given_bmi


def test_outside_in_age_there_is_no_answer_at_all(home: Path, app: AppTest) -> None:
    """Not by age alone either; curves are shown without the person."""
    written = texts(ask(app, 80, 27, 22.5))
    assert written.count("Outside the reference range") == 2
    assert "The norms cover 20 to 70 years" in written
    assert " percentile</p>" not in written


def test_a_slip_of_the_unit_is_asked_about(home: Path, app: AppTest) -> None:
    """mm2 in place of cm2."""
    written = texts(ask(app, 54, 27, 2250))
    assert "is it in cm²?" in app.warning[0].value
    assert "Above the 99th percentile" in written


@pytest.mark.parametrize("curves", ["age", "age_bmi", "bmi"])
def test_the_three_views_of_the_curves(home: Path, app: AppTest, curves: str) -> None:
    """Each with its confidence band on demand, and a text alternative."""
    app.query_params["curves"] = curves
    app.run()
    app.toggle(key="limits").set_value(True).run()
    chart = app.get("vega_lite_chart")[0].proto
    assert chart.alt.startswith("Centile curves P3 to P97. Psoas area, left + right, cm²")
    assert not app.exception


def test_norms_by_age_alone_ask_for_no_bmi(home: Path, app: AppTest) -> None:
    """And the link chooses the measure."""
    app.query_params["measure"] = "volume_gluteus_left_l"
    app.run()
    assert {element.key for element in app.number_input} == {"age", "value of volume_gluteus_left_l", "reverse"}
    assert "among women of 50 years</p>" in texts(app)


def test_the_url_holds_selections_and_never_what_is_entered(home: Path, app: AppTest) -> None:
    """Only what differs from the default, as codes."""
    ask(app, 54.5, 27.5, 22.5)
    app.segmented_control(key="sex en").set_value("M").run()
    assert dict(app.query_params) == {"sex": "M"}
    assert all(not element.proto.query_param_key for element in app.number_input)
    app.segmented_control(key="sex en").set_value("F").run()
    assert not app.query_params


def test_a_link_with_nonsense_shows_the_default(home: Path, app: AppTest) -> None:
    """And repairs the URL."""
    app.query_params["sex"] = "X"
    app.query_params["measure"] = "'; DROP TABLE"
    app.query_params["lang"] = "xx"
    app.run()
    assert "among women of 50 years" in texts(app)
    assert not app.query_params


def test_the_language_changes_words_and_signs_and_keeps_selections(home: Path, app: AppTest) -> None:
    """German, with decimal commas."""
    ask(app, 54, 27.5, 22.5)
    app.segmented_control(key="sex en").set_value("M").run()
    app.segmented_control(key="lang en").set_value("de").run()
    written = texts(app)
    assert "unter Männern mit 54 Jahren und einem BMI von 27,5" in written
    assert RIBBON["de"] in written and ". Perzentile</p>" in written
    assert dict(app.query_params) == {"lang": "de", "sex": "M"}
    app.switch_page("views/population.py").run()
    assert app.title[0].value == "Population" and "Nach Alter" in texts(app)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_and_part_in_both_languages(home: Path, app: AppTest, page: str, language: str) -> None:
    """No error, the ribbon, the footer, and no message key left over."""
    open_page(app, page, language=language)
    for part in PARTS.get(page, (None,)):
        if part:
            app.segmented_control(key=f"part {language}").set_value(part).run()
        written = texts(app)
        assert RIBBON[language] in written
        assert ("Invented data" if language == "en" else "Erfundene Daten") in written


@pytest.mark.parametrize("page", PAGES)
def test_real_data_carry_no_ribbon(publish_changed: Callable[..., None], app: AppTest, page: str) -> None:
    """And name the population they describe."""
    publish_changed("UPDATE ref.analysis_set SET is_synthetic = false, study = 'nako'")
    written = texts(open_page(app, page))
    assert RIBBON["en"] not in written
    assert "General population of Germany (NAKO)" in written


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
    assert "too few analysed participants" in texts(app)


EMPTY = ";".join(
    f"DELETE FROM {table}"
    for table in [
        "stats.descriptive",
        "stats.band_percentile",
        "stats.correlation",
        "stats.regression",
        "stats.profile",
        "stats.profile_maximum",
        "stats.segmentation_score",
        "stats.agreement",
        "stats.training_set",
        "stats.exclusion",
        "stats.exclusion_regression",
        "stats.participant_flow",
        "norms.lms",
        "norms.centile",
        "meta.model",
        "meta.release_log",
    ]
)


@pytest.mark.parametrize("page", PAGES[1:])
def test_pages_without_results_say_so(publish_changed: Callable[..., None], app: AppTest, page: str) -> None:
    """Empty tables are no error, in any part."""
    publish_changed(EMPTY)
    open_page(app, page)
    if page == "data":
        return
    for part in (key for key in PARTS.get(page, ()) if app.get("button_group") and f"part {'en'}" in app.session_state):
        app.segmented_control(key="part en").set_value(part).run()
        assert app.info or part in ("models", "checks")
    assert app.info or page in PARTS
    assert not app.exception


def test_the_snapshot_is_replaced_while_somebody_looks(publish_changed: Callable[..., None], app: AppTest) -> None:
    """The next interaction shows the new one."""
    publish_changed("", "one")
    app.run()
    assert "**Snapshot.** one" in texts(app)
    publish_changed("UPDATE norms.lms SET m = 2 * m", "two")
    app.segmented_control(key="sex en").set_value("M").run()
    assert "**Snapshot.** two" in texts(app)
    assert f"Median {30 * math.exp(0.2 + 0.52):.1f} cm²" in texts(app)


def test_the_cohort_tables(home: Path, app: AppTest) -> None:
    """Characteristics, correlations, regression."""
    written = texts(open_page(app, "population", "characteristics"))
    cells = "".join(f'<td class="number">{text}</td>' for text in ("12,262", "24.47", "3.65"))
    assert f'<th scope="row">Psoas area, left + right, cm²</th>{cells}' in written
    assert "strong 0.62 (0.60–0.63)" in texts(open_page(app, "population", "correlation"))
    assert "0.213 (0.205–0.221)" in texts(open_page(app, "population", "regression"))


def test_suppressed_cells_are_named_not_zero(home: Path, app: AppTest) -> None:
    """Both sexes above BMI 40, in the composition; the note says what it means."""
    written = texts(open_page(app, "population", "characteristics"))
    row = '<th scope="row">≥40</th><td class="number suppressed">&lt; 10</td><td class="number">–</td>'
    assert row in written
    assert "fewer people than may be shown" in written


def test_the_flow_is_of_one_analysis_set(home: Path, app: AppTest) -> None:
    """The one in force first; others by choice."""
    written = texts(open_page(app, "flow"))
    assert "<span>With BMI</span> <b>26,859</b>" in written and "<b>946</b>" in written
    assert "77,777" not in written
    app.selectbox(key="set en").set_value("other / measured / v1").run()
    assert "77,777" in texts(app)


def test_exclusions_by_reason_and_group(home: Path, app: AppTest) -> None:
    """Reasons by their labels."""
    written = texts(open_page(app, "flow", "exclusions"))
    assert '<th scope="row">Noise</th>' in written and '<th scope="row">missing slice</th>' in written
    assert "1.02 (0.90–1.15)" in written


def test_the_dictionary_is_searched_by_words(home: Path, app: AppTest) -> None:
    """Every word must be there."""
    open_page(app, "data")
    app.text_input(key="search").set_value("AGREEMENT lower ratio").run()
    written = texts(app)
    assert "ratio_limit_low_pct" in written and "limit_high_low" not in written


def test_the_score_page(home: Path, app: AppTest) -> None:
    """Table 3, Bland-Altman, the card."""
    assert "0.950 ± 0.010" in texts(open_page(app, "segmentation"))
    assert "0.25 (0.15–0.35)" in texts(open_page(app, "segmentation", "agreement"))
    assert "### Card" in texts(open_page(app, "segmentation", "models"))
