"""A passphrase and its hash."""

import pytest

from derm import passphrases
from derm.errors import ConfigError

WORDS = "four words apart"


def test_a_hash_matches_its_passphrase_alone_and_hides_it():
    kept = passphrases.hashed(WORDS)
    assert passphrases.matches(WORDS, kept)
    assert not passphrases.matches(WORDS + " ", kept)
    assert not passphrases.matches("", kept)
    assert WORDS not in kept


def test_the_same_passphrase_has_another_hash_each_time():
    assert passphrases.hashed(WORDS) != passphrases.hashed(WORDS)
    assert passphrases.hashed(WORDS, salt=b"0" * 16) == passphrases.hashed(WORDS, salt=b"0" * 16)


def test_a_short_one_is_refused():
    with pytest.raises(ConfigError, match="12 or more"):
        passphrases.hashed("eleven char")


@pytest.mark.parametrize("kept", ["", WORDS, "scrypt$15$8$1$x", "scrypt$15$8$1$!$!", "md5$15$8$1$eA==$eA==",
                                  "scrypt$40$8$1$eA==$eA==", "scrypt$15$999999$1$eA==$eA=="])
def test_what_is_no_hash_lets_nobody_in(kept):
    with pytest.raises(ConfigError, match="derm staff passphrase"):
        passphrases.matches(WORDS, kept)
