"""Who may open the research pages.

Belongs here: whether a sign-in is needed, the sign-in page.
Does not belong here: what the pages show. The sign-in itself is Streamlit's (OIDC); the provider is named in .streamlit/secrets.toml.
"""

import ipaddress
import time

import streamlit as st

from dashboard import snapshot
from dashboard.language import say

PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


def is_loopback() -> bool:
    """Return whether only this machine can reach the dashboard: by its address, and no proxy stands before it."""
    address = st.get_option("server.address") or "0.0.0.0"
    is_proxied = bool(st.get_option("server.baseUrlPath")) or any(
        st.context.headers.get(name) for name in PROXY_HEADERS
    )
    try:
        return not is_proxied and (address == "localhost" or ipaddress.ip_address(address).is_loopback)
    except ValueError:
        return False


def is_admitted() -> bool:
    """Return whether the reader may see participants: research mode, and this machine alone or a valid sign-in."""
    return snapshot.is_research() and (is_loopback() or is_signed_in())


def is_signed_in() -> bool:
    """Return whether the reader has a valid sign-in; its expiry is checked here, because Streamlit does not."""
    return bool(st.user.get("is_logged_in")) and st.user.get("exp", 0) > time.time()


def show_sign_out() -> None:
    """Offer to sign out, to whom has signed in."""
    if is_signed_in():
        st.button(say("access.sign_out"), on_click=st.logout, type="tertiary", icon=":material/logout:")


def show_sign_in() -> None:
    """Say why a research page needs a sign-in, and offer it where a provider is configured."""
    st.title(say("access.title"), anchor=False)
    if not has_provider():
        st.error(say("access.not_configured"), icon=":material/lock:")
        return
    st.markdown(say("access.why"))
    st.button(say("access.sign_in"), type="primary", on_click=st.login)


def has_provider() -> bool:
    """Return whether .streamlit/secrets.toml names an OIDC provider."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False
