"""States of the review page, as the server makes them; what happens in the browser is in test_review_journey.py."""

import hashlib
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.reading_queue import CONSENSUS, SAMPLE
from dashboard.verdicts import Reading, append
from tests.dashboard.review_home import N_SUSPICIOUS, write_home

PAGE = "views/review.py"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation of few cases."""
    home = tmp_path_factory.mktemp("research")
    write_home(home, n_passed=0)
    return home


@pytest.fixture
def research(written: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Open it in research mode."""
    monkeypatch.setenv("MYONORM_HOME", str(written))
    monkeypatch.setenv("MYONORM_RESEARCH", "1")
    return written


def desk(app: AppTest) -> dict:
    """What the page hands to the reading desk."""
    assert not app.exception
    (element,) = app.get("bidi_component")
    return json.loads(element.proto.json)


def open_review(app: AppTest, **selection: str) -> AppTest:
    app.query_params.update(selection)
    app.run()
    return app.switch_page(PAGE).run()


def test_without_research_mode_there_is_no_review(home: Path, app: AppTest):
    with pytest.raises(ValueError, match="page"):
        app.run().switch_page(PAGE).run()


def test_without_a_reader_the_page_says_what_there_is_to_do(research, app):
    open_review(app)
    assert f"**{N_SUSPICIOUS}** of {N_SUSPICIOUS} cases" in app.markdown[0].value and not app.get("bidi_component")
    assert (
        "Of **190** drawn cases read so far **21**" in app.markdown[1].value
        and "4.2 (2.5–6.9) %" in app.markdown[1].value
    )
    cells = "".join(f'<td class="number">{text}</td>' for text in ("40", "95.0", "0.94 (0.86–1.00)", "0.90"))
    row = f'<th scope="row">Case</th>{cells}'
    assert any(row in element.proto.body for element in app.get("html"))


def test_cases_come_with_picture_checks_and_profile(research, app):
    data = desk(open_review(app, reader="r1"))
    first = data["cases"][0]
    assert data["n_open"] == N_SUSPICIOUS and len(data["order"]) == 6
    assert first["title"].startswith("700000") and [line["verdict"] for line in first["lines"]] == ["fail", "warn"]
    assert first["lines"][0]["text"].endswith(": left psoas") and first["lines"][1]["text"].endswith(")")
    assert len(first["profile"]) == 4 and len(first["image"]) > 10_000
    assert [reason["reason"] for reason in data["reasons"]][:2] == ["segmentation", "junction"]


def test_filters_narrow_the_queue(research, app):
    assert desk(open_review(app, reader="r1", centre="north"))["n_open"] == N_SUSPICIOUS // 2
    app.selectbox(key="check").set_value("islands_pct")
    assert desk(app.run())["n_open"] == N_SUSPICIOUS // 2


def test_a_consensus_shows_what_readers_said(research, app):
    """r1 accepted what a check rejects, with a comment; r2 sees it, and nothing of it where r2 reads a second time."""
    mask = hashlib.sha256(b"0").hexdigest()
    accepted = ({"compartment": None, "side": None, "verdict": "accept", "reason": None},)
    facts = (
        "r1",
        "0" * 32,
        "synthetic",
        "700000",
        "30",
        "v1",
        mask,
        "first",
        False,
        1.0,
        accepted,
        "situs inversus",
        2.0,
    )
    append(research / "reviews", "r1", [Reading(*facts, reviewed_at="2026-01-01T00:00:00Z")])
    data = desk(open_review(app, reader="r2", cases=CONSENSUS))
    (case,) = data["cases"]
    assert case["title"].startswith("700000") and "consensus" in case["subtitle"]
    assert case["earlier"] == ["r1, first reading: all accepted. “situs inversus”"] and case["lines"]
    key = case["key"]
    app.selectbox(key="cases").set_value(SAMPLE)
    app.query_params["case"] = key
    blinded = desk(app.run())["cases"][0]
    (research / "reviews" / "r1.jsonl").unlink()
    assert blinded["key"] == key and blinded["reading"] == "second" and not blinded["earlier"] + blinded["lines"]


def test_a_figure_of_another_mask_is_not_shown(research, app):
    sidecar = research / "derivatives" / "synthetic" / "700000" / "30" / "v1_overlay.json"
    facts = sidecar.read_text()
    sidecar.write_text(facts.replace('"mask_sha256": "', '"mask_sha256": "0'))
    first = desk(open_review(app, reader="r1"))["cases"][0]
    sidecar.write_text(facts)
    assert first["image"] is None and "newer mask" in first["is_missing"]


@pytest.mark.parametrize("code", ["Dr. Who", "a b"])
def test_a_name_is_no_reader_code(research, app, code):
    open_review(app)
    app.text_input(key="reader").set_value(code)
    app.run()
    assert not app.get("bidi_component") and not app.exception
