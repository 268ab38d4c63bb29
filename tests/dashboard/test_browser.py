"""Journeys through a served dashboard in Chromium.

One quick journey runs with all tests; the others carry the mark `browser` and run with `make test-browser`, as does axe-core.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.dashboard.browser import CHROMIUM, REPOSITORY, launch, open_page, serve, settle
from tests.dashboard.conftest import publish
from tests.dashboard.test_sandbox import ESCAPES, SECRET

AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"width": 390, "height": 844}
PATHS = (
    "percentile?curves=bmi",
    "percentile?people=several",
    "population",
    "population?part=map",
    "population?part=map&cells=bands",
    "population?part=characteristics",
    "population?part=correlation",
    "population?part=regression",
    "distribution",
    "segmentation",
    "segmentation?part=agreement",
    "segmentation?part=models",
    "flow",
    "flow?part=exclusions",
    "flow?part=checks",
    "data",
    "data?part=downloads",
    "data?part=releases",
)
pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Debian's chromium is not installed.")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Launch the browser once."""
    with sync_playwright() as playwright, launch(playwright) as browser:
        yield browser


@pytest.fixture(scope="module")
def home(aggregates: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a MYONORM_HOME that a test may publish into."""
    home = tmp_path_factory.mktemp("served")
    publish(aggregates, home, "20260101T000000Z")
    return home


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    """Serve the dashboard once."""
    with serve({"MYONORM_HOME": str(home)}) as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a page whose errors fail the test, as does a request to another host: no telemetry, fonts or scripts from elsewhere."""
    page = open_page(browser)
    errors, hosts = [], set()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    yield page
    page.context.close()
    assert not errors
    assert hosts <= {"127.0.0.1", None}


def visit(page: Page, url: str) -> None:
    """Open an address and wait for the page."""
    page.goto(url)
    settle(page)
    assert page.locator("[data-testid=stException]").count() == 0


def enter(page: Page, label: str, value: str) -> None:
    """Type a number into a field."""
    field = page.get_by_role("spinbutton", name=label, exact=False).or_(page.get_by_role("textbox", name=label)).first
    field.fill(value)
    field.press("Enter")
    settle(page)


def test_a_look_up_a_link_and_the_other_language(browser: Browser, page: Page, url: str) -> None:
    """Three entries give the answer; the link holds the selections and nothing entered; German keeps them."""
    visit(page, url)
    expect(page).to_have_title("Percentile – Myonorm")
    enter(page, "Age, years", "54")
    enter(page, "BMI, kg/m²", "27")
    enter(page, "Measured value", "22.5")
    expect(page.locator(".answer .headline").first).to_contain_text("percentile")
    expect(page.locator(".answer .among").nth(1)).to_have_text("among women of 54 years with a BMI of 27")
    expect(page.locator("[data-testid=stVegaLiteChart] svg").first).to_be_visible()
    page.get_by_role("radio", name="Men", exact=True).click()
    page.get_by_role("radio", name="By BMI, at this age").click()
    settle(page)
    assert re.fullmatch(r".*\?(sex=M&curves=bmi|curves=bmi&sex=M)", page.url)
    shared = open_page(browser)
    visit(shared, page.url)
    expect(shared.get_by_text("Men by BMI, at 50 years")).to_be_visible()
    shared.context.close()
    page.get_by_role("radio", name="Deutsch").click()
    settle(page)
    expect(page.locator(".answer .among").nth(1)).to_have_text("unter Männern mit 54 Jahren und einem BMI von 27")
    assert page.evaluate("document.documentElement.lang") == "de"
    assert "lang=de" in page.url and "sex=M" in page.url and "22" not in page.url.rpartition("?")[2]


@pytest.mark.browser
def test_going_back_restores_the_selection(page: Page, url: str) -> None:
    """The browser's own buttons work."""
    visit(page, url)
    page.get_by_role("radio", name="Men", exact=True).click()
    settle(page)
    assert "sex=M" in page.url
    page.go_back()
    settle(page)
    expect(page.locator(".answer .among").first).to_contain_text("among women")


@pytest.mark.browser
def test_keyboard_alone(page: Page, url: str) -> None:
    """Tab reaches every field in reading order; arrow keys choose; the answer is announced."""
    visit(page, url)
    page.get_by_role("radio", name="One person").focus()
    seen = []
    for _ in range(14):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
    text = " | ".join(str(name) for name in seen)
    assert text.index("Age") < text.index("BMI, kg") < text.index("Measured value")
    page.get_by_role("spinbutton", name="Measured value").focus()
    page.keyboard.type("22.5")
    page.keyboard.press("Enter")
    settle(page)
    expect(page.locator("[role=status] .headline").first).to_contain_text("percentile")


@pytest.mark.browser
def test_a_batch(page: Page, url: str, tmp_path: Path) -> None:
    """Upload, see, take away."""
    table = tmp_path / "people.csv"
    table.write_text("id;sex;age_years;bmi_kg_m2;value\nA;F;54;27;22,5\nB;M;30;24;nonsense\n")
    visit(page, f"{url}/?people=several")
    page.locator("input[type=file]").set_input_files(str(table))
    settle(page)
    expect(page.get_by_text("1 people with a percentile")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download with percentiles").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("row,id,measure,sex,age_years,bmi_kg_m2,value,percentile_by_age")
    assert lines[1].startswith("1,A,csa_psoas_total_cm2,F,54.0,27.0,22.5,") and "value missing" in lines[2]


@pytest.mark.browser
def test_the_report_is_a_pdf(page: Page, url: str) -> None:
    """Made on demand."""
    visit(page, url)
    enter(page, "Measured value", "22.5")
    with page.expect_download() as download:
        page.get_by_role("button", name="Report to print").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF")


@pytest.mark.browser
@pytest.mark.parametrize("path", PATHS)
def test_phone_width(browser: Browser, url: str, path: str) -> None:
    """Nothing is wider than 390 px but what scrolls by itself."""
    page = open_page(browser, viewport=PHONE)
    visit(page, f"{url}/{path}")
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= PHONE["width"]
    page.context.close()


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(15, 23, 22)")])
def test_light_and_dark(browser: Browser, url: str, scheme: str, background: str) -> None:
    """The chart has the page's background."""
    page = open_page(browser, color_scheme=scheme)
    visit(page, url)
    svg = page.locator("[data-testid=stVegaLiteChart] svg").first
    assert svg.evaluate("element => getComputedStyle(element).backgroundColor") == background
    page.context.close()


@pytest.mark.browser
def test_a_publication_while_somebody_looks(aggregates: Path, home: Path, url: str, page: Page) -> None:
    """The next interaction shows the new snapshot, without an error; so does one after the old is gone."""
    visit(page, url)
    publish(aggregates, home, "20260202T000000Z", "UPDATE norms.lms SET m = 2 * m")
    page.get_by_role("radio", name="Men", exact=True).click()
    settle(page)
    expect(page.get_by_text("20260202T000000Z")).to_be_visible()
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


@pytest.mark.browser
def test_behind_a_path_of_a_proxy(browser: Browser, home: Path) -> None:
    """All requests stay under the path."""
    with serve({"MYONORM_HOME": str(home)}, "--server.baseUrlPath", "muscle") as url:
        page = open_page(browser)
        paths = []
        page.on("request", lambda request: paths.append(request.url))
        visit(page, f"{url}/population")
        expect(page.get_by_role("heading", name="Population")).to_be_visible()
        assert all("/muscle/" in path or path.startswith(("data:", "blob:")) for path in paths)
        page.context.close()


@pytest.mark.browser
def test_each_escape_through_the_sql_page(aggregates: Path, tmp_path: Path, browser: Browser) -> None:
    """Refused on the page as in the sandbox; then a plain question is answered."""
    publish(aggregates, tmp_path, "one")
    shutil.copy(aggregates, tmp_path / "snapshots" / "one" / "research.duckdb")
    secret = tmp_path / "secret.csv"
    secret.write_text(SECRET)
    with serve({"MYONORM_HOME": str(tmp_path), "MYONORM_RESEARCH": "1"}) as url:
        page = open_page(browser)
        visit(page, f"{url}/sql")
        for way in ESCAPES.values():
            run_sql(page, way.format(secret=secret, folder=tmp_path))
            expect(page.locator("[data-testid=stAlert]")).to_be_visible()
            assert SECRET not in page.content()
        run_sql(page, "SELECT 42 AS answer")
        expect(page.get_by_text("1 rows")).to_be_visible()
        page.context.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.csv", "snapshots"]


def run_sql(page: Page, sql: str) -> None:
    """Type a query and run it."""
    editor = page.locator("textarea")
    editor.fill(sql)
    editor.press("Control+Enter")
    settle(page)
    page.locator("button[kind=primary]").click()
    page.wait_for_timeout(300)
    settle(page)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_serious(
    browser: Browser, url: str, path: str, scheme: str, record_property: Callable[[str, object], None]
) -> None:
    """axe-core, WCAG 2 A and AA; moderate findings are recorded only."""
    if not AXE.is_file():
        pytest.skip("axe-core is absent: make test-browser installs it.")
    page = open_page(browser, color_scheme=scheme)
    visit(page, f"{url}/{path}")
    page.wait_for_timeout(300)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")["violations"]
    page.context.close()
    record_property("moderate", [finding["id"] for finding in found])
    serious = {
        finding["id"]: [node["html"][:160] + " " + node["failureSummary"][:300] for node in finding["nodes"]][:3]
        for finding in found
        if finding["impact"] in ("serious", "critical")
    }
    assert not serious
