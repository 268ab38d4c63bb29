"""Pictures of every page in light, dark, German and at phone width, for docs/images and for the eye, as small WebP files.

Run with `make screenshots`, on the snapshot of MYONORM_HOME. Not a test.
"""

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from dashboard import batch
from tests.dashboard.browser import launch, open_page, serve, settle

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LONGEST = 1900
VIEWS = {
    "percentile": "?measure=csa_psoas_total_cm2&sex=F",
    "batch": "?people=several",
    "population": "population",
    "characteristics": "population?part=characteristics",
    "map": "population?part=map",
    "distribution": "distribution",
    "segmentation": "segmentation",
    "agreement": "segmentation?part=agreement",
    "flow": "flow?set=synthetic+%2F+measured+%2F+phantom-v2",
    "data": "data",
    "participant": "participant?measure=csa_psoas_total_cm2",
    "sql": "sql",
}
LOOKS = {
    "light": (DESKTOP, "light", ""),
    "dark": (DESKTOP, "dark", ""),
    "german": (DESKTOP, "light", "lang=de"),
    "phone": (PHONE, "light", ""),
}


def main(folder: Path, wanted: list[str]) -> None:
    """Write <page>-<look>.webp into a folder; `wanted` names pages or looks, none of them all."""
    folder.mkdir(parents=True, exist_ok=True)
    with serve({"MYONORM_RESEARCH": "1"}) as url, sync_playwright() as playwright, launch(playwright) as browser:
        for look, (size, scheme, query) in LOOKS.items():
            for view, path in VIEWS.items():
                if wanted and view not in wanted and look not in wanted and f"{view}-{look}" not in wanted:
                    continue
                page = open_page(browser, viewport=size, color_scheme=scheme)
                page.goto(f"{url}/{path}{'&' if '?' in path else '?'}{query}")
                settle(page)
                if view in PREPARE:
                    PREPARE[view](page)
                photograph(page, folder / f"{view}-{look}.webp")
                page.context.close()


def enter_person(page: Page) -> None:
    """Enter the person of the README."""
    for label, value in (("54", 0), ("27", 1), ("22.5", 2)):
        field = page.locator("[data-testid=stNumberInput] input").nth(value)
        field.fill(label)
        field.press("Enter")
        settle(page)


def paste_people(page: Page) -> None:
    """Paste the example of the page itself."""
    page.locator("textarea").fill(batch.EXAMPLE)
    page.locator("textarea").press("Control+Enter")
    settle(page)


def run_query(page: Page) -> None:
    """Run the query that stands there."""
    page.locator("button[kind=primary]").click()
    page.wait_for_selector("[data-testid=stDataFrame]")
    settle(page)


PREPARE = {"percentile": enter_person, "batch": paste_people, "sql": run_query}


def photograph(page: Page, file: Path) -> None:
    """Write the page down to a length that a reader still looks at."""
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": page.viewport_size["width"], "height": min(int(height) + 4, LONGEST)})
    settle(page)
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").save(file, quality=62, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
