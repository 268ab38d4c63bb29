"""Selections that live in the URL, so that every view can be linked.

Belongs here: how a selection comes from and goes to the query parameters.
Does not belong here: entered values: they never go into a URL, and their widgets are plain Streamlit ones.

The URL holds codes, not labels: a link made in German opens in English. Streamlit's own `bind` would put the labels there.
"""

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard import language

PAGE, PAGE_IS_NEW = "page shown", "page is new"


def enter(page: str) -> None:
    """Note which page is shown: selections are kept from one page to the next, although Streamlit empties the URL between them."""
    st.session_state[PAGE_IS_NEW] = st.session_state.get(PAGE) not in (None, page)
    st.session_state[PAGE] = page


def choose(
    label: str,
    options: Sequence[str],
    key: str,
    name: Callable[[str], str],
    default: str | None = None,
    is_list: bool = False,
    **options_of_widget: object,
) -> str:
    """Return the chosen option; it is the query parameter `key`, which is absent for the default (else the first).

    `is_list` makes a drop-down list of many options, else buttons stand side by side.
    """
    options = list(options)
    default = default if default in options else options[0]
    widget = f"{key} {language.current()}"
    st.session_state[widget] = _selected(key, widget, options, default)
    names = {option: name(option) for option in options}
    if is_list:
        value = st.selectbox(label, options, format_func=names.get, key=widget, **options_of_widget)
    else:
        value = st.segmented_control(
            label, options, format_func=names.get, key=widget, required=True, **options_of_widget
        )
    remember(key, value, default)
    return value


def remember(key: str, value: str, default: str) -> None:
    """Keep a selection for this session and write it into the URL, unless it is the default."""
    st.session_state[_kept(key)] = value
    if value == default:
        st.query_params.pop(key, None)
    elif st.query_params.get(key) != value:
        st.query_params[key] = value


def requested(key: str, default: str) -> str:
    """Return what the URL asks for; on the way from page to page, where Streamlit empties it, what was selected before."""
    kept = st.session_state.get(_kept(key), default)
    return st.query_params.get(key, kept if st.session_state.get(PAGE_IS_NEW) else default)


def _selected(key: str, widget: str, options: list[str], default: str) -> str:
    """Return the option to show: a new request of the URL, else what the widget or another language's widget holds."""
    kept = st.session_state.get(_kept(key))
    asked = requested(key, default)
    value = asked if kept is None or asked != kept else st.session_state.get(widget, kept)
    return value if value in options else default


def _kept(key: str) -> str:
    return f"selected {key}"
