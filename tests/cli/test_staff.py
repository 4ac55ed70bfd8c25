"""`derm staff passphrase`: what goes into secrets.toml, and nothing else."""

import tomllib

from typer.testing import CliRunner

from derm import passphrases
from derm.cli import app

WORDS = "four words apart"


def test_the_lines_it_prints_are_the_hash_of_the_passphrase():
    done = CliRunner().invoke(app, ["staff", "passphrase"], input=f"{WORDS}\n{WORDS}\n")
    assert done.exit_code == 0
    assert WORDS not in done.output
    table = tomllib.loads(done.output[done.output.index("[derm]"):])
    assert passphrases.matches(WORDS, table["derm"]["passphrase_hash"])


def test_a_short_one_is_refused():
    done = CliRunner().invoke(app, ["staff", "passphrase"], input="short\nshort\n")
    assert done.exit_code != 0
    assert "12 or more" in str(done.exception)
