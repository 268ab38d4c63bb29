"""The catalogues of messages: complete in every language."""

import re
from string import Formatter

import pytest

from dashboard import language
from tests.dashboard.conftest import REPOSITORY

# Sections that translate names of the warehouse; without an entry the warehouse's own (English) label is shown.
NAMES = {"measure", "definition", "model", "reason", "check"}
SOURCES = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "dashboard").rglob("*.py")]


def messages(spoken: str) -> dict[str, str]:
    """Return the messages of a language that every language must have."""
    return {key: text for key, text in language.catalogue(spoken).items() if key.split(".")[0] not in NAMES}


@pytest.mark.parametrize("spoken", language.LANGUAGES)
def test_keys_agree(spoken: str) -> None:
    """No language lacks or adds a message."""
    assert messages(spoken).keys() == messages("en").keys()


@pytest.mark.parametrize("spoken", language.LANGUAGES)
def test_messages_take_the_same_values(spoken: str) -> None:
    """A renamed {name} would fail only when it is said."""
    fields = {
        code: {
            key: {field for _, field, _, _ in Formatter().parse(text) if field} for key, text in messages(code).items()
        }
        for code in (spoken, "en")
    }
    assert fields[spoken] == fields["en"]


def test_every_message_that_is_said_exists() -> None:
    """Keys written out in the code."""
    said = {key for source in SOURCES for key in re.findall(r"""\bsay\(\s*"([a-z_]+\.[\w]+)\"""", source)}
    assert len(said) > 100
    assert said <= language.catalogue("en").keys()


def test_the_language_of_one_run_is_not_that_of_another() -> None:
    """It is a context variable, and English where nobody chose."""
    assert language.current() == "en"
    assert language.say("sex.F") == "Women"
