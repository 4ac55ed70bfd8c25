"""Who is staff: the four ways in, and that nobody else sees anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from derm import passphrases
from derm.settings import PROJECT, settings
from derm.ui import auth
from derm.ui.auth import Attempts, is_this_machine

WORDS = "four words apart"
KEPT = passphrases.hashed(WORDS, salt=b"0" * 16)
LOCAL = {"host": "localhost:8501", "origin": "http://localhost:8501"}
MACHINE = (None, LOCAL)
ELSEWHERE = ("10.0.0.7", {"host": "workstation:8501", "origin": "http://workstation:8501"})
LOGIN = {"auth": {"client_id": "x"}, "derm": {"staff": ["Ada@Clinic.example"]}}


@pytest.mark.parametrize(("address", "headers", "here"), [
    (None, LOCAL, True), ("127.0.0.1", LOCAL, True),
    ("::1", {"host": "[::1]:8501", "origin": "http://[::1]:8501"}, True),
    ("::ffff:127.0.0.1", {"Host": "127.0.0.1:8501", "Origin": "http://127.0.0.1:8501"}, True),
    ("10.0.0.7", LOCAL, False), ("", {}, False), (None, {}, False), ("nonsense", LOCAL, False),
    (None, LOCAL | {"X-Forwarded-For": "127.0.0.1"}, False), (None, LOCAL | {"forwarded": "for=127.0.0.1"}, False),
    (None, LOCAL | {"x-real-ip": "127.0.0.1"}, False), (None, LOCAL | {"host": "evil.example"}, False),
    (None, LOCAL | {"origin": "https://evil.example"}, False), (None, {"host": "localhost:8501"}, False),
    (None, LOCAL | {"origin": "null"}, False), (None, LOCAL | {"host": "localhost.evil.example"}, False)])
def test_only_who_sits_here_is_on_this_machine(address: str | None, headers: dict[str, str], here: bool) -> None:
    assert is_this_machine(address, headers) is here


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says where the browser is; there is a model, a run and a data folder to see."""
    for name in ("models", "data", "runs", "cache"):
        monkeypatch.setenv(f"DERM_{name.upper()}", str(tmp_path / name))
    (tmp_path / "runs" / "secret-run").mkdir(parents=True)
    (tmp_path / "runs" / "secret-run" / "config.toml").touch()
    settings.cache_clear()
    auth._attempts.clear()
    yield lambda where: monkeypatch.setattr(auth, "_client", lambda: where)
    settings.cache_clear()


def opened(secrets: dict[str, Any] | None = None, user: dict[str, Any] | None = None,
           script: str = "pages/train.py") -> AppTest:
    at = AppTest.from_file(str(PROJECT / script), default_timeout=60)
    at.secrets = secrets or {}
    at.user = user or {"is_logged_in": False}
    if script == "pages/train.py":
        at.session_state["section"] = "Runs"
    at.run()
    assert not at.exception
    return at


def sees(at: AppTest) -> bool:
    """Whether the page shows the runs; if not, nothing of them is anywhere on it."""
    if at.title[0].value == "Train":
        return True
    assert "secret-run" not in str(at.main)
    return False


@pytest.mark.parametrize(("where", "secrets", "user", "let_in"), [
    (MACHINE, {}, {}, True), (ELSEWHERE, {}, {}, False),
    (MACHINE, {"derm": {"passphrase_hash": KEPT}}, {}, False),
    (MACHINE, {"derm": {"passphrase_hash": ""}}, {}, False),
    (MACHINE, LOGIN, {}, False), (ELSEWHERE, LOGIN, {"is_logged_in": True, "email": "ada@clinic.example"}, True),
    (ELSEWHERE, LOGIN, {"is_logged_in": True, "email": "eve@clinic.example"}, False),
    (ELSEWHERE, LOGIN, {"is_logged_in": True, "email": "ada@clinic.example", "email_verified": False}, False),
    (ELSEWHERE, LOGIN, {"is_logged_in": True, "email": ""}, False),
    (ELSEWHERE, LOGIN, {"is_logged_in": False, "email": "ada@clinic.example"}, False),
    (MACHINE, {"auth": {}}, {"is_logged_in": True, "email": "ada@clinic.example"}, False),
    (MACHINE, LOGIN | {"derm": {"staff": "ada@clinic.example"}},
     {"is_logged_in": True, "email": "ada@clinic.example"}, False)])
def test_the_page_is_for_staff(client: Any, where: Any, secrets: Any, user: Any, let_in: bool) -> None:
    client(where)
    assert sees(opened(secrets, user)) is let_in


def test_the_open_door_is_told_of(client: Any) -> None:
    client(MACHINE)
    assert any("sits at this machine" in info.value for info in opened().info)


def test_the_passphrase_lets_in_and_a_new_one_throws_out(client: Any) -> None:
    client(ELSEWHERE)
    at = opened({"derm": {"passphrase_hash": KEPT}})
    at.text_input[0].input("four words here!").run()
    at.button[0].click().run()
    assert not sees(at)
    assert at.error[0].value == "That is not the passphrase."
    at.text_input[0].input(WORDS)
    at.button[0].click().run()
    assert sees(at)
    at.secrets = {"derm": {"passphrase_hash": passphrases.hashed("another passphrase")}}
    assert not sees(at.run())


def test_signing_out_ends_it(client: Any) -> None:
    client(ELSEWHERE)
    at = opened({"derm": {"passphrase_hash": KEPT}})
    at.text_input[0].input(WORDS)
    at.button[0].click().run()
    next(button for button in at.button if button.label == "Sign out").click().run()
    assert not sees(at)


def test_wrong_passphrases_cost_more_and_more_time() -> None:
    attempts, now = Attempts(), 100.0
    for pause in (0, 0, 1, 2, 4, 8, 16, 32, 60, 60):
        assert "not the passphrase" in attempts.problem("wrong words here", KEPT, who="eve", now=now)
        if pause:  # then not even the right one is looked at, and asking costs nothing more
            assert f"in {pause} seconds" in attempts.problem(WORDS, KEPT, who="eve", now=now)
        now += pause
    assert attempts.problem(WORDS, KEPT, who="ada", now=now) == ""
    assert attempts.problem(WORDS, KEPT, who="eve", now=now) == ""
    assert "not the passphrase" in attempts.problem("wrong words here", KEPT, who="eve", now=now)


@pytest.mark.parametrize(("where", "secrets", "titles"), [
    (MACHINE, {}, {"Train"}), (ELSEWHERE, {}, set()), (ELSEWHERE, {"derm": {"passphrase_hash": KEPT}}, {"Staff"}),
    (ELSEWHERE, LOGIN, {"Staff"})])
def test_the_navigation_has_the_page_for_staff_alone(client: Any, monkeypatch: pytest.MonkeyPatch, where: Any,
                                                     secrets: Any, titles: set[str]) -> None:
    client(where)
    there: list[str] = []
    real = st.navigation
    monkeypatch.setattr(st, "navigation", lambda pages, **more: there.extend(page.title for page in pages) or
                        real(pages, **more))
    opened(secrets, script="streamlit_app.py")
    assert set(there) - {"Diagnose", "Explore", "Fairness", "Models"} == titles


def test_damaged_secrets_open_no_door(client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client(MACHINE)
    path = tmp_path / "secrets.toml"
    path.write_text("[derm\n", encoding="utf-8")
    monkeypatch.setattr(st, "get_option", lambda name: [str(path)] if name == "secrets.files" else None)
    assert not sees(opened())
