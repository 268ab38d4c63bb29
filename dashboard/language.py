"""The two languages of the dashboard.

Belongs here: which language this run speaks, its catalogue of messages, names of what the warehouse calls by code.
Does not belong here: the messages themselves (messages/<language>.toml), numbers as text (wording.py).
"""

import tomllib
from contextvars import ContextVar
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "de": "Deutsch"}
_current: ContextVar[str] = ContextVar("language", default="en")


def use(language: str) -> None:
    """Let everything that this run says be in a language of LANGUAGES."""
    _current.set(language)


def current() -> str:
    """Return the language of this run."""
    return _current.get()


def say(key: str, **values: object) -> str:
    """Return a message, its {names} filled.

    >>> say("unit.years", n=54)
    '54 years'
    """
    return catalogue(current())[key].format(**values)


def name(section: str, code: str, otherwise: str) -> str:
    """Return the name of a code, where this language has one; releases may declare codes that no catalogue knows.

    >>> name("sex", "F", "F"), name("measure", "grip_kg", "Grip strength")
    ('Women', 'Grip strength')
    """
    return catalogue(current()).get(f"{section}.{code}", otherwise)


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return all messages of a language by section.key."""
    text = (Path(__file__).parent / "messages" / f"{language}.toml").read_text(encoding="utf-8")
    return {
        f"{section}.{key}": message for section, keys in tomllib.loads(text).items() for key, message in keys.items()
    }
