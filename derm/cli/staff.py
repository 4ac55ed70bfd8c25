"""`derm staff`: who may train and manage models in the app. Knows arguments and printing."""

from __future__ import annotations

import typer

from derm import passphrases
from derm.cli.console import say

app = typer.Typer(no_args_is_help=True, help="Who may train and manage models in the app.")


@app.callback()
def staff() -> None:
    """Who may train and manage models in the app."""


@app.command()
def passphrase() -> None:
    """Ask for a passphrase and print what .streamlit/secrets.toml needs; the passphrase itself is kept nowhere."""
    said = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True)
    line = passphrases.hashed(said)
    say(f'For .streamlit/secrets.toml:\n[derm]\npassphrase_hash = "{line}"')
