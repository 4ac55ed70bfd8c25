"""Who is staff: may train, promote and delete. One way in at a time, the first that is set up.

OpenID Connect (`[auth]` in secrets.toml) and a list of e-mail addresses; else a passphrase, kept as its hash; else
whoever sits at this very machine. Knows Streamlit; what is behind the door is the pages' affair.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from derm import passphrases
from derm.errors import ConfigError
from derm.ui import components
from derm.ui.components import plain

Way = Literal["login", "passphrase", "machine"]
_STAFF = "derm-staff"  # in the session: which hash a passphrase was right for
_FREE_TRIES, _LONGEST = 3, 60.0  # wrong passphrases that cost nothing; seconds between two after many
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via", "cf-connecting-ip")
NOTICE = ("Nobody has set up a staff sign-in, so this page is open to whoever sits at this machine, and to nobody "
          "else. `derm staff passphrase` makes it ask.")


def is_staff() -> bool:
    """Whether whoever looks at this page may train, promote and delete. Asks nothing and shows nothing."""
    try:
        table = _secrets()
    except ConfigError:
        return False  # whoever set up a sign-in did not mean an open door, even if the file is damaged
    way = _way(table)
    if way == "login":
        return _is_listed(table)
    if way == "passphrase":
        return st.session_state.get(_STAFF) == _digest(table)
    return is_this_machine(*_client())


def can_sign_in() -> bool:
    """Whether there is something to ask a visitor: not where only this machine's own user is staff."""
    try:
        return _way(_secrets()) != "machine"
    except ConfigError:
        return False


def require_staff() -> None:
    """Nothing for staff; anybody else gets the way in, if there is one, and the page ends here."""
    if not is_staff():
        sign_in()
        st.stop()


def sign_in() -> None:
    """The page that stands in the place of what only staff may see."""
    with components.page("Staff", "Training and looking after models is for staff."):
        if not can_sign_in():
            st.info("This page is not available here.")
            return
        table = _secrets()
        if _way(table) == "login":
            _by_login(table)
        else:
            _by_passphrase(table)


def notice() -> None:
    """By what right somebody is here: a sentence where the door is open, a way out where there is a sign-in."""
    way = _way(_secrets())
    if way == "machine":
        st.info(NOTICE, icon=":material/lock_open:")
    else:
        st.button("Sign out", icon=":material/logout:", type="tertiary", on_click=_sign_out, args=(way,))


def is_this_machine(address: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a connection begins and ends on this machine: its address is a loopback one (None stands for those),
    nothing says that it was passed on, and the browser, too, believes that the app is on its own machine."""
    said = {name.lower(): value for name, value in headers.items()}
    if any(name in said for name in _FORWARDED) or not said.get("host"):
        return False
    names = [urlsplit(f"//{said['host']}").hostname, urlsplit(said.get("origin", "")).hostname]
    return _is_loopback(address or "127.0.0.1") and all(map(_is_loopback, names))


def _is_loopback(name: str | None) -> bool:
    if name == "localhost":
        return True
    with contextlib.suppress(ValueError):
        found = ipaddress.ip_address(name or "")
        return (getattr(found, "ipv4_mapped", None) or found).is_loopback
    return False


def _client() -> tuple[str | None, Mapping[str, str]]:
    """The address of the browser and the headers of its connection; "" where nobody can tell the address."""
    if str(st.get_option("server.address") or "").startswith("unix:"):
        return "", {}
    return st.context.ip_address, st.context.headers


def _secrets() -> Mapping[str, Any]:
    """What secrets.toml holds; raises `ConfigError` where it is there and cannot be read."""
    try:
        return st.secrets.to_dict()
    except StreamlitSecretNotFoundError as error:
        if any(Path(path).exists() for path in st.get_option("secrets.files")):
            raise ConfigError("secrets.toml cannot be read; mend it.") from error
        return {}


def _way(table: Mapping[str, Any]) -> Way:
    if "auth" in table:
        return "login"
    return "passphrase" if _own(table).get("passphrase_hash") is not None else "machine"


def _own(table: Mapping[str, Any]) -> Mapping[str, Any]:
    own = table.get("derm", {})
    return own if isinstance(own, Mapping) else {}


def _is_listed(table: Mapping[str, Any]) -> bool:
    """Whether the signed-in person's e-mail address, as their provider vouches for it, is on the list."""
    address, listed = str(st.user.get("email") or ""), _own(table).get("staff", [])
    if not st.user.get("is_logged_in") or not address or st.user.get("email_verified") is False:
        return False
    return isinstance(listed, list) and address.casefold() in {str(one).strip().casefold() for one in listed}


def _by_login(table: Mapping[str, Any]) -> None:
    if st.user.get("is_logged_in"):
        st.error(f"{plain(str(st.user.get('email') or 'This account'))} is not on the list of staff. Whoever runs "
                 "this app can add the address.")
        st.button("Sign in as somebody else", on_click=st.logout)
        return
    st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)


def _by_passphrase(table: Mapping[str, Any]) -> None:
    with st.form("sign-in", clear_on_submit=True, width=420):
        said = st.text_input("Passphrase", type="password")
        asked = st.form_submit_button("Sign in", type="primary", icon=":material/login:")
    if asked:
        kept = str(_own(table)["passphrase_hash"])
        if problem := _attempts().problem(said, kept, who=_client()[0] or "", now=time.monotonic()):
            st.error(problem)
            return
        st.session_state[_STAFF] = _digest(table)
        st.rerun()


def _sign_out(way: Way) -> None:
    st.session_state.pop(_STAFF, None)
    if way == "login":
        st.logout()


def _digest(table: Mapping[str, Any]) -> str:
    """Another passphrase signs everybody out."""
    return hashlib.sha256(str(_own(table)["passphrase_hash"]).encode()).hexdigest()


class Attempts:
    """Wrong passphrases so far, by who tried; each costs the next one more time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}  # how many, and when the next may come

    def problem(self, said: str, kept: str, *, who: str, now: float) -> str:
        """'' if the passphrase is right, else what to say. One is looked at at a time."""
        with self._lock:
            wrong, at = self._wrong.get(who, (0, 0.0))
            if now < at:
                return f"Too many wrong passphrases. Try again in {at - now:.0f} seconds."
            try:
                if passphrases.matches(said, kept):
                    self._wrong.pop(who, None)
                    return ""
            except ConfigError as error:
                return str(error)
            pause = min(_LONGEST, 2.0 ** (wrong + 1 - _FREE_TRIES)) if wrong + 1 >= _FREE_TRIES else 0.0
            self._wrong[who] = (wrong + 1, now + pause)
            return "That is not the passphrase."


@st.cache_resource(show_spinner=False)
def _attempts() -> Attempts:
    return Attempts()
